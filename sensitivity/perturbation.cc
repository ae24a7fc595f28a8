#include "sensitivity/perturbation.h"

#include <algorithm>
#include <set>
#include <utility>

#include "space/network/batches_torch.h"
#include "space/network/network_torch.h"
#include "space/network/thread_budget_torch.h"
#include "space/quantizer/quantized_network_torch.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr NumberFormat kFloat = NumberFormat::Float32();

// Per-sample effects of one quantized layer.
struct Samples {
  std::vector<double> kl;
  std::vector<double> loss_increase;
  std::vector<double> output_mse;
  std::vector<at::Tensor> logit_shift;  // By batch; undefined unless kept.

  Samples(std::size_t count, std::size_t batches)
      : kl(count), loss_increase(count), output_mse(count), logit_shift(batches) {}
};

// Logits in double, so that a KL of 1e-7 is not lost in the difference of two logarithms.
struct Reference {
  at::Tensor logits;
  at::Tensor log_probabilities;
  at::Tensor loss;  // Per sample; undefined, as the labels are, for unlabelled data.
  at::Tensor labels;
};

/// N × outputs: one row per sample, whatever the output's shape.
at::Tensor Rows(const at::Tensor& output) { return output.to(at::kCPU, at::kDouble).flatten(1); }

at::Tensor LossPerSample(const at::Tensor& log_probabilities, const at::Tensor& labels) {
  return -log_probabilities.gather(1, labels.unsqueeze(1)).squeeze(1);
}

void CopyTo(const at::Tensor& values, std::vector<double>& target, std::int64_t first) {
  const at::Tensor dense = values.contiguous();
  std::copy_n(dense.data_ptr<double>(), dense.numel(), target.begin() + first);
}

void Append(const at::Tensor& values, std::vector<float>& target) {
  const at::Tensor dense = values.contiguous();
  target.insert(target.end(), dense.data_ptr<float>(), dense.data_ptr<float>() + dense.numel());
}

std::int64_t LiveBytes(const ExecutionState& state) {
  std::int64_t bytes = 0;
  for (const at::Tensor& value : state.values) {
    if (value.defined()) bytes += static_cast<std::int64_t>(value.nbytes());
  }
  return bytes;
}

class Measurement {
 public:
  Measurement(const CalibratedNetwork& network, const Dataset& data,
              const PerturbationOptions& options, const RunContext& context)
      : network_(network),
        data_(data),
        options_(options),
        context_(context),
        batch_count_((data.size() + options.batch_size - 1) / options.batch_size),
        references_(static_cast<std::size_t>(batch_count_)),
        prefixes_(static_cast<std::size_t>(batch_count_)) {}

  std::vector<float> FloatLogProbabilities() {
    MakeReferences();
    std::vector<float> result;
    for (const Reference& reference : references_) {
      Append(reference.log_probabilities.to(at::kFloat), result);
    }
    return result;
  }

  // The rows of `choices`, all of one layer. Layers must come in ascending order.
  std::vector<PerturbationRow> Measure(LayerIndex layer, const std::vector<BitChoice>& choices) {
    std::vector<BitConfig> configs;
    for (const BitChoice& choice : choices) {
      configs.emplace_back(FloatConfig()).choices[layer.value] = choice;
    }
    const std::vector<Samples> samples = Run(layer, configs);
    std::vector<PerturbationRow> rows;
    for (std::size_t c = 0; c < choices.size(); ++c) {
      PerturbationRow row{layer,
                          choices[c],
                          MeanOf(samples[c].kl),
                          MeanOf(samples[c].loss_increase),
                          MeanOf(samples[c].output_mse),
                          {},
                          {}};
      if (options_.keep_samples) {
        row.kl_per_sample.assign(samples[c].kl.begin(), samples[c].kl.end());
        for (const at::Tensor& shift : samples[c].logit_shift) Append(shift, row.logit_shift);
      }
      rows.push_back(std::move(row));
    }
    return rows;
  }

  // The rows of every two `choices` of two layers. Pairs must come in ascending order.
  std::vector<PairRow> Measure(const LayerPair& pair,
                               const std::vector<std::pair<BitChoice, BitChoice>>& choices) {
    std::vector<BitConfig> configs;
    for (const auto& [first, second] : choices) {
      BitConfig& config = configs.emplace_back(FloatConfig());
      config.choices[pair.first.value] = first;
      config.choices[pair.second.value] = second;
    }
    const std::vector<Samples> samples = Run(pair.first, configs);
    std::vector<PairRow> rows;
    for (std::size_t c = 0; c < choices.size(); ++c) {
      rows.push_back({pair, choices[c].first, choices[c].second, MeanOf(samples[c].kl),
                      MeanOf(samples[c].loss_increase), MeanOf(samples[c].output_mse)});
    }
    return rows;
  }

 private:
  BitConfig FloatConfig() const {
    return BitConfig::Uniform(network_.graph().layers().size(), BitChoice{kFloat, kFloat});
  }

  // What configurations do that leave all layers before `first` float. First layers must ascend.
  std::vector<Samples> Run(LayerIndex first, const std::vector<BitConfig>& configs) {
    if (!has_references_) MakeReferences();
    const std::size_t node = network_.graph().layer(first).node.value;
    std::vector<QuantizationHooks> hooks = Prepare(node, configs);
    std::vector<Samples> samples(configs.size(), Samples(static_cast<std::size_t>(data_.size()),
                                                         static_cast<std::size_t>(batch_count_)));
    ForEachOnOneThread(context_, batch_count_, [&](std::int64_t batch) {
      const ExecutionState prefix = Prefix(batch, node);
      for (std::size_t c = 0; c < configs.size(); ++c) {
        ExecutionState run = prefix;
        network_.network().Advance(run, network_.network().step_count(), &hooks[c]);
        Compare(batch, network_.network().Output(run), samples[c]);
      }
      Keep(batch, prefix);
    });
    return samples;
  }

  std::int64_t First(std::int64_t batch) const { return batch * options_.batch_size; }
  std::int64_t Count(std::int64_t batch) const {
    return std::min(options_.batch_size, data_.size() - First(batch));
  }
  at::Tensor Images(std::int64_t batch) const {
    return ImageBatch(data_, First(batch), Count(batch)).to(network_.network().device());
  }

  void MakeReferences() {
    ForEachOnOneThread(context_, batch_count_, [&](std::int64_t batch) {
      Reference reference;
      reference.logits = Rows(network_.network().Forward(Images(batch)));
      reference.log_probabilities = at::log_softmax(reference.logits, 1);
      if (has_labels_) {
        reference.labels = LabelBatch(data_, First(batch), Count(batch));
        reference.loss = LossPerSample(reference.log_probabilities, reference.labels);
      }
      references_[static_cast<std::size_t>(batch)] = std::move(reference);
    });
    has_references_ = true;
  }

  // The float network up to `node`: goes on from the kept prefix, or from the images.
  ExecutionState Prefix(std::int64_t batch, std::size_t node) const {
    const auto& kept = prefixes_[static_cast<std::size_t>(batch)];
    ExecutionState state = kept ? *kept : network_.network().Start({Images(batch)});
    network_.network().Advance(state, node);
    return state;
  }

  void Keep(std::int64_t batch, const ExecutionState& prefix) {
    const bool fits = LiveBytes(prefix) * batch_count_ <= options_.most_prefix_bytes;
    auto& kept = prefixes_[static_cast<std::size_t>(batch)];
    // Where the next cut does not fit, an earlier one that did still saves its part.
    if (fits) kept = prefix;
  }

  std::vector<QuantizationHooks> Prepare(std::size_t node, const std::vector<BitConfig>& configs) {
    const ExecutionState* calibration = nullptr;
    if (network_.spec().Has(CalibrationStep::kBiasCorrection) ||
        network_.spec().Has(CalibrationStep::kSequentialAdaRound)) {
      ForEachOnOneThread(RunContext{}, 1, [&](std::int64_t) {
        if (!calibration_prefix_) {
          calibration_prefix_ = network_.network().Start({CalibrationImages(network_)});
        }
        network_.network().Advance(*calibration_prefix_, node);
      });
      calibration = &*calibration_prefix_;
    }
    std::vector<QuantizationHooks> hooks(configs.size());
    ForEachOnOneThread(context_, static_cast<std::int64_t>(configs.size()), [&](std::int64_t c) {
      const auto slot = static_cast<std::size_t>(c);
      hooks[slot] = PrepareQuantization(network_, configs[slot], calibration);
    });
    return hooks;
  }

  void Compare(std::int64_t batch, const at::Tensor& output, Samples& samples) const {
    const Reference& reference = references_[static_cast<std::size_t>(batch)];
    const at::Tensor logits = Rows(output);
    const at::Tensor log_q = at::log_softmax(logits, 1);
    const at::Tensor& log_p = reference.log_probabilities;
    CopyTo((log_p.exp() * (log_p - log_q)).sum(1), samples.kl, First(batch));
    if (has_labels_) {
      CopyTo(LossPerSample(log_q, reference.labels) - reference.loss, samples.loss_increase,
             First(batch));
    }
    const at::Tensor shift = logits - reference.logits;
    CopyTo(shift.square().mean(1), samples.output_mse, First(batch));
    if (options_.keep_samples) {
      samples.logit_shift[static_cast<std::size_t>(batch)] = shift.to(at::kFloat);
    }
  }

  const CalibratedNetwork& network_;
  const Dataset& data_;
  const PerturbationOptions& options_;
  const RunContext& context_;
  std::int64_t batch_count_;
  bool has_references_ = false;
  const bool has_labels_ = data_.labelled();
  std::vector<Reference> references_;
  std::vector<std::optional<ExecutionState>> prefixes_;
  std::optional<ExecutionState> calibration_prefix_;
};

PerturbationRow Unperturbed(LayerIndex layer, const Dataset& data, bool keep_samples) {
  PerturbationRow row{layer, {kFloat, kFloat}, {}, {}, {}, {}, {}};
  if (keep_samples) row.kl_per_sample.assign(static_cast<std::size_t>(data.size()), 0.0F);
  return row;
}

void CheckArguments(const CalibratedNetwork& network, const Dataset& data,
                    std::span<const std::vector<BitChoice>> choices, std::int64_t batch_size) {
  if (choices.size() != network.graph().layers().size()) {
    throw Error(ErrorId::kUsage, "choices for " + std::to_string(choices.size()) +
                                     " layers, the network has " +
                                     std::to_string(network.graph().layers().size()));
  }
  if (data.size() == 0) {
    throw Error(ErrorId::kDataCount, "a sensitivity needs at least one sample, got none");
  }
  if (batch_size < 1) {
    throw Error(ErrorId::kUsage,
                "batch_size is " + std::to_string(batch_size) + ", allowed are 1 and more");
  }
}

// The choices of a layer that quantize something, as they act, each once.
std::vector<BitChoice> EffectiveChoices(const CalibratedNetwork& network, LayerIndex layer,
                                        const std::vector<BitChoice>& choices) {
  std::vector<BitChoice> result;
  for (const BitChoice& choice : choices) {
    const BitChoice effective = EffectiveChoice(network, layer, choice);
    const bool fresh = std::find(result.begin(), result.end(), effective) == result.end();
    if (fresh && effective != BitChoice{kFloat, kFloat}) result.push_back(effective);
  }
  return result;
}

}  // namespace

BitChoice EffectiveChoice(const CalibratedNetwork& network, LayerIndex layer, BitChoice choice) {
  if (network.spec().placement == Placement::kWeightsOnly) choice.activation = kFloat;
  if (!network.graph().layer(layer).weight) choice.weight = kFloat;
  return choice;
}

std::vector<PerturbationRow> MeasurePerturbations(const CalibratedNetwork& network,
                                                  const Dataset& data,
                                                  std::span<const std::vector<BitChoice>> choices,
                                                  const PerturbationOptions& options,
                                                  const RunContext& context) {
  CheckArguments(network, data, choices, options.batch_size);
  Measurement measurement(network, data, options, context);
  std::vector<PerturbationRow> rows;
  for (std::size_t l = 0; l < choices.size(); ++l) {
    const LayerIndex layer(l);
    context.progress->Progress("sensitivity", static_cast<std::int64_t>(l),
                               static_cast<std::int64_t>(choices.size()));
    // By effective choice: what is known, and what is left to measure.
    std::vector<std::pair<BitChoice, PerturbationRow>> found;
    std::vector<BitChoice> open;
    const auto find = [&](const BitChoice& effective) {
      return std::find_if(found.begin(), found.end(),
                          [&](const auto& entry) { return entry.first == effective; });
    };
    for (const BitChoice& choice : choices[l]) {
      const BitChoice effective = EffectiveChoice(network, layer, choice);
      if (find(effective) != found.end() ||
          std::find(open.begin(), open.end(), effective) != open.end()) {
        continue;
      }
      if (effective == BitChoice{kFloat, kFloat}) {
        found.emplace_back(effective, Unperturbed(layer, data, options.keep_samples));
        continue;
      }
      if (options.known) {
        if (const auto row = options.known(layer, effective)) {
          found.emplace_back(effective, *row);
          continue;
        }
      }
      open.push_back(effective);
    }
    if (!open.empty()) {
      for (PerturbationRow& row : measurement.Measure(layer, open)) {
        if (options.record) options.record(row);
        found.emplace_back(row.choice, std::move(row));
      }
    }
    for (const BitChoice& choice : choices[l]) {
      rows.push_back(find(EffectiveChoice(network, layer, choice))->second);
      rows.back().layer = layer;
      rows.back().choice = choice;
    }
  }
  context.progress->Progress("sensitivity", static_cast<std::int64_t>(choices.size()),
                             static_cast<std::int64_t>(choices.size()));
  return rows;
}

std::vector<PairRow> MeasurePairPerturbations(const CalibratedNetwork& network, const Dataset& data,
                                              std::span<const std::vector<BitChoice>> choices,
                                              std::span<const LayerPair> pairs,
                                              const PairPerturbationOptions& options,
                                              const RunContext& context) {
  CheckArguments(network, data, choices, options.batch_size);
  PerturbationOptions basic;
  basic.batch_size = options.batch_size;
  basic.most_prefix_bytes = options.most_prefix_bytes;
  Measurement measurement(network, data, basic, context);
  std::vector<PairRow> rows;
  for (std::size_t p = 0; p < pairs.size(); ++p) {
    const LayerPair& pair = pairs[p];
    context.progress->Progress("pairs", static_cast<std::int64_t>(p),
                               static_cast<std::int64_t>(pairs.size()));
    std::vector<PairRow> found;
    std::vector<std::pair<BitChoice, BitChoice>> open;
    for (const BitChoice& first :
         EffectiveChoices(network, pair.first, choices[pair.first.value])) {
      for (const BitChoice& second :
           EffectiveChoices(network, pair.second, choices[pair.second.value])) {
        const auto row = options.known ? options.known(pair, first, second) : std::nullopt;
        if (!row) open.emplace_back(first, second);
        found.push_back(row.value_or(PairRow{pair, first, second, {}, {}, {}}));
      }
    }
    if (!open.empty()) {
      for (PairRow& row : measurement.Measure(pair, open)) {
        if (options.record) options.record(row);
        *std::find_if(found.begin(), found.end(), [&](const PairRow& empty) {
          return empty.first == row.first && empty.second == row.second;
        }) = std::move(row);
      }
    }
    rows.insert(rows.end(), found.begin(), found.end());
  }
  return rows;
}

std::vector<float> FloatLogProbabilities(const CalibratedNetwork& network, const Dataset& data,
                                         const PerturbationOptions& options,
                                         const RunContext& context) {
  return Measurement(network, data, options, context).FloatLogProbabilities();
}

std::vector<BitChoice> SeparateParts(std::span<const BitChoice> choices) {
  std::set<BitChoice> parts;
  for (const BitChoice& choice : choices) {
    parts.insert({choice.weight, kFloat});
    parts.insert({kFloat, choice.activation});
  }
  parts.erase({kFloat, kFloat});
  return {parts.begin(), parts.end()};
}

}  // namespace bitsearch
