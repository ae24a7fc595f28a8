#pragma once
// SensitivityReport: for each layer and choice the expected loss increase, what every estimator
// produces and every search starts from; and its CSV files. Torch-free; must not know search.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "space/choices/bit_choice.h"

namespace bitsearch {

/// Expected loss increase of one choice of one layer, all other layers in float. In nats, unless
/// the report's notes say otherwise. Negative values are possible (noise, or a lucky rounding).
struct ChoiceSensitivity {
  BitChoice choice;
  double loss_increase = 0.0;
  std::optional<double> standard_error;  ///< ≥ 0.
};

struct LayerSensitivity {
  std::string layer;
  std::vector<ChoiceSensitivity> choices;  ///< Each choice once, in the file's order.
};

/// What two layers' choices add to the loss beyond their separate increases (CLADO's cross terms).
struct PairSensitivity {
  std::string layer_a;
  BitChoice choice_a;
  std::string layer_b;
  BitChoice choice_b;
  double loss_increase = 0.0;
};

/// A report. Layers in the network's order.
struct SensitivityReport {
  /// `# key: value` lines: method, normalisation, folding, data, …; in this order in the file.
  std::vector<std::pair<std::string, std::string>> notes;
  std::vector<LayerSensitivity> layers;
  /// Kept in a file of their own.
  std::vector<PairSensitivity> pairs;

  /// The note of a key, or "".
  std::string Note(std::string_view key) const;
  /// Index into `layers`, or nothing.
  std::optional<std::size_t> FindLayer(std::string_view name) const;
};

/// Reads `layer,weight_bits,activation_bits,loss_increase[,standard_error]`; the order of first
/// appearance is the layer order. Throws Error of class kData with file, line and column: unknown or
/// missing columns, bits or numbers that cannot be read (NaN included), a negative standard error,
/// a choice given twice.
SensitivityReport ReadSensitivityCsv(const std::string& path);
/// The same from text; `name` stands for the file in messages.
SensitivityReport ParseSensitivityCsv(std::string_view text, const std::string& name);
/// The file's text; numbers with the fewest digits that read back equal.
std::string SensitivityCsv(const SensitivityReport& report);

/// Reads `layer_a,weight_bits_a,activation_bits_a,layer_b,weight_bits_b,activation_bits_b,`
/// `loss_increase`. Whether layers and choices exist is for the reader's caller to check.
std::vector<PairSensitivity> ReadPairsCsv(const std::string& path);
std::string PairsCsv(const SensitivityReport& report);

}  // namespace bitsearch
