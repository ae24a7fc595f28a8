#pragma once
// FactoredCost: latency, energy or size of a candidate as a sum of small tables over its genes.
// Integers on a fixed grid, so that limits are compared exactly and sums do not depend on order.
// Must not know where the numbers come from.

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "space/candidates/candidate_space.h"

namespace bitsearch {

/// One summand: a table over the values of a few genes.
struct CostTerm {
  /// The genes that index `values`, the last one running fastest.
  std::vector<GeneIndex> genes;
  /// The term counts only while this gene matters; kNoGene: always.
  GeneIndex gate = kNoGene;
  /// In grid units; kForbidden where the device cannot run the combination.
  std::vector<std::int64_t> values;
  bool operator==(const CostTerm&) const = default;
};

/// A resource of candidates. Const calls may come from any thread.
class FactoredCost {
 public:
  /// A value (and a sum) that no limit admits.
  static constexpr std::int64_t kForbidden = std::numeric_limits<std::int64_t>::max() / 4;

  FactoredCost() = default;
  /// `name` carries the unit ("latency_ms"); one grid unit is 10^-decimals of it. Throws
  /// Error(kCandidateCost) if a term names no gene of `space`, has the wrong number of values, a
  /// negative one, or sums could overflow.
  FactoredCost(const CandidateSpace& space, std::string name, int decimals,
               std::int64_t fixed_grid_units, std::vector<CostTerm> terms);

  const std::string& name() const { return name_; }
  int decimals() const { return decimals_; }
  std::int64_t fixed_grid_units() const { return fixed_; }
  const std::vector<CostTerm>& terms() const { return terms_; }

  /// `value` on the grid, rounded to nearest; throws Error(kCandidateCost) out of range.
  std::int64_t ToGrid(double value) const;
  /// A limit on the grid, rounded down (with an allowance of 1e-6 of a grid step for binary
  /// fractions): limits are inclusive.
  std::int64_t LimitToGrid(double value) const;
  double FromGrid(std::int64_t grid_units) const;
  /// Grid units of a value with `decimals` decimals; for makers of tables.
  static std::int64_t RoundToGrid(double value, int decimals);

  /// Cost of each row, in grid units; at least kForbidden where the device cannot run it.
  void Evaluate(const GenomeView& genomes, std::span<std::int64_t> costs) const;
  /// Of one genome whose activity (CandidateSpace::Activity) is known.
  std::int64_t EvaluateActive(const std::uint8_t* genome, const std::uint8_t* active) const;
  /// The least value that a sum can take (every gated term absent): a sanity bound only.
  std::int64_t LowerBound() const { return fixed_; }

  bool operator==(const FactoredCost& other) const {
    return name_ == other.name_ && decimals_ == other.decimals_ && fixed_ == other.fixed_ &&
           terms_ == other.terms_;
  }

 private:
  struct FlatTerm {
    std::uint32_t first_gene = 0;  ///< Into flat_genes_.
    std::uint32_t gene_count = 0;
    GeneIndex gate = kNoGene;
    std::uint32_t first_value = 0;  ///< Into flat_values_.
  };
  std::string name_;
  int decimals_ = 0;
  std::int64_t fixed_ = 0;
  std::vector<CostTerm> terms_;
  CandidateSpace space_;
  std::vector<FlatTerm> flat_terms_;
  std::vector<std::pair<GeneIndex, std::uint32_t>> flat_genes_;  ///< (gene, stride)
  std::vector<std::int64_t> flat_values_;
};

}  // namespace bitsearch
