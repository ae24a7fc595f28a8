#pragma once
// Networks and random configurations for the tests of file formats.

#include <optional>
#include <random>
#include <string>
#include <vector>

#include "experiments/deployment/formats/config_format.h"

namespace bitsearch {

/// The embedded ResNet-20, BN folded.
const LayerGraph& EmbeddedNetwork();
/// The CIFAR-10 ResNet-20 of the shared data, BN folded; nothing where the data are absent.
const LayerGraph* SharedResNet20();
/// Those of the two that are present.
std::vector<const LayerGraph*> Networks();

/// What a random configuration draws from.
struct SampleRange {
  std::vector<NumberFormat> weights;
  std::vector<NumberFormat> activations;
  bool symmetric_weights = true;
  bool per_channel = true;
  bool symmetric_activations = false;
  /// Asymmetric grids of activations start at 0 (zero point 0).
  bool from_zero = false;
  /// One choice of activations for all layers.
  bool one_activation = false;
  /// Layers are wholly quantized or wholly float.
  bool both_or_none = false;
  bool quantizers = true;
};

/// A configuration with stored quantizers: those of the network's weights, random ones of inputs.
/// Layers that share an input have the same choice of activation.
ConfigDocument RandomConfig(const LayerGraph& graph, const SampleRange& range,
                            std::mt19937& random);

/// A range inside what the format holds.
SampleRange HoldableRange(const std::string& format);

/// Writes, reads back. `graph` is used for both.
ConfigDocument RoundTrip(const std::string& format, const ConfigDocument& document,
                         const LayerGraph& graph);
/// The text of an export.
std::string Exported(const std::string& format, const ConfigDocument& document,
                     const LayerGraph& graph);
/// Reads a text as a file.
ImportedConfig Imported(const std::string& text, const LayerGraph& graph);

/// Empty if the two are the same configuration: bits, and quantizers where `with_quantizers`; else
/// the first difference.
std::string Difference(const ConfigDocument& a, const ConfigDocument& b, bool with_quantizers);

}  // namespace bitsearch
