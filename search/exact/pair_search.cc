// Local search, a tree under the losses themselves, and then a tree of semidefinite relaxations:
// where a relaxation does not settle a subtree, it is split and relaxed again.
#include "search/exact/pair_search.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "search/exact/pair_incumbent.h"
#include "search/exact/pair_relaxation.h"
#include "search/exact/pair_tree.h"

namespace bitsearch {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// Nodes of the trees under one bound: the losses', the root relaxation's, another relaxation's.
/// The latter two go on as long as that pays.
constexpr std::int64_t kPlainNodes = 3000;
constexpr std::int64_t kRootNodes = 4000;
constexpr std::int64_t kSubtreeNodes = 1000;
/// Relaxations held for their children to start from; later ones start from the root's.
constexpr int kMostRelaxations = 60;

class Search {
 public:
  Search(const ReducedProblem& problem, const PairSearchSettings& settings)
      : problem_(problem),
        settings_(settings),
        scale_(PlainBound(problem).scale),
        incumbent_(problem, settings.seed, settings.should_stop) {}

  PairSearchResult Run() {
    incumbent_.LocalSearch(30);
    Report("local search");
    if (PlainTree()) return Finish(true);
    incumbent_.Anneal(4);
    Report("annealing");
    root_ = std::make_shared<PairRelaxation>(problem_);
    RelaxRoot();
    open_.push_back({bound_, 0, root_, PairTree::All(problem_)});
    while (!open_.empty() && !settings_.should_stop() && !GapReached()) {
      std::pop_heap(open_.begin(), open_.end());
      Node node = std::move(open_.back());
      open_.pop_back();
      if (node.bound <= Threshold()) Solve(std::move(node));
      bound_ = std::max(bound_, open_.empty() ? kInfinity : open_.front().bound);
    }
    return Finish(open_.empty());
  }

 private:
  /// A subtree, and the relaxation of what it is a part of.
  struct Node {
    double bound = 0.0;  ///< Scaled units, rounding taken off.
    std::int64_t number = 0;
    std::shared_ptr<const PairRelaxation> parent;
    AllowedChoices allowed;
    bool operator<(const Node& other) const {
      return bound != other.bound ? bound > other.bound : number > other.number;
    }
  };

  /// Bounds above this need not be followed.
  double Threshold() const {
    if (!incumbent_.found()) return kInfinity;
    return (static_cast<double>(incumbent_.loss()) - std::max(1.0, Slack())) / scale_;
  }

  /// How far (grid units) from the best the caller lets the answer be.
  double Slack() const {
    return settings_.gap * std::abs(static_cast<double>(incumbent_.loss() + problem_.loss_offset));
  }

  bool GapReached() const {
    if (!incumbent_.found() || settings_.gap <= 0.0) return false;
    return static_cast<double>(incumbent_.loss()) - bound_ * scale_ <= Slack();
  }

  void Report(const char* what) {
    if (!settings_.report) return;
    settings_.report(
        what, incumbent_.found() ? incumbent_.loss() : std::numeric_limits<std::int64_t>::max(),
        bound_ * scale_, result_.counters.nodes);
  }

  PairTree TreeUnder(const PairwiseBound& bound) {
    return {problem_, bound, [this] { return Threshold(); }, &incumbent_};
  }

  /// A small tree needs no better bound than the losses themselves.
  bool PlainTree() {
    const PairwiseBound plain = PlainBound(problem_);
    PairTree tree = TreeUnder(plain);
    tree.Start(PairTree::All(problem_));
    const bool exhausted = tree.Run(kPlainNodes, settings_.should_stop);
    result_.counters.nodes += tree.nodes();
    if (!exhausted) bound_ = std::max(bound_, tree.bound());
    return exhausted;
  }

  void RelaxRoot() {
    for (int chunk = 0; chunk < 60 && !settings_.should_stop(); ++chunk) {
      const double before = root_->value();
      const double value = root_->Run(60, settings_.should_stop);
      bound_ = std::max(bound_, value);
      Report("relaxation");
      if (value > Threshold() || GapReached()) return;
      if (chunk == 2) incumbent_.Round(root_->marginals());
      if (incumbent_.found() && Stalls(before, value)) break;
    }
    incumbent_.Round(root_->marginals());
    Report("rounding");
  }

  /// Whether the last iterations gained little of what is missing.
  bool Stalls(double before, double value) const {
    return value - before < 0.01 * (static_cast<double>(incumbent_.loss()) / scale_ - value);
  }

  void Solve(Node node) {
    const bool is_root = node.number == 0;
    std::shared_ptr<const PairRelaxation> relaxation = node.parent;
    if (!is_root) {
      auto own = std::make_shared<PairRelaxation>(*node.parent);
      own->Restrict(node.allowed);
      for (int chunk = 0; chunk < 8 && !settings_.should_stop(); ++chunk) {
        const double before = own->value();
        const double value = own->Run(20, settings_.should_stop);
        if (value > Threshold()) return;
        if (chunk > 0 && incumbent_.found() && Stalls(before, value)) break;
      }
      node.bound = std::max(node.bound, own->value());
      relaxation = std::move(own);
    }
    PairTree tree = TreeUnder(relaxation->bound());
    std::vector<double> through;
    if (!tree.Tighten(&node.allowed, &node.bound, &through)) return;
    const bool exhausted = Explore(node, is_root ? kRootNodes : kSubtreeNodes, &tree);
    result_.counters.nodes += tree.nodes();
    if (exhausted) return;
    node.bound = std::max(node.bound, tree.bound());
    if (++solved_ % 10 == 1) Report("branch");
    Branch(std::move(node), relaxation, through);
  }

  /// True if the tree settles the node; gives up where so many nodes gain little.
  bool Explore(const Node& node, std::int64_t nodes, PairTree* tree) {
    tree->Start(node.allowed);
    double before = node.bound;
    while (!tree->Run(nodes, settings_.should_stop)) {
      const double value = std::max(before, tree->bound());
      if (settings_.should_stop() || (incumbent_.found() && Stalls(before, value))) return false;
      before = value;
    }
    return true;
  }

  void Branch(Node node, std::shared_ptr<const PairRelaxation> relaxation,
              const std::vector<double>& through) {
    const std::size_t at = MostDoubtful(node.allowed, relaxation->marginals());
    if (at == problem_.decisions.size()) {
      // One configuration, and no time left to look at it.
      open_.push_back(std::move(node));
      std::push_heap(open_.begin(), open_.end());
      return;
    }
    std::size_t first = 0;
    for (std::size_t i = 0; i < at; ++i) first += problem_.decisions[i].count;
    const std::size_t count = problem_.decisions[at].count;
    if (solved_ > kMostRelaxations) relaxation = root_;
    for (std::size_t c = 0; c < count; ++c) {
      if (!node.allowed[first + c]) continue;
      Node child{std::max(node.bound, through[first + c] - relaxation->bound().margin), ++numbered_,
                 relaxation, node.allowed};
      for (std::size_t d = 0; d < count; ++d) {
        if (d != c) child.allowed[first + d] = 0;
      }
      open_.push_back(std::move(child));
      std::push_heap(open_.begin(), open_.end());
    }
  }

  /// The decision whose loss and costs the relaxation leaves most open: mean absolute deviations
  /// under its marginals, as shares of all decisions'.
  std::size_t MostDoubtful(const AllowedChoices& allowed,
                           const std::vector<std::vector<double>>& marginals) const {
    const std::size_t dims = problem_.dims();
    const std::size_t layers = problem_.decisions.size();
    std::vector<double> score(layers, 0.0);
    for (std::size_t d = 0; d <= dims; ++d) {
      std::vector<double> deviation(layers, 0.0);
      double total = 0.0;
      for (std::size_t i = 0; i < layers; ++i) {
        const ReducedDecision& decision = problem_.decisions[i];
        const auto value = [&](std::size_t c) {
          return static_cast<double>(d == dims ? decision.loss[c] : decision.cost[c * dims + d]);
        };
        double mean = 0.0;
        for (std::size_t c = 0; c < decision.count; ++c) mean += marginals[i][c] * value(c);
        for (std::size_t c = 0; c < decision.count; ++c) {
          deviation[i] += std::max(0.0, marginals[i][c]) * std::abs(value(c) - mean);
        }
        total += deviation[i];
      }
      for (std::size_t i = 0; i < layers && total > 0.0; ++i) score[i] += deviation[i] / total;
    }
    std::size_t best = layers;
    std::size_t at = 0;
    for (std::size_t i = 0; i < layers; ++i) {
      const auto first = allowed.begin() + static_cast<std::ptrdiff_t>(at);
      at += problem_.decisions[i].count;
      if (std::count(first, allowed.begin() + static_cast<std::ptrdiff_t>(at), 1) < 2) continue;
      if (best == layers || score[i] > score[best]) best = i;
    }
    return best;
  }

  PairSearchResult Finish(bool exhausted) {
    result_.found = incumbent_.found();
    result_.loss = incumbent_.loss();
    result_.choice = incumbent_.choice();
    const auto best = static_cast<double>(incumbent_.loss());
    if (exhausted) {
      // A whole unit less was excluded too where the slack is not even one.
      result_.proved = !result_.found || Slack() <= 1.0;
      result_.lower_bound = kInfinity;
      if (result_.found) result_.lower_bound = result_.proved ? best : Threshold() * scale_;
    } else {
      result_.lower_bound = std::max(0.0, bound_ * scale_);
      if (result_.found && (result_.lower_bound >= best || result_.lower_bound > best - 1.0)) {
        result_.proved = true;
        result_.lower_bound = best;
      }
    }
    if (result_.found) result_.lower_bound = std::min(result_.lower_bound, best);
    return result_;
  }

  const ReducedProblem& problem_;
  const PairSearchSettings& settings_;
  double scale_;  // grid units per scaled unit
  PairIncumbent incumbent_;
  std::shared_ptr<PairRelaxation> root_;
  std::vector<Node> open_;  // a heap
  double bound_ = -kInfinity;
  std::int64_t numbered_ = 0;
  int solved_ = 0;
  PairSearchResult result_;
};

}  // namespace

PairSearchResult SearchPairs(const ReducedProblem& problem, const PairSearchSettings& settings) {
  return Search(problem, settings).Run();
}

}  // namespace bitsearch
