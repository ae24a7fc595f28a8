#include <algorithm>
#include <cmath>

#include "sensitivity/curvature_torch.h"
#include "space/network/batches_torch.h"
#include "space/support/error.h"
#include "space/support/random.h"

namespace bitsearch {

BatchList::BatchList(const Network& network, const Dataset& data, std::int64_t batch_size)
    : network_(network), data_(data), batch_size_(batch_size) {
  if (data.size() == 0) {
    throw Error(ErrorId::kDataCount, "a sensitivity needs at least one sample, got none");
  }
  if (batch_size < 1) {
    throw Error(ErrorId::kUsage,
                "batch_size is " + std::to_string(batch_size) + ", allowed are 1 and more");
  }
  count_ = (data.size() + batch_size - 1) / batch_size;
}

std::int64_t BatchList::SamplesOf(std::int64_t batch) const {
  return std::min(batch_size_, data_.size() - batch * batch_size_);
}

LabelledBatch BatchList::Load(std::int64_t batch) const {
  const std::int64_t first = batch * batch_size_;
  LabelledBatch loaded{ImageBatch(data_, first, SamplesOf(batch)).to(network_.device()), {}};
  if (data_.labelled()) {
    loaded.labels = LabelBatch(data_, first, SamplesOf(batch)).to(network_.device());
  }
  return loaded;
}

VariableHooks::VariableHooks(const Network& network, const std::vector<LayerIndex>& layers,
                             CurvatureOf of)
    : of_(of), slot_of_node_(network.graph().nodes().size()), variables_(layers.size()) {
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const Layer& layer = network.graph().layer(layers[i]);
    const bool weight = of == CurvatureOf::kWeight;
    slot_of_node_[layer.node.value] = {weight ? layer.weight_slot : layer.input_slot, i, true};
    if (weight) {
      variables_[i] = network.constant(*layer.weight).detach().requires_grad_(true);
    }
  }
}

at::Tensor VariableHooks::OnInput(NodeIndex node, std::size_t slot, at::Tensor value) {
  const Slot& wanted = slot_of_node_[node.value];
  if (of_ != CurvatureOf::kActivation || !wanted.used || wanted.slot != slot) return value;
  // A view has a gradient of its own: that of this reader alone.
  value = value.requires_grad() ? value.alias() : value.detach().requires_grad_(true);
  variables_[wanted.variable] = value;
  return value;
}

at::Tensor VariableHooks::OnConstant(NodeIndex node, std::size_t slot, at::Tensor value) {
  const Slot& wanted = slot_of_node_[node.value];
  if (of_ != CurvatureOf::kWeight || !wanted.used || wanted.slot != slot) return value;
  return variables_[wanted.variable];
}

std::vector<LayerIndex> LayersWith(const LayerGraph& graph, CurvatureOf of) {
  std::vector<LayerIndex> layers;
  for (std::size_t l = 0; l < graph.layers().size(); ++l) {
    if (of == CurvatureOf::kActivation || graph.layers()[l].weight) layers.emplace_back(l);
  }
  return layers;
}

std::int64_t ElementsOf(const LayerGraph& graph, LayerIndex index, CurvatureOf of) {
  const Layer& layer = graph.layer(index);
  if (of == CurvatureOf::kWeight) return layer.parameter_count;
  const Tensor& input = graph.tensor(layer.input);
  if (input.sample_shape) return ElementCount(*input.sample_shape);
  if (!input.shape) return 0;
  Shape shape = *input.shape;
  if (!shape.empty() && shape[0] < 0) shape[0] = 1;
  return std::max<std::int64_t>(0, ElementCount(shape));
}

at::Tensor RademacherLike(const at::Tensor& like, std::uint64_t root_seed,
                          std::string_view component, std::uint64_t index) {
  RandomStream random(root_seed, component, index);
  at::Tensor result = at::empty(like.sizes(), at::kFloat);
  float* values = result.data_ptr<float>();
  std::uint64_t bits = 0;
  for (std::int64_t i = 0; i < result.numel(); ++i) {
    if (i % 64 == 0) bits = random();
    values[i] = (bits & 1U) != 0 ? 1.0F : -1.0F;
    bits >>= 1U;
  }
  return result.to(like.device());
}

at::Tensor NormalLike(const at::Tensor& like, std::uint64_t root_seed, std::string_view component,
                      std::uint64_t index) {
  RandomStream random(root_seed, component, index);
  at::Tensor result = at::empty(like.sizes(), at::kFloat);
  float* values = result.data_ptr<float>();
  for (std::int64_t i = 0; i < result.numel(); ++i) values[i] = static_cast<float>(random.Normal());
  return result.to(like.device());
}

HessianBlock::HessianBlock(const Network& network, const ExecutionState& prefix,
                           const at::Tensor& labels, LayerIndex layer, CurvatureOf of) {
  VariableHooks hooks(network, {layer}, of);
  ExecutionState run = prefix;
  network.Advance(run, network.step_count(), &hooks);
  variable_ = hooks.variables()[0];
  const auto reduction = of == CurvatureOf::kWeight ? at::Reduction::Mean : at::Reduction::Sum;
  const at::Tensor loss = at::cross_entropy_loss(network.Output(run), labels, {}, reduction);
  gradient_ = torch::autograd::grad({loss}, {variable_}, {}, /*retain_graph=*/true,
                                    /*create_graph=*/true)[0];
}

at::Tensor HessianBlock::Multiply(const at::Tensor& v) const {
  const at::Tensor product =
      torch::autograd::grad({gradient_}, {variable_}, {v}, /*retain_graph=*/true,
                            /*create_graph=*/false, /*allow_unused=*/true)[0];
  // A gradient that does not depend on its variable: the block is zero.
  return product.defined() ? product : at::zeros_like(variable_);
}

}  // namespace bitsearch
