#include "space/quantizer/layer_simulation.h"

#include <algorithm>

#include "space/network/batches_torch.h"
#include "space/network/thread_budget_torch.h"
#include "space/quantizer/integer_network_torch.h"
#include "space/quantizer/quantized_network_torch.h"

namespace bitsearch {
namespace {

constexpr std::int64_t kBatch = 25;

PlainTensor ToPlain(const at::Tensor& tensor) {
  const at::Tensor dense = tensor.detach().to(at::kCPU, at::kFloat).contiguous();
  const float* data = dense.data_ptr<float>();
  return {dense.sizes().vec(), std::vector<float>(data, data + dense.numel())};
}

/// Hands each layer its given input, and keeps its output.
class ForcedInputs : public ExecutionHooks {
 public:
  ForcedInputs(const LayerGraph& graph, const std::vector<PlainTensor>& inputs, at::Device device,
               QuantizationHooks& target)
      : target_(target), layer_of_node_(graph.nodes().size(), -1), graph_(graph) {
    outputs.resize(graph.layers().size());
    for (std::size_t l = 0; l < graph.layers().size(); ++l) {
      layer_of_node_[graph.layers()[l].node.value] = static_cast<int>(l);
      const auto& [shape, values] = inputs[l];
      inputs_.push_back(
          at::from_blob(const_cast<float*>(values.data()), shape, at::kFloat).clone().to(device));
    }
  }

  at::Tensor OnInput(NodeIndex node, std::size_t slot, at::Tensor value) override {
    const int layer = layer_of_node_[node.value];
    if (layer >= 0 && slot == graph_.layers()[static_cast<std::size_t>(layer)].input_slot) {
      value = inputs_[static_cast<std::size_t>(layer)];
    }
    return target_.OnInput(node, slot, std::move(value));
  }
  at::Tensor OnConstant(NodeIndex node, std::size_t slot, at::Tensor value) override {
    return target_.OnConstant(node, slot, std::move(value));
  }
  at::Tensor OnOutput(NodeIndex node, std::size_t slot, at::Tensor value) override {
    value = target_.OnOutput(node, slot, std::move(value));
    const int layer = layer_of_node_[node.value];
    // A copy: the next operator may write in place.
    if (layer >= 0) outputs[static_cast<std::size_t>(layer)] = value.clone();
    return value;
  }

  std::vector<at::Tensor> outputs;

 private:
  QuantizationHooks& target_;
  std::vector<int> layer_of_node_;
  const LayerGraph& graph_;
  std::vector<at::Tensor> inputs_;
};

}  // namespace

PlainTensor SimulatedOutputs(const CalibratedNetwork& network, const BitConfig& config,
                             const Dataset& data, const RunContext& context) {
  const PlacedHooks placed = HooksOf(network, config);
  const std::int64_t batches = (data.size() + kBatch - 1) / kBatch;
  std::vector<at::Tensor> outputs(static_cast<std::size_t>(batches));
  ForEachOnOneThread(context, batches, [&](std::int64_t b) {
    const std::int64_t first = b * kBatch;
    const std::int64_t count = std::min(kBatch, data.size() - first);
    outputs[static_cast<std::size_t>(b)] = network.network().Forward(
        ImageBatch(data, first, count).to(network.network().device()), placed.hooks.get());
  });
  return ToPlain(at::cat(outputs));
}

std::vector<PlainTensor> SimulatedLayers(const CalibratedNetwork& network, const BitConfig& config,
                                         const Dataset& data,
                                         const std::vector<PlainTensor>& layer_inputs) {
  QuantizationHooks hooks = PrepareQuantization(network, config);
  const at::Device device = network.network().device();
  ForcedInputs forced(network.graph(), layer_inputs, device, hooks);
  std::vector<PlainTensor> outputs;
  ForEachOnOneThread(RunContext{}, 1, [&](std::int64_t) {
    network.network().Forward(ImageBatch(data, 0, data.size()).to(device), &forced);
    for (const at::Tensor& output : forced.outputs) outputs.push_back(ToPlain(output));
  });
  return outputs;
}

}  // namespace bitsearch
