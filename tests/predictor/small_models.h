#pragma once
// A small space with every kind of gene, and random networks for it.

#include "predictor/predictor.h"
#include "space/support/random.h"

namespace bitsearch {

/// Depth (2 values), two blocks with a kernel and bits; the second matters at depth 2 only.
inline CandidateSpace SmallSpace() {
  return CandidateSpace(
      "small", {{"depth", GeneKind::kArchitecture, {"1", "2"}},
                {"block0.kernel", GeneKind::kArchitecture, {"3", "5", "7"}},
                {"block1.kernel", GeneKind::kArchitecture, {"3", "5", "7"}, 0, 0b10},
                {"block0.weight_bits",
                 GeneKind::kWeightBits,
                 {"2", "4", "8"},
                 kNoGene,
                 ~std::uint64_t{0},
                 "block0"},
                {"block1.weight_bits", GeneKind::kWeightBits, {"2", "4", "8"}, 0, 0b10, "block1"}});
}

inline DenseLayer RandomLayer(Eigen::Index outputs, Eigen::Index inputs, RandomStream& random) {
  DenseLayer layer{Eigen::MatrixXf(outputs, inputs), Eigen::VectorXf(outputs)};
  for (Eigen::Index i = 0; i < layer.weights.size(); ++i) {
    layer.weights.data()[i] = static_cast<float>(random.Normal()) / 4.0F;
  }
  for (Eigen::Index i = 0; i < outputs; ++i) layer.bias[i] = static_cast<float>(random.Normal());
  return layer;
}

/// `width` is best no multiple of a vector register's length.
inline PredictorModel SmallModel(std::size_t members = 2, Eigen::Index width = 37,
                                 CandidateSpace space = SmallSpace()) {
  RandomStream random(7, "small_models");
  PredictorModel model;
  model.encoding = Encoding::OneHot(std::move(space));
  const auto inputs = [&model](FeatureGroup group) {
    return static_cast<Eigen::Index>(model.encoding.features(group).size());
  };
  for (std::size_t m = 0; m < members; ++m) {
    Perceptron network;
    network.architecture = RandomLayer(width, inputs(FeatureGroup::kArchitecture), random);
    network.bits = RandomLayer(width, inputs(FeatureGroup::kBits), random);
    network.hidden = {RandomLayer(width + 5, width, random), RandomLayer(width, width + 5, random)};
    network.output = RandomLayer(1, width, random);
    model.members.push_back(std::move(network));
  }
  model.output_offset_percent = 70.0;
  model.output_scale_percent = 3.0;
  model.facts = {{"samples", "0"}};
  const CandidateSpace& made = model.encoding.space();
  for (std::size_t g = 0; g < made.size(); ++g) model.trained_values.push_back(0b11);
  std::vector<CostTerm> terms;
  for (GeneIndex g = 0; g < made.size(); ++g) {
    CostTerm term{{g}, g, {}};
    for (int v = 0; v < made.cardinality(g); ++v) term.values.push_back(10 * v + g);
    terms.push_back(std::move(term));
  }
  model.costs.emplace_back(made, "latency_ms", 1, 5, std::move(terms));
  return model;
}

inline std::vector<std::uint8_t> RandomGenomes(const CandidateSpace& space, std::size_t rows,
                                               std::uint64_t seed) {
  RandomStream random(seed, "random_genomes");
  std::vector<std::uint8_t> genomes;
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t g = 0; g < space.size(); ++g) {
      genomes.push_back(static_cast<std::uint8_t>(
          random.Below(static_cast<std::uint64_t>(space.cardinality(g)))));
    }
  }
  return genomes;
}

}  // namespace bitsearch
