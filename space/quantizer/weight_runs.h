#pragma once
// A weight tensor as runs of elements that share a scale, whatever axis its channels lie on.
// Private to this folder.

#include <cstddef>
#include <span>
#include <vector>

#include "space/choices/quantization_spec.h"
#include "space/graph/tensor_value.h"
#include "space/quantizer/affine.h"

namespace bitsearch {

/// Weights gathered by output channel, so that all that share a scale lie side by side; `order[i]`
/// is the place in the tensor of gathered element i.
struct Gathered {
  std::vector<float> values;
  std::vector<std::size_t> order;
};

/// Elements of one output channel.
std::int64_t ChannelSize(const Shape& shape, int axis);

Gathered GatherByChannel(std::span<const float> weight, const Shape& shape, int axis);

/// The values back in the tensor's own order.
std::vector<float> Scattered(const Gathered& gathered);

/// Lengths of consecutive gathered runs that share a scale.
std::vector<std::size_t> Runs(const Shape& shape, int axis, const WeightQuantizerSpec& spec);

/// The same, for grids that are given. Throws Error(kInternal) if their number is another.
std::vector<std::size_t> RunsOf(std::span<const AffineGrid> grids, const Shape& shape, int axis,
                                const WeightQuantizerSpec& spec);

}  // namespace bitsearch
