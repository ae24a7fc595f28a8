// Canonical texts of layer shapes. See layer_signature.h.
#include "space/hardware/layer_signature.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <numeric>

#include "space/support/error.h"

namespace bitsearch {
namespace {

using Extents = std::vector<std::int64_t>;

std::int64_t Product(const Extents& values) {
  return std::accumulate(values.begin(), values.end(), std::int64_t{1}, std::multiplies<>());
}

std::string Joined(const Extents& values) {
  std::string text;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) text += 'x';
    text += std::to_string(values[i]);
  }
  return text;
}

std::optional<std::int64_t> ParseCount(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

std::optional<Extents> ParseExtents(std::string_view text) {
  Extents values;
  while (true) {
    const std::size_t cross = text.find('x');
    const std::optional<std::int64_t> value = ParseCount(text.substr(0, cross));
    if (!value) return std::nullopt;
    values.push_back(*value);
    if (cross == std::string_view::npos) return values;
    text.remove_prefix(cross + 1);
  }
}

/// Pads of a kernel that keeps the extents at stride 1 (odd kernels).
Extents UsualPads(const Extents& kernel, const Extents& dilations) {
  Extents pads(2 * kernel.size());
  for (std::size_t i = 0; i < kernel.size(); ++i) {
    pads[i] = pads[i + kernel.size()] = dilations[i] * (kernel[i] - 1) / 2;
  }
  return pads;
}

/// ONNX's auto_pad turned into explicit pads.
Extents AutoPads(const std::string& mode, const LayerSignature& signature) {
  const std::size_t rank = signature.kernel.size();
  Extents pads(2 * rank, 0);
  if (mode == "VALID") return pads;
  for (std::size_t i = 0; i < rank; ++i) {
    const std::int64_t stride = signature.strides[i];
    const std::int64_t span = signature.dilations[i] * (signature.kernel[i] - 1) + 1;
    const std::int64_t out = (signature.size[i] + stride - 1) / stride;
    const std::int64_t total =
        std::max<std::int64_t>(0, (out - 1) * stride + span - signature.size[i]);
    const std::int64_t small = total / 2;
    pads[i] = mode == "SAME_LOWER" ? total - small : small;
    pads[i + rank] = total - pads[i];
  }
  return pads;
}

[[noreturn]] void ThrowShape(const Layer& layer, const std::string& what) {
  throw Error(ErrorId::kLayerShape, what)
      .Key(layer.id)
      .Hint(
          "costs need fixed shapes: give --shape, or a model with fixed extents (the batch may be "
          "free)");
}

/// The tensor's extents for one sample; only the batch may be unknown.
Shape KnownShape(const LayerGraph& graph, const Layer& layer, TensorIndex tensor,
                 const char* what) {
  const Tensor& described = graph.tensor(tensor);
  if (described.constant) return described.constant->shape();
  const std::optional<Shape>& shape =
      described.sample_shape ? described.sample_shape : described.shape;
  if (!shape) ThrowShape(layer, std::string("the shape of its ") + what + " is unknown");
  for (std::size_t axis = 1; axis < shape->size(); ++axis) {
    if ((*shape)[axis] < 0) {
      ThrowShape(layer, std::string("the shape of its ") + what + " is " + ToString(*shape));
    }
  }
  return *shape;
}

void FillConvolution(const LayerGraph& graph, const Layer& layer, LayerSignature* signature) {
  const Shape input = KnownShape(graph, layer, layer.input, "input");
  const Shape weight = KnownShape(graph, layer, *layer.weight, "weight");
  if (input.size() < 3 || input.size() != weight.size()) {
    ThrowShape(layer,
               "its input " + ToString(input) + " does not fit its weight " + ToString(weight));
  }
  const Attributes& attributes = graph.node(layer.node).attributes;
  const std::size_t rank = input.size() - 2;
  const Extents ones(rank, 1);
  signature->groups = attributes.Int("group", 1);
  signature->in_channels = input[1];
  signature->out_channels = layer.output_channels;
  signature->size.assign(input.begin() + 2, input.end());
  signature->kernel.assign(weight.begin() + 2, weight.end());
  signature->strides = attributes.Ints("strides", ones);
  signature->dilations = attributes.Ints("dilations", ones);
  if (signature->groups < 1 || signature->strides.size() != rank ||
      signature->dilations.size() != rank) {
    ThrowShape(layer, "its groups, strides or dilations do not fit its rank");
  }
  const std::string auto_pad = attributes.String("auto_pad", "NOTSET");
  signature->pads = auto_pad == "NOTSET" ? attributes.Ints("pads", Extents(2 * rank, 0))
                                         : AutoPads(auto_pad, *signature);
  if (signature->pads.size() != 2 * rank) ThrowShape(layer, "its pads do not fit its rank");
}

void FillProduct(const LayerGraph& graph, const Layer& layer, LayerSignature* signature) {
  signature->two_activations = !layer.weight.has_value();
  if (layer.weight) {
    const Shape weight = KnownShape(graph, layer, *layer.weight, "weight");
    const auto out_axis = static_cast<std::size_t>(layer.output_channel_axis);
    signature->out_channels = layer.output_channels;
    // The contracted axis is the other of the last two.
    signature->in_channels = weight.size() < 2               ? weight.front()
                             : out_axis + 1 == weight.size() ? weight[weight.size() - 2]
                                                             : weight.back();
  } else {
    const Shape input = KnownShape(graph, layer, layer.input, "input");
    const Shape output = KnownShape(graph, layer, layer.output, "output");
    if (input.empty() || output.empty()) ThrowShape(layer, "its input or output is a scalar");
    signature->in_channels = input.back();
    signature->out_channels = output.back();
  }
  const std::int64_t macs_per_row = signature->in_channels * signature->out_channels;
  if (layer.macs <= 0 || macs_per_row <= 0) ThrowShape(layer, "its shapes are not all known");
  signature->rows = std::max<std::int64_t>(1, layer.macs / macs_per_row);
}

}  // namespace

std::vector<std::int64_t> LayerSignature::OutputSize() const {
  Extents out(size.size());
  const std::size_t rank = size.size();
  for (std::size_t i = 0; i < rank; ++i) {
    const std::int64_t span = dilations[i] * (kernel[i] - 1) + 1;
    if (op == "ConvTranspose") {
      out[i] = (size[i] - 1) * strides[i] + span - pads[i] - pads[i + rank];
    } else {
      out[i] = (size[i] + pads[i] + pads[i + rank] - span) / strides[i] + 1;
    }
  }
  return out;
}

std::int64_t LayerSignature::InputElements() const { return rows * in_channels * Product(size); }

std::int64_t LayerSignature::OutputElements() const {
  return rows * out_channels * Product(OutputSize());
}

std::int64_t LayerSignature::WeightElements() const {
  return two_activations ? 0 : in_channels / groups * out_channels * Product(kernel);
}

std::int64_t LayerSignature::Macs() const {
  if (!is_convolution()) return rows * in_channels * out_channels;
  // A transposed convolution spreads each input element, a convolution gathers each output element.
  return op == "ConvTranspose" ? InputElements() * (out_channels / groups) * Product(kernel)
                               : OutputElements() * (in_channels / groups) * Product(kernel);
}

std::string LayerSignature::ToString() const {
  std::string text =
      op + ":in" + std::to_string(in_channels) + ":out" + std::to_string(out_channels);
  if (!is_convolution()) {
    text += ":rows" + std::to_string(rows);
    if (two_activations) text += ":activations";
    return text;
  }
  text += ":size" + Joined(size) + ":kernel" + Joined(kernel) + ":stride" + Joined(strides) +
          ":groups" + std::to_string(groups);
  if (pads != UsualPads(kernel, dilations)) text += ":pads" + Joined(pads);
  if (dilations != Extents(kernel.size(), 1)) text += ":dilation" + Joined(dilations);
  return text;
}

std::optional<LayerSignature> LayerSignature::Parse(std::string_view text) {
  LayerSignature signature;
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  signature.op = std::string(text.substr(0, colon));
  if (!signature.is_convolution() && signature.op != "Gemm" && signature.op != "MatMul") {
    return std::nullopt;
  }
  text.remove_prefix(colon + 1);
  std::optional<Extents> pads;
  while (true) {
    const std::size_t next = text.find(':');
    const std::string_view field = text.substr(0, next);
    const std::size_t digits = field.find_first_of("0123456789");
    const std::string_view name = field.substr(0, digits);
    if (name == "activations" && digits == std::string_view::npos) {
      signature.two_activations = true;
    } else {
      if (digits == std::string_view::npos) return std::nullopt;
      const std::optional<Extents> values = ParseExtents(field.substr(digits));
      if (!values) return std::nullopt;
      const bool one = values->size() == 1;
      if (name == "in" && one) {
        signature.in_channels = values->front();
      } else if (name == "out" && one) {
        signature.out_channels = values->front();
      } else if (name == "groups" && one) {
        signature.groups = values->front();
      } else if (name == "rows" && one) {
        signature.rows = values->front();
      } else if (name == "size") {
        signature.size = *values;
      } else if (name == "kernel") {
        signature.kernel = *values;
      } else if (name == "stride") {
        signature.strides = *values;
      } else if (name == "dilation") {
        signature.dilations = *values;
      } else if (name == "pads") {
        pads = values;
      } else {
        return std::nullopt;
      }
    }
    if (next == std::string_view::npos) break;
    text.remove_prefix(next + 1);
  }
  if (signature.in_channels < 1 || signature.out_channels < 1 || signature.groups < 1) {
    return std::nullopt;
  }
  if (!signature.is_convolution()) return signature;
  const std::size_t rank = signature.size.size();
  if (signature.dilations.empty()) signature.dilations.assign(rank, 1);
  if (rank == 0 || signature.kernel.size() != rank || signature.strides.size() != rank ||
      signature.dilations.size() != rank) {
    return std::nullopt;
  }
  signature.pads = pads ? *pads : UsualPads(signature.kernel, signature.dilations);
  if (signature.pads.size() != 2 * rank) return std::nullopt;
  return signature;
}

LayerSignature SignatureOf(const LayerGraph& graph, const Layer& layer) {
  LayerSignature signature;
  signature.op = layer.op;
  if (signature.is_convolution()) {
    if (!layer.weight) ThrowShape(layer, "it has no constant weight");
    FillConvolution(graph, layer, &signature);
  } else {
    FillProduct(graph, layer, &signature);
  }
  return signature;
}

std::vector<LayerSignature> SignaturesOf(const LayerGraph& graph) {
  std::vector<LayerSignature> signatures;
  signatures.reserve(graph.layers().size());
  for (const Layer& layer : graph.layers()) signatures.push_back(SignatureOf(graph, layer));
  return signatures;
}

}  // namespace bitsearch
