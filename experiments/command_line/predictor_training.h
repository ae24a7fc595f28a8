#pragma once
// Files → what a predictor of a fixed network is trained on: measured configurations (CSV or JSON
// lines) and cost tables. The search space is what the files hold. No LibTorch.

#include <string>
#include <utility>
#include <vector>

#include "predictor/training/ensemble_trainer.h"
#include "predictor/training/transfer_curve.h"
#include "space/support/error.h"

namespace bitsearch {

/// One measured configuration, by names: ("conv1.weight_bits", "4"), …
struct MeasuredConfig {
  std::vector<std::pair<std::string, std::string>> values;
  double top1_percent = 0.0;
  SourceLocation where;
};

/// Reads measured configurations. CSV (`.csv`): one column per choice, `<layer>.weight_bits` or
/// `<layer>.activation_bits`, and `top1_percent`; a column `id` is skipped. Anything else: JSON
/// lines, each with `layers` (as in configuration files) or `values`, and `top1_percent`. Throws
/// Error with file and line: kPredictorData, kJsonSyntax, the errors of CsvTable.
std::vector<MeasuredConfig> ReadMeasuredConfigs(const std::string& path);

/// The rows as genomes of `space`; throws Error(kCandidate) with file and line.
TrainingRows RowsIn(const CandidateSpace& space, const std::vector<MeasuredConfig>& configs);

/// A space of bits alone with the costs of its choices.
struct CostedSpace {
  CandidateSpace space;
  std::vector<FactoredCost> costs;
};

/// Layers in the order of the rows; for each the formats that occur in the rows or, for that layer,
/// in a cost file (latency or cost CSV, docs/ARCHITECTURE.md). A pair of formats that a file has no
/// row for cannot be run on that device. Throws Error: kPredictorData for a value that is no
/// layer's bits, and as ReadResourceColumns.
CostedSpace SpaceOf(const std::string& name, const std::vector<MeasuredConfig>& configs,
                    const std::vector<std::string>& cost_files);

/// All of `first`, then all of `second`.
std::vector<MeasuredConfig> Joined(std::vector<MeasuredConfig> first,
                                   const std::vector<MeasuredConfig>& second);

/// Cheap and expensive measurements of a fixed network as a problem of transfer. Rows of one
/// configuration are a group. The reference is the cheap score, where every expensive configuration
/// was measured cheaply too, else none.
TransferProblem TransferProblemFrom(const std::vector<MeasuredConfig>& expensive,
                                    const std::vector<MeasuredConfig>& cheap);

}  // namespace bitsearch
