#pragma once
// Tensors in files of their own: NumPy's .npy (float32 or float64, C order) and raw float32.

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "experiments/torch_backend.h"

namespace bitsearch {

/// "1,3,48,160" → {1, 3, 48, 160}. Throws Error(kUsage), keyed --shape, for anything else.
Shape ParseShape(const std::string& text);

/// `shape` ("1,3,48,160") is needed for raw files and must agree for .npy if given. Throws
/// Error(kArrayFormat) where the file is neither, or shape and size differ; Error(kFileNotFound).
FloatTensor ReadTensorFile(const std::filesystem::path& path, const std::string& shape);

/// Values of any shape; throws Error(kArrayFormat) unless there are `count`.
std::vector<float> ReadExpectedValues(const std::filesystem::path& path, std::size_t count);

}  // namespace bitsearch
