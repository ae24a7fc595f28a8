#pragma once
// Kendall's τ of scores against what was measured, at equal size: by band, with bootstrap intervals
// over the configurations, and the ceiling that the measurement's own noise sets. Torch-free.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "experiments/benchmarks/ranking_study/measurement.h"
#include "experiments/benchmarks/ranking_study/scores.h"

namespace bitsearch {

/// What was measured of each configuration.
struct MeasuredConfig {
  std::size_t band = 0;
  BlockSums sums;
};

/// A mean over bands of Kendall's τ, with its 95 % interval (2.5 and 97.5 percentiles of bootstrap
/// samples over the configurations of each band).
struct TauEstimate {
  std::vector<double> by_band;
  double mean = 0.0;
  double low = 0.0;
  double high = 0.0;
};

struct ScoreRow {
  std::string name;
  TauEstimate loss;  ///< Against the mean loss over all records.
  TauEstimate kl;    ///< Against the mean KL divergence to the float network.
  /// kl's τ minus that of the column that rows are compared with; no bands where there is none.
  TauEstimate kl_difference;
};

/// Rows in the order of the columns, the ceiling first.
struct RankingTable {
  std::string reference;
  std::vector<ScoreRow> rows;
};

/// `columns` have a value for each of `configs`. The ceiling is τ between the means over two halves
/// of the blocks, averaged over ten random halvings; so it is that of half the records, and a score
/// compared with all of them may exceed it. Differences are from the best (by KL) of the columns
/// named in `blind`. Deterministic for `seed`.
RankingTable CompareScores(std::span<const MeasuredConfig> configs,
                           std::span<const ScoreColumn> columns, std::span<const std::string> blind,
                           std::uint64_t seed);

/// The table as Markdown and as CSV.
std::string RankingMarkdown(const RankingTable& table);
std::string RankingCsv(const RankingTable& table, const std::string& setting);

}  // namespace bitsearch
