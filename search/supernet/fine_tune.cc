#include "search/supernet/fine_tune.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <sstream>
#include <utility>

#include "search/supernet/tuned_network_torch.h"
#include "space/network/evaluate.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

std::string Fingerprint(const FineTuneOptions& o, const BitConfig& config, const Dataset& train,
                        std::uint64_t seed) {
  std::ostringstream text;
  text.precision(17);
  text << "tune|" << config.Canonical() << '|' << o.epochs << '|' << o.batch_size << '|'
       << o.learning_rate << '|' << o.warmup_epochs << '|' << o.momentum << '|' << o.weight_decay
       << '|' << o.label_smoothing << '|' << static_cast<int>(o.quantizers.placement) << '|'
       << static_cast<int>(o.quantizers.weight.granularity) << '|' << o.quantizers.weight.group_size
       << '|' << o.quantizers.weight.narrow << '|' << o.quantizers.learn_weight_scales << '|'
       << o.quantizers.learn_activation_scales << '|' << o.quantizers.calibration_samples << '|'
       << o.distillation << '|' << o.distillation_temperature << '|' << o.frozen_norm_epochs << '|'
       << o.reestimation_batches << '|' << o.crop_padding << '|' << o.flip << '|' << train.size()
       << '|' << seed;
  for (const LoweringStage& stage : o.lowering) {
    text << '|' << stage.first_epoch << ':' << stage.least_bits;
  }
  return text.str();
}

void CheckOptions(const FineTuneOptions& o) {
  const auto fail = [](const std::string& what, const std::string& key) {
    throw Error(ErrorId::kUsage, what).Key(key);
  };
  if (o.epochs < 0) fail("at least 0", "epochs");
  if (o.batch_size < 1) fail("at least 1", "batch_size");
  if (o.distillation < 0.0 || o.distillation > 1.0) fail("between 0 and 1", "distillation");
  for (std::size_t i = 0; i < o.lowering.size(); ++i) {
    const bool last = i + 1 == o.lowering.size();
    if (last ? o.lowering[i].least_bits != 0
             : o.lowering[i].first_epoch >= o.lowering[i + 1].first_epoch) {
      fail("stages ascend by first_epoch and the last has least_bits 0", "lowering");
    }
  }
}

NumberFormat AtLeast(NumberFormat format, int bits) {
  if (format.kind() != NumberFormat::Kind::kInteger &&
      format.kind() != NumberFormat::Kind::kTernary) {
    return format;
  }
  return format.bits() < bits ? NumberFormat::Integer(bits) : format;
}

// The position of the stage that an epoch belongs to; -1 before the first.
int StageOf(const std::vector<LoweringStage>& stages, int epoch) {
  int stage = -1;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    if (epoch >= stages[i].first_epoch) stage = static_cast<int>(i);
  }
  return stage;
}

BitConfig ConfigAt(const BitConfig& config, const std::vector<LoweringStage>& stages, int epoch) {
  const int stage = StageOf(stages, epoch);
  if (stage < 0) return config;
  BitConfig raised = config;
  const int bits = stages[static_cast<std::size_t>(stage)].least_bits;
  for (BitChoice& choice : raised.choices) {
    choice = {AtLeast(choice.weight, bits), AtLeast(choice.activation, bits)};
  }
  return raised;
}

ArchitectureSpace FixedSpace(const LayerGraph& graph, const BitConfig& config) {
  std::vector<std::vector<BitChoice>> choices;
  for (const BitChoice& choice : config.choices) choices.push_back({choice});
  return BuildArchitectureSpace(graph, choices, {}, ChoiceScope::kLayer);
}

// Leaves out the blocks that the configuration skips.
struct Remaining {
  LayerGraph graph;
  BitConfig config;
};

Remaining WithoutSkipped(const LayerGraph& graph, const BitConfig& config) {
  const auto skips = [&](LayerIndex l) {
    return config.choices[l.value].weight == NumberFormat::Skip();
  };
  std::vector<ResidualBlock> skipped;
  std::vector<bool> gone(config.choices.size(), false);
  for (const ResidualBlock& block : FindResidualBlocks(graph)) {
    if (!std::all_of(block.layers.begin(), block.layers.end(), skips)) continue;
    skipped.push_back(block);
    for (const LayerIndex layer : block.layers) gone[layer.value] = true;
  }
  Remaining remaining;
  for (std::size_t l = 0; l < config.choices.size(); ++l) {
    if (gone[l]) continue;
    if (skips(LayerIndex(l))) {
      throw Error(ErrorId::kUsage, "0 bits here, but its residual block is not skipped as a whole")
          .Key(graph.layers()[l].id)
          .Hint("give every layer of the block 0 bits, or none");
    }
    remaining.config.choices.push_back(config.choices[l]);
  }
  remaining.graph = skipped.empty() ? graph : WithoutBranches(graph, skipped);
  return remaining;
}

class Tuner {
 public:
  Tuner(const LayerGraph& graph, const BitConfig& config, const Dataset& train,
        const Dataset* validation, const FineTuneOptions& options, const RunContext& context,
        const LayerGraph& teacher)
      : options_(options),
        context_(context),
        train_(train),
        validation_(validation),
        config_(config),
        network_(graph, options.device),
        parameters_(MakeTrainable(network_)),
        fingerprint_(Fingerprint(options, config, train, context.root_seed)) {
    if (options.distillation > 0.0) teacher_ = std::make_unique<Network>(teacher, options.device);
  }

  FineTuneResult Run() {
    int first_epoch = 0;
    if (options_.resume && std::filesystem::exists(options_.checkpoint)) first_epoch = Load();
    if (!quantizers_) EnterStage(first_epoch);
    for (int epoch = first_epoch; epoch < options_.epochs; ++epoch) {
      if (StageOf(options_.lowering, epoch) != stage_) EnterStage(epoch);
      RunEpoch(epoch);
      if (!options_.checkpoint.empty()) MakeCheckpoint().Save(epoch + 1, HistoryTensor(Rows()));
    }
    if (options_.reestimation_batches > 0) {
      ReestimateBatchNorm(network_, hooks_.get(), train_, options_.batch_size,
                          options_.reestimation_batches);
    }
    return {FreezeTuned(network_, *space_, *quantizers_), history_};
  }

 private:
  // Quantizers for the bits of the epoch's stage, calibrated on the network as it is now.
  void EnterStage(int epoch) {
    stage_ = StageOf(options_.lowering, epoch);
    space_ = std::make_unique<ArchitectureSpace>(
        FixedSpace(network_.graph(), ConfigAt(config_, options_.lowering, epoch)));
    quantizers_ = std::make_unique<LearnedQuantizers>(network_, *space_, &train_,
                                                      options_.quantizers, context_);
    hooks_ = std::make_unique<MixedPrecisionHooks>(network_.graph(), *space_, *quantizers_);
    TrainableParameters with_scales = parameters_;
    for (const at::Tensor& scale : quantizers_->Parameters()) with_scales.plain.push_back(scale);
    optimizer_ =
        MakeSgd(with_scales, options_.learning_rate, options_.momentum, options_.weight_decay);
  }

  void RunEpoch(int epoch) {
    BatchOptions batches;
    batches.batch_size = options_.batch_size;
    batches.crop_padding = options_.crop_padding;
    batches.flip = options_.flip;
    batches.stream = "tune";
    const std::int64_t steps = train_.size() / options_.batch_size;
    const EpochPlace place{"fine-tuning", epoch, epoch * steps, options_.epochs * steps};
    const bool frozen = epoch >= options_.epochs - options_.frozen_norm_epochs;
    const EpochSummary summary = RunTrainingEpoch(
        train_, batches, place, network_.device(), context_,
        [&](const TrainingBatch& batch, double position) { return Step(batch, position, frozen); });
    FineTuneEpoch record{epoch + 1, summary.loss_nats, summary.top1_percent, 0.0};
    if (validation_ != nullptr) {
      record.validation_top1_percent =
          EvaluateNetwork(network_, *validation_, hooks_.get(), context_).top1_percent();
    }
    char line[160];
    std::snprintf(line, sizeof line,
                  "tuning epoch %d/%d: loss %.4f, training top-1 %.2f %%, validation %.2f %%",
                  record.epoch, options_.epochs, record.train_loss_nats, record.train_top1_percent,
                  record.validation_top1_percent);
    context_.progress->Log(line);
    history_.push_back(record);
  }

  StepOutcome Step(const TrainingBatch& batch, double position, bool frozen_norm) {
    SetLearningRate(*optimizer_, CosineRate(options_.learning_rate, 0.0, options_.warmup_epochs,
                                            options_.epochs, position));
    optimizer_->zero_grad();
    const at::Tensor logits = network_.Forward(batch.images, hooks_.get(), !frozen_norm);
    at::Tensor loss = at::cross_entropy_loss(logits, batch.labels, {}, at::Reduction::Mean, -100,
                                             options_.label_smoothing);
    if (teacher_) {
      const double t = options_.distillation_temperature;
      at::Tensor teacher;
      {
        const at::NoGradGuard no_grad;
        teacher = at::log_softmax(teacher_->Forward(batch.images) / t, 1);
      }
      const at::Tensor student = at::log_softmax(logits / t, 1);
      const at::Tensor divergence = (teacher.exp() * (teacher - student)).sum(1).mean();
      loss = (1.0 - options_.distillation) * loss + options_.distillation * t * t * divergence;
    }
    loss.backward();
    optimizer_->step();
    quantizers_->KeepPositive();
    return {loss.detach(), logits.detach()};
  }

  TrainingCheckpoint MakeCheckpoint() {
    TrainingCheckpoint checkpoint(options_.checkpoint, fingerprint_);
    checkpoint.Add(network_);
    for (const auto& [name, state] : quantizers_->NamedState()) checkpoint.Add(name, state);
    checkpoint.Add("optimizer", optimizer_.get());
    return checkpoint;
  }

  // The stage decides what there is to load, and the number of finished epochs decides the stage.
  int Load() {
    const int next_epoch = TrainingCheckpoint(options_.checkpoint, fingerprint_).Load()->next_epoch;
    EnterStage(std::max(0, next_epoch - 1));
    const auto progress = MakeCheckpoint().Load();
    quantizers_->StateLoaded();
    for (const auto& row : HistoryRows(progress->history)) {
      history_.push_back({static_cast<int>(row[0]), row[1], row[2], row[3]});
    }
    return next_epoch;
  }

  std::vector<std::vector<double>> Rows() const {
    std::vector<std::vector<double>> rows;
    for (const FineTuneEpoch& e : history_) {
      rows.push_back({static_cast<double>(e.epoch), e.train_loss_nats, e.train_top1_percent,
                      e.validation_top1_percent});
    }
    return rows;
  }

  const FineTuneOptions& options_;
  const RunContext& context_;
  const Dataset& train_;
  const Dataset* validation_;
  BitConfig config_;
  Network network_;
  TrainableParameters parameters_;
  std::string fingerprint_;
  std::unique_ptr<Network> teacher_;
  int stage_ = -1;
  std::unique_ptr<ArchitectureSpace> space_;
  std::unique_ptr<LearnedQuantizers> quantizers_;
  std::unique_ptr<MixedPrecisionHooks> hooks_;
  std::unique_ptr<torch::optim::SGD> optimizer_;
  std::vector<FineTuneEpoch> history_;
};

}  // namespace

FineTuneResult FineTune(const LayerGraph& graph, const BitConfig& config, const Dataset& train,
                        const Dataset* validation, const FineTuneOptions& options,
                        const RunContext& context, const LayerGraph* teacher) {
  CheckOptions(options);
  if (config.choices.size() != graph.layers().size()) {
    throw Error(ErrorId::kUsage, "the configuration has " + std::to_string(config.choices.size()) +
                                     " layers, the network " +
                                     std::to_string(graph.layers().size()))
        .Hint("was it made for another network?");
  }
  at::set_num_threads(context.threads);
  const Remaining remaining = WithoutSkipped(graph, config);
  return Tuner(remaining.graph, remaining.config, train, validation, options, context,
               teacher != nullptr ? *teacher : graph)
      .Run();
}

}  // namespace bitsearch
