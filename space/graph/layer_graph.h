#pragma once
// LayerGraph: a network as a directed acyclic graph of operators and tensors, with its quantizable
// layers. One path for imported and for built-in networks. Must not depend on LibTorch; ONNX's
// own types stay behind OnnxSource.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "space/graph/tensor_value.h"
#include "space/support/strong_index.h"

namespace bitsearch {

/// Value of a node's attribute.
using AttributeValue = std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>,
                                    std::vector<float>, std::vector<std::string>, TensorValue>;

/// A node's attributes by name, with typed look-ups that fall back to ONNX's defaults.
class Attributes {
 public:
  void Set(std::string name, AttributeValue value);
  bool Has(const std::string& name) const { return values_.contains(name); }
  /// Each throws Error(kModelAttribute) if the attribute exists with another type.
  std::int64_t Int(const std::string& name, std::int64_t fallback) const;
  float Float(const std::string& name, float fallback) const;
  std::string String(const std::string& name, const std::string& fallback) const;
  std::vector<std::int64_t> Ints(const std::string& name,
                                 std::vector<std::int64_t> fallback = {}) const;
  std::vector<float> Floats(const std::string& name, std::vector<float> fallback = {}) const;
  const TensorValue* Tensor(const std::string& name) const;
  const std::map<std::string, AttributeValue>& values() const { return values_; }

 private:
  std::map<std::string, AttributeValue> values_;
};

/// A value that flows between nodes, or a constant, or an input of the graph.
struct Tensor {
  std::string name;
  DataType type = DataType::kFloat32;
  /// Inferred shape; an unknown batch is −1. Empty optional: unknown rank.
  std::optional<Shape> shape;
  /// Concrete shape for one sample (batch 1, or the batch that the file fixes); what MACs and
  /// memory are counted from. Empty if an extent other than the batch is unknown. Set by
  /// InferShapes.
  std::optional<Shape> sample_shape;
  /// For inputs: names of the extents (ONNX's dim_param), "" for nameless ones; may be empty.
  std::vector<std::string> extent_names;
  /// Set for initializers and folded constants.
  std::optional<TensorValue> constant;
};

/// One operator. `id` is unique in the graph: the ONNX node name; if that is empty the first
/// output's name; duplicates get "#2", "#3", … An absent optional input is an empty optional.
struct Node {
  std::string id;
  std::string op;
  std::string domain;
  std::vector<std::optional<TensorIndex>> inputs;
  std::vector<TensorIndex> outputs;
  Attributes attributes;
};

/// A layer whose weights and input can be given bits.
struct Layer {
  std::string id;  ///< Same as its node's id.
  std::string op;  ///< Conv, Gemm, MatMul, ConvTranspose.
  NodeIndex node;
  TensorIndex input;                  ///< The activation that `activation_bits` refers to.
  std::optional<TensorIndex> weight;  ///< None for a MatMul of two activations.
  std::optional<TensorIndex> bias;
  TensorIndex output;
  std::size_t input_slot = 0;   ///< Which input of the node `input` is (1 where A is the constant).
  std::size_t weight_slot = 1;  ///< Which input of the node `weight` is.
  std::int64_t parameter_count = 0;  ///< Elements of the weight (the bias is not counted).
  std::int64_t bias_count = 0;
  std::int64_t macs = 0;  ///< Multiply-accumulates for one sample; 0 if unknown.
  int output_channels = 0;
  int output_channel_axis = 0;  ///< Axis of the weight that holds the output channels.
};

enum class TieKind : std::uint8_t { kBoth, kWeight, kActivation };

/// Layers that must get equal bits (of weights, activations, or both).
struct TieGroup {
  std::string name;
  TieKind kind = TieKind::kActivation;
  std::vector<LayerIndex> layers;
};

/// The model file a graph came from; lets the exporter write the user's own model back.
/// Defined in onnx_source.h, so that protobuf does not reach every file.
struct OnnxSource;

/// The network. A value type: copies are independent, constants are shared (immutable).
/// Nodes are kept in a topological order; every mutating call leaves the graph consistent.
/// Const calls may come from any thread.
class LayerGraph {
 public:
  std::string name;
  std::int64_t opset = 13;
  /// Written to the file's metadata_props, beside what `source` has there.
  std::map<std::string, std::string> metadata;
  /// Null for built-in networks.
  std::shared_ptr<const OnnxSource> source;

  // --- building -------------------------------------------------------------------------------
  /// Adds a tensor; the name must be new and not empty.
  TensorIndex AddTensor(Tensor tensor);
  TensorIndex AddInput(std::string tensor_name, DataType type, Shape shape,
                       std::vector<std::string> extent_names = {});
  TensorIndex AddConstant(std::string tensor_name, TensorValue value);
  void AddOutput(TensorIndex tensor);
  /// Appends a node; its id is made unique. Each output tensor must have no producer yet.
  /// Throws Error(kModelGraph) otherwise.
  NodeIndex AddNode(Node node);
  /// Replaces the value of a constant (shape may change). Used by folding and by training. A graph
  /// input or a computed tensor becomes a constant; its node then writes a tensor nobody reads.
  void SetConstant(TensorIndex tensor, TensorValue value);
  void SetShape(TensorIndex tensor, std::optional<Shape> shape, DataType type);
  void SetSampleShape(TensorIndex tensor, std::optional<Shape> shape);
  /// Removes nodes for which `dead[node]` is true, tensors that nothing refers to, and renumbers.
  void RemoveNodes(const std::vector<bool>& dead);
  /// Makes every use of `from` (node inputs and graph outputs) refer to `to`.
  void ReplaceUses(TensorIndex from, TensorIndex to);
  /// Turns a node into another operator of its first input, without attributes (Clip → Relu).
  void ReplaceOperator(NodeIndex node, std::string op);
  void SetAttributes(NodeIndex node, Attributes attributes);
  /// Rewires one input of a node.
  void SetNodeInput(NodeIndex node, std::size_t slot, std::optional<TensorIndex> tensor);
  /// Exchanges the producers of two computed tensors: the node that wrote `a` now writes `b`, and
  /// the other way round. Readers stay; the caller restores an acyclic order (rewrites then remove
  /// the node that became useless).
  void SwapProducers(TensorIndex a, TensorIndex b);
  /// Sorts the nodes topologically (stable), in case an import listed them otherwise.
  /// Throws Error(kModelGraph) naming a node on a cycle.
  void SortTopologically();
  /// Recomputes layers() from the nodes; needs shapes for MACs. Called by importers and rewrites;
  /// once called, later structural changes keep layers() up to date by themselves.
  void FindLayers();

  // --- reading --------------------------------------------------------------------------------
  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<Tensor>& tensors() const { return tensors_; }
  const Node& node(NodeIndex index) const { return nodes_[index.value]; }
  const Tensor& tensor(TensorIndex index) const { return tensors_[index.value]; }
  const std::vector<TensorIndex>& inputs() const { return inputs_; }
  const std::vector<TensorIndex>& outputs() const { return outputs_; }
  std::optional<NodeIndex> producer(TensorIndex tensor) const { return producers_[tensor.value]; }
  /// Nodes that read `tensor`, ascending, each once.
  const std::vector<NodeIndex>& Consumers(TensorIndex tensor) const {
    return consumers_[tensor.value];
  }
  std::optional<TensorIndex> FindTensor(const std::string& tensor_name) const;
  std::optional<NodeIndex> FindNode(const std::string& id) const;

  /// The quantizable layers in topological order.
  const std::vector<Layer>& layers() const { return layers_; }
  const Layer& layer(LayerIndex index) const { return layers_[index.value]; }
  /// By id, or by the weight's name with or without ".weight" where that is unique.
  std::optional<LayerIndex> FindLayer(const std::string& id_or_weight) const;

 private:
  void RebuildIndices();
  std::string UniqueNodeId(const std::string& wanted) const;
  void CheckTensor(TensorIndex tensor, const std::string& node_id) const;

  std::vector<Node> nodes_;
  std::vector<Tensor> tensors_;
  std::vector<std::optional<NodeIndex>> producers_;
  std::vector<std::vector<NodeIndex>> consumers_;
  std::vector<TensorIndex> inputs_;
  std::vector<TensorIndex> outputs_;
  std::vector<Layer> layers_;
  std::map<std::string, TensorIndex> tensor_by_name_;
  std::map<std::string, NodeIndex> node_by_id_;
  bool layers_wanted_ = false;
};

}  // namespace bitsearch
