// Conversions between the reduced problem's integers and the user's numbers.
#include "search/exact/reduced_limits.h"

#include <algorithm>
#include <cmath>

namespace bitsearch {

std::vector<std::int64_t> CapacitiesOf(const ReducedProblem& reduced) {
  std::vector<std::int64_t> capacity;
  for (const ReducedDimension& dimension : reduced.dimensions) {
    capacity.push_back(dimension.capacity);
  }
  return capacity;
}

double ObjectiveOf(const ReducedProblem& reduced, double loss_units) {
  if (!std::isfinite(loss_units)) return loss_units;
  if (std::abs(loss_units) < 4e18) {
    const double whole = std::floor(loss_units);
    return reduced.grid.FromGrid(reduced.loss_offset + static_cast<std::int64_t>(whole)) +
           (loss_units - whole) * reduced.grid.unit();
  }
  return loss_units * reduced.grid.unit();
}

double GridError(const AssignmentProblem& problem, const ReducedProblem& reduced) {
  if (reduced.grid.exact()) return 0.0;
  return 0.5 * reduced.grid.unit() *
         static_cast<double>(problem.layer_count() + problem.pairs.size());
}

bool RefineGrid(const AssignmentProblem& problem, const Solution& solution, double allowed_gap,
                PresolveOptions* presolve) {
  std::vector<std::vector<std::uint8_t>> allowed = presolve->allowed;
  if (allowed.empty()) {
    for (const auto& row : problem.loss) allowed.emplace_back(row.size(), 1);
  }
  double floor = 0.0;
  double largest = 0.0;
  std::vector<double> least;
  for (std::size_t l = 0; l < problem.loss.size(); ++l) {
    double smallest = INFINITY;
    double row_largest = 0.0;
    for (std::size_t c = 0; c < problem.loss[l].size(); ++c) {
      if (!allowed[l][c]) continue;
      smallest = std::min(smallest, problem.loss[l][c]);
      row_largest = std::max(row_largest, std::abs(problem.loss[l][c]));
    }
    least.push_back(smallest);
    floor += smallest;
    largest += row_largest;
  }
  for (const PairTerm& pair : problem.pairs) {
    if (pair.loss.empty()) continue;
    floor += *std::min_element(pair.loss.begin(), pair.loss.end());
    double term_largest = 0.0;
    for (double value : pair.loss) term_largest = std::max(term_largest, std::abs(value));
    largest += term_largest;
  }
  const double room = solution.objective - floor;
  // Losses lie on a grid of about 1e-18 of `largest`; is that fine for the objective?
  const double terms = static_cast<double>(problem.layer_count() + problem.pairs.size());
  const double wanted = std::max({1e-12, 1e-3 * allowed_gap, 1e-3 * solution.gap()});
  if (largest * 1e-17 * terms <= wanted * std::max(std::abs(solution.objective), room)) {
    return false;
  }
  bool removed = false;
  for (std::size_t l = 0; l < problem.loss.size(); ++l) {
    for (std::size_t c = 0; c < problem.loss[l].size(); ++c) {
      if (allowed[l][c] && problem.loss[l][c] - least[l] > room * (1.0 + 1e-9)) {
        allowed[l][c] = 0;
        removed = true;
      }
    }
  }
  if (removed) presolve->allowed = std::move(allowed);
  return removed;
}

}  // namespace bitsearch
