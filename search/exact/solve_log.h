#pragma once
// The log of a solve: lines of fixed columns through the run's progress sink. No times in results;
// the log alone shows them.

#include <chrono>
#include <cstdint>
#include <string_view>

#include "space/support/run_context.h"

namespace bitsearch {

/// Writes a header once, then one line per event:
///     what        best          bound         gap       work      time
class SolveLog {
 public:
  SolveLog(const RunContext& context, std::string_view solver);
  /// `best` may be +∞ (nothing yet), `bound` −∞. `work` counts labels or nodes.
  void Line(std::string_view what, double best, double bound, std::int64_t work);
  double Seconds() const;

 private:
  const RunContext& context_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace bitsearch
