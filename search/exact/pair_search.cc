// Nodes are sets of choices still allowed. One pass over the pair blocks bounds a node and, at the
// same price, what it would be with any single choice fixed: choices that cannot pay go at once.
#include "search/exact/pair_search.h"

#include <algorithm>
#include <cmath>
#include <queue>

#include "search/evolution/annealing.h"
#include "search/evolution/configuration_state.h"
#include "search/exact/pair_relaxation.h"

namespace bitsearch {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// A subtree: which choices are allowed, all decisions' choices in a row.
struct Node {
  double bound = 0.0;  ///< Scaled units, rounding taken off.
  std::int64_t number = 0;
  std::vector<std::uint8_t> allowed;
};

struct Worse {
  bool operator()(const Node& a, const Node& b) const {
    return a.bound != b.bound ? a.bound > b.bound : a.number < b.number;
  }
};

class Search {
 public:
  Search(const ReducedProblem& problem, const PairSearchSettings& settings)
      : problem_(problem), settings_(settings), bound_(PlainBound(problem)) {
    std::size_t at = 0;
    for (const ReducedDecision& decision : problem.decisions) {
      offset_.push_back(at);
      at += decision.count;
    }
    total_ = at;
    for (const ReducedPair& pair : problem.pairs) pair_costs_ |= !pair.cost.empty();
  }

  PairSearchResult Run() {
    LocalSearch(30);
    Report("local search");
    std::vector<Node> open;
    open.push_back({-kInfinity, 0, std::vector<std::uint8_t>(total_, 1)});
    // A small tree needs no better bound than the losses themselves.
    if (Branch(&open, 3000)) return Finish(open);
    AnnealedStarts();
    PairRelaxation relaxation(problem_);
    Relax(&relaxation);
    std::vector<Node> root;
    root.push_back({-kInfinity, 0, std::vector<std::uint8_t>(total_, 1)});
    bound_ = relaxation.bound();
    Round(relaxation.marginals());
    open = std::move(root);
    if (!GapReached()) Branch(&open, std::numeric_limits<std::int64_t>::max());
    return Finish(open);
  }

 private:
  double Scaled(std::int64_t loss) const { return static_cast<double>(loss) / bound_.scale; }

  /// Bounds above this need not be followed.
  double Threshold() const {
    if (!found_) return kInfinity;
    return (static_cast<double>(best_loss_) - std::max(1.0, Slack())) / bound_.scale;
  }

  /// How far (grid units) from the best the caller lets the answer be.
  double Slack() const {
    return settings_.gap * std::abs(static_cast<double>(best_loss_ + problem_.loss_offset));
  }

  bool GapReached() const {
    if (!found_ || settings_.gap <= 0.0) return false;
    return static_cast<double>(best_loss_) - root_bound_ * bound_.scale <= Slack();
  }

  void Offer(const ConfigurationState& state) {
    if (!state.feasible() || (found_ && state.loss() >= best_loss_)) return;
    found_ = true;
    best_loss_ = state.loss();
    best_choice_ = state.choice();
  }

  void Report(const char* what) {
    if (!settings_.report) return;
    settings_.report(what, found_ ? best_loss_ : std::numeric_limits<std::int64_t>::max(),
                     root_bound_ * bound_.scale, result_.counters.nodes);
  }

  // --- configurations ---------------------------------------------------------------------------

  void Descend(ConfigurationState* state) {
    if (!state->Repair()) return;
    state->Improve();
    Offer(*state);
    // Pairs of moves: leave a budget's edge along it.
    for (int round = 0; round < 20; ++round) {
      if (!ImproveByPairs(state)) return;
      state->Improve();
      Offer(*state);
    }
  }

  /// The first improving exchange of two decisions; true if one was made.
  bool ImproveByPairs(ConfigurationState* state) {
    const std::size_t layers = problem_.decisions.size();
    for (std::size_t i = 0; i < layers; ++i) {
      const std::uint32_t before = state->choice()[i];
      for (std::uint32_t c = 0; c < problem_.decisions[i].count; ++c) {
        if (c == before) continue;
        const MoveEffect first = state->Effect(i, c);
        state->Apply(i, c);
        for (std::size_t j = 0; j < layers; ++j) {
          if (j == i) continue;
          for (std::uint32_t d = 0; d < problem_.decisions[j].count; ++d) {
            if (d == state->choice()[j]) continue;
            const MoveEffect second = state->Effect(j, d);
            if (first.loss + second.loss >= 0) continue;
            if (state->violation() + second.violation > 1e-15) continue;
            const std::uint32_t back = state->choice()[j];
            state->Apply(j, d);
            if (state->feasible()) return true;
            state->Apply(j, back);
          }
        }
        state->Apply(i, before);
      }
      if (settings_.should_stop()) return false;
    }
    return false;
  }

  void LocalSearch(int starts) {
    if (problem_.decisions.empty()) return;
    RandomStream random(settings_.seed, "search/pairs");
    ConfigurationState state(problem_);
    state.Assign(std::vector<std::uint32_t>(problem_.decisions.size(), 0));
    Offer(state);
    for (int n = 0; n < starts && !settings_.should_stop(); ++n) {
      std::vector<std::uint32_t> choice;
      for (const ReducedDecision& decision : problem_.decisions) {
        const auto least = std::min_element(decision.loss.begin(), decision.loss.end());
        choice.push_back(static_cast<std::uint32_t>(least - decision.loss.begin()));
      }
      if (n > 0) choice = state.RandomChoice(random);
      // Half of the restarts perturb the best known configuration.
      if (n % 2 == 0 && n > 0 && found_) {
        choice = best_choice_;
        for (std::size_t k = 0; k < 1 + choice.size() / 6; ++k) {
          const std::size_t i = random.Below(choice.size());
          choice[i] = static_cast<std::uint32_t>(random.Below(problem_.decisions[i].count));
        }
      }
      state.Assign(choice);
      Descend(&state);
    }
  }

  /// What restarts of descents miss where many terms nearly cancel.
  void AnnealedStarts() {
    constexpr int kStarts = 8;
    constexpr std::int64_t kSteps = 400'000;
    for (int n = 0; n < kStarts && !settings_.should_stop(); ++n) {
      RandomStream random(settings_.seed, "search/pairs/annealing", static_cast<std::uint64_t>(n));
      ConfigurationState state(problem_);
      if (found_) state.Assign(best_choice_);
      Anneal(
          kSteps, random, settings_.should_stop,
          [this](const ConfigurationState& met) { Offer(met); }, &state);
      if (!found_) continue;
      state.Assign(best_choice_);
      Descend(&state);
    }
    Report("annealing");
  }

  /// Configurations drawn from the relaxation's marginals.
  void Round(const std::vector<std::vector<double>>& marginals) {
    RandomStream random(settings_.seed, "search/pairs/rounding");
    ConfigurationState state(problem_);
    for (int n = 0; n < 20 && !settings_.should_stop(); ++n) {
      std::vector<std::uint32_t> choice;
      for (const std::vector<double>& row : marginals) {
        std::size_t pick =
            static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin());
        if (n > 0) {
          double left = random.Uniform();
          for (std::size_t c = 0; c < row.size(); ++c) {
            left -= std::max(0.0, row[c]);
            if (left <= 0.0) {
              pick = c;
              break;
            }
          }
        }
        choice.push_back(static_cast<std::uint32_t>(pick));
      }
      state.Assign(choice);
      Descend(&state);
    }
    Report("rounding");
  }

  // --- bounds -----------------------------------------------------------------------------------

  void Relax(PairRelaxation* relaxation) {
    double before = -kInfinity;
    int stalled = 0;
    for (int chunk = 0; chunk < 60 && stalled < 4 && !settings_.should_stop(); ++chunk) {
      const double value = relaxation->Run(60, settings_.should_stop);
      root_bound_ = std::max(root_bound_, value);
      Report("relaxation");
      if (value > Threshold() || GapReached()) return;
      const double gap = Scaled(best_loss_) - value;
      stalled = found_ && value - before < 1e-3 * gap ? stalled + 1 : 0;
      before = value;
      if (chunk == 4 || chunk == 15) Round(relaxation->marginals());
    }
  }

  /// Bounds a node and drops what cannot pay. False if nothing is left of it. `through` gets the
  /// bound with each single choice fixed.
  bool Tighten(Node* node, std::vector<double>* through) {
    for (int pass = 0; pass < 4; ++pass) {
      if (!DropUnaffordable(node)) return false;
      const double bound = BoundOf(*node, through) - bound_.margin;
      node->bound = std::max(node->bound, bound);
      const double threshold = Threshold();
      if (node->bound > threshold || node->bound == kInfinity) return false;
      bool dropped = false;
      for (std::size_t k = 0; k < total_; ++k) {
        if (!node->allowed[k]) continue;
        if ((*through)[k] < kInfinity && (*through)[k] - bound_.margin <= threshold) continue;
        node->allowed[k] = 0;
        dropped = true;
      }
      if (!dropped) return true;
    }
    return DropUnaffordable(node);
  }

  double BoundOf(const Node& node, std::vector<double>* through) const {
    const std::size_t layers = problem_.decisions.size();
    through->assign(total_, 0.0);
    double value = bound_.constant;
    for (std::size_t i = 0; i < layers; ++i) {
      double least = kInfinity;
      for (std::size_t c = 0; c < bound_.count[i]; ++c) {
        if (node.allowed[offset_[i] + c]) least = std::min(least, bound_.unary[i][c]);
      }
      value += least;
      for (std::size_t c = 0; c < bound_.count[i]; ++c) {
        (*through)[offset_[i] + c] += bound_.unary[i][c] - least;
      }
    }
    std::vector<double> rows;
    std::vector<double> columns;
    for (std::size_t i = 0; i < layers; ++i) {
      for (std::size_t j = i + 1; j < layers; ++j) {
        const std::vector<double>& matrix = bound_.pair[i * layers + j];
        if (matrix.empty()) continue;
        rows.assign(bound_.count[i], kInfinity);
        columns.assign(bound_.count[j], kInfinity);
        double least = kInfinity;
        for (std::size_t c = 0; c < bound_.count[i]; ++c) {
          if (!node.allowed[offset_[i] + c]) continue;
          for (std::size_t d = 0; d < bound_.count[j]; ++d) {
            if (!node.allowed[offset_[j] + d]) continue;
            const double entry = matrix[c * bound_.count[j] + d];
            rows[c] = std::min(rows[c], entry);
            columns[d] = std::min(columns[d], entry);
          }
          least = std::min(least, rows[c]);
        }
        if (least == kInfinity) return kInfinity;
        value += least;
        for (std::size_t c = 0; c < rows.size(); ++c) {
          (*through)[offset_[i] + c] += rows[c] - least;
        }
        for (std::size_t d = 0; d < columns.size(); ++d) {
          (*through)[offset_[j] + d] += columns[d] - least;
        }
      }
    }
    for (double& entry : *through) entry += value;
    return value;
  }

  /// Drops choices that no limit allows beside the least of the others; false if none is left.
  bool DropUnaffordable(Node* node) const {
    const std::size_t layers = problem_.decisions.size();
    const std::size_t dims = problem_.dims();
    for (std::size_t i = 0; i < layers; ++i) {
      bool any = false;
      for (std::size_t c = 0; c < bound_.count[i]; ++c) any |= node->allowed[offset_[i] + c] != 0;
      if (!any) return false;
    }
    for (std::size_t d = 0; d < dims; ++d) {
      std::int64_t least_total = pair_costs_ ? LeastPairCost(*node, d) : 0;
      std::vector<std::int64_t> least(layers, std::numeric_limits<std::int64_t>::max());
      for (std::size_t i = 0; i < layers; ++i) {
        for (std::size_t c = 0; c < bound_.count[i]; ++c) {
          if (!node->allowed[offset_[i] + c]) continue;
          least[i] = std::min(least[i], problem_.decisions[i].cost[c * dims + d]);
        }
        least_total += least[i];
      }
      const std::int64_t capacity = problem_.dimensions[d].capacity;
      if (least_total > capacity) return false;
      for (std::size_t i = 0; i < layers; ++i) {
        for (std::size_t c = 0; c < bound_.count[i]; ++c) {
          if (problem_.decisions[i].cost[c * dims + d] - least[i] > capacity - least_total) {
            node->allowed[offset_[i] + c] = 0;
          }
        }
      }
    }
    for (const ReducedCut& cut : problem_.cuts) {
      std::int64_t live = cut.base;
      for (const ReducedCutMember& member : cut.members) {
        std::int64_t least = std::numeric_limits<std::int64_t>::max();
        for (std::size_t c = 0; c < member.cost.size(); ++c) {
          if (node->allowed[offset_[member.decision] + c]) least = std::min(least, member.cost[c]);
        }
        if (least == std::numeric_limits<std::int64_t>::max()) return false;
        live += least;
      }
      if (live > problem_.peaks[cut.peak].limit) return false;
    }
    return true;
  }

  std::int64_t LeastPairCost(const Node& node, std::size_t dim) const {
    const std::size_t dims = problem_.dims();
    std::int64_t total = 0;
    for (const ReducedPair& pair : problem_.pairs) {
      if (pair.cost.empty()) continue;
      std::int64_t least = std::numeric_limits<std::int64_t>::max();
      const std::size_t columns = bound_.count[pair.second];
      for (std::size_t e = 0; e < pair.loss.size(); ++e) {
        if (!node.allowed[offset_[pair.first] + e / columns] ||
            !node.allowed[offset_[pair.second] + e % columns]) {
          continue;
        }
        least = std::min(least, pair.cost[e * dims + dim]);
      }
      total += least == std::numeric_limits<std::int64_t>::max() ? 0 : least;
    }
    return total;
  }

  // --- the tree ---------------------------------------------------------------------------------

  /// Best bound first. True if the tree is exhausted (or the gap reached); `open` keeps the rest.
  bool Branch(std::vector<Node>* open, std::int64_t node_budget) {
    std::make_heap(open->begin(), open->end(), Worse());
    std::vector<double> through;
    std::int64_t used = 0;
    while (!open->empty()) {
      if (settings_.should_stop() || used >= node_budget ||
          static_cast<std::int64_t>(open->size()) > settings_.max_nodes) {
        root_bound_ = std::max(root_bound_, open->front().bound);
        return false;
      }
      std::pop_heap(open->begin(), open->end(), Worse());
      Node node = std::move(open->back());
      open->pop_back();
      if (node.bound > -kInfinity) root_bound_ = std::max(root_bound_, node.bound);
      ++used;
      ++result_.counters.nodes;
      if (used % 20000 == 0) Report("branch");
      if (GapReached()) {
        open->push_back(std::move(node));
        return false;
      }
      if (!Tighten(&node, &through)) continue;
      const std::size_t at = ChooseDecision(node, through);
      if (at == problem_.decisions.size()) {
        Leaf(node);
        continue;
      }
      if (used % 64 == 1) Probe(node, through);
      for (std::size_t c = 0; c < bound_.count[at]; ++c) {
        if (!node.allowed[offset_[at] + c]) continue;
        Node child;
        child.bound = std::max(node.bound, through[offset_[at] + c] - bound_.margin);
        if (child.bound > Threshold()) continue;
        child.number = ++numbered_;
        child.allowed = node.allowed;
        for (std::size_t d = 0; d < bound_.count[at]; ++d) {
          if (d != c) child.allowed[offset_[at] + d] = 0;
        }
        open->push_back(std::move(child));
        std::push_heap(open->begin(), open->end(), Worse());
      }
    }
    exhausted_ = true;
    return true;
  }

  /// The undecided decision whose choices differ most in bound; the number of decisions if none.
  std::size_t ChooseDecision(const Node& node, const std::vector<double>& through) const {
    std::size_t best = problem_.decisions.size();
    double best_score = -1.0;
    const double cap = std::max(node.bound, Threshold());
    for (std::size_t i = 0; i < problem_.decisions.size(); ++i) {
      double score = 0.0;
      std::size_t count = 0;
      for (std::size_t c = 0; c < bound_.count[i]; ++c) {
        if (!node.allowed[offset_[i] + c]) continue;
        ++count;
        score +=
            std::min(through[offset_[i] + c], found_ ? cap : through[offset_[i] + c]) - node.bound;
      }
      if (count < 2) continue;
      score /= static_cast<double>(count);
      if (score > best_score) {
        best_score = score;
        best = i;
      }
    }
    return best;
  }

  void Leaf(const Node& node) {
    ConfigurationState state(problem_);
    std::vector<std::uint32_t> choice;
    for (std::size_t i = 0; i < problem_.decisions.size(); ++i) {
      for (std::size_t c = 0; c < bound_.count[i]; ++c) {
        if (node.allowed[offset_[i] + c]) choice.push_back(static_cast<std::uint32_t>(c));
      }
    }
    if (!choice.empty()) state.Assign(choice);
    Offer(state);
  }

  /// The configuration that a node's bounds suggest.
  void Probe(const Node& node, const std::vector<double>& through) {
    std::vector<std::uint32_t> choice;
    for (std::size_t i = 0; i < problem_.decisions.size(); ++i) {
      std::size_t best = 0;
      double least = kInfinity;
      for (std::size_t c = 0; c < bound_.count[i]; ++c) {
        if (!node.allowed[offset_[i] + c] || through[offset_[i] + c] >= least) continue;
        least = through[offset_[i] + c];
        best = c;
      }
      choice.push_back(static_cast<std::uint32_t>(best));
    }
    ConfigurationState state(problem_);
    state.Assign(choice);
    if (state.Repair()) {
      state.Improve();
      Offer(state);
    }
  }

  PairSearchResult Finish(const std::vector<Node>& open) {
    result_.found = found_;
    result_.loss = best_loss_;
    result_.choice = best_choice_;
    const double best = static_cast<double>(best_loss_);
    if (exhausted_ || open.empty()) {
      // A whole unit less was excluded too where the slack is not even one.
      result_.proved = !found_ || Slack() <= 1.0;
      result_.lower_bound = kInfinity;
      if (found_) {
        result_.lower_bound = result_.proved ? best : Threshold() * bound_.scale;
      }
    } else {
      result_.lower_bound = std::max(0.0, root_bound_ * bound_.scale);
      if (found_ && (result_.lower_bound >= best || result_.lower_bound > best - 1.0)) {
        result_.proved = true;
        result_.lower_bound = best;
      }
    }
    if (found_) result_.lower_bound = std::min(result_.lower_bound, best);
    return result_;
  }

  const ReducedProblem& problem_;
  const PairSearchSettings& settings_;
  PairwiseBound bound_;
  std::vector<std::size_t> offset_;
  std::size_t total_ = 0;
  bool pair_costs_ = false;
  bool found_ = false;
  bool exhausted_ = false;
  std::int64_t best_loss_ = 0;
  std::vector<std::uint32_t> best_choice_;
  double root_bound_ = -kInfinity;
  std::int64_t numbered_ = 0;
  PairSearchResult result_;
};

}  // namespace

PairSearchResult SearchPairs(const ReducedProblem& problem, const PairSearchSettings& settings) {
  return Search(problem, settings).Run();
}

}  // namespace bitsearch
