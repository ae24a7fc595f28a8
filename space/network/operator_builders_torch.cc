#include "space/network/operator_builders_torch.h"

#include <algorithm>

namespace bitsearch {
namespace {

std::vector<std::int64_t> ToInts(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kCPU, at::kLong).contiguous().view({-1});
  const auto* data = flat.data_ptr<std::int64_t>();
  return {data, data + flat.numel()};
}

}  // namespace

Error UnsupportedOperator(const LayerGraph& graph, const Node& node, const std::string& why) {
  return Error(ErrorId::kOperatorUnsupported,
               node.op + " (opset " + std::to_string(graph.opset) + "): " + why)
      .Key("node " + node.id)
      .Hint("`bitsearch layers MODEL.onnx` lists what can be executed");
}

bool HasInput(const Node& node, std::size_t slot) {
  return slot < node.inputs.size() && node.inputs[slot].has_value();
}

IntsArgument::IntsArgument(const LayerGraph& graph, const Node& node, int slot,
                           const char* attribute, std::vector<std::int64_t> fallback) {
  if (slot >= 0 && HasInput(node, static_cast<std::size_t>(slot))) {
    const Tensor& tensor = graph.tensor(*node.inputs[static_cast<std::size_t>(slot)]);
    if (tensor.constant) {
      value_ = tensor.constant->ToInt64s();
    } else {
      slot_ = slot;
    }
    return;
  }
  absent_ = attribute == nullptr || !node.attributes.Has(attribute);
  value_ = absent_ ? std::move(fallback) : node.attributes.Ints(attribute);
}

std::vector<std::int64_t> IntsArgument::Get(const OperatorCall& call) const {
  return slot_ < 0 ? value_ : ToInts(call.in[static_cast<std::size_t>(slot_)]);
}

FloatArgument::FloatArgument(const LayerGraph& graph, const Node& node, int slot,
                             const char* attribute, double fallback) {
  if (slot >= 0 && HasInput(node, static_cast<std::size_t>(slot))) {
    const Tensor& tensor = graph.tensor(*node.inputs[static_cast<std::size_t>(slot)]);
    if (tensor.constant && tensor.constant->element_count() == 1) {
      value_ = tensor.constant->ToFloats()[0];
    } else {
      slot_ = slot;
    }
    return;
  }
  value_ = attribute != nullptr && node.attributes.Has(attribute)
               ? node.attributes.Float(attribute, 0.0F)
               : fallback;
}

double FloatArgument::Get(const OperatorCall& call) const {
  return slot_ < 0 ? value_ : call.in[static_cast<std::size_t>(slot_)].item<double>();
}

std::int64_t InputRank(const LayerGraph& graph, const Node& node, std::size_t slot) {
  const auto& shape = graph.tensor(*node.inputs[slot]).shape;
  if (!shape) throw UnsupportedOperator(graph, node, "the rank of its input is unknown");
  return static_cast<std::int64_t>(shape->size());
}

Window WindowOf(const LayerGraph& graph, const Node& node, std::vector<std::int64_t> kernel) {
  Window w;
  w.kernel = std::move(kernel);
  const std::size_t axes = w.kernel.size();
  w.strides = node.attributes.Ints("strides", std::vector<std::int64_t>(axes, 1));
  w.dilations = node.attributes.Ints("dilations", std::vector<std::int64_t>(axes, 1));
  const auto pads = node.attributes.Ints("pads", std::vector<std::int64_t>(2 * axes, 0));
  if (w.strides.size() != axes || w.dilations.size() != axes || pads.size() != 2 * axes) {
    throw UnsupportedOperator(graph, node, "strides, dilations or pads do not fit the kernel's rank");
  }
  w.begin.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(axes));
  w.end.assign(pads.begin() + static_cast<std::ptrdiff_t>(axes), pads.end());
  const std::string auto_pad = node.attributes.String("auto_pad", "NOTSET");
  if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
    const auto& shape = graph.tensor(*node.inputs[0]).shape;
    for (std::size_t a = 0; a < axes; ++a) {
      if (!shape || (*shape)[a + 2] < 0) {
        throw UnsupportedOperator(graph, node, "auto_pad needs a known spatial size");
      }
      const std::int64_t size = (*shape)[a + 2];
      const std::int64_t reach = (w.kernel[a] - 1) * w.dilations[a] + 1;
      const std::int64_t outputs = (size + w.strides[a] - 1) / w.strides[a];
      const std::int64_t total =
          std::max<std::int64_t>(0, (outputs - 1) * w.strides[a] + reach - size);
      w.begin[a] = auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
      w.end[a] = total - w.begin[a];
    }
  } else if (auto_pad != "NOTSET" && auto_pad != "VALID") {
    throw UnsupportedOperator(graph, node, "auto_pad '" + auto_pad + "'");
  }
  return w;
}

std::vector<std::int64_t> TorchPads(const std::vector<std::int64_t>& begin,
                                    const std::vector<std::int64_t>& end) {
  std::vector<std::int64_t> pads;
  for (std::size_t a = begin.size(); a-- > 0;) {
    pads.push_back(begin[a]);
    pads.push_back(end[a]);
  }
  return pads;
}

at::ScalarType ToScalarType(DataType type) {
  switch (type) {
    case DataType::kFloat32:
      return at::kFloat;
    case DataType::kFloat64:
      return at::kDouble;
    case DataType::kFloat16:
      return at::kHalf;
    case DataType::kBfloat16:
      return at::kBFloat16;
    case DataType::kInt64:
      return at::kLong;
    case DataType::kInt32:
      return at::kInt;
    case DataType::kInt16:
      return at::kShort;
    case DataType::kInt8:
      return at::kChar;
    case DataType::kUint8:
      return at::kByte;
    case DataType::kBool:
      return at::kBool;
    default:
      throw Error(ErrorId::kExecution,
                  "tensors of type " + std::string(NameOf(type)) + " cannot be executed")
          .Hint("export the model with float32, int64 or bool tensors");
  }
}

}  // namespace bitsearch
