#pragma once
// `--data SPEC --mean … --std … --samples N`, the same for every command that reads images.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "space/network/dataset.h"

namespace bitsearch {

/// Normalisation is shared by all data of a command; see DataSpec.
struct NormalisationOptions {
  std::vector<float> mean = {0.0F};
  std::vector<float> std = {1.0F};
};
void AddNormalisationOptions(CLI::App& command, NormalisationOptions& options);

/// Reads `samples` records (−1: all) of `spec` ("cifar10:FILE", "idx:IMAGES,LABELS", "npy:X[,Y]")
/// from record `first` on.
Dataset LoadData(const std::string& spec, const NormalisationOptions& normalisation,
                 std::int64_t samples, std::int64_t first = 0);

}  // namespace bitsearch
