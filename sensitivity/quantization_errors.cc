#include "sensitivity/quantization_errors.h"

#include <set>

#include "sensitivity/curvature_torch.h"
#include "space/network/thread_budget_torch.h"
#include "space/quantizer/affine.h"

namespace bitsearch {
namespace {

constexpr NumberFormat kFloat = NumberFormat::Float32();

// What to quantize a layer's input to, and where the batch's summed errors go.
struct Candidate {
  NumberFormat format;
  std::optional<AffineGrid> grid;
  double sum = 0.0;
};

double SquaredErrorOf(const at::Tensor& values, const Candidate& candidate) {
  const std::span<const float> span(values.data_ptr<float>(),
                                    static_cast<std::size_t>(values.numel()));
  if (candidate.grid) return SquaredError(span, *candidate.grid);
  std::vector<float> rounded(span.size());
  RoundToFloatFormat(span, rounded, candidate.format);
  double sum = 0.0;
  for (std::size_t i = 0; i < span.size(); ++i) {
    const double error = static_cast<double>(span[i]) - rounded[i];
    sum += error * error;
  }
  return sum;
}

class ErrorHooks : public ExecutionHooks {
 public:
  ErrorHooks(const LayerGraph& graph, std::vector<std::vector<Candidate>> candidates)
      : candidates_(std::move(candidates)), graph_(graph), layer_of_node_(graph.nodes().size(), -1) {
    for (std::size_t l = 0; l < graph.layers().size(); ++l) {
      layer_of_node_[graph.layers()[l].node.value] = static_cast<int>(l);
    }
  }

  at::Tensor OnInput(NodeIndex node, std::size_t slot, at::Tensor value) override {
    const int layer = layer_of_node_[node.value];
    if (layer < 0) return value;
    const auto l = static_cast<std::size_t>(layer);
    if (slot != graph_.layers()[l].input_slot || candidates_[l].empty()) return value;
    const at::Tensor dense = value.to(at::kCPU).contiguous();
    for (Candidate& candidate : candidates_[l]) candidate.sum += SquaredErrorOf(dense, candidate);
    return value;
  }

  const std::vector<std::vector<Candidate>>& candidates() const { return candidates_; }

 private:
  std::vector<std::vector<Candidate>> candidates_;
  const LayerGraph& graph_;
  std::vector<int> layer_of_node_;
};

}  // namespace

QuantizationErrors MeasureQuantizationErrors(const CalibratedNetwork& network, const Dataset& data,
                                             std::span<const std::vector<BitChoice>> choices,
                                             const RunContext& context, std::int64_t batch_size) {
  const std::size_t layers = network.graph().layers().size();
  QuantizationErrors errors;
  errors.weight.resize(layers);
  errors.activation.resize(layers);
  std::vector<std::vector<Candidate>> candidates(layers);
  for (std::size_t l = 0; l < layers; ++l) {
    std::set<NumberFormat> activations;
    for (const BitChoice& choice : choices[l]) {
      if (network.graph().layers()[l].weight && choice.weight != kFloat) {
        errors.weight[l][choice.weight] = network.Weight(LayerIndex(l), choice.weight).squared_error;
      }
      if (choice.activation != kFloat) activations.insert(choice.activation);
    }
    if (network.spec().placement == Placement::kWeightsOnly) continue;
    for (const NumberFormat format : activations) {
      candidates[l].push_back({format, network.ActivationGrid(LayerIndex(l), format), 0.0});
    }
  }
  if (network.spec().placement == Placement::kWeightsOnly) return errors;
  const BatchList batches(network.network(), data, batch_size);
  std::vector<std::vector<std::vector<Candidate>>> by_batch(
      static_cast<std::size_t>(batches.count()));
  ForEachOnOneThread(context, batches.count(), [&](std::int64_t b) {
    ErrorHooks hooks(network.graph(), candidates);
    network.network().Forward(batches.Load(b).images, &hooks);
    by_batch[static_cast<std::size_t>(b)] = hooks.candidates();
  });
  for (std::size_t l = 0; l < layers; ++l) {
    for (std::size_t c = 0; c < candidates[l].size(); ++c) {
      double sum = 0.0;
      for (const auto& batch : by_batch) sum += batch[l][c].sum;
      errors.activation[l][candidates[l][c].format] = sum / static_cast<double>(data.size());
    }
  }
  return errors;
}

}  // namespace bitsearch
