#pragma once
// How sure a choice is: the same problem solved again and again with the losses drawn anew within
// their standard errors. One set of redraws serves configuration files, result table and report.

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/problem_files.h"
#include "space/choices/bit_config.h"
#include "space/hardware/json_file.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// The optima of redrawn problems.
struct RedrawnOptima {
  struct Optimum {
    BitConfig config;
    std::int64_t count = 0;
  };
  std::int64_t redraws = 0;     ///< 0: the losses have no standard errors, or none were asked for.
  std::vector<Optimum> optima;  ///< Most frequent first, then in the order of BitConfig.

  /// How many of the optima gave layer `layer` this choice.
  std::int64_t Votes(std::size_t layer, const BitChoice& choice) const;
};

/// What the redraws say about one configuration.
struct Stability {
  std::int64_t redraws = 0;
  double configuration = 0.0;  ///< Share of the redraws whose optimum it is.
  std::vector<double> layers;  ///< By layer, share whose optimum has its choice there.

  bool operator==(const Stability&) const = default;
};

/// A layer that keeps its bits in this share of the redraws is steady.
inline constexpr double kSteadyShare = 0.95;

/// Solves `limited` (with its limits) `redraws` times, each loss drawn from a normal distribution
/// with its standard error, all independent; each solved to a relative gap of 1e-3. Pair terms stay
/// as they are. Deterministic for (root seed, `name`). Throws Error(kInterrupted).
RedrawnOptima RedrawOptima(const NamedProblem& limited, const std::string& solver,
                           const std::string& name, std::int64_t redraws,
                           const RunContext& context);

/// Needs redraws > 0.
Stability StabilityOf(const RedrawnOptima& redrawn, const BitConfig& config);

/// Reads what FiguresJson has written; throws JsonValue's faults.
Stability ParseStabilityFigures(const JsonValue& json);

/// JSON `bitsearch/stability/1`: `budget`, `redraws`, `optima: [[canonical, count], …]`.
std::string StabilityJson(const RedrawnOptima& redrawn, const std::string& budget);
/// Throws Error(kRunDamaged) where the text was not written by StabilityJson.
RedrawnOptima ParseStabilityJson(const std::string& text);

}  // namespace bitsearch
