// From LayerGraph back to protobuf; the source model, where there is one, is patched.
// Must not depend on LibTorch.
#include "space/graph/onnx_writer.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "space/graph/onnx_source.h"
#include "space/graph/onnx_tensor.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

/// The IR version that first allowed an opset (ONNX's version table), at least 8.
std::int64_t IrVersionFor(std::int64_t opset) {
  if (opset >= 25) return 13;
  if (opset >= 24) return 12;
  if (opset >= 23) return 11;
  if (opset >= 21) return 10;
  if (opset >= 19) return 9;
  return 8;
}

void WriteAttribute(const std::string& name, const AttributeValue& value,
                    onnx::AttributeProto* proto) {
  proto->Clear();
  proto->set_name(name);
  struct Writer {
    onnx::AttributeProto* proto;
    void operator()(std::int64_t v) const {
      proto->set_type(onnx::AttributeProto::INT);
      proto->set_i(v);
    }
    void operator()(float v) const {
      proto->set_type(onnx::AttributeProto::FLOAT);
      proto->set_f(v);
    }
    void operator()(const std::string& v) const {
      proto->set_type(onnx::AttributeProto::STRING);
      proto->set_s(v);
    }
    void operator()(const std::vector<std::int64_t>& v) const {
      proto->set_type(onnx::AttributeProto::INTS);
      for (const std::int64_t entry : v) proto->add_ints(entry);
    }
    void operator()(const std::vector<float>& v) const {
      proto->set_type(onnx::AttributeProto::FLOATS);
      for (const float entry : v) proto->add_floats(entry);
    }
    void operator()(const std::vector<std::string>& v) const {
      proto->set_type(onnx::AttributeProto::STRINGS);
      for (const std::string& entry : v) proto->add_strings(entry);
    }
    void operator()(const TensorValue& v) const {
      proto->set_type(onnx::AttributeProto::TENSOR);
      *proto->mutable_t() = WriteTensor(v, "");
    }
  };
  std::visit(Writer{proto}, value);
}

/// The id that reading this node gives, before duplicates are numbered.
std::string ImportedId(const onnx::NodeProto& node) {
  return node.name().empty() && node.output_size() > 0 ? node.output(0) : node.name();
}

class Exporter {
 public:
  explicit Exporter(const LayerGraph& graph) : graph_(graph) {}

  onnx::ModelProto Export() {
    if (graph_.source) {
      model_ = graph_.source->model;
      for (const onnx::NodeProto& node : graph_.source->model.graph().node()) {
        // A second node of the same name was renumbered, so only the first is found by its id.
        old_nodes_.emplace(ImportedId(node), &node);
      }
      for (const onnx::TensorProto& tensor : graph_.source->model.graph().initializer()) {
        old_initializers_.emplace(tensor.name(), &tensor);
      }
    } else {
      model_.set_producer_name("bitsearch");
    }
    model_.set_ir_version(std::max(model_.ir_version(), IrVersionFor(graph_.opset)));
    WriteOpset();
    onnx::GraphProto* proto = model_.mutable_graph();
    proto->set_name(graph_.name.empty() ? "network" : graph_.name);
    WriteNodes(proto);
    WriteInitializers(proto);
    WriteInputs(proto);
    WriteOutputs(proto);
    KeepLivingValueInfos(proto);
    WriteMetadata();
    return std::move(model_);
  }

 private:
  void WriteOpset() {
    bool found = false;
    for (onnx::OperatorSetIdProto& import : *model_.mutable_opset_import()) {
      if (!import.domain().empty() && import.domain() != "ai.onnx") continue;
      import.set_version(graph_.opset);
      found = true;
    }
    if (found) return;
    onnx::OperatorSetIdProto* import = model_.add_opset_import();
    import->set_domain("");
    import->set_version(graph_.opset);
  }

  void WriteMetadata() {
    auto* entries = model_.mutable_metadata_props();
    for (int i = entries->size() - 1; i >= 0; --i) {
      if (graph_.metadata.contains(entries->Get(i).key())) entries->DeleteSubrange(i, 1);
    }
    for (const auto& [key, value] : graph_.metadata) {
      onnx::StringStringEntryProto* entry = model_.add_metadata_props();
      entry->set_key(key);
      entry->set_value(value);
    }
  }

  void WriteNodes(onnx::GraphProto* proto) {
    proto->clear_node();
    for (const Node& node : graph_.nodes()) {
      onnx::NodeProto* written = proto->add_node();
      const auto old = old_nodes_.find(node.id);
      if (old != old_nodes_.end() && old->second->op_type() == node.op) *written = *old->second;
      written->set_op_type(node.op);
      if (!node.domain.empty()) written->set_domain(node.domain);
      written->clear_input();
      for (const auto& input : node.inputs) {
        written->add_input(input ? graph_.tensor(*input).name : std::string());
      }
      written->clear_output();
      for (const TensorIndex output : node.outputs) {
        written->add_output(graph_.tensor(output).name);
      }
      // A node without a name keeps it that way if reading gives the same id again.
      const bool implied = written->name().empty() && ImportedId(*written) == node.id;
      if (!implied || !graph_.source) written->set_name(node.id);
      WriteAttributes(node, written);
    }
  }

  void WriteAttributes(const Node& node, onnx::NodeProto* written) const {
    std::set<std::string> present;
    auto* attributes = written->mutable_attribute();
    for (int i = attributes->size() - 1; i >= 0; --i) {
      const std::string name = attributes->Get(i).name();
      const auto value = node.attributes.values().find(name);
      if (value == node.attributes.values().end()) {
        attributes->DeleteSubrange(i, 1);
        continue;
      }
      present.insert(name);
      const std::string documentation = attributes->Get(i).doc_string();
      WriteAttribute(name, value->second, attributes->Mutable(i));
      if (!documentation.empty()) attributes->Mutable(i)->set_doc_string(documentation);
    }
    for (const auto& [name, value] : node.attributes.values()) {
      if (!present.contains(name)) WriteAttribute(name, value, written->add_attribute());
    }
  }

  /// Whether the file already holds this very constant in this type, inline.
  const onnx::TensorProto* UnchangedInitializer(const Tensor& tensor) const {
    if (!graph_.source) return nullptr;
    const auto old = old_initializers_.find(tensor.name);
    const auto as_read = graph_.source->constants.find(tensor.name);
    if (old == old_initializers_.end() || as_read == graph_.source->constants.end()) return nullptr;
    const bool same_type = old->second->data_type() == static_cast<std::int32_t>(tensor.type);
    const bool is_inline = old->second->data_location() != onnx::TensorProto::EXTERNAL;
    const bool unchanged = as_read->second.SharesBytesWith(*tensor.constant) &&
                           as_read->second.shape() == tensor.constant->shape();
    return same_type && is_inline && unchanged ? old->second : nullptr;
  }

  void WriteInitializers(onnx::GraphProto* proto) const {
    proto->clear_initializer();
    std::int64_t total_bytes = 0;
    for (const Tensor& tensor : graph_.tensors()) {
      if (!tensor.constant) continue;
      total_bytes += static_cast<std::int64_t>(tensor.constant->bytes().size());
      if (total_bytes > std::numeric_limits<int>::max() - (1 << 20)) {
        throw Error(ErrorId::kModelGraph, "the constants take more than 2 GB")
            .Key(tensor.name)
            .Hint("an ONNX file cannot hold them; this needs external data, which is only read");
      }
      const onnx::TensorProto* old = UnchangedInitializer(tensor);
      *proto->add_initializer() =
          old != nullptr ? *old : WriteTensor(*tensor.constant, tensor.name);
    }
  }

  static void WriteType(const Tensor& tensor, bool with_shape, onnx::ValueInfoProto* info) {
    info->set_name(tensor.name);
    onnx::TypeProto::Tensor* type = info->mutable_type()->mutable_tensor_type();
    type->set_elem_type(static_cast<std::int32_t>(tensor.type));
    if (!with_shape || !tensor.shape) return;
    type->mutable_shape()->clear_dim();
    for (std::size_t i = 0; i < tensor.shape->size(); ++i) {
      const std::int64_t extent = (*tensor.shape)[i];
      onnx::TensorShapeProto::Dimension* dimension = type->mutable_shape()->add_dim();
      if (extent >= 0) {
        dimension->set_dim_value(extent);
      } else if (i < tensor.extent_names.size() && !tensor.extent_names[i].empty()) {
        dimension->set_dim_param(tensor.extent_names[i]);
      } else if (i == 0) {
        dimension->set_dim_param("batch");
      }
    }
    if (tensor.shape->empty()) type->mutable_shape();
  }

  void WriteInputs(onnx::GraphProto* proto) const {
    std::map<std::string, onnx::ValueInfoProto> old;
    for (const onnx::ValueInfoProto& info : proto->input()) old.emplace(info.name(), info);
    proto->clear_input();
    for (const TensorIndex input : graph_.inputs()) {
      const Tensor& tensor = graph_.tensor(input);
      onnx::ValueInfoProto* info = proto->add_input();
      const auto found = old.find(tensor.name);
      // The file's own shape stays: it may name extents that a given input size has fixed since.
      if (found != old.end()) *info = found->second;
      WriteType(tensor, found == old.end(), info);
    }
  }

  void WriteOutputs(onnx::GraphProto* proto) const {
    std::map<std::string, onnx::ValueInfoProto> old;
    for (const onnx::ValueInfoProto& info : proto->output()) old.emplace(info.name(), info);
    proto->clear_output();
    for (const TensorIndex output : graph_.outputs()) {
      const Tensor& tensor = graph_.tensor(output);
      onnx::ValueInfoProto* info = proto->add_output();
      const auto found = old.find(tensor.name);
      if (found != old.end()) *info = found->second;
      WriteType(tensor, found == old.end(), info);
    }
  }

  /// Shape annotations of tensors that no longer exist, or have another type now, are dropped.
  void KeepLivingValueInfos(onnx::GraphProto* proto) const {
    auto* infos = proto->mutable_value_info();
    for (int i = infos->size() - 1; i >= 0; --i) {
      const std::optional<TensorIndex> tensor = graph_.FindTensor(infos->Get(i).name());
      const bool lives = tensor && graph_.producer(*tensor) &&
                         infos->Get(i).type().tensor_type().elem_type() ==
                             static_cast<std::int32_t>(graph_.tensor(*tensor).type);
      if (!lives) infos->DeleteSubrange(i, 1);
    }
  }

  const LayerGraph& graph_;
  onnx::ModelProto model_;
  std::map<std::string, const onnx::NodeProto*> old_nodes_;
  std::map<std::string, const onnx::TensorProto*> old_initializers_;
};

}  // namespace

std::string SerializeOnnx(const LayerGraph& graph) {
  std::string bytes;
  if (!Exporter(graph).Export().SerializeToString(&bytes)) {
    throw Error(ErrorId::kModelGraph, "the model cannot be serialised")
        .Hint("a name in the model is not valid UTF-8, or the model exceeds 2 GB");
  }
  return bytes;
}

void WriteOnnx(const LayerGraph& graph, const std::filesystem::path& path) {
  WriteFileAtomically(path, SerializeOnnx(graph));
}

}  // namespace bitsearch
