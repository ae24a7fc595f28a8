#include "space/graph/qdq.h"

#include <algorithm>
#include <utility>

namespace bitsearch {
namespace {

std::string UniqueTensorName(const LayerGraph& graph, const std::string& wanted) {
  std::string name = wanted;
  for (int i = 2; graph.FindTensor(name); ++i) name = wanted + "#" + std::to_string(i);
  return name;
}

TensorIndex AddConstant(LayerGraph& graph, const std::string& name, TensorValue value) {
  return graph.AddConstant(UniqueTensorName(graph, name), std::move(value));
}

/// Adds a node of one output, which has the shape of `like` and the given type.
TensorIndex AddOperator(LayerGraph& graph, const std::string& op, const std::string& name,
                        std::vector<std::optional<TensorIndex>> inputs, const Tensor& like,
                        DataType type, Attributes attributes = {}, std::string domain = {}) {
  Tensor output;
  output.name = UniqueTensorName(graph, name + "_Output");
  output.type = type;
  output.shape = like.shape;
  output.sample_shape = like.sample_shape;
  const TensorIndex index = graph.AddTensor(std::move(output));
  Node node;
  node.id = name;
  node.op = op;
  node.domain = std::move(domain);
  node.inputs = std::move(inputs);
  node.outputs = {index};
  node.attributes = std::move(attributes);
  graph.AddNode(std::move(node));
  return index;
}

struct Parameters {
  TensorIndex scale;
  TensorIndex zero_point;
  Attributes attributes;
};

Parameters AddParameters(LayerGraph& graph, const std::string& name,
                         const IntegerStorage& storage) {
  Parameters parameters;
  parameters.scale = AddConstant(graph, name + "_scale",
                                 TensorValue::FromFloats(storage.scale_shape, storage.scales));
  parameters.zero_point = AddConstant(
      graph, name + "_zero_point",
      TensorValue::FromIntegers(storage.type, storage.scale_shape, storage.zero_points));
  if (!storage.scale_shape.empty()) parameters.attributes.Set("axis", storage.axis);
  if (storage.block_size > 0) parameters.attributes.Set("block_size", storage.block_size);
  return parameters;
}

TensorIndex AddCast(LayerGraph& graph, TensorIndex tensor, DataType type, const std::string& name) {
  const Tensor like = graph.tensor(tensor);
  Attributes attributes;
  attributes.Set("to", static_cast<std::int64_t>(type));
  return AddOperator(graph, "Cast", name, {tensor}, like, type, std::move(attributes));
}

}  // namespace

TensorIndex AddDequantizedConstant(LayerGraph& graph, const std::string& name, const Shape& shape,
                                   std::span<const std::int64_t> codes,
                                   const IntegerStorage& storage) {
  const TensorIndex quantized = AddConstant(graph, name + "_quantized",
                                            TensorValue::FromIntegers(storage.type, shape, codes));
  Parameters parameters = AddParameters(graph, name, storage);
  const Tensor like = graph.tensor(quantized);
  return AddOperator(graph, "DequantizeLinear", name + "_DequantizeLinear",
                     {quantized, parameters.scale, parameters.zero_point}, like, DataType::kFloat32,
                     std::move(parameters.attributes));
}

TensorIndex AddQuantizeDequantize(LayerGraph& graph, TensorIndex tensor,
                                  const IntegerStorage& storage, std::optional<ClipBounds> clip) {
  const Tensor like = graph.tensor(tensor);
  TensorIndex source = tensor;
  if (clip) {
    const TensorIndex low = AddConstant(graph, like.name + "_lowest",
                                        TensorValue::FromFloats({}, std::span(&clip->low, 1)));
    const TensorIndex high = AddConstant(graph, like.name + "_highest",
                                         TensorValue::FromFloats({}, std::span(&clip->high, 1)));
    source = AddOperator(graph, "Clip", like.name + "_Clip", {tensor, low, high}, like,
                         DataType::kFloat32);
  }
  const Parameters parameters = AddParameters(graph, like.name, storage);
  const TensorIndex quantized = AddOperator(graph, "QuantizeLinear", like.name + "_QuantizeLinear",
                                            {source, parameters.scale, parameters.zero_point}, like,
                                            storage.type, parameters.attributes);
  return AddOperator(graph, "DequantizeLinear", like.name + "_DequantizeLinear",
                     {quantized, parameters.scale, parameters.zero_point}, like, DataType::kFloat32,
                     parameters.attributes);
}

TensorIndex AddQonnxQuant(LayerGraph& graph, TensorIndex tensor, const IntegerStorage& storage,
                          int bits, bool is_signed, bool narrow) {
  const Tensor like = graph.tensor(tensor);
  const std::vector<float> zero_points(storage.zero_points.begin(), storage.zero_points.end());
  const auto bit_width = static_cast<float>(bits);
  const TensorIndex scale = AddConstant(
      graph, like.name + "_scale", TensorValue::FromFloats(storage.scale_shape, storage.scales));
  const TensorIndex zero_point = AddConstant(
      graph, like.name + "_zero_point", TensorValue::FromFloats(storage.scale_shape, zero_points));
  const TensorIndex bits_tensor = AddConstant(
      graph, like.name + "_bit_width", TensorValue::FromFloats({}, std::span(&bit_width, 1)));
  Attributes attributes;
  attributes.Set("signed", std::int64_t{is_signed ? 1 : 0});
  attributes.Set("narrow", std::int64_t{narrow ? 1 : 0});
  attributes.Set("rounding_mode", std::string("ROUND"));
  return AddOperator(graph, "Quant", like.name + "_Quant", {tensor, scale, zero_point, bits_tensor},
                     like, DataType::kFloat32, std::move(attributes), "qonnx.custom_op.general");
}

TensorIndex AddRoundTripCast(LayerGraph& graph, TensorIndex tensor, DataType type) {
  const std::string name = graph.tensor(tensor).name + "_to_" + std::string(NameOf(type));
  const TensorIndex narrow = AddCast(graph, tensor, type, name);
  return AddCast(graph, narrow, DataType::kFloat32, name + "_and_back");
}

TensorIndex AddNarrowConstant(LayerGraph& graph, const std::string& name, const TensorValue& value,
                              DataType type) {
  const std::string narrow_name = name + "_" + std::string(NameOf(type));
  const TensorIndex narrow = AddConstant(
      graph, narrow_name, TensorValue::FromFloatsAs(type, value.shape(), value.Floats()));
  return AddCast(graph, narrow, DataType::kFloat32, narrow_name + "_to_float32");
}

TensorIndex AddReshape(LayerGraph& graph, TensorIndex tensor, const Shape& shape) {
  Tensor like = graph.tensor(tensor);
  const TensorIndex target =
      AddConstant(graph, like.name + "_shape",
                  TensorValue::FromInt64s({static_cast<std::int64_t>(shape.size())}, shape));
  like.shape = shape;
  like.sample_shape = shape;
  return AddOperator(graph, "Reshape", like.name + "_Reshape", {tensor, target}, like, like.type);
}

void AddOffset(LayerGraph& graph, TensorIndex tensor, TensorValue offset) {
  const Tensor like = graph.tensor(tensor);
  const TensorIndex constant = AddConstant(graph, like.name + "_shift", std::move(offset));
  const TensorIndex sum =
      AddOperator(graph, "Add", like.name + "_Add", {tensor, constant}, like, DataType::kFloat32);
  const NodeIndex add = *graph.producer(sum);
  graph.SwapProducers(tensor, sum);
  graph.SetNodeInput(add, 0, sum);
}

}  // namespace bitsearch
