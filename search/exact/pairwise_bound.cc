// The problem's losses in doubles around 1.
#include "search/exact/pairwise_bound.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace bitsearch {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double LossScaleOf(const ReducedProblem& problem) {
  double total = 0.0;
  double terms = 1.0;
  for (const ReducedDecision& decision : problem.decisions) {
    for (std::int64_t value : decision.loss) total += std::abs(static_cast<double>(value));
    terms += static_cast<double>(decision.count);
  }
  for (const ReducedPair& pair : problem.pairs) {
    for (std::int64_t value : pair.loss) total += std::abs(static_cast<double>(value));
    terms += static_cast<double>(pair.loss.size());
  }
  return std::max(1.0, total / terms);
}

}  // namespace

PairwiseBound PlainBound(const ReducedProblem& problem) {
  PairwiseBound bound;
  bound.decisions = problem.decisions.size();
  bound.scale = LossScaleOf(problem);
  for (const ReducedDecision& decision : problem.decisions) {
    bound.count.push_back(decision.count);
    std::vector<double> row;
    for (std::int64_t value : decision.loss)
      row.push_back(static_cast<double>(value) / bound.scale);
    bound.unary.push_back(std::move(row));
  }
  bound.pair.resize(bound.decisions * bound.decisions);
  double size = 0.0;
  for (const ReducedPair& pair : problem.pairs) {
    std::vector<double>& matrix = bound.pair[pair.first * bound.decisions + pair.second];
    for (std::size_t e = 0; e < pair.loss.size(); ++e) {
      const bool forbidden = !pair.forbidden.empty() && pair.forbidden[e];
      matrix.push_back(forbidden ? kInfinity : static_cast<double>(pair.loss[e]) / bound.scale);
      if (!forbidden) size = std::max(size, std::abs(matrix.back()));
    }
  }
  bound.margin =
      1e-14 * size * static_cast<double>(problem.pairs.size() + problem.decisions.size());
  return bound;
}

}  // namespace bitsearch
