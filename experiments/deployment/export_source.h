#pragma once
// What `bitsearch export` and `deploy` start from: a run's folder or a configuration's file, with
// the network it belongs to. Must not depend on LibTorch nor on the command line.

#include <optional>
#include <string>
#include <vector>

#include "experiments/config_file.h"
#include "space/graph/layer_graph.h"
#include "space/graph/rewrites.h"
#include "space/network/dataset.h"

namespace bitsearch {

/// A configuration and, where it is known, its network.
struct ExportSource {
  ConfigDocument document;
  /// BN folded as the run had it (from a file: folded), equalised where the configuration's
  /// calibration says so; none where no model is given or wanted.
  std::optional<LayerGraph> graph;
  BatchNormMap statistics;  ///< Of the normalisation that was folded.
  /// The records that a run reports on; none from a file.
  std::optional<DataSpec> report_data;
  /// The configuration's file, for messages.
  std::string place;
  /// What to tell the user: parts of the file left out, another model than the configuration's.
  std::vector<std::string> notes;
};

/// `what` is a run's folder or a configuration in any format that ReadAnyConfig reads. `model`
/// replaces the run's model; empty: the run's, read only if `wants_graph`. `choice` picks among a
/// run's budgets by name, or "goal", or what was trained at a budget's bits by "NAME/tuned"; empty
/// where there is one that was not.
/// Throws Error(kRunNotFound), Error(kUsage) (no such choice, or several and none named), and what
/// reading the experiment, the model and the configuration throws.
ExportSource LoadExportSource(const std::string& what, const std::string& model,
                              const std::string& choice, bool wants_graph);

}  // namespace bitsearch
