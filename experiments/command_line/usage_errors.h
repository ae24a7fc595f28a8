#pragma once
// CLI11's complaints in bitsearch's own form, with the nearest command or flag as a hint.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "space/support/error.h"

namespace bitsearch {

/// The Error(kUsage) for a failed parse of `arguments` (without the program's name).
Error UsageErrorOf(const CLI::App& app, const CLI::ParseError& failure,
                   const std::vector<std::string>& arguments);

}  // namespace bitsearch
