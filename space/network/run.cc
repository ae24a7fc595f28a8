#include "space/network/run.h"

#include <algorithm>

#include "space/network/network_torch.h"

namespace bitsearch {

std::vector<std::pair<Shape, std::vector<float>>> RunGraph(
    const LayerGraph& graph, const std::vector<std::pair<Shape, std::vector<float>>>& inputs,
    const std::string& device) {
  const at::NoGradGuard no_grad;
  const Network network(graph, device);
  std::vector<at::Tensor> tensors;
  for (const auto& [shape, values] : inputs) {
    at::Tensor tensor = at::empty(shape, at::kFloat);
    std::copy(values.begin(), values.end(), tensor.data_ptr<float>());
    tensors.push_back(tensor.to(network.device()));
  }
  ExecutionState state = network.Start(tensors);
  network.Advance(state, network.step_count());
  std::vector<std::pair<Shape, std::vector<float>>> outputs;
  for (std::size_t i = 0; i < graph.outputs().size(); ++i) {
    const at::Tensor output = network.Output(state, i).to(at::kCPU, at::kFloat).contiguous();
    const float* data = output.data_ptr<float>();
    outputs.emplace_back(output.sizes().vec(), std::vector<float>(data, data + output.numel()));
  }
  return outputs;
}

}  // namespace bitsearch
