// Bisection over the predicted loss between the cheapest candidate known to pass and the dearest
// known to fail.
#include "search/goal/least_cost.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "space/support/error.h"

namespace bitsearch {
namespace {

void Check(const GoalCandidates& candidates, const LeastCostOptions& options) {
  const std::size_t count = candidates.cost.size();
  const auto fail = [](const std::string& what) {
    throw Error(ErrorId::kUsage, what).Hint("give the points of a frontier, cheapest first");
  };
  if (count == 0) fail("there are no candidates to measure");
  if (candidates.predicted_loss.size() != count) {
    fail(fmt::format("{} costs and {} predicted losses", count, candidates.predicted_loss.size()));
  }
  for (std::size_t i = 1; i < count; ++i) {
    if (!(candidates.cost[i] > candidates.cost[i - 1])) fail("costs do not ascend");
    if (!(candidates.predicted_loss[i] < candidates.predicted_loss[i - 1])) {
      fail("predicted losses do not fall");
    }
  }
  if (!(options.cost_tolerance >= 0.0 && options.cost_tolerance < 1.0) ||
      options.max_evaluations < 1) {
    fail("the tolerance of the cost must lie in [0, 1), and one evaluation must be allowed");
  }
}

class Walk {
 public:
  Walk(const GoalCandidates& candidates, const LeastCostOptions& options, GoalSplit search,
       const RunContext& context)
      : candidates_(candidates), options_(options), search_(search), context_(context) {}

  LeastCostResult Run() {
    const std::size_t dearest = candidates_.cost.size() - 1;
    if (Spent()) return std::move(result_);
    if (!Passes(dearest)) {
      result_.status = LeastCostStatus::kUnreachable;
      return std::move(result_);
    }
    result_.chosen = dearest;
    const bool done = options_.order == WalkOrder::kLinear ? GoDown() : Bisect();
    // The caller's confirmation turns this into kMet or kUnconfirmed.
    if (done) result_.status = LeastCostStatus::kUnconfirmed;
    return std::move(result_);
  }

 private:
  bool Spent() const {
    return context_.stop.StopRequested() ||
           static_cast<std::int64_t>(result_.measured.size()) >= options_.max_evaluations;
  }

  bool Passes(std::size_t index) {
    const BitConfig config = candidates_.config(index);
    const std::vector<Evaluation> evaluations = search_.evaluator.Evaluate({&config, 1});
    GoalMeasurement measured;
    measured.index = index;
    measured.drop = EstimateDrop(search_.reference, evaluations.front(), options_.confidence);
    measured.passed = measured.drop.upper_bound_percent <= options_.largest_drop_percent;
    result_.measured.push_back(measured);
    context_.progress->Log(
        fmt::format("candidate {} of {}: cost {:.6g}, drop {:.3f}, bound {:.3f} (limit {:.3f}): {}",
                    index + 1, candidates_.cost.size(), candidates_.cost[index],
                    measured.drop.drop_percent, measured.drop.upper_bound_percent,
                    options_.largest_drop_percent, measured.passed ? "within" : "too much"));
    return measured.passed;
  }

  bool GoDown() {
    while (*result_.chosen > 0) {
      if (Spent()) return false;
      if (!Passes(*result_.chosen - 1)) return true;
      --*result_.chosen;
    }
    return true;
  }

  bool Bisect() {
    if (*result_.chosen == 0) return true;
    if (Spent()) return false;
    // Often even the cheapest is good enough, and the bracket needs an end that fails.
    std::size_t failing = 0;
    if (Passes(0)) {
      result_.chosen = 0;
      return true;
    }
    while (*result_.chosen - failing > 1 &&
           candidates_.cost[failing] <
               (1.0 - options_.cost_tolerance) * candidates_.cost[*result_.chosen]) {
      if (Spent()) return false;
      const std::size_t middle = Middle(failing, *result_.chosen);
      if (Passes(middle)) {
        result_.chosen = middle;
      } else {
        failing = middle;
      }
    }
    return true;
  }

  /// The candidate whose predicted loss is nearest to half way, on a scale of logarithms where all
  /// are positive: drops follow losses, and most points of a frontier lie where losses hardly
  /// differ.
  std::size_t Middle(std::size_t failing, std::size_t passing) const {
    const std::vector<double>& loss = candidates_.predicted_loss;
    const bool logarithmic = loss[passing] > 0.0;
    const double target = logarithmic ? std::sqrt(loss[failing]) * std::sqrt(loss[passing])
                                      : 0.5 * (loss[failing] + loss[passing]);
    const auto first = loss.begin() + static_cast<std::ptrdiff_t>(failing) + 1;
    const auto last = loss.begin() + static_cast<std::ptrdiff_t>(passing);
    const auto at = std::partition_point(first, last, [&](double value) { return value > target; });
    if (at == last) return passing - 1;
    return static_cast<std::size_t>(at - loss.begin());
  }

  const GoalCandidates& candidates_;
  const LeastCostOptions& options_;
  GoalSplit search_;
  const RunContext& context_;
  LeastCostResult result_;
};

}  // namespace

LeastCostResult FindLeastCost(const GoalCandidates& candidates, const LeastCostOptions& options,
                              GoalSplit search, GoalSplit report, const RunContext& context) {
  Check(candidates, options);
  LeastCostResult result = Walk(candidates, options, search, context).Run();
  if (!result.chosen || context.stop.StopRequested()) return result;
  const BitConfig config = candidates.config(*result.chosen);
  const std::vector<Evaluation> evaluations = report.evaluator.Evaluate({&config, 1});
  result.confirmation = EstimateDrop(report.reference, evaluations.front(), options.confidence);
  if (result.status == LeastCostStatus::kUnconfirmed &&
      result.confirmation->upper_bound_percent <= options.largest_drop_percent) {
    result.status = LeastCostStatus::kMet;
  }
  return result;
}

}  // namespace bitsearch
