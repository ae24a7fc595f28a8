// From protobuf to LayerGraph: tensors first, then nodes in any order, then the passes.
// Must not depend on LibTorch.
#include "space/graph/onnx_reader.h"

#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "space/graph/constant_folding.h"
#include "space/graph/onnx_source.h"
#include "space/graph/onnx_tensor.h"
#include "space/graph/operators.h"
#include "space/graph/shape_inference.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

constexpr const char* kDamaged = "the model file is damaged; export or download it again";

bool IsDefaultDomain(const std::string& domain) { return domain.empty() || domain == "ai.onnx"; }

/// Builds the graph from one parsed model.
class Importer {
 public:
  Importer(const std::shared_ptr<OnnxSource>& source)
      : source_(source), proto_(source->model.graph()), folder_(source->path.parent_path()) {}

  LayerGraph Import() {
    graph_.name = proto_.name();
    graph_.source = source_;
    ReadOpset();
    ReadInitializers();
    ReadInputs();
    DeclareNodeOutputs();
    for (const onnx::NodeProto& node : proto_.node()) ReadNode(node);
    ReadOutputs();
    return std::move(graph_);
  }

 private:
  void ReadOpset() {
    std::int64_t opset = 0;
    for (const onnx::OperatorSetIdProto& import : source_->model.opset_import()) {
      if (IsDefaultDomain(import.domain())) opset = import.version();
    }
    if (opset < kOldestOpset || opset > kNewestOpset) {
      throw Error(ErrorId::kModelOpset,
                  opset == 0
                      ? std::string("the model does not say which opset it uses")
                      : "the model uses opset " + std::to_string(opset) + ", allowed " +
                            std::to_string(kOldestOpset) + " to " + std::to_string(kNewestOpset))
          .Hint("export it again, or convert it with onnx.version_converter");
    }
    graph_.opset = opset;
  }

  void ReadInitializers() {
    if (proto_.sparse_initializer_size() > 0) {
      throw Error(ErrorId::kModelTensor, "sparse initializers are not supported")
          .Key(proto_.sparse_initializer(0).values().name())
          .Hint("store the weights as dense tensors");
    }
    for (const onnx::TensorProto& proto : proto_.initializer()) {
      const TensorValue value = ReadTensor(proto, proto.name(), folder_);
      graph_.AddConstant(proto.name(), value);
      source_->constants.emplace(proto.name(), value);
    }
  }

  void ReadInputs() {
    for (const onnx::ValueInfoProto& info : proto_.input()) {
      // Until IR version 3 initializers were listed among the inputs too.
      if (graph_.FindTensor(info.name())) continue;
      if (!info.type().has_tensor_type()) {
        throw Error(ErrorId::kModelGraph, "the input is no tensor")
            .Key(info.name())
            .Hint("sequences, maps and optional values are not supported");
      }
      const onnx::TypeProto::Tensor& type = info.type().tensor_type();
      Shape shape;
      std::vector<std::string> names;
      for (const onnx::TensorShapeProto::Dimension& extent : type.shape().dim()) {
        const bool known = extent.has_dim_value() && extent.dim_value() >= 0;
        shape.push_back(known ? extent.dim_value() : -1);
        names.push_back(extent.has_dim_param() ? extent.dim_param() : std::string());
      }
      const DataType data_type = ComputeType(static_cast<DataType>(type.elem_type()));
      const TensorIndex input = graph_.AddInput(info.name(), data_type, shape, std::move(names));
      if (!type.has_shape()) graph_.SetShape(input, std::nullopt, data_type);
    }
  }

  /// Nodes may be listed in any order, so all outputs are declared before any input is looked up.
  void DeclareNodeOutputs() {
    for (const onnx::NodeProto& node : proto_.node()) {
      for (const std::string& output : node.output()) {
        if (output.empty()) continue;
        Tensor tensor;
        tensor.name = output;
        try {
          graph_.AddTensor(std::move(tensor));
        } catch (Error& error) {
          error.Context("while reading node '" + node.name() + "' (" + node.op_type() + ")");
          throw;
        }
      }
    }
  }

  TensorIndex FindOrFail(const std::string& name, const std::string& reader) const {
    if (const std::optional<TensorIndex> tensor = graph_.FindTensor(name)) return *tensor;
    throw Error(ErrorId::kModelMissingInput, "'" + name +
                                                 "' is read, but no node, input or "
                                                 "initializer provides it")
        .Key(reader)
        .Hint(kDamaged);
  }

  void ReadNode(const onnx::NodeProto& proto) {
    Node node;
    node.op = proto.op_type();
    node.domain = proto.domain();
    node.id = proto.name();
    if (node.id.empty() && proto.output_size() > 0) node.id = proto.output(0);
    for (const std::string& input : proto.input()) {
      if (input.empty()) {
        node.inputs.emplace_back();
      } else {
        node.inputs.emplace_back(FindOrFail(input, node.id + " (" + node.op + ")"));
      }
    }
    while (!node.inputs.empty() && !node.inputs.back()) node.inputs.pop_back();
    int last_output = proto.output_size();
    while (last_output > 1 && proto.output(last_output - 1).empty()) --last_output;
    for (int i = 0; i < last_output; ++i) {
      if (proto.output(i).empty()) {
        Tensor unread;
        unread.name = node.id + ":unused" + std::to_string(i);
        while (graph_.FindTensor(unread.name)) unread.name += "'";
        node.outputs.push_back(graph_.AddTensor(std::move(unread)));
      } else {
        node.outputs.push_back(*graph_.FindTensor(proto.output(i)));
      }
    }
    const OperatorInfo& row = RequireOperator(node, graph_.opset);
    for (const onnx::AttributeProto& attribute : proto.attribute()) {
      ReadAttribute(attribute, node);
    }
    const std::string_view op = row.name;
    if (op == "Constant") RememberConstant(node);
    // Casts to narrower floats would undo what ComputeType does to the tensors around them.
    if (op == "Cast") {
      const auto to = static_cast<DataType>(node.attributes.Int("to", 0));
      node.attributes.Set("to", static_cast<std::int64_t>(ComputeType(to)));
    }
    graph_.AddNode(std::move(node));
  }

  void RememberConstant(const Node& node) {
    const TensorValue* value = node.attributes.Tensor("value");
    if (value != nullptr && !node.outputs.empty()) {
      source_->constants.emplace(graph_.tensor(node.outputs[0]).name, *value);
    }
  }

  void ReadAttribute(const onnx::AttributeProto& proto, Node& node) const {
    const auto fail = [&](const std::string& what) {
      return Error(ErrorId::kModelAttribute,
                   "attribute '" + proto.name() + "' of " + node.op + " " + what)
          .Key(node.id)
          .Hint("supported: numbers, strings, tensors and lists of numbers or strings");
    };
    switch (proto.type()) {
      case onnx::AttributeProto::INT:
        return node.attributes.Set(proto.name(), proto.i());
      case onnx::AttributeProto::FLOAT:
        return node.attributes.Set(proto.name(), proto.f());
      case onnx::AttributeProto::STRING:
        return node.attributes.Set(proto.name(), proto.s());
      case onnx::AttributeProto::INTS:
        return node.attributes.Set(
            proto.name(), std::vector<std::int64_t>(proto.ints().begin(), proto.ints().end()));
      case onnx::AttributeProto::FLOATS:
        return node.attributes.Set(
            proto.name(), std::vector<float>(proto.floats().begin(), proto.floats().end()));
      case onnx::AttributeProto::STRINGS:
        return node.attributes.Set(
            proto.name(), std::vector<std::string>(proto.strings().begin(), proto.strings().end()));
      case onnx::AttributeProto::TENSOR:
        return node.attributes.Set(proto.name(), ReadTensor(proto.t(), node.id, folder_));
      default:
        throw fail("has type " + std::to_string(static_cast<int>(proto.type())));
    }
  }

  void ReadOutputs() {
    if (proto_.output_size() == 0) {
      throw Error(ErrorId::kModelGraph, "the graph has no outputs").Hint(kDamaged);
    }
    for (const onnx::ValueInfoProto& info : proto_.output()) {
      graph_.AddOutput(FindOrFail(info.name(), "graph output"));
    }
  }

  std::shared_ptr<OnnxSource> source_;
  const onnx::GraphProto& proto_;
  std::filesystem::path folder_;
  LayerGraph graph_;
};

/// Operators whose constants are weights: NaN there poisons every result. Elsewhere infinities are
/// legitimate (attention masks, open ends of Clip).
bool HoldsWeights(const std::string& op) {
  static const std::set<std::string> kOps = {
      "BatchNormalization", "Conv",   "ConvTranspose",         "Einsum", "Gemm",
      "GroupNormalization", "MatMul", "InstanceNormalization", "PRelu",  "LayerNormalization"};
  return kOps.contains(op);
}

void CheckWeightsFinite(const LayerGraph& graph) {
  for (const Node& node : graph.nodes()) {
    if (!HoldsWeights(node.op)) continue;
    for (const auto& input : node.inputs) {
      if (!input) continue;
      const Tensor& tensor = graph.tensor(*input);
      if (!tensor.constant || tensor.type != DataType::kFloat32) continue;
      const std::span<const float> values = tensor.constant->Floats();
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (std::isfinite(values[i])) continue;
        throw Error(ErrorId::kModelNotFinite, "the weight '" + tensor.name + "' of " + node.op +
                                                  " holds " + std::to_string(values[i]) +
                                                  " at element " + std::to_string(i))
            .Key(node.id)
            .Hint("the training diverged or the file is damaged; export a sound checkpoint");
      }
    }
  }
}

}  // namespace

LayerGraph ReadOnnxBytes(std::span<const std::byte> bytes, const std::filesystem::path& path,
                         const OnnxReadOptions& options) {
  return WithPlace({path.string()}, [&] {
    const auto source = std::make_shared<OnnxSource>();
    source->path = path;
    if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
      throw Error(ErrorId::kModelParse, "the file is larger than 2 GB")
          .Hint("store the weights as external data");
    }
    if (!source->model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) ||
        !source->model.has_graph()) {
      throw Error(ErrorId::kModelParse,
                  "the file (" + std::to_string(bytes.size()) + " bytes) is no complete ONNX model")
          .Hint("is it an .onnx file, and was it copied or downloaded completely?");
    }
    LayerGraph graph = Importer(source).Import();
    graph.SortTopologically();
    FoldConstants(graph);
    InferShapes(graph, {options.input_shapes});
    SimplifyReshapes(graph);
    graph.FindLayers();
    CheckWeightsFinite(graph);
    return graph;
  });
}

LayerGraph ReadOnnx(const std::filesystem::path& path, const OnnxReadOptions& options) {
  return ReadOnnxBytes(ReadBinaryFile(path), path, options);
}

}  // namespace bitsearch
