#include "experiments/predictor_search.h"

#include <algorithm>
#include <set>
#include <utility>

#include "experiments/tied_moves.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

using Config = std::vector<ChoiceIndex>;

constexpr std::size_t kPopulation = 64;
/// Generations in a row without a new configuration: the space is exhausted, or nearly.
constexpr int kMostIdle = 50;
constexpr int kMostRepairSteps = 200;

class Search {
 public:
  Search(const NamedProblem& named, const ScoreConfigurations& score, std::int64_t evaluations,
         RandomStream random)
      : moves_(named), score_(score), left_(evaluations), random_(random) {}

  std::vector<ScoredConfiguration> Run(const std::vector<Config>& starts,
                                       const RunContext& context) {
    std::vector<Config> batch;
    for (const Config& start : starts) {
      if (moves_.Feasible(start)) Put(start, batch);
    }
    Score(batch);
    for (int idle = 0; left_ > 0 && idle < kMostIdle && !scored_.empty();) {
      context.ThrowIfStopped();
      batch.clear();
      for (std::size_t i = 0; i < kPopulation; ++i) {
        Config child = Child();
        if (Repair(child)) Put(child, batch);
      }
      idle = batch.empty() ? idle + 1 : 0;
      Score(batch);
    }
    return std::move(scored_);
  }

 private:
  void Put(const Config& config, std::vector<Config>& batch) {
    if (static_cast<std::int64_t>(batch.size()) < left_ && known_.insert(config).second) {
      batch.push_back(config);
    }
  }
  void Score(const std::vector<Config>& batch) {
    if (batch.empty()) return;
    const std::vector<double> scores = score_(batch);
    for (std::size_t i = 0; i < batch.size(); ++i) scored_.push_back({batch[i], scores[i]});
    left_ -= static_cast<std::int64_t>(batch.size());
    std::stable_sort(scored_.begin(), scored_.end(),
                     [](const auto& a, const auto& b) { return a.score > b.score; });
  }
  const Config& Parent() {
    return scored_[random_.Below(std::min(kPopulation, scored_.size()))].choice;
  }
  void Change(Config& config) {
    const std::size_t unit = random_.Below(moves_.units().size());
    moves_.Set(&config, unit, random_.Below(moves_.units()[unit].options.size()));
  }
  Config Child() {
    Config child = Parent();
    if (random_.Below(2) == 0) {
      const Config& other = Parent();
      for (std::size_t u = 0; u < moves_.units().size(); ++u) {
        if (random_.Below(2) == 0) moves_.Set(&child, u, moves_.OptionOf(other, u));
      }
    }
    for (std::uint64_t changes = 1 + random_.Below(2); changes > 0; --changes) Change(child);
    return child;
  }
  /// Random changes that lower the excess, until within the limits; false if that takes too many.
  bool Repair(Config& config) {
    double excess = moves_.Excess(config);
    for (int step = 0; step < kMostRepairSteps && excess > 0.0; ++step) {
      Config changed = config;
      Change(changed);
      const double left = moves_.Excess(changed);
      if (left >= excess) continue;
      config = std::move(changed);
      excess = left;
    }
    return excess == 0.0 && moves_.Feasible(config);
  }

  TiedMoves moves_;
  const ScoreConfigurations& score_;
  std::int64_t left_;
  RandomStream random_;
  std::set<Config> known_;
  std::vector<ScoredConfiguration> scored_;  // Best first.
};

}  // namespace

std::vector<ScoredConfiguration> SearchByScore(const NamedProblem& named,
                                               const std::vector<Config>& starts,
                                               const ScoreConfigurations& score,
                                               std::int64_t evaluations, const std::string& stream,
                                               const RunContext& context) {
  return Search(named, score, evaluations,
                RandomStream(context.root_seed, "predictor_search." + stream))
      .Run(starts, context);
}

}  // namespace bitsearch
