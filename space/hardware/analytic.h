#pragma once
// Latency models for devices that are not at hand: a roofline, a BitFusion-like array, a bit-serial
// array. They are models, and every table made from them says so. Must not measure.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "space/choices/bit_choice.h"
#include "space/hardware/latency_table.h"
#include "space/hardware/layer_signature.h"
#include "space/support/yaml_reader.h"

namespace bitsearch {

/// A device as numbers.
struct AnalyticDevice {
  enum class Kind : std::uint8_t {
    /// max(MACs / rate of the pair of bits, bytes / bandwidth) (Williams et al. 2009).
    kRoofline,
    /// An array of rows × columns fusion units of 16 two-bit multipliers each: a w×a-bit product
    /// takes (w/2)·(a/2) of them, bits rounded up to 2, 4, 8, 16 (BitFusion, Sharma et al. 2018).
    /// Input channels × kernel lie along the rows, output channels along the columns; partly
    /// filled tiles cost as much as full ones.
    kBitFusion,
    /// rows × columns lanes that take w·a cycles a product (both operands serial).
    kBitSerial,
  };
  std::string name;
  Kind kind = Kind::kRoofline;
  double bandwidth_gb_per_s = 0.0;  ///< Weights, inputs and outputs cross it once. Positive.
  double launch_us = 0.0;           ///< Added to every layer.
  double frequency_mhz = 0.0;       ///< Arrays only.
  std::int64_t rows = 0;            ///< Arrays only.
  std::int64_t columns = 0;         ///< Arrays only.
  /// Roofline only: 10⁹ multiply-accumulates a second of each pair of bits. Pairs that are not
  /// listed have no kernel.
  std::map<BitChoice, double> gmacs_per_s;
};

/// Reads
///     model: roofline | bit_fusion | bit_serial
///     name: …
///     bandwidth_gb_per_s: 25.6
///     launch_us: 2
///     rates: [{weight_bits: 8, activation_bits: 8, gmacs_per_s: 180}, …]   # roofline
///     frequency_mhz: 500, rows: 16, columns: 16                            # arrays
/// Faults are noted in the file of the node.
AnalyticDevice ReadAnalyticDevice(const YamlNode& node);
/// The same from a file of its own. Throws ErrorList, Error(kFileNotFound).
AnalyticDevice ReadAnalyticDeviceFile(const std::string& path);

/// Modelled time of one layer for one sample, at least 1 ns; nothing if the device has no kernel
/// for the choice (a pair without a rate; floats on an array).
std::optional<std::int64_t> AnalyticNanoseconds(const AnalyticDevice& device,
                                                const LayerSignature& signature, BitChoice choice);

/// Entries for every layer and candidate that the device runs, under the layers' ids, with their
/// signatures declared. Provenance says that it is a model.
LatencyTable AnalyticTable(const AnalyticDevice& device, const std::vector<LayerKey>& layers,
                           const std::vector<BitChoice>& candidates);

}  // namespace bitsearch
