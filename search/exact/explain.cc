// Dual multipliers and one search per layer. Knows the label search, not the solvers.
#include "search/exact/explain.h"

#include <algorithm>
#include <limits>

#include "search/exact/label_search.h"
#include "search/exact/lagrangian.h"
#include "search/exact/layered_graph.h"
#include "search/exact/presolve.h"
#include "search/exact/reduced_limits.h"

namespace bitsearch {
namespace {

constexpr std::size_t kMostArcs = 300'000;
constexpr std::size_t kMostSearches = 128;
/// Labels at one level of one search, and of all searches together: explaining must not take much
/// longer than solving. Beyond, bounds take the place of exact increases.
constexpr std::int64_t kMostLabels = 2'000;
constexpr std::int64_t kLabelBudget = 2'000'000;

class Explainer {
 public:
  Explainer(const AssignmentProblem& problem, const Solution& solution,
            const std::function<bool()>& should_stop)
      : problem_(problem), solution_(solution), should_stop_(should_stop) {}

  Explanation Run() {
    reduced_ = Presolve(problem_, {.traded = {}, .allowed = {}, .keep_dominated = true});
    if (reduced_.infeasible ||
        !BuildLayeredGraph(reduced_, LevelOrder::kNatural, kMostArcs, &graph_)) {
      return {};
    }
    const Lagrangian relaxation(graph_, CapacitiesOf(reduced_));
    const DualResult dual = MaximizeDual(relaxation, 400);
    AddPrices(relaxation, dual);
    answered_.assign(problem_.layer_count(), 0);
    const bool few = problem_.layer_count() <= kMostSearches;
    for (std::size_t l = 0; few && l < problem_.layer_count(); ++l) {
      if (should_stop_() || labels_ > kLabelBudget) break;
      AddSearched(l);
    }
    AddReducedCosts(relaxation, dual);
    std::sort(explanation_.runner_ups.begin(), explanation_.runner_ups.end(),
              [](const RunnerUp& a, const RunnerUp& b) { return a.layer < b.layer; });
    return std::move(explanation_);
  }

 private:
  void AddPrices(const Lagrangian& relaxation, const DualResult& dual) {
    for (std::size_t r = 0; r < problem_.resources.size(); ++r) {
      if (!problem_.resources[r].limit) continue;
      ShadowPrice price;
      price.resource = ResourceIndex(r);
      if (problem_.resources[r].is_peak()) {
        price.loss_per_unit = PeakPrice(r);
      } else {
        for (std::size_t d = 0; d < reduced_.dims(); ++d) {
          if (reduced_.dimensions[d].resource != price.resource) continue;
          price.loss_per_unit = dual.multipliers[d] * relaxation.LossScale() /
                                relaxation.CostScale(d) * reduced_.grid.unit();
        }
      }
      explanation_.shadow_prices.push_back(price);
    }
  }

  double PeakPrice(std::size_t r) {
    AssignmentProblem relaxed = problem_;
    relaxed.resources[r].limit.reset();
    const Found best = Best(relaxed, {});
    if (best.choice.empty()) return 0.0;
    const Assessment assessment = problem_.Assess(best.choice);
    const std::int64_t more = assessment.resources[r] - *problem_.resources[r].limit;
    const double saved = solution_.objective - assessment.objective;
    return more > 0 && saved > 0.0 ? saved / static_cast<double>(more) : 0.0;
  }

  struct Found {
    bool proved = false;  ///< The choice is optimal, or (empty) there is none.
    double lower_bound = -std::numeric_limits<double>::infinity();
    std::vector<ChoiceIndex> choice;  ///< Empty: nothing was found.
  };

  /// The best configuration of `problem` under `options`.
  Found Best(const AssignmentProblem& problem, const PresolveOptions& options) {
    Found result;
    const ReducedProblem reduced = Presolve(problem, options);
    result.proved = reduced.infeasible;
    LayeredGraph graph;
    if (reduced.infeasible ||
        !BuildLayeredGraph(reduced, LevelOrder::kNatural, kMostArcs, &graph)) {
      return result;
    }
    LabelSearchSettings settings;
    settings.should_stop = should_stop_;
    settings.max_labels = kMostLabels;
    settings.branch = false;
    const LabelSearchResult found = LabelSearch(graph, CapacitiesOf(reduced), settings);
    labels_ += found.counters.labels;
    result.proved = found.proved;
    if (!found.found) return result;
    result.lower_bound = ObjectiveOf(reduced, found.lower_bound);
    result.choice = reduced.Expand(graph.ByDecision(found.by_level));
    return result;
  }

  void AddSearched(std::size_t layer) {
    if (problem_.choice_count(LayerIndex(layer)) < 2) return;
    if (!problem_.pins.empty() && problem_.pins[layer]) return;
    PresolveOptions options;
    for (const auto& row : problem_.loss) options.allowed.emplace_back(row.size(), 1);
    options.allowed[layer][solution_.choice[layer].value] = 0;
    const Found best = Best(problem_, options);
    answered_[layer] = best.proved || !best.choice.empty();
    if (best.choice.empty()) return;
    RunnerUp runner;
    runner.layer = LayerIndex(layer);
    runner.choice = best.choice[layer];
    const double objective =
        best.proved ? problem_.Assess(best.choice).objective : best.lower_bound;
    runner.loss_increase = std::max(0.0, objective - solution_.objective);
    runner.exact = best.proved && solution_.status == SolveStatus::kOptimal;
    explanation_.runner_ups.push_back(runner);
  }

  /// Bounds from the relaxation: the least value of a path through each other choice.
  void AddReducedCosts(const Lagrangian& relaxation, const DualResult& dual) {
    const auto to_go = relaxation.ToGo(dual.multipliers);
    const auto from_start = relaxation.FromStart(dual.multipliers);
    const double credit = relaxation.Credit(dual.multipliers);
    for (std::size_t k = 0; k < graph_.levels.size(); ++k) {
      const LayeredLevel& level = graph_.levels[k];
      const ReducedDecision& decision = reduced_.decisions[level.decision];
      std::vector<double> through(decision.count, std::numeric_limits<double>::infinity());
      for (std::size_t a = 0; a < level.arcs.size(); ++a) {
        const LayeredArc& arc = level.arcs[a];
        double value = from_start[k][arc.from] + relaxation.arc_loss(k, a);
        for (std::size_t d = 0; d < graph_.dims; ++d) {
          value += dual.multipliers[d] * relaxation.arc_cost(k, a, d);
        }
        value += to_go[k + 1][arc.to] - credit;
        through[arc.choice] = std::min(through[arc.choice], value);
      }
      for (std::size_t i = 0; i < decision.layers.size(); ++i)
        AddBound(relaxation, decision, i, through);
    }
  }

  /// Adds the cheapest other choice of a layer that no search has answered for.
  void AddBound(const Lagrangian& relaxation, const ReducedDecision& decision, std::size_t i,
                const std::vector<double>& through) {
    const std::size_t layer = decision.layers[i].value;
    if (answered_[layer]) return;
    RunnerUp runner;
    runner.layer = LayerIndex(layer);
    runner.loss_increase = std::numeric_limits<double>::infinity();
    for (std::size_t c = 0; c < decision.count; ++c) {
      const std::size_t original = decision.original[c * decision.layers.size() + i];
      if (original == solution_.choice[layer].value || through[c] >= runner.loss_increase) continue;
      runner.loss_increase = through[c];
      runner.choice = ChoiceIndex(original);
    }
    if (runner.loss_increase == std::numeric_limits<double>::infinity()) return;
    const double objective = ObjectiveOf(reduced_, runner.loss_increase * relaxation.LossScale());
    runner.loss_increase = std::max(0.0, objective - solution_.objective);
    explanation_.runner_ups.push_back(runner);
  }

  const AssignmentProblem& problem_;
  const Solution& solution_;
  const std::function<bool()>& should_stop_;
  ReducedProblem reduced_;
  LayeredGraph graph_;
  Explanation explanation_;
  std::vector<std::uint8_t> answered_;  // of each layer: a search has said all there is to say
  std::int64_t labels_ = 0;
};

}  // namespace

Explanation Explain(const AssignmentProblem& problem, const Solution& solution,
                    const std::function<bool()>& should_stop) {
  return Explainer(problem, solution, should_stop).Run();
}

}  // namespace bitsearch
