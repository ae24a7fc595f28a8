#pragma once
// Declarations of the functions that operators.cc's table points to. Internal to space/graph.
// A shape function reads the inputs' facts and sets type and shape of the outputs; a fold function
// computes the outputs' values (called after the shape function; returns an empty list where it
// cannot); a MAC function counts multiply-accumulates from concrete shapes.

#include <cstdint>
#include <vector>

#include "space/graph/operator_context.h"

namespace bitsearch::ops {

/// a·b for extents; throws Error(kModelShape) on overflow.
std::int64_t Multiply(const OperatorContext& context, std::int64_t a, std::int64_t b);

// shapes_elementwise.cc
void SameShape(OperatorContext& context);       ///< Output like input 0.
void SameShapeBool(OperatorContext& context);   ///< Not, IsNaN, IsInf.
void BroadcastShape(OperatorContext& context);  ///< Any number of inputs; type of input 0.
void CompareShape(OperatorContext& context);    ///< Broadcast to bool.
void WhereShape(OperatorContext& context);
void PReluShape(OperatorContext& context);
void CastShape(OperatorContext& context);
void CastLikeShape(OperatorContext& context);
void DropoutShape(OperatorContext& context);
void QuantizeShape(OperatorContext& context);
void DequantizeShape(OperatorContext& context);

// shapes_normalization.cc
void BatchNormalizationShape(OperatorContext& context);
void InstanceNormalizationShape(OperatorContext& context);
void LayerNormalizationShape(OperatorContext& context);
void GroupNormalizationShape(OperatorContext& context);
void SoftmaxShape(OperatorContext& context);
void ReduceShape(OperatorContext& context);
void ArgReduceShape(OperatorContext& context);
void TopKShape(OperatorContext& context);
void CumSumShape(OperatorContext& context);

// shapes_convolution.cc
void ConvShape(OperatorContext& context);
void ConvTransposeShape(OperatorContext& context);
void PoolShape(OperatorContext& context);
void GlobalPoolShape(OperatorContext& context);
void ResizeShape(OperatorContext& context);
void UpsampleShape(OperatorContext& context);
std::int64_t ConvMacs(const OperatorContext& context);
std::int64_t ConvTransposeMacs(const OperatorContext& context);

// shapes_product.cc
void GemmShape(OperatorContext& context);
void MatMulShape(OperatorContext& context);
void EinsumShape(OperatorContext& context);
std::int64_t GemmMacs(const OperatorContext& context);
std::int64_t MatMulMacs(const OperatorContext& context);
std::int64_t EinsumMacs(const OperatorContext& context);

// shapes_layout.cc
void ReshapeShape(OperatorContext& context);
void FlattenShape(OperatorContext& context);
void SqueezeShape(OperatorContext& context);
void UnsqueezeShape(OperatorContext& context);
void TransposeShape(OperatorContext& context);
void DepthToSpaceShape(OperatorContext& context);
void SpaceToDepthShape(OperatorContext& context);
void ConcatShape(OperatorContext& context);
void SliceShape(OperatorContext& context);
void SplitShape(OperatorContext& context);
void PadShape(OperatorContext& context);
void ExpandShape(OperatorContext& context);
void TileShape(OperatorContext& context);

// shapes_indexing.cc
void GatherShape(OperatorContext& context);
void GatherElementsShape(OperatorContext& context);
void GatherNdShape(OperatorContext& context);
void ShapeShape(OperatorContext& context);
void SizeShape(OperatorContext& context);
void ConstantShape(OperatorContext& context);
void ConstantOfShapeShape(OperatorContext& context);
void RangeShape(OperatorContext& context);
void NonZeroShape(OperatorContext& context);
void OneHotShape(OperatorContext& context);
/// Value, type and shape of a Constant node; throws Error(kModelAttribute) for other forms.
TensorValue ConstantValue(const OperatorContext& context);

// folds_layout.cc: any element type of whole bytes
std::vector<TensorValue> FoldView(const OperatorContext& context);
std::vector<TensorValue> FoldTranspose(const OperatorContext& context);
std::vector<TensorValue> FoldSlice(const OperatorContext& context);
std::vector<TensorValue> FoldSplit(const OperatorContext& context);
std::vector<TensorValue> FoldConcat(const OperatorContext& context);
std::vector<TensorValue> FoldGather(const OperatorContext& context);
std::vector<TensorValue> FoldExpand(const OperatorContext& context);
std::vector<TensorValue> FoldTile(const OperatorContext& context);
std::vector<TensorValue> FoldShape(const OperatorContext& context);
std::vector<TensorValue> FoldSize(const OperatorContext& context);
std::vector<TensorValue> FoldConstant(const OperatorContext& context);
std::vector<TensorValue> FoldConstantOfShape(const OperatorContext& context);
std::vector<TensorValue> FoldNonZero(const OperatorContext& context);

// folds_arithmetic.cc: numbers; integers exactly, floats in float32
std::vector<TensorValue> FoldCast(const OperatorContext& context);
std::vector<TensorValue> FoldBinary(const OperatorContext& context);
std::vector<TensorValue> FoldUnary(const OperatorContext& context);
std::vector<TensorValue> FoldWhere(const OperatorContext& context);
std::vector<TensorValue> FoldRange(const OperatorContext& context);
std::vector<TensorValue> FoldReduce(const OperatorContext& context);

}  // namespace bitsearch::ops
