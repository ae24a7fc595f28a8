#pragma once
// The keys of `search: {method: dnas, …}` and `finetune: {…}`: reading them strictly and writing
// them back resolved. Must not depend on LibTorch, nor on how a run is done.

#include <yaml-cpp/emitter.h>

#include "experiments/experiment.h"
#include "space/support/yaml_reader.h"

namespace bitsearch {

/// Reads the keys of a `search:` map whose method is dnas:
///   mode: gumbel_soft | gumbel_hard | composite | single_path; scope: layer | block;
///   epochs, warmup_epochs, batch_size, bilevel, architecture_share, weight_rate, momentum,
///   weight_decay, architecture_rate, architecture_decay, temperature, temperature_decay,
///   stable_epochs, crop_padding, flip, decode_samples, evaluate_best, and
///   terms: [{resource: size_bytes, kind: hinge | additive | multiplicative, weight, exponent}].
/// Without terms, every limited resource gets a hinge. Errors are noted in the node's file.
DnasSection ReadDnasSection(const YamlNode& search);

/// Reads a `finetune:` map: lines, control_epochs (default: epochs + `search_epochs`), epochs,
///   batch_size, learning_rate, warmup_epochs, momentum, weight_decay, label_smoothing,
///   steps: lsq | max, narrow, distillation, distillation_temperature,
///   lowering: [{first_epoch, least_bits}], frozen_norm_epochs, reestimation_batches,
///   calibration_samples, crop_padding, flip.
FineTuneSection ReadFineTuneSection(const YamlNode& node, int search_epochs);

/// What the two sections need from the others and what contradicts them; noted in the file. To be
/// called when every section has been read.
void CheckSupernetSections(const YamlNode& root, const Experiment& experiment);

/// Writes the keys into the map that is open in `out`.
void WriteDnasSection(YAML::Emitter& out, const DnasSection& section);
void WriteFineTuneSection(YAML::Emitter& out, const FineTuneSection& section);

}  // namespace bitsearch
