#pragma once
// What an operator's functions (shape, folding, cost) see of one node: its attributes, and type,
// concrete shape and, where known, value of each input. The same view serves every opset.
// Must not depend on ONNX's types nor on LibTorch.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "space/graph/layer_graph.h"
#include "space/support/error.h"

namespace bitsearch {

/// What is known of a tensor while shapes are inferred. Shapes are concrete here: a symbolic extent
/// is inferred by running with two probe values (shape_inference.h).
struct TensorFact {
  DataType type = DataType::kUndefined;
  std::optional<Shape> shape;        ///< Empty: depends on data.
  std::optional<TensorValue> value;  ///< Constants, and small tensors computed from shapes.
};

/// Thrown by OperatorContext where an answer depends on data that is not known before running; the
/// caller then leaves the node's outputs open. Never leaves InferShapes.
struct UnknownUntilRun {};

/// One node with the facts about its inputs; shape functions fill in the outputs.
/// Refers to its arguments, which must outlive it.
class OperatorContext {
 public:
  OperatorContext(const Node& node, std::int64_t opset, std::span<const TensorFact* const> inputs)
      : node_(node), opset_(opset), inputs_(inputs), outputs_(node.outputs.size()) {}

  const Node& node() const { return node_; }
  const Attributes& attributes() const { return node_.attributes; }
  std::int64_t opset() const { return opset_; }

  std::size_t input_count() const { return inputs_.size(); }
  bool HasInput(std::size_t slot) const {
    return slot < inputs_.size() && inputs_[slot] != nullptr;
  }
  /// Each throws Error(kModelShape) if the input is absent, UnknownUntilRun if it is not known.
  const Shape& Dims(std::size_t slot) const;
  std::int64_t Rank(std::size_t slot) const { return static_cast<std::int64_t>(Dims(slot).size()); }
  DataType Type(std::size_t slot) const { return Fact(slot).type; }
  const TensorValue& Value(std::size_t slot) const;
  std::vector<std::int64_t> Ints(std::size_t slot) const { return Value(slot).ToInt64s(); }
  std::vector<float> Floats(std::size_t slot) const { return Value(slot).ToFloats(); }
  const TensorFact& Fact(std::size_t slot) const;

  std::size_t output_count() const { return outputs_.size(); }
  /// Ignored where the node does not have that output. Throws Error(kModelShape) for an extent that
  /// is negative.
  void SetOutput(std::size_t slot, DataType type, Shape shape);
  /// An output whose shape depends on data.
  void SetOutputType(std::size_t slot, DataType type);
  const std::vector<TensorFact>& outputs() const { return outputs_; }
  std::vector<TensorFact>& outputs() { return outputs_; }
  const Shape& OutputDims(std::size_t slot) const;

  /// "Conv (opset 13): <message>", keyed with the node's id.
  Error Fail(const std::string& message, const std::string& hint = {}) const;

 private:
  const Node& node_;
  std::int64_t opset_;
  std::span<const TensorFact* const> inputs_;
  std::vector<TensorFact> outputs_;
};

// --- arguments whose place moved between opsets, in one form -------------------------------------

/// `axis` counted from the end where negative. Throws Error(kModelShape) outside [-rank, rank).
std::int64_t NormalizedAxis(const OperatorContext& context, std::int64_t axis, std::int64_t rank);
/// The list from input `slot` where the node has one, else from the attribute; empty optional where
/// neither is present.
std::optional<std::vector<std::int64_t>> IntsArgument(const OperatorContext& context,
                                                      std::size_t slot,
                                                      const std::string& attribute);
/// Normalised, ascending, without duplicates (an error). Absent: empty optional.
std::optional<std::vector<std::int64_t>> AxesArgument(const OperatorContext& context,
                                                      std::size_t slot, std::int64_t rank);

/// NumPy broadcasting. Throws Error(kModelShape) where extents do not match.
Shape Broadcast(const OperatorContext& context, const Shape& a, const Shape& b);

/// One axis of a Slice after defaults, clamping and negative numbers.
struct SliceRange {
  std::int64_t start = 0;
  std::int64_t step = 1;
  std::int64_t count = 0;
};
/// One range per axis of input 0.
std::vector<SliceRange> SliceRanges(const OperatorContext& context);
/// The permutation of a Transpose (reversed by default).
std::vector<std::int64_t> Permutation(const OperatorContext& context);
/// Sizes of the parts of a Split along `axis`.
std::vector<std::int64_t> SplitSizes(const OperatorContext& context, std::int64_t axis);

}  // namespace bitsearch
