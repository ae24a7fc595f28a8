#pragma once
// What writers and readers of other tools' files share: a configuration's layers beside those of
// the network, the names under which tools know them, refusals, and the document that a reader
// fills. Knows no tool.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/deployment/formats/config_format.h"

namespace bitsearch {

/// A layer of the configuration with its place in the network.
struct LayerToWrite {
  const ConfigLayer* entry = nullptr;
  const Layer* layer = nullptr;
  /// fp32 for a product of two activations.
  NumberFormat weight;
  /// fp32 where the placement leaves activations float.
  NumberFormat activation;
};

/// The document's layers in its order. Adds a note where the placement overrides activation bits.
std::vector<LayerToWrite> LayersToWrite(const ExportRequest& request,
                                        std::vector<std::string>& notes);

/// Collects what a format cannot hold, so that all of it is said at once.
class Refusals {
 public:
  Refusals(std::string tool, std::string place)
      : tool_(std::move(tool)), place_(std::move(place)) {}
  /// "TOOL cannot hold WHAT" about a layer.
  void Add(const std::string& layer, const std::string& what, const std::string& hint = "");
  bool Has(const std::string& layer) const { return layers_.contains(layer); }
  /// Throws ErrorList if anything was added.
  void Throw() const;
  const std::string& tool() const { return tool_; }

 private:
  std::string tool_;
  std::string place_;
  std::map<std::string, bool> layers_;
  std::vector<Error> errors_;
};

/// Number formats that a file can hold; integers from..to, none where from > to.
struct HoldableBits {
  int least_weight = 2;
  int most_weight = 16;
  int least_activation = 2;
  int most_activation = 16;
  bool float_weights = true;
  bool float_activations = true;
  bool half = false;  ///< fp16 too.
};

/// Refuses what is outside `bits`: blocks left out, one bit and ternary (no affine grid), floats.
void RefuseBits(const LayerToWrite& layer, const HoldableBits& bits, Refusals& refusals);

/// The weight's quantizer: the configuration's, or, where it stores none, that of its weight spec
/// (default: per output channel, symmetric) on the network's weight.
TensorQuantizer WeightQuantizerOf(const LayerToWrite& layer, const ExportRequest& request);

/// How the weights are grouped and centred, stored or by the document's spec.
Granularity WeightGranularity(const LayerToWrite& layer, const ExportRequest& request);
bool SymmetricWeight(const LayerToWrite& layer, const ExportRequest& request);

/// The grid behind a stored quantizer's first scale.
AffineGrid GridOf(const TensorQuantizer& quantizer, int bits);
/// A stored quantizer with the range of its first grid filled in.
TensorQuantizer ActivationQuantizer(bool symmetric, int bits, float scale, std::int32_t zero_point);

/// The weight's name without ".weight": the PyTorch module. Nothing for other weights' names.
std::optional<std::string> ModuleName(const LayerGraph& graph, const Layer& layer);
/// The module of a layer that has one; refuses others. Empty where refused or without a weight.
std::string ModuleToWrite(const LayerToWrite& layer, const LayerGraph& graph, Refusals& refusals);

/// Nearest tensor at or above `tensor` that an operator which only moves values made; what a
/// quantizer on it means for those below.
std::optional<TensorIndex> MovedFrom(const LayerGraph& graph, TensorIndex tensor);

/// What a file names: quantizers of tensors, or of modules with their inputs.
enum class NamedThing : std::uint8_t { kTensor, kModule };

/// Refuses layers for which one name of the file would have to mean two things: layers that share a
/// weight, or (kTensor) an input, with different choices; (kTensor) a float input that is a moved
/// copy of a quantized tensor. Adds a note where readers beside the layers would see the quantized
/// tensor too, and the placement does not mean that.
void RefuseDisagreement(const std::vector<LayerToWrite>& layers, const ExportRequest& request,
                        NamedThing named, Refusals& refusals, std::vector<std::string>& notes);

/// Layers by a name that a tool gives them.
using LayersByName = std::map<std::string, std::vector<LayerIndex>>;
LayersByName LayersByModule(const LayerGraph& graph);

/// What is wrong with a name that no layer has, the nearest in the hint.
Error UnknownName(const JsonValue& where, const std::string& kind, const std::string& name,
                  const LayersByName& known);

/// A document of all of the network's layers in float, to be filled.
ConfigDocument FloatDocument(const LayerGraph& graph);
/// Sets the placement by whether any activation is quantized.
void InferPlacement(ConfigDocument& document);
/// Sets the weights' spec from stored quantizers. What runs a configuration derives the grids of
/// weights from it: a note says where they would be others than the file's.
void InferWeightSpec(const LayerGraph& graph, ConfigDocument& document,
                     std::vector<std::string>& notes);

/// Bits of an integer format in a file: throws the value's Fault outside [least, 16].
NumberFormat IntegerBits(const JsonValue& value, int least = 1);

}  // namespace bitsearch
