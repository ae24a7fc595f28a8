// Exactness. LibTorch has no integer convolution for the CPU, so operators get integers in floating
// point. Every product and every partial sum of a layer, in any order, is an integer of magnitude
// at most B = max over output channels of Σ|w| · max|x|. Integers up to 2^24 are exact in float32,
// up to 2^53 in float64, and a fused multiply-add of exact numbers with an exact result is exact:
// with B ≤ 2^24 float32 computes the int32 accumulator itself, otherwise float64 does (B < 2^31 is
// required). This holds for algorithms that only multiply and add what they are given: oneDNN's
// direct convolution and products of unfolded matrices, which is what LibTorch uses on the CPU.
// Without oneDNN it may choose NNPACK, whose Winograd transforms multiply by fractions, and
// elsewhere than on the CPU anything: there float64 is used and the result rounded to the integer
// that it is near.
#include "space/quantizer/integer_network_torch.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "space/graph/ties.h"

namespace bitsearch {
namespace {

constexpr std::int64_t kExactInFloat = std::int64_t{1} << 24;
constexpr std::int64_t kInt32Limit = std::int64_t{1} << 31;

std::int64_t LargestStep(const AffineGrid& grid) {
  return std::max(std::abs(grid.qmin - grid.zero_point), std::abs(grid.qmax - grid.zero_point));
}

template <typename T>
std::span<const T> Values(const at::Tensor& tensor) {
  return {tensor.data_ptr<T>(), static_cast<std::size_t>(tensor.numel())};
}

template <typename T = float>
std::span<T> Memory(const at::Tensor& tensor) {
  return {tensor.data_ptr<T>(), static_cast<std::size_t>(tensor.numel())};
}

at::Tensor OnHost(const at::Tensor& tensor) { return tensor.to(at::kCPU).contiguous(); }

at::Tensor ToSteps(const at::Tensor& value, const AffineGrid& grid) {
  const at::Tensor host = OnHost(value);
  const at::Tensor steps = at::empty_like(host);
  QuantizeToSteps(Values<float>(host), Memory(steps), grid);
  return steps.to(value.device());
}

at::Tensor Requantized(const at::Tensor& steps, DyadicMultiplier multiplier,
                       const AffineGrid& grid) {
  const at::Tensor host = OnHost(steps);
  const at::Tensor out = at::empty_like(host);
  Requantize(Values<float>(host), Memory(out), /*bias=*/0, multiplier, grid);
  return out.to(steps.device());
}

at::Tensor Multiplied(const at::Tensor& steps, DyadicMultiplier multiplier) {
  const at::Tensor host = OnHost(steps);
  const at::Tensor out = at::empty(host.sizes(), at::kLong);
  Multiply(Values<float>(host), Memory<std::int64_t>(out), multiplier);
  return out.to(steps.device());
}

at::Tensor Shifted(const at::Tensor& sums, int shift, DyadicRounding rounding,
                   const AffineGrid& grid) {
  const at::Tensor host = OnHost(sums);
  const at::Tensor out = at::empty(host.sizes(), at::kFloat);
  ShiftToGrid(Values<std::int64_t>(host), Memory(out), shift, rounding, grid);
  return out.to(sums.device());
}

// Elements that one mean is taken of; 0 if not known.
double WindowOf(const LayerGraph& graph, const Node& node) {
  double count = 1.0;
  if (node.op == "GlobalAveragePool") {
    const Tensor& tensor = graph.tensor(*node.inputs[0]);
    const std::optional<Shape>& shape = tensor.sample_shape ? tensor.sample_shape : tensor.shape;
    if (!shape) return 0.0;
    for (std::size_t a = 2; a < shape->size(); ++a) count *= static_cast<double>((*shape)[a]);
    return std::max(count, 0.0);
  }
  for (const std::int64_t extent : node.attributes.Ints("kernel_shape")) {
    count *= static_cast<double>(extent);
  }
  return count;
}

}  // namespace

IntegerHooks::IntegerHooks(const CalibratedNetwork& network, const BitConfig& config,
                           QuantizationHooks hooks)
    : graph_(network.graph()),
      device_(network.network().device()),
      hooks_(std::move(hooks)),
      nodes_(graph_.nodes().size()),
      grids_(hooks_.tensors->grids),
      carried_(grids_) {
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    nodes_[n].form = hooks_.tensors->plan.forms[n];
    nodes_[n].clips = graph_.nodes()[n].op == "Clip";
  }
  PlaceGrids();
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    const Node& node = graph_.nodes()[n];
    const std::vector<TensorIndex> inputs = DataInputs(graph_, node);
    if (inputs.empty()) continue;
    ++operator_count_;
    if (nodes_[n].form != NodeForm::kFloat && !PrepareNode(network, config, NodeIndex(n))) {
      nodes_[n] = IntegerNode();
      // What was fused behind it now gets real values.
      for (const TensorIndex output : node.outputs) {
        if (!hooks_.tensors->grids[output.value]) {
          grids_[output.value].reset();
          carried_[output.value].reset();
        }
      }
    }
    if (nodes_[n].form == NodeForm::kFloat) float_operators_.push_back(node.op + " " + node.id);
  }
}

// Between an integer node and what is fused behind it, steps are those of the last result's grid.
void IntegerHooks::PlaceGrids() {
  for (const PlannedTensor& entry : hooks_.tensors->plan.tensors) {
    if (entry.at_readers) carried_[entry.tensor.value].reset();
  }
  for (std::size_t n = nodes_.size(); n-- > 0;) {
    const Node& node = graph_.nodes()[n];
    if (nodes_[n].form != NodeForm::kFused) continue;
    grids_[node.inputs[0]->value] = carried_[node.outputs[0].value];
    carried_[node.inputs[0]->value] = carried_[node.outputs[0].value];
  }
}

bool IntegerHooks::PrepareNode(const CalibratedNetwork& network, const BitConfig& config,
                               NodeIndex index) {
  IntegerNode& node = nodes_[index.value];
  const Node& described = graph_.node(index);
  if (node.form == NodeForm::kLayer) {
    for (std::size_t l = 0; l < graph_.layers().size(); ++l) {
      if (graph_.layers()[l].node == index) {
        return PrepareLayer(network, config.choices[l], LayerIndex(l));
      }
    }
    return false;
  }
  const std::vector<TensorIndex> inputs = DataInputs(graph_, described);
  // A layer that turned out to have no integer form leaves what was fused behind it in float.
  for (const TensorIndex input : inputs) {
    if (!grids_[input.value]) return false;
  }
  const auto scale_of = [&](TensorIndex tensor) {
    return static_cast<double>(grids_[tensor.value]->scale);
  };
  if (node.form == NodeForm::kMove || node.form == NodeForm::kRectify ||
      node.form == NodeForm::kFused) {
    for (const TensorIndex output : described.outputs) {
      const auto& grid = carried_[output.value];
      node.multipliers.push_back(grid ? ToDyadic(scale_of(inputs[0]) / grid->scale)
                                      : DyadicMultiplier());
    }
    return true;
  }
  const std::optional<AffineGrid>& out = carried_[described.outputs[0].value];
  if (!out) return false;
  std::vector<double> ratios;
  for (const TensorIndex input : inputs) ratios.push_back(scale_of(input) / out->scale);
  if (node.form == NodeForm::kAdd) {
    node.multipliers = ToCommonDyadic(ratios);
  } else if (node.form == NodeForm::kConcat) {
    for (const double ratio : ratios) node.multipliers.push_back(ToDyadic(ratio));
  } else {
    node.window = WindowOf(graph_, described);
    if (node.window == 0.0) return false;
    node.multipliers = {ToDyadic(ratios[0] / node.window)};
  }
  return true;
}

bool IntegerHooks::PrepareLayer(const CalibratedNetwork& network, const BitChoice& choice,
                                LayerIndex index) {
  const Layer& layer = graph_.layer(index);
  const QuantizationHooks::NodeQuantization& quantization = hooks_.nodes[layer.node.value];
  if (quantization.product_scale.empty() || layer.input_slot != 0) return false;
  IntegerNode& node = nodes_[layer.node.value];
  std::int64_t bound = LargestStep(*grids_[layer.input.value]);
  if (layer.weight) {
    const Shape& shape = graph_.tensor(*layer.weight).constant->shape();
    // The configuration's own integers, on the layer's grids.
    QuantizedWeight quantized = network.Weight(index, choice.weight);
    const at::Tensor values = quantization.weight.to(at::kCPU).contiguous();
    quantized.values.assign(values.data_ptr<float>(), values.data_ptr<float>() + values.numel());
    const IntegerWeight weight = ToIntegers(quantized, shape, layer.output_channel_axis);
    bound *= weight.largest_sum;
    node.weight = at::tensor(weight.steps).view(shape);
  } else {
    const auto& shape = graph_.tensor(layer.input).sample_shape;
    if (!shape || shape->empty()) return false;
    bound *= shape->back() * LargestStep(*grids_[graph_.node(layer.node).inputs[1]->value]);
  }
  node.bias = quantization.integer_bias;
  std::int64_t largest_bias = 0;
  for (const std::int32_t bias : node.bias) {
    largest_bias = std::max(largest_bias, std::abs(std::int64_t{bias}));
  }
  if (bound + largest_bias >= kInt32Limit) return false;
  node.wide = bound > kExactInFloat || !at::globalContext().hasMKLDNN() || !device_.is_cpu();
  if (node.weight.defined()) {
    node.weight = node.weight.to(device_, node.wide ? at::kDouble : at::kFloat);
  }
  node.channels_last = quantization.channels_last;
  const std::optional<AffineGrid>& out = carried_[layer.output.value];
  for (const float scale : quantization.product_scale) {
    node.product_scale.push_back(static_cast<double>(scale));
    if (out) node.multipliers.push_back(ToDyadic(static_cast<double>(scale) / out->scale));
  }
  return true;
}

at::Tensor IntegerHooks::OnInput(NodeIndex index, std::size_t slot, at::Tensor value) {
  const TensorIndex tensor = *graph_.node(index).inputs[slot];
  const std::optional<AffineGrid>& grid = grids_[tensor.value];
  if (!grid) return hooks_.OnInput(index, slot, std::move(value));
  if (!carried_[tensor.value]) value = ToSteps(value, *grid);
  const IntegerNode& node = nodes_[index.value];
  switch (node.form) {
    case NodeForm::kFloat:
      return value * grid->scale;
    case NodeForm::kLayer:
      return node.wide ? value.to(at::kDouble) : value;
    case NodeForm::kAdd:
      return Multiplied(value, node.multipliers[slot]);
    case NodeForm::kConcat: {
      const AffineGrid& out = *carried_[graph_.node(index).outputs[0].value];
      return *grid == out ? value : Requantized(value, node.multipliers[slot], out);
    }
    case NodeForm::kAverage:
      return value.to(at::kDouble);
    case NodeForm::kMove:
    case NodeForm::kRectify:
    case NodeForm::kFused:
      // Clipping real values of a grid and quantizing them again is clamping the codes to those of
      // the bounds: rounding is monotone and keeps what is on the grid.
      return node.clips ? value * grid->scale : value;
  }
  return value;
}

at::Tensor IntegerHooks::OnConstant(NodeIndex index, std::size_t slot, at::Tensor value) {
  const IntegerNode& node = nodes_[index.value];
  if (node.form != NodeForm::kLayer) return hooks_.OnConstant(index, slot, std::move(value));
  if (slot != QuantizationHooks::kBiasSlot) return node.weight;
  // The bias is added to the int32 accumulator.
  return at::zeros_like(value, node.wide ? at::kDouble : at::kFloat);
}

at::Tensor IntegerHooks::OnOutput(NodeIndex index, std::size_t slot, at::Tensor value) {
  const TensorIndex tensor = graph_.node(index).outputs[slot];
  const std::optional<AffineGrid>& grid = carried_[tensor.value];
  const IntegerNode& node = nodes_[index.value];
  // Indices, masks and shapes.
  if (graph_.tensor(tensor).type != DataType::kFloat32) return value;
  switch (node.form) {
    case NodeForm::kFloat:
      value = hooks_.ShiftOutput(index, std::move(value));
      return grid ? ToSteps(value, *grid) : value;
    case NodeForm::kLayer:
      return LayerOutput(node, std::move(value), grid);
    case NodeForm::kAdd:
      return Shifted(value, node.multipliers[0].shift, DyadicRounding::kHalfUp, *grid);
    case NodeForm::kConcat:
      return value;
    case NodeForm::kAverage: {
      // In float64 the mean of at most 2^37 codes of 16 bits is off by far less than 0.5/window.
      const at::Tensor sums = at::round(value * node.window).to(at::kLong);
      const DyadicMultiplier& multiplier = node.multipliers[0];
      return Shifted(sums * static_cast<std::int64_t>(multiplier.mantissa), multiplier.shift,
                     DyadicRounding::kHalfEven, *grid);
    }
    case NodeForm::kMove:
    case NodeForm::kRectify:
    case NodeForm::kFused: {
      if (node.clips) return grid ? ToSteps(value, *grid) : value;
      const AffineGrid& from = *grids_[graph_.node(index).inputs[0]->value];
      if (!grid) return value * from.scale;
      return from == *grid ? value : Requantized(value, node.multipliers[slot], *grid);
    }
  }
  return value;
}

at::Tensor IntegerHooks::LayerOutput(const IntegerNode& node, at::Tensor sums,
                                     const std::optional<AffineGrid>& grid) const {
  const at::Device device = sums.device();
  if (!device.is_cpu()) sums = at::round(sums);
  sums = OnHost(sums);
  at::Tensor out = at::empty(sums.sizes(), at::kFloat);
  // One run of memory shares a channel: a plane of a convolution, one element of a product.
  const auto channels = static_cast<std::size_t>(node.channels_last ? sums.size(-1) : sums.size(1));
  std::size_t run = 1;
  for (std::int64_t a = 2; a < sums.dim() && !node.channels_last; ++a) {
    run *= static_cast<std::size_t>(sums.size(a));
  }
  const std::span<float> to = Memory(out);
  const auto convert = [&](auto from) {
    for (std::size_t start = 0; start < to.size(); start += run) {
      const std::size_t channel = start / run % channels;
      const std::int32_t bias = node.bias.empty() ? 0 : node.bias[channel];
      // Groups of a transposed convolution share the scales of their output channels.
      const std::size_t scale = channel % node.product_scale.size();
      if (grid) {
        Requantize(from.subspan(start, run), to.subspan(start, run), bias, node.multipliers[scale],
                   *grid);
      } else {
        Dequantize(from.subspan(start, run), to.subspan(start, run), bias,
                   node.product_scale[scale]);
      }
    }
  };
  if (node.wide) {
    convert(Values<double>(sums));
  } else {
    convert(Values<float>(sums));
  }
  return out.to(device);
}

std::string IntegerHooks::Describe() const {
  std::string line = "integer evaluation: " + std::to_string(float_operators_.size()) + " of " +
                     std::to_string(operator_count_) + " operators run in floating point";
  const char* separator = ": ";
  for (const std::string& name : float_operators_) {
    line += separator + name;
    separator = ", ";
  }
  return line;
}

PlacedHooks HooksOf(const CalibratedNetwork& network, const BitConfig& config) {
  QuantizationHooks simulated = PrepareQuantization(network, config);
  if (network.spec().placement != Placement::kInteger) {
    return {std::make_unique<QuantizationHooks>(std::move(simulated)), ""};
  }
  auto integers = std::make_unique<IntegerHooks>(network, config, std::move(simulated));
  std::string note = integers->Describe();
  return {std::move(integers), std::move(note)};
}

}  // namespace bitsearch
