// Formats the fixed columns.
#include "search/exact/solve_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

namespace bitsearch {

SolveLog::SolveLog(const RunContext& context, std::string_view solver)
    : context_(context), start_(std::chrono::steady_clock::now()) {
  context_.progress->Log(fmt::format("{:<14}{:>16}{:>16}{:>12}{:>12}{:>10}", solver, "best",
                                     "bound", "gap", "work", "time"));
}

void SolveLog::Line(std::string_view what, double best, double bound, std::int64_t work) {
  const auto number = [](double value) {
    return std::isfinite(value) ? fmt::format("{:.8g}", value) : std::string("-");
  };
  std::string gap = "-";
  if (std::isfinite(best) && std::isfinite(bound)) {
    gap = fmt::format("{:.2e}", std::max(0.0, best - bound) / std::max(std::abs(best), 1e-12));
  }
  context_.progress->Log(fmt::format("{:<14}{:>16}{:>16}{:>12}{:>12}{:>9.3f}s", what, number(best),
                                     number(bound), gap, work, Seconds()));
}

double SolveLog::Seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

}  // namespace bitsearch
