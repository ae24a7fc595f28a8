#include "tests/space/graph/graph_testing.h"

#include <random>
#include <span>

#include "space/graph/shape_inference.h"

namespace bitsearch::testing_graph {

onnx::ModelProto EmptyModel(std::int64_t opset, const Shape& input_shape) {
  onnx::ModelProto model;
  model.set_ir_version(8);
  onnx::OperatorSetIdProto* import = model.add_opset_import();
  import->set_domain("");
  import->set_version(opset);
  model.mutable_graph()->set_name("test");
  AddInput(model, "x", input_shape);
  return model;
}

onnx::ValueInfoProto* AddInput(onnx::ModelProto& model, const std::string& name, const Shape& shape,
                               int type) {
  onnx::ValueInfoProto* info = model.mutable_graph()->add_input();
  info->set_name(name);
  onnx::TypeProto::Tensor* tensor = info->mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(type);
  tensor->mutable_shape();
  for (std::size_t i = 0; i < shape.size(); ++i) {
    onnx::TensorShapeProto::Dimension* extent = tensor->mutable_shape()->add_dim();
    if (shape[i] >= 0) {
      extent->set_dim_value(shape[i]);
    } else {
      extent->set_dim_param(i == 0 ? "N" : "S" + std::to_string(i));
    }
  }
  return info;
}

void AddOutput(onnx::ModelProto& model, const std::string& name) {
  onnx::ValueInfoProto* info = model.mutable_graph()->add_output();
  info->set_name(name);
  info->mutable_type()->mutable_tensor_type()->set_elem_type(onnx::TensorProto::FLOAT);
}

onnx::TensorProto* AddFloats(onnx::ModelProto& model, const std::string& name, const Shape& shape,
                             const std::vector<float>& values) {
  onnx::TensorProto* tensor = model.mutable_graph()->add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(onnx::TensorProto::FLOAT);
  for (const std::int64_t extent : shape) tensor->add_dims(extent);
  tensor->set_raw_data(values.data(), values.size() * sizeof(float));
  return tensor;
}

onnx::TensorProto* AddInts(onnx::ModelProto& model, const std::string& name, const Shape& shape,
                           const std::vector<std::int64_t>& values) {
  onnx::TensorProto* tensor = model.mutable_graph()->add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(onnx::TensorProto::INT64);
  for (const std::int64_t extent : shape) tensor->add_dims(extent);
  for (const std::int64_t value : values) tensor->add_int64_data(value);
  return tensor;
}

onnx::NodeProto* AddNode(onnx::ModelProto& model, const std::string& op,
                         const std::vector<std::string>& inputs,
                         const std::vector<std::string>& outputs, const std::string& name) {
  onnx::NodeProto* node = model.mutable_graph()->add_node();
  node->set_op_type(op);
  if (!name.empty()) node->set_name(name);
  for (const std::string& input : inputs) node->add_input(input);
  for (const std::string& output : outputs) node->add_output(output);
  return node;
}

namespace {

onnx::AttributeProto* AddAttribute(onnx::NodeProto* node, const std::string& name,
                                   onnx::AttributeProto::AttributeType type) {
  onnx::AttributeProto* attribute = node->add_attribute();
  attribute->set_name(name);
  attribute->set_type(type);
  return attribute;
}

}  // namespace

void SetInt(onnx::NodeProto* node, const std::string& name, std::int64_t value) {
  AddAttribute(node, name, onnx::AttributeProto::INT)->set_i(value);
}

void SetFloat(onnx::NodeProto* node, const std::string& name, float value) {
  AddAttribute(node, name, onnx::AttributeProto::FLOAT)->set_f(value);
}

void SetString(onnx::NodeProto* node, const std::string& name, const std::string& value) {
  AddAttribute(node, name, onnx::AttributeProto::STRING)->set_s(value);
}

void SetInts(onnx::NodeProto* node, const std::string& name,
             const std::vector<std::int64_t>& values) {
  onnx::AttributeProto* attribute = AddAttribute(node, name, onnx::AttributeProto::INTS);
  for (const std::int64_t value : values) attribute->add_ints(value);
}

LayerGraph ReadString(const std::string& bytes, const std::filesystem::path& path) {
  return ReadOnnxBytes(std::as_bytes(std::span(bytes.data(), bytes.size())), path);
}

LayerGraph Read(const onnx::ModelProto& model, const OnnxReadOptions& options) {
  const std::string bytes = model.SerializeAsString();
  return ReadOnnxBytes(std::as_bytes(std::span(bytes.data(), bytes.size())), "model.onnx", options);
}

namespace {

bool SameTensorValue(const TensorValue& a, const TensorValue& b) {
  return a.type() == b.type() && a.shape() == b.shape() &&
         std::equal(a.bytes().begin(), a.bytes().end(), b.bytes().begin(), b.bytes().end());
}

bool SameAttribute(const AttributeValue& a, const AttributeValue& b) {
  if (a.index() != b.index()) return false;
  if (const auto* tensor = std::get_if<TensorValue>(&a)) {
    return SameTensorValue(*tensor, std::get<TensorValue>(b));
  }
  return std::visit(
      [&](const auto& value) {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, TensorValue>) {
          return false;
        } else {
          return value == std::get<T>(b);
        }
      },
      a);
}

testing::AssertionResult SameTensor(const Tensor& a, const Tensor& b) {
  if (a.name != b.name) return testing::AssertionFailure() << a.name << " against " << b.name;
  if (a.type != b.type) return testing::AssertionFailure() << "type of " << a.name;
  if (a.shape != b.shape) return testing::AssertionFailure() << "shape of " << a.name;
  if (a.sample_shape != b.sample_shape) {
    return testing::AssertionFailure() << "sample shape of " << a.name;
  }
  if (a.constant.has_value() != b.constant.has_value() ||
      (a.constant && !SameTensorValue(*a.constant, *b.constant))) {
    return testing::AssertionFailure() << "constant " << a.name;
  }
  return testing::AssertionSuccess();
}

}  // namespace

testing::AssertionResult SameGraph(const LayerGraph& a, const LayerGraph& b) {
  if (a.opset != b.opset) return testing::AssertionFailure() << "opset";
  if (a.name != b.name) return testing::AssertionFailure() << "name";
  if (a.nodes().size() != b.nodes().size()) {
    return testing::AssertionFailure()
           << a.nodes().size() << " against " << b.nodes().size() << " nodes";
  }
  const auto same_tensors = [&](TensorIndex left, TensorIndex right) {
    return SameTensor(a.tensor(left), b.tensor(right));
  };
  for (std::size_t n = 0; n < a.nodes().size(); ++n) {
    const Node& left = a.nodes()[n];
    const Node& right = b.nodes()[n];
    if (left.id != right.id || left.op != right.op || left.domain != right.domain ||
        left.inputs.size() != right.inputs.size() || left.outputs.size() != right.outputs.size()) {
      return testing::AssertionFailure() << "node " << left.id << " against " << right.id;
    }
    for (std::size_t i = 0; i < left.inputs.size(); ++i) {
      if (left.inputs[i].has_value() != right.inputs[i].has_value()) {
        return testing::AssertionFailure() << "input " << i << " of " << left.id;
      }
      if (!left.inputs[i]) continue;
      if (auto same = same_tensors(*left.inputs[i], *right.inputs[i]); !same) return same;
    }
    for (std::size_t i = 0; i < left.outputs.size(); ++i) {
      if (auto same = same_tensors(left.outputs[i], right.outputs[i]); !same) return same;
    }
    const auto& attributes = left.attributes.values();
    if (attributes.size() != right.attributes.values().size()) {
      return testing::AssertionFailure() << "attributes of " << left.id;
    }
    for (const auto& [name, value] : attributes) {
      const auto other = right.attributes.values().find(name);
      if (other == right.attributes.values().end() || !SameAttribute(value, other->second)) {
        return testing::AssertionFailure() << "attribute " << name << " of " << left.id;
      }
    }
  }
  if (a.inputs().size() != b.inputs().size() || a.outputs().size() != b.outputs().size()) {
    return testing::AssertionFailure() << "numbers of inputs or outputs";
  }
  for (std::size_t i = 0; i < a.inputs().size(); ++i) {
    if (auto same = same_tensors(a.inputs()[i], b.inputs()[i]); !same) return same;
  }
  for (std::size_t i = 0; i < a.outputs().size(); ++i) {
    if (auto same = same_tensors(a.outputs()[i], b.outputs()[i]); !same) return same;
  }
  if (a.layers().size() != b.layers().size()) return testing::AssertionFailure() << "layers";
  for (std::size_t l = 0; l < a.layers().size(); ++l) {
    const Layer& left = a.layers()[l];
    const Layer& right = b.layers()[l];
    if (left.id != right.id || left.macs != right.macs ||
        left.parameter_count != right.parameter_count || left.bias_count != right.bias_count ||
        left.output_channels != right.output_channels ||
        left.output_channel_axis != right.output_channel_axis) {
      return testing::AssertionFailure() << "layer " << left.id;
    }
  }
  return testing::AssertionSuccess();
}

std::vector<float> Ramp(std::int64_t count, float scale) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = scale * (static_cast<float>((i * 37) % 101) / 50.0F - 1.0F);
  }
  return values;
}

namespace {

/// Grows a network step by step, remembering the 4-D tensors that further steps may read.
class RandomNetwork {
 public:
  explicit RandomNetwork(std::uint64_t seed) : random_(seed) {
    graph_.name = "random";
    open_.push_back(
        {graph_.AddInput("x", DataType::kFloat32, {-1, 3, 8, 8}, {"N", "", "", ""}), 3});
  }

  LayerGraph Build() {
    const int steps = Pick(3, 10);
    for (int i = 0; i < steps; ++i) Step();
    const Branch last = open_.back();
    const TensorIndex pooled = Node1("GlobalAveragePool", {last.tensor}, {});
    const TensorIndex flat = Node1("Flatten", {pooled}, {});
    Attributes transposed;
    transposed.Set("transB", std::int64_t{1});
    const TensorIndex logits =
        Node1("Gemm", {flat, Constant({10, last.channels}), Constant({10})}, transposed);
    graph_.AddOutput(logits);
    InferShapes(graph_);
    graph_.FindLayers();
    return std::move(graph_);
  }

 private:
  struct Branch {
    TensorIndex tensor;
    std::int64_t channels;
  };

  int Pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  Branch AnyBranch() { return open_[static_cast<std::size_t>(Pick(0, int(open_.size()) - 1))]; }

  TensorIndex Constant(const Shape& shape) {
    std::vector<float> values(static_cast<std::size_t>(ElementCount(shape)));
    for (float& value : values) value = static_cast<float>(Pick(1, 200)) / 100.0F;
    return graph_.AddConstant("c" + std::to_string(counter_++),
                              TensorValue::FromFloats(shape, values));
  }

  TensorIndex Node1(const std::string& op, const std::vector<TensorIndex>& inputs,
                    Attributes attributes) {
    Tensor output;
    output.name = "t" + std::to_string(counter_++);
    const TensorIndex index = graph_.AddTensor(output);
    Node node;
    node.op = op;
    // Some nodes stay nameless, some share a name: ids must survive both.
    const int naming = Pick(0, 3);
    if (naming == 0) node.id = "same";
    if (naming == 1) node.id = op + std::to_string(counter_++);
    for (const TensorIndex input : inputs) node.inputs.emplace_back(input);
    node.outputs = {index};
    node.attributes = std::move(attributes);
    graph_.AddNode(std::move(node));
    return index;
  }

  void Step() {
    const Branch branch = AnyBranch();
    switch (Pick(0, 5)) {
      case 0: {
        const std::int64_t channels = Pick(1, 4);
        Attributes attributes;
        attributes.Set("pads", std::vector<std::int64_t>{1, 1, 1, 1});
        std::vector<TensorIndex> inputs = {branch.tensor,
                                           Constant({channels, branch.channels, 3, 3})};
        if (Pick(0, 1) == 1) inputs.push_back(Constant({channels}));
        open_.push_back({Node1("Conv", inputs, attributes), channels});
        break;
      }
      case 1: {
        const Shape shape = {branch.channels};
        open_.push_back({Node1("BatchNormalization",
                               {branch.tensor, Constant(shape), Constant(shape), Constant(shape),
                                Constant(shape)},
                               {}),
                         branch.channels});
        break;
      }
      case 2:
        open_.push_back({Node1("Relu", {branch.tensor}, {}), branch.channels});
        break;
      case 3: {
        const Branch other = AnyBranch();
        if (other.channels != branch.channels) return;
        open_.push_back({Node1("Add", {branch.tensor, other.tensor}, {}), branch.channels});
        break;
      }
      case 4: {
        const Branch other = AnyBranch();
        Attributes attributes;
        attributes.Set("axis", std::int64_t{1});
        open_.push_back({Node1("Concat", {branch.tensor, other.tensor}, attributes),
                         branch.channels + other.channels});
        break;
      }
      default:
        open_.push_back({Node1("Identity", {branch.tensor}, {}), branch.channels});
        break;
    }
  }

  std::mt19937_64 random_;
  LayerGraph graph_;
  std::vector<Branch> open_;
  int counter_ = 0;
};

}  // namespace

LayerGraph RandomGraph(std::uint64_t seed) { return RandomNetwork(seed).Build(); }

std::filesystem::path SharedModel(const std::string& relative) {
  return std::filesystem::path(BITSEARCH_SHARED_DATA) / "onnx" / relative;
}

}  // namespace bitsearch::testing_graph
