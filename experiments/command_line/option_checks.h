#pragma once
// Checks for option values. CLI11 reads 010 as octal and "nan" as a number; these refuse both.
// Use as `command->add_option("--samples", samples, "…")->check(IntegerText(1, 1000000))`.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "space/choices/calibration_step.h"
#include "space/choices/placement.h"

namespace bitsearch {

/// Decimal digits only, no leading zero, within [min, max].
CLI::Validator IntegerText(std::int64_t min, std::int64_t max);
/// One of the names; the message suggests the nearest.
CLI::Validator NameText(std::vector<std::string> names);
/// A finite number within [min, max].
CLI::Validator NumberText(double min = std::numeric_limits<double>::lowest(),
                          double max = std::numeric_limits<double>::max());

/// The placement of `--placement TEXT`. Throws Error(kUsage) naming those that exist.
Placement PlacementNamed(const std::string& text);

/// The steps of `--calibration-steps TEXT`: names with commas, or "none". Throws Error(kUsage) for
/// an unknown step, and for an order that makes no sense.
std::vector<CalibrationStep> CalibrationStepsOf(const std::string& text);
/// What `--help` says of it.
std::string CalibrationStepsHelp();

/// Throws Error(kFileWrite) if no file can be made at `path`: before hours of work, not after.
/// An empty path asks for no file.
void RequireWritable(const std::filesystem::path& path);

}  // namespace bitsearch
