// Counting and averaging over the active bits genes of each genome.
#include "predictor/training/candidate_features.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace bitsearch {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;

/// One bits gene's values as numbers.
struct BitsGene {
  GeneIndex gene = 0;
  GeneIndex parent = kNoGene;
  std::vector<double> level;        ///< By value: log2(bits) − 2.
  std::vector<std::size_t> format;  ///< By value: column of its format.
};

double Level(const NumberFormat& format) {
  return std::log2(std::clamp(format.bits(), 1, 16)) - 2.0;
}

/// Mean of what is added.
struct Mean {
  double sum = 0.0, squares = 0.0;
  int count = 0;
  void Add(double value) {
    sum += value;
    squares += value * value;
    ++count;
  }
  double mean() const { return count == 0 ? 0.0 : sum / count; }
  double deviation() const {
    return count == 0 ? 0.0 : std::sqrt(std::max(0.0, squares / count - mean() * mean()));
  }
};

MatrixXd OneHot(const Encoding& encoding, const GenomeView& genomes, FeatureGroup group) {
  using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const std::vector<float> values = encoding.Dense(genomes, group);
  return Eigen::Map<const RowMajor>(values.data(), static_cast<Index>(genomes.rows),
                                    static_cast<Index>(encoding.features(group).size()))
      .cast<double>();
}

}  // namespace

FeatureGroups CandidateFeatures(const Encoding& encoding, const GenomeView& genomes,
                                const BitSummaries& summaries) {
  const CandidateSpace& space = encoding.space();
  std::vector<BitsGene> bits;
  std::vector<std::optional<std::size_t>> position(space.size());
  std::map<std::string, std::size_t> formats, operations;
  for (GeneIndex g = 0; g < space.size(); ++g) {
    const Gene& gene = space.genes()[g];
    if (gene.kind == GeneKind::kArchitecture) continue;
    BitsGene of{g, gene.parent, {}, {}};
    for (const std::string& text : gene.values) {
      of.level.push_back(Level(NumberFormat::Parse(text).value_or(NumberFormat::Float32())));
      // Weights' and activations' formats are counted apart.
      const std::string key = std::string(NameOf(gene.kind)) + text;
      of.format.push_back(formats.emplace(key, formats.size()).first->second);
    }
    if (gene.parent != kNoGene) {
      for (const std::string& value : space.genes()[gene.parent].values) {
        operations.emplace(value, operations.size());
      }
    }
    position[g] = bits.size();
    bits.push_back(std::move(of));
  }

  const auto rows = static_cast<Index>(genomes.rows);
  const auto zeros = [rows](std::size_t width) {
    return MatrixXd(MatrixXd::Zero(rows, static_cast<Index>(width)));
  };
  MatrixXd levels = zeros(bits.size()), shares = zeros(formats.size());
  MatrixXd means = zeros(summaries.size()), by_operation = zeros(operations.size());
  MatrixXd spread = zeros(bits.empty() ? 0 : 1);
  std::vector<std::uint8_t> active(space.size());
  for (Index r = 0; r < rows; ++r) {
    const auto genome = genomes.row(static_cast<std::size_t>(r));
    space.Activity(genome, active);
    Mean all;
    std::vector<Mean> of_operation(operations.size());
    for (std::size_t b = 0; b < bits.size(); ++b) {
      const BitsGene& gene = bits[b];
      if (active[gene.gene] == 0) continue;
      const std::uint8_t value = genome[gene.gene];
      levels(r, static_cast<Index>(b)) = gene.level[value];
      shares(r, static_cast<Index>(gene.format[value])) += 1.0;
      all.Add(gene.level[value]);
      if (gene.parent == kNoGene) continue;
      const std::string& operation = space.genes()[gene.parent].values[genome[gene.parent]];
      of_operation[operations.at(operation)].Add(gene.level[value]);
    }
    if (all.count > 0) shares.row(r) /= all.count;
    for (std::size_t o = 0; o < of_operation.size(); ++o) {
      by_operation(r, static_cast<Index>(o)) = of_operation[o].mean();
    }
    for (std::size_t s = 0; s < summaries.size(); ++s) {
      Mean mean;
      for (const GeneIndex g : summaries[s]) {
        if (active[g] != 0) mean.Add(bits[*position[g]].level[genome[g]]);
      }
      means(r, static_cast<Index>(s)) = mean.mean();
    }
    if (!bits.empty()) spread(r, 0) = all.deviation();
  }
  FeatureGroups groups;
  for (MatrixXd& group : std::vector<MatrixXd>{
           OneHot(encoding, genomes, FeatureGroup::kArchitecture), levels,
           OneHot(encoding, genomes, FeatureGroup::kBits), shares, means, by_operation, spread}) {
    if (group.cols() > 0) groups.push_back(std::move(group));
  }
  return groups;
}

}  // namespace bitsearch
