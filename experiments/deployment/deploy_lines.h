#pragma once
// What `bitsearch deploy` measures and how it decides: plain data and rules, without a runtime.
// Must not depend on LibTorch nor on the command line.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "experiments/experiment.h"
#include "experiments/network_problem.h"
#include "space/choices/bit_config.h"
#include "space/hardware/latency_table.h"
#include "space/hardware/network_latency.h"

namespace bitsearch {

/// One configuration, what was predicted of it and what was measured.
struct DeployLine {
  std::string name;        ///< "frontier 1" (the least predicted loss), "run", "fp32", "w8a8".
  bool candidate = false;  ///< False for references, which are measured but never chosen.
  BitConfig config;
  std::optional<double> predicted_loss_nats;
  std::optional<double> predicted_us;  ///< By the run's table; nothing where it cannot say.
  /// Median of each round, in µs.
  std::vector<double> round_us;
  std::int64_t samples = 0;  ///< Of the search records.
  std::int64_t correct = 0;
  std::int64_t file_bytes = 0;

  double measured_us() const;
  double top1_percent() const;
};

/// The `count` best points of the run's frontier that keep the budget (least predicted loss first),
/// the run's own choice, and references: fp32, uniform 8 bits, the baseline of a relative latency
/// limit. A configuration occurs once. Throws Error(kRunNotFound) where the run has no frontier,
/// Error(kRunDamaged), Error(kUsage) if fewer points than `count` keep the budget.
std::vector<DeployLine> PlanDeployment(const std::filesystem::path& run,
                                       const Experiment& experiment, const NetworkProblem& network,
                                       std::size_t budget, std::size_t count);

/// The budget's limit of latency in µs; a relative one is taken of the baseline as measured.
/// Nothing where the budget does not limit latency.
std::optional<double> MeasuredLatencyLimit(const Budget& budget,
                                           const std::vector<DeployLine>& lines);

/// The choice among the candidates, on measurements alone.
struct DeployDecision {
  std::size_t chosen = 0;
  bool within_limit = true;  ///< False: no candidate keeps the limit; the fastest is "chosen".
  /// Candidates, best first: those that keep the limit before the others, more correct records
  /// before fewer (of those that break the limit: faster before slower), then faster, then the
  /// order of the lines.
  std::vector<std::size_t> ranking;
  std::size_t predicted_best = 0;       ///< The candidate with the least predicted loss.
  std::size_t predicted_best_rank = 1;  ///< Its place in the ranking.
};
DeployDecision Decide(const std::vector<DeployLine>& lines, std::optional<double> limit_us);

/// A table brought in line with measured end-to-end times.
struct Recalibration {
  AffineFit fit;  ///< µs to µs; slope 1, offset 0 where nothing could be fitted.
  PredictionQuality before;
  PredictionQuality after;
  std::size_t points = 0;
  /// Why the fit is not affine or why there is none; may be empty.
  std::string note;
  bool usable = false;
};

/// measured = offset + slope · predicted over all lines that have a prediction. Where the fixed
/// time would get negative the offset is left out. Not usable with less than two different
/// predictions or a slope that is not positive.
Recalibration FitRecalibration(const std::vector<DeployLine>& lines, std::int64_t fixed_ns);

/// `table` with every time multiplied by the slope and the offset in its fixed time.
LatencyTable Recalibrated(const LatencyTable& table, const Recalibration& recalibration);

}  // namespace bitsearch
