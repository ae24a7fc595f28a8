#pragma once
// The keys of `search: {method: dnas, …}` and `finetune: {…}`: reading them strictly and writing
// them back resolved. Must not depend on LibTorch, nor on how a run is done.

#include <yaml-cpp/emitter.h>

#include "search/supernet/dnas.h"
#include "search/supernet/fine_tune.h"
#include "space/support/yaml_reader.h"

namespace bitsearch {

/// What a DNAS section says. Quantizers and device come from the experiment's other sections.
struct DnasSection {
  DnasOptions options;
  std::int64_t decode_samples = 64;  ///< Configurations drawn from the distributions …
  std::int64_t evaluate_best = 5;    ///< … of which so many are evaluated, with the exact one.
};

/// Reads the keys of a `search:` map whose method is dnas:
///   mode: gumbel_soft | gumbel_hard | composite | single_path; scope: layer | block;
///   epochs, warmup_epochs, batch_size, bilevel, architecture_share, weight_rate, momentum,
///   weight_decay, architecture_rate, architecture_decay, temperature, temperature_decay,
///   stable_epochs, crop_padding, flip, decode_samples, evaluate_best, and
///   terms: [{resource: size_bytes, kind: hinge | additive | multiplicative, weight, exponent}].
/// Without terms, every limited resource gets a hinge. Errors are noted in the node's file.
DnasSection ReadDnasSection(const YamlNode& search);

/// Reads a `finetune:` map: epochs, batch_size, learning_rate, warmup_epochs, momentum,
///   weight_decay, label_smoothing, steps: lsq | max, narrow, distillation,
///   distillation_temperature, lowering: [{first_epoch, least_bits}], frozen_norm_epochs,
///   reestimation_batches, calibration_samples, crop_padding, flip.
FineTuneOptions ReadFineTuneSection(const YamlNode& node);

/// Writes the keys into the map that is open in `out`.
void WriteDnasSection(YAML::Emitter& out, const DnasSection& section);
void WriteFineTuneSection(YAML::Emitter& out, const FineTuneOptions& options);

}  // namespace bitsearch
