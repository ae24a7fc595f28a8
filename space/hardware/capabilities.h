#pragma once
// What a device can run: which pairs of bits, granularities and operators, and what happens to
// everything else. The search space comes from here. Must not know how times were obtained.

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "space/choices/bit_choice.h"
#include "space/choices/quantization_spec.h"
#include "space/hardware/latency_table.h"
#include "space/support/yaml_reader.h"

namespace bitsearch {

/// Pairs that a device runs for some operators. Empty sets of operators or granularities: all.
struct CapabilityRule {
  std::set<std::string> operators;
  std::set<NumberFormat> weights;
  std::set<NumberFormat> activations;
  std::set<Granularity> granularities;
};

enum class Support : std::uint8_t {
  kRuns,         ///< The device has a kernel.
  kFallsBack,    ///< It runs, in the fallback format and at its time.
  kUnsupported,  ///< It fails.
};

/// A device's rules. fp32/fp32 always runs.
struct DeviceCapabilities {
  std::string device;
  std::vector<CapabilityRule> rules;
  /// What a choice without a kernel runs as; nothing: it fails.
  std::optional<BitChoice> fallback;

  Support SupportOf(const std::string& op, BitChoice choice, Granularity granularity) const;
};

/// Reads
///     device: onnxruntime-1.30-cpu
///     fallback: fp32                  # or `none` (the default): such a choice fails
///     runs:
///       - {operators: [Conv], weight_bits: [8], activation_bits: [8],
///          granularities: [per_tensor, per_channel]}
/// from a map; operators and granularities may be left out. Faults are noted in the file that the
/// node belongs to (YamlFile::Finish throws them).
DeviceCapabilities ReadCapabilities(const YamlNode& node);
/// The same from a file of its own. Throws ErrorList, Error(kFileNotFound).
DeviceCapabilities ReadCapabilitiesFile(const std::string& path);

/// One layer, as the rules and the table see it.
struct CandidateLayer {
  LayerKey key;
  std::string op;
  std::vector<BitChoice> candidates;
};

/// The choices that may be searched on a device.
struct OfferedChoices {
  std::vector<std::vector<BitChoice>> choices;  ///< [layer]
  /// The table with the fallback's time entered for choices that fall back.
  LatencyTable table;
  /// One line for each choice that was dropped or falls back, over all layers.
  std::vector<std::string> notes;
};

/// Keeps of each layer's candidates what its operator runs, and what falls back if the table knows
/// the time: its own entry of the choice (it was measured falling back), or that of the fallback
/// format. Everything else is dropped. Throws Error(kCapabilityEmpty), naming the layer, if nothing
/// is left for it.
OfferedChoices OfferChoices(const DeviceCapabilities& device, const LatencyTable& table,
                            const std::vector<CandidateLayer>& layers, Granularity granularity);

}  // namespace bitsearch
