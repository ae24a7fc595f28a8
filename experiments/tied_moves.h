#pragma once
// TiedMoves: configurations of a problem that change by single steps, tied layers together. What
// searches and baselines that try configurations one after another share. Runs no network.

#include <cstdint>
#include <vector>

#include "experiments/problem_files.h"

namespace bitsearch {

/// Layers that must move together, and what they can move to.
struct TiedUnit {
  std::vector<std::size_t> layers;
  /// [option][position in layers]: choice index of each layer. Options share one BitChoice.
  std::vector<std::vector<std::size_t>> options;
};

/// The problem as units, with the sums that one looks at. `named` must outlive it.
class TiedMoves {
 public:
  explicit TiedMoves(const NamedProblem& named);

  const std::vector<TiedUnit>& units() const { return units_; }
  bool usable() const;

  void Set(std::vector<ChoiceIndex>* config, std::size_t unit, std::size_t option) const;
  double Loss(std::size_t unit, std::size_t option) const;
  std::int64_t Cost(std::size_t resource, std::size_t unit, std::size_t option) const;
  /// Of the resource of the first limit.
  std::size_t primary() const { return limited_.front(); }
  /// Σ over the limits that are exceeded of the relative excess.
  double Excess(const std::vector<ChoiceIndex>& config) const;
  bool Feasible(const std::vector<ChoiceIndex>& config) const {
    return named_.problem.Assess(config).feasible();
  }

  /// Every unit at the option that `better(unit, a, b)` prefers.
  template <typename Better>
  std::vector<ChoiceIndex> Start(const Better& better) const {
    std::vector<ChoiceIndex> config(named_.layers.size());
    for (std::size_t u = 0; u < units_.size(); ++u) {
      std::size_t best = 0;
      for (std::size_t o = 1; o < units_[u].options.size(); ++o) {
        if (better(u, o, best)) best = o;
      }
      Set(&config, u, best);
    }
    return config;
  }
  std::size_t OptionOf(const std::vector<ChoiceIndex>& config, std::size_t unit) const;

 private:
  const NamedProblem& named_;
  std::vector<TiedUnit> units_;
  std::vector<std::size_t> limited_;
};

}  // namespace bitsearch
