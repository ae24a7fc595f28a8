// The table itself. Rows are sorted by name; a test checks it.
// Must not depend on ONNX's types nor on LibTorch.
#include "space/graph/operators.h"

#include <algorithm>
#include <string>

#include "space/graph/operator_functions.h"

namespace bitsearch {
namespace {

using namespace ops;  // NOLINT(google-build-using-namespace): a table of their names.

constexpr std::int64_t kNew = kNewestOpset;
constexpr bool kMoves = true;

// name, first and last opset, fewest and most inputs, most outputs, shape, fold, MACs
constexpr OperatorInfo kOperators[] = {
    {"Abs", 6, kNew, 1, 1, 1, SameShape, FoldUnary, nullptr},
    {"Add", 7, kNew, 2, 2, 1, BroadcastShape, FoldBinary, nullptr},
    {"And", 7, kNew, 2, 2, 1, CompareShape, FoldBinary, nullptr},
    {"ArgMax", 1, kNew, 1, 1, 1, ArgReduceShape, nullptr, nullptr},
    {"ArgMin", 1, kNew, 1, 1, 1, ArgReduceShape, nullptr, nullptr},
    {"AveragePool", 7, kNew, 1, 1, 1, PoolShape, nullptr, nullptr},
    {"BatchNormalization", 7, kNew, 5, 5, 5, BatchNormalizationShape, nullptr, nullptr},
    {"Cast", 6, kNew, 1, 1, 1, CastShape, FoldCast, nullptr},
    {"CastLike", 15, kNew, 2, 2, 1, CastLikeShape, FoldCast, nullptr},
    {"Ceil", 6, kNew, 1, 1, 1, SameShape, FoldUnary, nullptr},
    {"Celu", 12, kNew, 1, 1, 1, SameShape, nullptr, nullptr},
    {"Clip", 6, kNew, 1, 3, 1, SameShape, nullptr, nullptr},
    {"Concat", 4, kNew, 1, kAnyNumber, 1, ConcatShape, FoldConcat, nullptr, kMoves},
    {"Constant", 1, kNew, 0, 0, 1, ConstantShape, FoldConstant, nullptr},
    {"ConstantOfShape", 9, kNew, 1, 1, 1, ConstantOfShapeShape, FoldConstantOfShape, nullptr},
    {"Conv", 1, kNew, 2, 3, 1, ConvShape, nullptr, ConvMacs},
    {"ConvTranspose", 1, kNew, 2, 3, 1, ConvTransposeShape, nullptr, ConvTransposeMacs},
    {"Cos", 7, kNew, 1, 1, 1, SameShape, FoldUnary, nullptr},
    {"CumSum", 11, kNew, 2, 2, 1, CumSumShape, nullptr, nullptr},
    {"DepthToSpace", 1, kNew, 1, 1, 1, DepthToSpaceShape, nullptr, nullptr, kMoves},
    {"DequantizeLinear", 10, kNew, 2, 3, 1, DequantizeShape, nullptr, nullptr},
    {"Div", 7, kNew, 2, 2, 1, BroadcastShape, FoldBinary, nullptr},
    {"Dropout", 7, kNew, 1, 3, 2, DropoutShape, nullptr, nullptr, kMoves},
    {"Einsum", 12, kNew, 1, kAnyNumber, 1, EinsumShape, nullptr, EinsumMacs},
    {"Elu", 6, kNew, 1, 1, 1, SameShape, nullptr, nullptr},
    {"Equal", 7, kNew, 2, 2, 1, CompareShape, FoldBinary, nullptr},
    {"Erf", 9, kNew, 1, 1, 1, SameShape, FoldUnary, nullptr},
    {"Exp", 6, kNew, 1, 1, 1, SameShape, FoldUnary, nullptr},
    {"Expand", 8, kNew, 2, 2, 1, ExpandShape, FoldExpand, nullptr, kMoves},
    {"Flatten", 1, kNew, 1, 1, 1, FlattenShape, FoldView, nullptr, kMoves},
    {"Floor", 6, kNew, 1, 1, 1, SameShape, FoldUnary, nullptr},
    {"Gather", 1, kNew, 2, 2, 1, GatherShape, FoldGather, nullptr, kMoves},
    {"GatherElements", 11, kNew, 2, 2, 1, GatherElementsShape, nullptr, nullptr, kMoves},
    {"GatherND", 11, kNew, 2, 2, 1, GatherNdShape, nullptr, nullptr, kMoves},
    {"Gelu", 20, kNew, 1, 1, 1, SameShape, nullptr, nullptr},
    {"Gemm", 7, kNew, 2, 3, 1, GemmShape, nullptr, GemmMacs},
    {"GlobalAveragePool", 1, kNew, 1, 1, 1, GlobalPoolShape, nullptr, nullptr},
    {"GlobalMaxPool", 1, kNew, 1, 1, 1, GlobalPoolShape, nullptr, nullptr},
    {"Greater", 7, kNew, 2, 2, 1, CompareShape, FoldBinary, nullptr},
    {"GreaterOrEqual", 12, kNew, 2, 2, 1, CompareShape, FoldBinary, nullptr},
    {"GroupNormalization", 18, kNew, 3, 3, 1, GroupNormalizationShape, nullptr, nullptr},
    {"HardSigmoid", 6, kNew, 1, 1, 1, SameShape, nullptr, nullptr},
    {"HardSwish", 14, kNew, 1, 1, 1, SameShape, nullptr, nullptr},
    {"Identity", 1, kNew, 1, 1, 1, SameShape, FoldView, nullptr, kMoves},
    {"InstanceNormalization", 6, kNew, 3, 3, 1, InstanceNormalizationShape, nullptr, nullptr},
    {"IsInf", 10, kNew, 1, 1, 1, SameShapeBool, nullptr, nullptr},
    {"IsNaN", 9, kNew, 1, 1, 1, SameShapeBool, nullptr, nullptr},
    {"LayerNormalization", 17, kNew, 2, 3, 3, LayerNormalizationShape, nullptr, nullptr},
    {"LeakyRelu", 6, kNew, 1, 1, 1, SameShape, nullptr, nullptr},
    {"Less", 7, kNew, 2, 2, 1, CompareShape, FoldBinary, nullptr},
    {"LessOrEqual", 12, kNew, 2, 2, 1, CompareShape, FoldBinary, nullptr},
    {"Log", 6, kNew, 1, 1, 1, SameShape, FoldUnary, nullptr},
    {"LogSoftmax", 1, kNew, 1, 1, 1, SoftmaxShape, nullptr, nullptr},
    {"MatMul", 1, kNew, 2, 2, 1, MatMulShape, nullptr, MatMulMacs},
    {"Max", 8, kNew, 1, kAnyNumber, 1, BroadcastShape, FoldBinary, nullptr},
    {"MaxPool", 1, kNew, 1, 1, 2, PoolShape, nullptr, nullptr, kMoves},
    {"Mean", 8, kNew, 1, kAnyNumber, 1, BroadcastShape, nullptr, nullptr},
    {"Min", 8, kNew, 1, kAnyNumber, 1, BroadcastShape, FoldBinary, nullptr},
    {"Mish", 18, kNew, 1, 1, 1, SameShape, nullptr, nullptr},
    {"Mod", 10, kNew, 2, 2, 1, BroadcastShape, FoldBinary, nullptr},
    {"Mul", 7, kNew, 2, 2, 1, BroadcastShape, FoldBinary, nullptr},
    {"Neg", 6, kNew, 1, 1, 1, SameShape, FoldUnary, nullptr},
    {"NonZero", 9, kNew, 1, 1, 1, NonZeroShape, FoldNonZero, nullptr},
    {"Not", 1, kNew, 1, 1, 1, SameShapeBool, FoldUnary, nullptr},
    {"OneHot", 9, kNew, 3, 3, 1, OneHotShape, nullptr, nullptr},
    {"Or", 7, kNew, 2, 2, 1, CompareShape, FoldBinary, nullptr},
    {"PRelu", 7, kNew, 2, 2, 1, PReluShape, nullptr, nullptr},
    {"Pad", 2, kNew, 1, 4, 1, PadShape, nullptr, nullptr, kMoves},
    {"Pow", 7, kNew, 2, 2, 1, BroadcastShape, FoldBinary, nullptr},
    {"QuantizeLinear", 10, kNew, 2, 3, 1, QuantizeShape, nullptr, nullptr},
    {"Range", 11, kNew, 3, 3, 1, RangeShape, FoldRange, nullptr},
    {"Reciprocal", 6, kNew, 1, 1, 1, SameShape, FoldUnary, nullptr},
    {"ReduceL1", 1, kNew, 1, 2, 1, ReduceShape, nullptr, nullptr},
    {"ReduceL2", 1, kNew, 1, 2, 1, ReduceShape, nullptr, nullptr},
    {"ReduceLogSum", 1, kNew, 1, 2, 1, ReduceShape, nullptr, nullptr},
    {"ReduceLogSumExp", 1, kNew, 1, 2, 1, ReduceShape, nullptr, nullptr},
    {"ReduceMax", 1, kNew, 1, 2, 1, ReduceShape, FoldReduce, nullptr},
    {"ReduceMean", 1, kNew, 1, 2, 1, ReduceShape, nullptr, nullptr},
    {"ReduceMin", 1, kNew, 1, 2, 1, ReduceShape, FoldReduce, nullptr},
    {"ReduceProd", 1, kNew, 1, 2, 1, ReduceShape, FoldReduce, nullptr},
    {"ReduceSum", 1, kNew, 1, 2, 1, ReduceShape, FoldReduce, nullptr},
    {"ReduceSumSquare", 1, kNew, 1, 2, 1, ReduceShape, nullptr, nullptr},
    {"Relu", 6, kNew, 1, 1, 1, SameShape, FoldUnary, nullptr},
    {"Reshape", 5, kNew, 2, 2, 1, ReshapeShape, FoldView, nullptr, kMoves},
    {"Resize", 10, kNew, 1, 4, 1, ResizeShape, nullptr, nullptr},
    {"Round", 11, kNew, 1, 1, 1, SameShape, FoldUnary, nullptr},
    {"Selu", 6, kNew, 1, 1, 1, SameShape, nullptr, nullptr},
    {"Shape", 1, kNew, 1, 1, 1, ShapeShape, FoldShape, nullptr},
    {"Sigmoid", 6, kNew, 1, 1, 1, SameShape, nullptr, nullptr},
    {"Sign", 9, kNew, 1, 1, 1, SameShape, FoldUnary, nullptr},
    {"Sin", 7, kNew, 1, 1, 1, SameShape, FoldUnary, nullptr},
    {"Size", 1, kNew, 1, 1, 1, SizeShape, FoldSize, nullptr},
    {"Slice", 1, kNew, 1, 5, 1, SliceShape, FoldSlice, nullptr, kMoves},
    {"Softmax", 1, kNew, 1, 1, 1, SoftmaxShape, nullptr, nullptr},
    {"Softplus", 1, kNew, 1, 1, 1, SameShape, nullptr, nullptr},
    {"Softsign", 1, kNew, 1, 1, 1, SameShape, nullptr, nullptr},
    {"SpaceToDepth", 1, kNew, 1, 1, 1, SpaceToDepthShape, nullptr, nullptr, kMoves},
    {"Split", 2, kNew, 1, 2, kAnyNumber, SplitShape, FoldSplit, nullptr, kMoves},
    {"Sqrt", 6, kNew, 1, 1, 1, SameShape, FoldUnary, nullptr},
    {"Squeeze", 1, kNew, 1, 2, 1, SqueezeShape, FoldView, nullptr, kMoves},
    {"Sub", 7, kNew, 2, 2, 1, BroadcastShape, FoldBinary, nullptr},
    {"Sum", 8, kNew, 1, kAnyNumber, 1, BroadcastShape, FoldBinary, nullptr},
    {"Tanh", 6, kNew, 1, 1, 1, SameShape, FoldUnary, nullptr},
    {"ThresholdedRelu", 10, kNew, 1, 1, 1, SameShape, nullptr, nullptr},
    {"Tile", 6, kNew, 2, 2, 1, TileShape, FoldTile, nullptr, kMoves},
    {"TopK", 1, kNew, 1, 2, 2, TopKShape, nullptr, nullptr},
    {"Transpose", 1, kNew, 1, 1, 1, TransposeShape, FoldTranspose, nullptr, kMoves},
    {"Trilu", 14, kNew, 1, 2, 1, SameShape, nullptr, nullptr},
    {"Unsqueeze", 1, kNew, 1, 2, 1, UnsqueezeShape, FoldView, nullptr, kMoves},
    {"Upsample", 7, 9, 1, 2, 1, UpsampleShape, nullptr, nullptr},
    {"Where", 9, kNew, 3, 3, 1, WhereShape, FoldWhere, nullptr},
    {"Xor", 7, kNew, 2, 2, 1, CompareShape, FoldBinary, nullptr},
};

Error Unsupported(const Node& node, std::int64_t opset, const std::string& message,
                  const std::string& hint) {
  const std::string domain = node.domain.empty() ? "" : node.domain + ".";
  Error error(ErrorId::kOperatorUnsupported,
              "operator " + domain + node.op + " (opset " + std::to_string(opset) + ") " + message);
  error.Key(node.id).Hint(hint);
  return error;
}

}  // namespace

std::span<const OperatorInfo> Operators() { return kOperators; }

const OperatorInfo* FindOperator(std::string_view domain, std::string_view op) {
  if (!domain.empty() && domain != "ai.onnx") return nullptr;
  const auto found = std::lower_bound(
      std::begin(kOperators), std::end(kOperators), op,
      [](const OperatorInfo& row, std::string_view name) { return row.name < name; });
  return found != std::end(kOperators) && found->name == op ? &*found : nullptr;
}

const OperatorInfo& RequireOperator(const Node& node, std::int64_t opset) {
  const OperatorInfo* row = FindOperator(node.domain, node.op);
  if (row == nullptr) {
    throw Unsupported(node, opset, "is not known",
                      "docs/ARCHITECTURE.md lists the known operators; replace it in the exported "
                      "model, or add a row to space/graph/operators.cc and to space/network");
  }
  if (opset < row->first_opset || opset > row->last_opset) {
    throw Unsupported(node, opset,
                      "is defined for opsets " + std::to_string(row->first_opset) + " to " +
                          std::to_string(row->last_opset),
                      "export the model again with an opset that has this operator");
  }
  const auto inputs = static_cast<int>(node.inputs.size());
  if (inputs < row->min_inputs || inputs > row->max_inputs) {
    const std::string most =
        row->max_inputs == kAnyNumber ? "any number" : std::to_string(row->max_inputs);
    throw Unsupported(node, opset,
                      "has " + std::to_string(inputs) + " inputs, allowed " +
                          std::to_string(row->min_inputs) + " to " + most,
                      "the model file is damaged or was written by a faulty exporter");
  }
  if (static_cast<int>(node.outputs.size()) > row->max_outputs) {
    throw Unsupported(node, opset,
                      "has " + std::to_string(node.outputs.size()) + " outputs, allowed at most " +
                          std::to_string(row->max_outputs),
                      "the model file is damaged or was written by a faulty exporter");
  }
  return *row;
}

}  // namespace bitsearch
