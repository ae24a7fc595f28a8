// Fake quantization of tensors, and the hooks that apply it.

#include "space/quantizer/calibration_state_torch.h"
#include "space/quantizer/quantized_network_torch.h"

namespace bitsearch {
namespace {

class StraightThrough : public torch::autograd::Function<StraightThrough> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& value,
                            double scale, std::int64_t zero_point, std::int64_t qmin,
                            std::int64_t qmax) {
    const AffineGrid grid{static_cast<float>(scale), static_cast<std::int32_t>(zero_point),
                          static_cast<std::int32_t>(qmin), static_cast<std::int32_t>(qmax)};
    const float half = 0.5F * grid.scale;
    context->save_for_backward(
        {value.ge(grid.lowest() - half).logical_and_(value.le(grid.highest() + half))});
    const at::NoGradGuard no_grad;
    return FakeQuantize(value.detach().clone(), grid);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradient) {
    return {gradient[0] * context->get_saved_variables()[0], {}, {}, {}, {}};
  }
};

}  // namespace

at::Tensor ChannelMean(const at::Tensor& output, bool channels_last) {
  const std::int64_t axis = channels_last ? output.dim() - 1 : 1;
  std::vector<std::int64_t> others;
  for (std::int64_t a = 0; a < output.dim(); ++a) {
    if (a != axis) others.push_back(a);
  }
  return output.mean(others);
}

at::Tensor BroadcastOverChannels(const at::Tensor& values, const at::Tensor& like,
                                 bool channels_last) {
  if (channels_last) return values;
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(like.dim() - 1), 1);
  sizes[0] = values.size(0);
  return values.view(sizes);
}

at::Tensor FakeQuantize(at::Tensor value, const AffineGrid& grid) {
  if (at::GradMode::is_enabled() && value.requires_grad()) {
    return StraightThrough::apply(
        value, static_cast<double>(grid.scale), static_cast<std::int64_t>(grid.zero_point),
        static_cast<std::int64_t>(grid.qmin), static_cast<std::int64_t>(grid.qmax));
  }
  if (!value.device().is_cpu()) {
    return at::clamp(at::round(value / grid.scale), grid.qmin - grid.zero_point,
                     grid.qmax - grid.zero_point)
        .mul_(grid.scale);
  }
  // The kernel is element-wise, so any dense layout (channels last too) can be walked as it lies.
  if (!value.is_non_overlapping_and_dense()) value = value.contiguous();
  const bool in_place =
      value.use_count() == 1 && value.storage().use_count() == 1 && !value.requires_grad();
  at::Tensor out = in_place ? value : at::empty_like(value);
  const auto count = static_cast<std::size_t>(value.numel());
  FakeQuantize(std::span<const float>(value.data_ptr<float>(), count),
               std::span<float>(out.data_ptr<float>(), count), grid);
  return out;
}

at::Tensor QuantizationHooks::OnInput(NodeIndex node, std::size_t slot, at::Tensor value) {
  if (tensors) {
    const TensorIndex tensor = *tensors->graph->node(node).inputs[slot];
    const std::optional<AffineGrid>& grid = tensors->grids[tensor.value];
    if (grid && tensors->at_readers[tensor.value]) return FakeQuantize(std::move(value), *grid);
  }
  const NodeQuantization& quantization = nodes[node.value];
  if (slot != quantization.input_slot) return value;
  if (quantization.input_grid) return FakeQuantize(std::move(value), *quantization.input_grid);
  if (quantization.input_format.kind() == NumberFormat::Kind::kFloat16) {
    return value.to(at::kHalf).to(at::kFloat);
  }
  if (quantization.input_format.kind() == NumberFormat::Kind::kBfloat16) {
    return value.to(at::kBFloat16).to(at::kFloat);
  }
  return value;
}

at::Tensor QuantizationHooks::OnConstant(NodeIndex node, std::size_t slot, at::Tensor value) {
  const NodeQuantization& quantization = nodes[node.value];
  if (slot == quantization.weight_slot && quantization.weight.defined()) return quantization.weight;
  if (slot == kBiasSlot && quantization.bias.defined()) return quantization.bias;
  return value;
}

at::Tensor QuantizationHooks::OnOutput(NodeIndex node, std::size_t slot, at::Tensor value) {
  return QuantizeOutput(node, slot, ShiftOutput(node, std::move(value)));
}

at::Tensor QuantizationHooks::ShiftOutput(NodeIndex node, at::Tensor value) const {
  const NodeQuantization& quantization = nodes[node.value];
  if (!quantization.output_shift.defined()) return value;
  return value +
         BroadcastOverChannels(quantization.output_shift, value, quantization.channels_last);
}

at::Tensor QuantizationHooks::QuantizeOutput(NodeIndex node, std::size_t slot,
                                             at::Tensor value) const {
  if (!tensors) return value;
  const TensorIndex tensor = tensors->graph->node(node).outputs[slot];
  const std::optional<AffineGrid>& grid = tensors->grids[tensor.value];
  if (!grid || tensors->at_readers[tensor.value]) return value;
  return FakeQuantize(std::move(value), *grid);
}

}  // namespace bitsearch
