#pragma once
// NAS-Bench-201 cells, float and quantized, as a problem of transfer (shared/data/nas201).

#include <filesystem>
#include <optional>

#include "predictor/training/transfer_curve.h"

namespace bitsearch {

/// Reads both files of the folder; nothing where they are absent. Edges that lie on no path from
/// the cell's input to its output become "none" and their bits inactive: they compute nothing.
/// Kinds of cheap measurement: accuracy after 200 and after 12 epochs. Pairs: one architecture,
/// mean bits within .25 (as recorded, all convolutions), more than 2 points apart. Reference: mean
/// bits.
std::optional<TransferProblem> ReadNas201(const std::filesystem::path& folder);

}  // namespace bitsearch
