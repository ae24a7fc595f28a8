// The text form of traces.
#include <charconv>
#include <cmath>

#include "sensitivity/traces.h"

namespace bitsearch {
namespace {

// The fewest digits that read back equal; an unknown error is an empty cell.
std::string Digits(double value) {
  if (std::isnan(value)) return "";
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return {text, end};
}

}  // namespace

std::string TraceCsv(std::span<const TraceEstimate> traces, std::span<const std::string> names,
                     std::span<const std::pair<std::string, std::string>> notes) {
  std::string text;
  for (const auto& [key, value] : notes) text += "# " + key + ": " + value + "\n";
  text += "layer,parameters,trace,standard_error,probes\n";
  for (const TraceEstimate& row : traces) {
    text += names[row.layer.value] + "," + std::to_string(row.elements) + "," + Digits(row.trace) +
            "," + Digits(row.probe_standard_error) + "," + std::to_string(row.probes) + "\n";
  }
  return text;
}

}  // namespace bitsearch
