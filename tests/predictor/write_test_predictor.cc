// Writes what clients in tests need: a predictor file, rows of configurations, and the predictions
// that every client must reproduce to the last bit.
//   write_test_predictor FOLDER [ROWS]
// FOLDER/model.bspred; FOLDER/rows.txt: value indices, one row a line; FOLDER/expected.txt: per row
// top1_percent, deviation, each cost ("inf" where it cannot run) as %.17g, and outside as 0 or 1.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <string>

#include "predictor/predictor_file.h"
#include "space/support/files.h"
#include "tests/predictor/fixed_network_model.h"

int main(int argc, char** argv) {
  using namespace bitsearch;
  if (argc < 2) return 2;
  const std::filesystem::path folder = argv[1];
  const std::size_t rows = argc > 2 ? std::stoul(argv[2]) : 100;
  std::filesystem::create_directories(folder);
  const Predictor predictor(FixedNetworkModel());
  WritePredictor(folder / "model.bspred", predictor.model());

  const std::vector<std::uint8_t> genomes = RandomGenomes(predictor.space(), rows, 23);
  const GenomeView view{genomes.data(), rows, predictor.space().size()};
  std::vector<CandidateScore> scores(rows);
  predictor.Predict(view, scores);
  std::string rows_text, expected;
  for (std::size_t r = 0; r < rows; ++r) {
    for (const std::uint8_t value : view.row(r)) rows_text += fmt::format("{} ", value);
    rows_text.back() = '\n';
    char line[64];
    const auto add = [&](double value) {
      std::snprintf(line, sizeof line, "%.17g ", value);
      expected += line;
    };
    add(scores[r].top1_percent);
    add(scores[r].standard_deviation_percent);
    for (const FactoredCost& cost : predictor.model().costs) {
      std::int64_t grid = 0;
      cost.Evaluate(view.Slice(r, 1), {&grid, 1});
      add(grid >= FactoredCost::kForbidden ? std::numeric_limits<double>::infinity()
                                           : cost.FromGrid(grid));
    }
    expected += predictor.OutsideTrainingRange(view.row(r)) ? "1\n" : "0\n";
  }
  WriteFileAtomically(folder / "rows.txt", rows_text);
  WriteFileAtomically(folder / "expected.txt", expected);
  return 0;
}
