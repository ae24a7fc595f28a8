// Cells between bars.
#include "experiments/benchmarks/solver_benchmark/table.h"

#include <fmt/format.h>

#include <cstdio>

namespace bitsearch {

void PrintHeading(const std::string& text) {
  fmt::print("\n### {}\n\n", text);
  std::fflush(stdout);
}

void PrintHeader(const std::vector<std::string>& cells) {
  PrintRow(cells);
  PrintRow(std::vector<std::string>(cells.size(), "---"));
}

void PrintRow(const std::vector<std::string>& cells) {
  fmt::print("|");
  for (const std::string& cell : cells) fmt::print(" {} |", cell);
  fmt::print("\n");
  std::fflush(stdout);
}

std::string TimeText(double seconds) {
  if (seconds < 0.001) return fmt::format("{:.0f} µs", seconds * 1e6);
  if (seconds < 1.0) return fmt::format("{:.3g} ms", seconds * 1e3);
  return fmt::format("{:.3g} s", seconds);
}

}  // namespace bitsearch
