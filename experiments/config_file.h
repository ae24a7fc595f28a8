#pragma once
// The configuration file, JSON `bitsearch/config/1`: what a search produces and deployment
// engineers take away. Reading is strict and matches layers by name. Must not depend on LibTorch.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "experiments/stability.h"
#include "experiments/torch_backend.h"
#include "space/choices/bit_config.h"
#include "space/choices/placement.h"
#include "space/graph/layer_graph.h"

namespace bitsearch {

/// One layer of a configuration.
struct ConfigLayer {
  std::string name;
  std::string op;
  BitChoice choice;
  LayerQuantizers quantizers;
};

/// Everything that the file says. Absent parts are left out of the file.
struct ConfigDocument {
  std::string model;  ///< File name without its folder.
  std::string model_sha256;
  Placement placement = Placement::kWeightsOnly;
  std::vector<std::string> calibration;  ///< Steps, in order.
  /// How the weights' grids follow from the weights. Absent in files of earlier versions, whose
  /// weights have the default's.
  std::optional<WeightQuantizerSpec> weights;
  /// Training found the weights' scales: they do not follow from the weights.
  bool learned_scales = false;
  std::vector<ConfigLayer> layers;
  /// Placements runtime and integer: every quantized activation tensor, inputs of layers too.
  std::vector<TensorGrid> tensors;
  /// Resource name (with unit) → decimal text, in the order of the tables.
  std::vector<std::pair<std::string, std::string>> costs;
  /// What the choice was made on: "predicted" losses (it is the solver's), "measured" losses (it is
  /// the best of several that were run), or the measured accuracy of a "goal". Empty: not known.
  std::string chosen_by;
  std::optional<double> predicted_loss_nats;
  /// No configuration within the budget has a smaller predicted loss.
  std::optional<double> lower_bound_nats;
  /// (predicted − bound)/predicted. Says how good the choice is only where it was "predicted".
  std::optional<double> gap;
  std::optional<Evaluation> measured;
  /// How often the bits come out when the sensitivities are drawn anew within their errors; by
  /// layer, in the order of `layers`.
  std::optional<Stability> stability;
  std::uint64_t seed = 0;
};

/// The file's text.
std::string ConfigJson(const ConfigDocument& document);

/// Throws Error: kFileNotFound, kJsonSyntax (with line and column), kFormatVersion (another or a
/// newer format), kConfigLayers (a layer without a name or bits, a name twice, bits that are none,
/// a tensor's grid that does not fit its bits).
ConfigDocument ReadConfigJson(const std::filesystem::path& path);

/// The document's choices in the graph's layer order. Throws Error(kConfigLayers) if a layer of the
/// graph is not in the document or the other way round; `path` stands in the message.
BitConfig ConfigForGraph(const ConfigDocument& document, const LayerGraph& graph,
                         const std::string& path);

/// By layer of the graph, the stored input grids, and the corrected biases (an empty list if the
/// document holds none); learned grids of weights; and the tensors' grids. Throws
/// Error(kConfigLayers) if a corrected bias does not have as many values as the layer has output
/// channels, if the number of learned scales does not fit the weight, or if the graph has no tensor
/// of such a name; `path` stands in the message.
StoredCalibration StoredCalibrationOf(const ConfigDocument& document, const LayerGraph& graph,
                                      const std::string& path);

}  // namespace bitsearch
