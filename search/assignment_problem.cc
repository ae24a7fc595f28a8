// Checks an AssignmentProblem and adds up configurations, always in the same order.
// Independent of every solver: it is what their answers are held to.
#include "search/assignment_problem.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include <fmt/format.h>

#include "space/support/error.h"

namespace bitsearch {
namespace {

[[noreturn]] void Fail(const std::string& what) {
  throw Error(ErrorId::kProblemInvalid, what)
      .Hint("correct the tables; where numbers are too large, use a larger unit");
}

/// Totals must stay far from overflow in sums, differences and shifted limits.
constexpr double kLargestTotal = 4.0e18;

class Validator {
 public:
  explicit Validator(const AssignmentProblem& problem) : problem_(problem) {}

  void Run() {
    CheckLosses();
    for (const Resource& resource : problem_.resources) CheckResource(resource);
    for (const PairTerm& pair : problem_.pairs) CheckPair(pair);
    CheckLossTotal();
    for (const Tie& tie : problem_.ties) CheckTie(tie);
    CheckPins();
    CheckTotals();
  }

 private:
  void CheckLosses() {
    for (std::size_t l = 0; l < problem_.loss.size(); ++l) {
      if (problem_.loss[l].empty()) Fail(fmt::format("layer {} has no choices", l));
      if (problem_.loss[l].size() > 65535) {
        Fail(fmt::format("layer {} has {} choices, at most 65535", l, problem_.loss[l].size()));
      }
      for (double value : problem_.loss[l]) {
        if (!std::isfinite(value)) Fail(fmt::format("layer {} has a loss that is not finite", l));
      }
      loss_total_ += LargestLoss(problem_.loss[l]);
    }
  }

  void CheckLossTotal() {
    if (loss_total_ <= AssignmentProblem::kLargestLossTotal) return;
    Fail(fmt::format("the losses could add up to {:.3g}, allowed {:g} in size", loss_total_,
                     AssignmentProblem::kLargestLossTotal));
  }

  void CheckResource(const Resource& resource) {
    double total = std::abs(static_cast<double>(resource.fixed));
    if (resource.is_peak()) {
      if (resource.fixed != 0) Fail("peak resource '" + resource.name + "' has a fixed part");
      for (const Cut& cut : resource.cuts) CheckCut(resource, cut);
    } else {
      if (resource.cost.size() != problem_.layer_count()) {
        Fail(fmt::format("resource '{}' has {} layers, the problem {}", resource.name,
                         resource.cost.size(), problem_.layer_count()));
      }
      for (std::size_t l = 0; l < resource.cost.size(); ++l) {
        CheckRow(resource, resource.cost[l], LayerIndex(l));
        total += Largest(resource.cost[l]);
      }
    }
    totals_.push_back(total);
    if (resource.limit && std::abs(static_cast<double>(*resource.limit)) > kLargestTotal) {
      Fail("the limit of '" + resource.name + "' leaves the range of resources (4e18)");
    }
  }

  void CheckCut(const Resource& resource, const Cut& cut) {
    double total = 0.0;
    std::vector<std::size_t> seen;
    for (const CutMember& member : cut.members) {
      if (member.layer.value >= problem_.layer_count()) Fail("cut '" + cut.name + "': no such layer");
      CheckRow(resource, member.cost, member.layer);
      for (std::int64_t value : member.cost) {
        if (value < 0) Fail("cut '" + cut.name + "' has a negative cost");
      }
      if (std::find(seen.begin(), seen.end(), member.layer.value) != seen.end()) {
        Fail(fmt::format("cut '{}' holds layer {} twice", cut.name, member.layer.value));
      }
      seen.push_back(member.layer.value);
      total += Largest(member.cost);
    }
    if (total > kLargestTotal) Fail("cut '" + cut.name + "' leaves the range of resources (4e18)");
  }

  void CheckRow(const Resource& resource, const std::vector<std::int64_t>& row, LayerIndex layer) {
    if (row.size() != problem_.choice_count(layer)) {
      Fail(fmt::format("resource '{}' has {} choices at layer {}, the losses {}", resource.name,
                       row.size(), layer.value, problem_.choice_count(layer)));
    }
  }

  void CheckPair(const PairTerm& pair) {
    if (pair.first.value >= problem_.layer_count() || pair.second.value >= problem_.layer_count()) {
      Fail("a pair term names a layer that does not exist");
    }
    if (pair.first == pair.second) {
      Fail(fmt::format("a pair term joins layer {} to itself", pair.first.value));
    }
    const std::size_t size =
        problem_.choice_count(pair.first) * problem_.choice_count(pair.second);
    const std::string place =
        fmt::format("the pair term of layers {} and {}", pair.first.value, pair.second.value);
    if (!pair.loss.empty() && pair.loss.size() != size) Fail(place + " has the wrong size");
    for (double value : pair.loss) {
      if (!std::isfinite(value)) Fail(place + " has a loss that is not finite");
    }
    loss_total_ += LargestLoss(pair.loss);
    for (const auto& [resource, cost] : pair.cost) {
      if (resource.value >= problem_.resources.size()) Fail(place + " names no resource");
      if (problem_.resources[resource.value].is_peak()) Fail(place + " adds to a peak resource");
      if (cost.size() != size) Fail(place + " has the wrong size");
      totals_[resource.value] += Largest(cost);
    }
  }

  void CheckTie(const Tie& tie) {
    if (tie.layers.size() != tie.label.size()) Fail("tie '" + tie.name + "' lacks labels");
    for (std::size_t i = 0; i < tie.layers.size(); ++i) {
      if (tie.layers[i].value >= problem_.layer_count()) Fail("tie '" + tie.name + "': no such layer");
      if (tie.label[i].size() != problem_.choice_count(tie.layers[i])) {
        Fail("tie '" + tie.name + "' has the wrong number of labels");
      }
    }
  }

  void CheckPins() {
    if (problem_.pins.empty()) return;
    if (problem_.pins.size() != problem_.layer_count()) Fail("pins must be one per layer or none");
    for (std::size_t l = 0; l < problem_.pins.size(); ++l) {
      if (problem_.pins[l] && problem_.pins[l]->value >= problem_.loss[l].size()) {
        Fail(fmt::format("layer {} is pinned to a choice that does not exist", l));
      }
    }
  }

  void CheckTotals() {
    for (std::size_t r = 0; r < totals_.size(); ++r) {
      if (totals_[r] > kLargestTotal) {
        Fail("resource '" + problem_.resources[r].name + "' could add up to more than 4e18");
      }
    }
  }

  static double LargestLoss(const std::vector<double>& row) {
    double largest = 0.0;
    for (double value : row) largest = std::max(largest, std::abs(value));
    return largest;
  }

  static double Largest(const std::vector<std::int64_t>& row) {
    double largest = 0.0;
    for (std::int64_t value : row) {
      largest = std::max(largest, std::abs(static_cast<double>(value)));
    }
    return largest;
  }

  const AssignmentProblem& problem_;
  double loss_total_ = 0.0;
  std::vector<double> totals_;
};

std::int64_t PeakOf(const Resource& resource, const std::vector<ChoiceIndex>& choice) {
  std::int64_t peak = 0;
  for (const Cut& cut : resource.cuts) {
    std::int64_t live = 0;
    for (const CutMember& member : cut.members) {
      live += member.cost[choice[member.layer.value].value];
    }
    peak = std::max(peak, live);
  }
  return peak;
}

}  // namespace

void AssignmentProblem::Validate() const { Validator(*this).Run(); }

Assessment AssignmentProblem::Assess(const std::vector<ChoiceIndex>& choice) const {
  Assessment result;
  for (std::size_t l = 0; l < loss.size(); ++l) result.objective += loss[l][choice[l].value];
  for (const Resource& resource : resources) {
    std::int64_t total = resource.fixed;
    if (resource.is_peak()) {
      total = PeakOf(resource, choice);
    } else {
      for (std::size_t l = 0; l < loss.size(); ++l) total += resource.cost[l][choice[l].value];
    }
    result.resources.push_back(total);
  }
  for (const PairTerm& pair : pairs) {
    const std::size_t at = choice[pair.first.value].value * choice_count(pair.second) +
                           choice[pair.second.value].value;
    if (!pair.loss.empty()) result.objective += pair.loss[at];
    for (const auto& [resource, cost] : pair.cost) result.resources[resource.value] += cost[at];
  }
  result.within_limits = true;
  for (std::size_t r = 0; r < resources.size(); ++r) {
    if (resources[r].limit && result.resources[r] > *resources[r].limit) {
      result.within_limits = false;
    }
  }
  result.keeps_ties = true;
  for (const Tie& tie : ties) {
    for (std::size_t i = 1; i < tie.layers.size(); ++i) {
      if (tie.label[i][choice[tie.layers[i].value].value] !=
          tie.label[0][choice[tie.layers[0].value].value]) {
        result.keeps_ties = false;
      }
    }
  }
  result.keeps_pins = true;
  for (std::size_t l = 0; l < pins.size(); ++l) {
    if (pins[l] && *pins[l] != choice[l]) result.keeps_pins = false;
  }
  return result;
}

}  // namespace bitsearch
