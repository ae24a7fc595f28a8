#pragma once
// What a search by supernet and fine-tuning leave in a run's folder beside configurations: learned
// distributions, curves, warnings, as JSON. docs/experiment.md describes the files. No times.

#include <optional>
#include <string>
#include <vector>

#include "experiments/experiment.h"
#include "experiments/problem_files.h"
#include "search/supernet/decode.h"

namespace bitsearch {

/// Everything that a search by supernet found for one budget.
struct SupernetSearch {
  std::string budget;
  DnasResult found;
  DecodeResult decoded;
  /// Of decoded.configs on the search records.
  std::vector<Evaluation> evaluations;
  std::size_t chosen = 0;  ///< Among decoded.configs.
  /// Whether they were run with the supernet's weights; else quantized after training.
  bool with_supernet_weights = false;
};

/// JSON `bitsearch/dnas/1`. `named` is the problem with the budget's limits.
std::string DnasJson(const NamedProblem& named, const DnasSection& section,
                     const SupernetSearch& search);

/// One line of the result table after training at its bits.
struct TunedLine {
  std::string budget;  ///< "" for fp32.
  std::string line;
  BitConfig config;
  bool from_supernet = false;  ///< Training began with the supernet's weights.
  int epochs = 0;
  std::vector<FineTuneEpoch> curve;
  Evaluation evaluation;  ///< On the report records.
};

/// JSON `bitsearch/finetune/1`.
std::string FineTuneJson(const std::vector<TunedLine>& lines);

/// A curve by itself, for the journal; and back. Throws Error(kRunDamaged).
std::string CurveJson(const std::vector<FineTuneEpoch>& curve);
std::vector<FineTuneEpoch> ParseCurveJson(const std::string& text);

}  // namespace bitsearch
