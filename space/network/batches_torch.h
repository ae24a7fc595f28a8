#pragma once
// Batches of a Dataset as tensors.

#include <span>

#include <torch/torch.h>

#include "space/network/dataset.h"

namespace bitsearch {

/// Records [first, first + count) normalised: N × C × H × W float32.
at::Tensor ImageBatch(const Dataset& data, std::int64_t first, std::int64_t count);
/// Their labels: N int64.
at::Tensor LabelBatch(const Dataset& data, std::int64_t first, std::int64_t count);

}  // namespace bitsearch
