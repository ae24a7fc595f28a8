// Names and derived figures of a Solution.
#include "search/solution.h"

#include <algorithm>
#include <cmath>

namespace bitsearch {

std::string_view NameOf(SolveStatus status) {
  switch (status) {
    case SolveStatus::kOptimal: return "optimal";
    case SolveStatus::kFeasible: return "feasible";
    case SolveStatus::kInfeasible: return "infeasible";
    case SolveStatus::kInterrupted: return "interrupted";
  }
  return "interrupted";
}

double Solution::gap() const {
  if (!has_choice()) return std::numeric_limits<double>::infinity();
  return std::max(0.0, objective - lower_bound) / std::max(std::abs(objective), 1e-12);
}

}  // namespace bitsearch
