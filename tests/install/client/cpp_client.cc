// cpp_client MODEL ROWS: as c_client.c, row by row, through the C++ face and named values.
#include <bitsearch/predictor.hpp>
#include <cstdio>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

int main(int argc, char** argv) try {
  if (argc != 3) return 2;
  const bitsearch::client::Predictor predictor(argv[1]);
  const std::size_t costs = predictor.cost_names().size();
  std::ifstream file(argv[2]);
  std::vector<std::pair<std::string, std::string>> named;
  for (std::size_t value = 0; file >> value;) {
    const std::size_t gene = named.size();
    named.emplace_back(predictor.gene_name(gene), predictor.values(gene).at(value));
    if (named.size() < predictor.gene_count()) continue;
    const auto row = predictor.Predict(predictor.Parse(named));
    std::printf("%.17g %.17g ", row.top1_percent[0], row.standard_deviation_percent[0]);
    for (std::size_t c = 0; c < costs; ++c) std::printf("%.17g ", row.costs[c]);
    std::printf("%d\n", row.outside_training_range[0]);
    named.clear();
  }
  return 0;
} catch (const std::exception& failure) {
  std::fprintf(stderr, "%s\n", failure.what());
  return 3;
}
