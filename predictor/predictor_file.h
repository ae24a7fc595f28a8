#pragma once
// The predictor file (.bspred): versioned, checksummed, self-describing. Reading never yields a
// half-read model: a truncated or altered file is refused.
//
// Layout, little-endian: 8 bytes "BSPRED\r\n"; uint32 version; uint32 0; uint64 size of the whole
// file; uint64 size of the header; the header (JSON: space, features, networks, costs, training);
// zeros up to a multiple of 64; float32 arrays, row after row; SHA-256 of everything before it.

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "predictor/predictor.h"

namespace bitsearch {

/// The version that is written. Version 1 (one network, no costs) is migrated when read.
inline constexpr std::uint32_t kPredictorFileVersion = 2;

/// The file's bytes. Equal models give equal bytes.
std::string SerializePredictor(const PredictorModel& model);
/// Writes a file atomically. Throws Error(kFileWrite), or as PredictorModel::Validate.
void WritePredictor(const std::filesystem::path& path, const PredictorModel& model);

/// Reads bytes; `name` stands for the file in messages. Throws Error(kPredictorVersion) for a newer
/// version, Error(kPredictorFile) for anything truncated, altered or malformed.
PredictorModel ParsePredictor(std::span<const std::byte> bytes, const std::string& name);
/// Reads a file. Throws also Error(kFileNotFound).
PredictorModel ReadPredictor(const std::filesystem::path& path);

/// The description of a model as JSON text (what the header holds, without array positions): name,
/// genes, features, layers, costs' hash, training range and facts.
std::string DescribePredictor(const PredictorModel& model);
/// SHA-256 over the model's costs; "" where it has none.
std::string CostTableHash(const PredictorModel& model);

}  // namespace bitsearch
