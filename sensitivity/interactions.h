#pragma once
// How two quantized layers act together, from what each does alone. To second order the KL
// divergence to the float network is ½ uᵀGu per record, u the shift of the logits and
// G = diag p − ppᵀ; shifts of several layers add up to first order, so the cross terms u_lᵀGu_m come
// from the logits that one-layer runs have shown anyway: no run of a pair is needed. Torch-free.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sensitivity/sensitivity_report.h"
#include "space/choices/bit_choice.h"
#include "space/choices/bit_config.h"
#include "space/support/strong_index.h"

namespace bitsearch {

/// The logit shifts of one-layer runs on one set of records.
class LogitShifts {
 public:
  /// `float_log_probabilities`: N × classes, row-major.
  LogitShifts(std::vector<float> float_log_probabilities, std::int64_t classes,
              std::vector<std::string> layers);

  /// What `choice` of `layer` alone adds to the float logits, N × classes; empty: nothing.
  void Add(LayerIndex layer, const BitChoice& choice, std::vector<float> shift);

  std::int64_t samples() const { return samples_; }
  const std::vector<std::string>& layers() const { return layers_; }

  /// Mean over the records of u_lᵀGu_m for every two layers' choices, in the order added. The
  /// standard errors over the records are left out of the file format, so they are not computed.
  std::vector<PairSensitivity> CrossTerms() const;

  /// Mean KL(float ‖ float logits + Σ_l shift of config.choices[l]), in nats: all orders in the
  /// softmax, first order in the layers. A joint choice that was not added is the sum of its weight
  /// and activation parts. Throws Error(kUsage) for a choice that is not known either way.
  double PredictKl(const BitConfig& config) const;
  /// The same on given records only (repetitions count): for bootstraps.
  double PredictKl(const BitConfig& config, std::span<const std::int32_t> records) const;
  /// KL record by record.
  std::vector<double> PredictKlPerRecord(const BitConfig& config) const;

 private:
  struct Entry {
    BitChoice choice;
    std::vector<float> shift;
  };
  void AddShift(std::size_t layer, const BitChoice& choice, std::vector<float>& logits) const;
  const Entry* Find(std::size_t layer, const BitChoice& choice) const;

  std::vector<float> log_p_;
  std::int64_t classes_;
  std::int64_t samples_;
  std::vector<std::string> layers_;
  std::vector<std::vector<Entry>> entries_;  ///< By layer.
};

}  // namespace bitsearch
