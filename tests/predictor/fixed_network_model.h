#pragma once
// A predictor for a fixed network of twenty layers, made in code: no architecture genes, latency by
// pairs of bits (one of them missing on the device), size by weight bits. Weights are random.

#include <fmt/format.h>

#include <string>
#include <vector>

#include "predictor/predictor.h"
#include "tests/predictor/small_models.h"

namespace bitsearch {

/// Layer l is "layer<l>"; weights 2, 4, 8, activations 4, 8. Layer 0 cannot run W2A4; activation
/// bits 4 of layer 1 were never trained on.
inline PredictorModel FixedNetworkModel(std::size_t layer_count = 20, std::size_t members = 3,
                                        Eigen::Index width = 64) {
  const auto formats = [](std::initializer_list<int> bits) {
    std::vector<NumberFormat> list;
    for (const int b : bits) list.push_back(NumberFormat::Integer(b));
    return list;
  };
  std::vector<std::string> layers;
  for (std::size_t l = 0; l < layer_count; ++l) layers.push_back(fmt::format("layer{}", l));
  CandidateSpace space = CandidateSpace::BitsOnly(
      "fixed-network", layers,
      std::vector<std::vector<NumberFormat>>(layer_count, formats({2, 4, 8})),
      std::vector<std::vector<NumberFormat>>(layer_count, formats({4, 8})));
  PredictorModel model = SmallModel(members, width, space);
  // Random networks swing widely; keep the scores where accuracies are.
  model.output_offset_percent = 80.0;
  model.output_scale_percent = 0.1;
  model.residual_deviation_percent = 0.25;
  model.facts = {{"samples", "0"}, {"source", "made in code for tests"}};
  model.trained_values.assign(space.size(), 0b111);
  model.trained_values[3] = 0b10;
  std::vector<CostTerm> latency, size;
  for (std::size_t l = 0; l < layer_count; ++l) {
    const auto weight = static_cast<GeneIndex>(2 * l),
               activation = static_cast<GeneIndex>(2 * l + 1);
    CostTerm time{{weight, activation}, kNoGene, {}};
    for (const int w : {2, 4, 8}) {
      for (const int a : {4, 8}) {
        time.values.push_back(1000 + 137 * static_cast<std::int64_t>(l) + 10 * w * a + w);
      }
    }
    if (l == 0) time.values[0] = FactoredCost::kForbidden;
    latency.push_back(std::move(time));
    const auto parameters = static_cast<std::int64_t>(64 * (l + 1));
    size.push_back({{weight}, kNoGene, {2 * parameters, 4 * parameters, 8 * parameters}});
  }
  model.costs.clear();
  model.costs.emplace_back(space, "latency_us", 3, 5250, std::move(latency));
  model.costs.emplace_back(space, "size_bits", 0, 320, std::move(size));
  model.Validate();
  return model;
}

}  // namespace bitsearch
