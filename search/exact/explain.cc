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
constexpr std::int64_t kMostLabels = 20'000;

class Explainer {
 public:
  Explainer(const AssignmentProblem& problem, const Solution& solution,
            const std::function<bool()>& should_stop)
      : problem_(problem), solution_(solution), should_stop_(should_stop) {}

  Explanation Run() {
    reduced_ = Presolve(problem_, {});
    if (reduced_.infeasible ||
        !BuildLayeredGraph(reduced_, LevelOrder::kNatural, kMostArcs, &graph_)) {
      return {};
    }
    const Lagrangian relaxation(graph_, CapacitiesOf(reduced_));
    const DualResult dual = MaximizeDual(relaxation, 400);
    AddPrices(relaxation, dual);
    const bool few = problem_.layer_count() <= kMostSearches;
    if (few) {
      for (std::size_t l = 0; l < problem_.layer_count() && !should_stop_(); ++l) AddSearched(l);
    } else {
      AddReducedCosts(relaxation, dual);
    }
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

  double PeakPrice(std::size_t r) const {
    AssignmentProblem relaxed = problem_;
    relaxed.resources[r].limit.reset();
    const std::vector<ChoiceIndex> choice = Best(relaxed, {}, nullptr, nullptr);
    if (choice.empty()) return 0.0;
    const Assessment assessment = problem_.Assess(choice);
    const std::int64_t more = assessment.resources[r] - *problem_.resources[r].limit;
    const double saved = solution_.objective - assessment.objective;
    return more > 0 && saved > 0.0 ? saved / static_cast<double>(more) : 0.0;
  }

  /// The best configuration found under `options`; empty if none.
  std::vector<ChoiceIndex> Best(const AssignmentProblem& problem, const PresolveOptions& options,
                                bool* proved, double* lower_bound) const {
    const ReducedProblem reduced = Presolve(problem, options);
    LayeredGraph graph;
    if (reduced.infeasible ||
        !BuildLayeredGraph(reduced, LevelOrder::kNatural, kMostArcs, &graph)) {
      return {};
    }
    LabelSearchSettings settings;
    settings.should_stop = should_stop_;
    settings.max_labels = kMostLabels;
    const LabelSearchResult found = LabelSearch(graph, CapacitiesOf(reduced), settings);
    if (!found.found) return {};
    if (proved != nullptr) *proved = found.proved;
    if (lower_bound != nullptr) *lower_bound = ObjectiveOf(reduced, found.lower_bound);
    return reduced.Expand(graph.ByDecision(found.by_level));
  }

  void AddSearched(std::size_t layer) {
    if (problem_.choice_count(LayerIndex(layer)) < 2) return;
    if (!problem_.pins.empty() && problem_.pins[layer]) return;
    PresolveOptions options;
    for (const auto& row : problem_.loss) options.allowed.emplace_back(row.size(), 1);
    options.allowed[layer][solution_.choice[layer].value] = 0;
    bool proved = false;
    double lower_bound = 0.0;
    const std::vector<ChoiceIndex> choice = Best(problem_, options, &proved, &lower_bound);
    if (choice.empty()) return;
    RunnerUp runner;
    runner.layer = LayerIndex(layer);
    runner.choice = choice[layer];
    const double objective = proved ? problem_.Assess(choice).objective : lower_bound;
    runner.loss_increase = std::max(0.0, objective - solution_.objective);
    runner.exact = proved && solution_.status == SolveStatus::kOptimal;
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
      for (std::size_t i = 0; i < decision.layers.size(); ++i) AddBound(decision, i, through);
    }
    std::sort(explanation_.runner_ups.begin(), explanation_.runner_ups.end(),
              [](const RunnerUp& a, const RunnerUp& b) { return a.layer < b.layer; });
    for (RunnerUp& runner : explanation_.runner_ups) {
      const double objective =
          ObjectiveOf(reduced_, runner.loss_increase * relaxation.LossScale());
      runner.loss_increase = std::max(0.0, objective - solution_.objective);
    }
  }

  /// Adds the cheapest other choice of one layer; its increase is still a scaled bound.
  void AddBound(const ReducedDecision& decision, std::size_t i, const std::vector<double>& through) {
    const std::size_t layer = decision.layers[i].value;
    RunnerUp runner;
    runner.layer = LayerIndex(layer);
    runner.loss_increase = std::numeric_limits<double>::infinity();
    for (std::size_t c = 0; c < decision.count; ++c) {
      const std::size_t original = decision.original[c * decision.layers.size() + i];
      if (original == solution_.choice[layer].value || through[c] >= runner.loss_increase) continue;
      runner.loss_increase = through[c];
      runner.choice = ChoiceIndex(original);
    }
    if (runner.loss_increase < std::numeric_limits<double>::infinity()) {
      explanation_.runner_ups.push_back(runner);
    }
  }

  const AssignmentProblem& problem_;
  const Solution& solution_;
  const std::function<bool()>& should_stop_;
  ReducedProblem reduced_;
  LayeredGraph graph_;
  Explanation explanation_;
};

}  // namespace

Explanation Explain(const AssignmentProblem& problem, const Solution& solution,
                    const std::function<bool()>& should_stop) {
  return Explainer(problem, solution, should_stop).Run();
}

}  // namespace bitsearch
