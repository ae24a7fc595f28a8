#pragma once
// The parts of the page that are the same for every run; CMake makes them from the files in this
// folder and from the plotting library, D3.

#include <string_view>

namespace bitsearch {

extern const std::string_view kReportTemplate;
extern const std::string_view kReportStyle;
extern const std::string_view kReportScript;
/// D3; empty in a build without it: pages then hold tables only, and say so.
extern const std::string_view kReportPlots;

}  // namespace bitsearch
