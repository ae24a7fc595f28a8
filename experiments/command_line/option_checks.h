#pragma once
// Checks for option values. CLI11 reads 010 as octal and "nan" as a number; these refuse both.
// Use as `command->add_option("--samples", samples, "…")->check(IntegerText(1, 1000000))`.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <limits>

namespace bitsearch {

/// Decimal digits only, no leading zero, within [min, max].
CLI::Validator IntegerText(std::int64_t min, std::int64_t max);
/// A finite number within [min, max].
CLI::Validator NumberText(double min = std::numeric_limits<double>::lowest(),
                          double max = std::numeric_limits<double>::max());

}  // namespace bitsearch
