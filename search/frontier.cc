// The Frontier value: subsets by noise and by number. Computing one is exact/frontier_dp.cc's job.
#include "search/frontier.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "space/support/error.h"

namespace bitsearch {

bool FrontierOptions::IsValid(std::string* error) const {
  if (resources.empty()) {
    *error = "a frontier needs at least one resource";
  } else if (!(epsilon >= 0.0)) {
    *error = fmt::format("epsilon {} (allowed: 0 or more)", epsilon);
  } else if (max_points < 1) {
    *error = fmt::format("max_points {} (allowed: 1 or more)", max_points);
  } else {
    for (std::size_t i = 0; i < resources.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (resources[i] == resources[j]) {
          *error = "a frontier names a resource twice";
          return false;
        }
      }
    }
    return true;
  }
  return false;
}

Frontier::Frontier(std::vector<FrontierPoint> points, Decoder decoder, SolveStatus status,
                   double epsilon)
    : points_(std::move(points)),
      decoder_(std::move(decoder)),
      status_(status),
      epsilon_(epsilon) {}

Frontier Frontier::Subset(std::vector<std::size_t> indices) const {
  std::vector<FrontierPoint> points;
  points.reserve(indices.size());
  for (std::size_t index : indices) points.push_back(points_[index]);
  Decoder decoder = [indices = std::move(indices), inner = decoder_](std::size_t point) {
    return inner(indices[point]);
  };
  Frontier result(std::move(points), std::move(decoder), status_, epsilon_);
  result.labels = labels;
  result.message = message;
  result.conflicts = conflicts;
  result.feasible_limits = feasible_limits;
  return result;
}

Frontier DistinguishablePoints(const Frontier& frontier,
                               const std::vector<std::vector<double>>& standard_error) {
  std::vector<std::size_t> kept;
  std::vector<ChoiceIndex> last;
  for (std::size_t i = 0; i < frontier.points().size(); ++i) {
    const std::vector<ChoiceIndex> choice = frontier.Choice(i);
    if (!kept.empty()) {
      double variance = 0.0;
      for (std::size_t l = 0; l < choice.size(); ++l) {
        if (choice[l] == last[l]) continue;
        const double a = standard_error[l][choice[l].value];
        const double b = standard_error[l][last[l].value];
        variance += a * a + b * b;
      }
      const double gain = frontier.points()[kept.back()].objective - frontier.points()[i].objective;
      if (!(gain > std::sqrt(variance))) continue;
    }
    kept.push_back(i);
    last = choice;
  }
  return frontier.Subset(std::move(kept));
}

namespace {

/// Indices of `max_points` ≥ 2 of the more points, ascending.
std::vector<std::size_t> SpreadOverLosses(const std::vector<FrontierPoint>& points,
                                          std::size_t max_points) {
  // Equal steps on a scale of the loss: logarithmic where all losses are positive.
  std::vector<std::size_t> by_loss(points.size());
  for (std::size_t i = 0; i < by_loss.size(); ++i) by_loss[i] = i;
  std::stable_sort(by_loss.begin(), by_loss.end(), [&points](std::size_t a, std::size_t b) {
    return points[a].objective > points[b].objective;
  });
  const double least = points[by_loss.back()].objective;
  const double largest = points[by_loss.front()].objective;
  const bool logarithmic = least > 0.0;
  const auto scale = [logarithmic](double loss) { return logarithmic ? std::log(loss) : loss; };
  const double from = scale(largest);
  const double step = (scale(least) - from) / static_cast<double>(max_points - 1);
  std::vector<std::size_t> kept;
  std::size_t at = 0;
  for (std::size_t n = 0; n < max_points; ++n) {
    const double target = from + step * static_cast<double>(n);
    const std::size_t left = max_points - n;
    while (at + left < by_loss.size() && scale(points[by_loss[at]].objective) > target) ++at;
    kept.push_back(by_loss[at++]);
    if (n + 2 == max_points) at = by_loss.size() - 1;
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

}  // namespace

Frontier ThinnedTo(const Frontier& frontier, std::size_t max_points,
                   const std::vector<std::size_t>& always) {
  const std::vector<FrontierPoint>& points = frontier.points();
  if (points.size() <= max_points) return frontier;
  if (max_points == 0) return frontier.Subset({});
  if (max_points == 1) return frontier.Subset({points.size() - 1});
  const std::size_t room = max_points - std::min(max_points - 2, always.size());
  std::vector<std::size_t> kept = SpreadOverLosses(points, room);
  kept.insert(kept.end(), always.begin(),
              always.begin() + static_cast<std::ptrdiff_t>(max_points - room));
  std::sort(kept.begin(), kept.end());
  kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
  return frontier.Subset(std::move(kept));
}

}  // namespace bitsearch
