#pragma once
// Records and labels from NumPy's .npy files. Must not depend on LibTorch.

#include <filesystem>
#include <vector>

#include "space/network/dataset.h"

namespace bitsearch {

/// `paths`: the records, N × any shape of any number type that ParseNpy reads, and perhaps their
/// labels, N integers. uint8 records stay bytes. Throws Error: kFileNotFound, kArrayFormat,
/// kDataFormat (rank, empty, values that are not finite), kDataLabel (not integers, negative),
/// kDataCount (records and labels differ in number).
DataRecords ReadNpyRecords(const std::vector<std::filesystem::path>& paths);

}  // namespace bitsearch
