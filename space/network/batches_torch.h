#pragma once
// Batches of a Dataset as tensors.

#include <torch/torch.h>

#include <span>

#include "space/network/dataset.h"

namespace bitsearch {

/// Records [first, first + count) normalised: N × the record's shape, float32.
at::Tensor ImageBatch(const Dataset& data, std::int64_t first, std::int64_t count);
/// Their labels: N int64. Throws Error(kDataLabel) if there are none.
at::Tensor LabelBatch(const Dataset& data, std::int64_t first, std::int64_t count);

}  // namespace bitsearch
