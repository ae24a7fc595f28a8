#include "space/network/train.h"

#include <cstdio>
#include <sstream>
#include <utility>

#include "space/network/evaluate.h"
#include "space/network/network_torch.h"
#include "space/network/training_loop_torch.h"

namespace bitsearch {
namespace {

// Everything a checkpoint must agree on to be continued.
std::string Fingerprint(const TrainOptions& o, const Dataset& train, std::uint64_t seed) {
  std::ostringstream text;
  text << o.epochs << '|' << o.batch_size << '|' << o.learning_rate << '|' << o.warmup_epochs << '|'
       << o.momentum << '|' << o.weight_decay << '|' << o.label_smoothing << '|' << o.crop_padding
       << '|' << o.flip << '|' << train.size() << '|' << seed;
  return text.str();
}

std::string LogLine(const EpochRecord& record, int epochs) {
  char line[160];
  std::snprintf(line, sizeof line,
                "epoch %d/%d: training loss %.4f, training top-1 %.2f %%, validation %.2f %%",
                record.epoch, epochs, record.train_loss_nats, record.train_top1_percent,
                record.validation_top1_percent);
  return line;
}

at::Tensor ToHistory(const std::vector<EpochRecord>& records) {
  std::vector<std::vector<double>> rows;
  for (const EpochRecord& r : records) {
    rows.push_back({static_cast<double>(r.epoch), r.train_loss_nats, r.train_top1_percent,
                    r.validation_top1_percent});
  }
  return HistoryTensor(rows);
}

}  // namespace

TrainResult Train(LayerGraph graph, const Dataset& train, const Dataset& validation,
                  const TrainOptions& options, const RunContext& context) {
  at::set_num_threads(context.threads);
  Network network(std::move(graph), options.device);
  const TrainableParameters parameters = MakeTrainable(network);
  const auto optimizer =
      MakeSgd(parameters, options.learning_rate, options.momentum, options.weight_decay);
  TrainingCheckpoint checkpoint(options.checkpoint, Fingerprint(options, train, context.root_seed));
  checkpoint.Add(network);
  checkpoint.Add("optimizer", optimizer.get());

  std::vector<EpochRecord> history;
  int first_epoch = 0;
  if (options.resume) {
    if (const auto progress = checkpoint.Load()) {
      first_epoch = progress->next_epoch;
      for (const auto& row : HistoryRows(progress->history)) {
        history.push_back({static_cast<int>(row[0]), row[1], row[2], row[3]});
      }
    }
  }
  BatchOptions batches;
  batches.batch_size = options.batch_size;
  batches.crop_padding = options.crop_padding;
  batches.flip = options.flip;
  const std::int64_t steps = train.size() / options.batch_size;
  for (int epoch = first_epoch; epoch < options.epochs; ++epoch) {
    const EpochPlace place{"training", epoch, epoch * steps, options.epochs * steps};
    const EpochSummary summary = RunTrainingEpoch(
        train, batches, place, network.device(), context,
        [&](const TrainingBatch& batch, double position) -> StepOutcome {
          SetLearningRate(*optimizer, CosineRate(options.learning_rate, 0.0, options.warmup_epochs,
                                                 options.epochs, position));
          optimizer->zero_grad();
          const at::Tensor logits = network.Forward(batch.images, nullptr, /*training=*/true);
          const at::Tensor loss = at::cross_entropy_loss(
              logits, batch.labels, {}, at::Reduction::Mean, -100, options.label_smoothing);
          loss.backward();
          optimizer->step();
          return {loss, logits};
        });
    EpochRecord record{epoch + 1, summary.loss_nats, summary.top1_percent, 0.0};
    record.validation_top1_percent =
        EvaluateNetwork(network, validation, nullptr, context).top1_percent();
    context.progress->Log(LogLine(record, options.epochs));
    history.push_back(record);
    if (!options.checkpoint.empty()) checkpoint.Save(epoch + 1, ToHistory(history));
  }
  return {network.ToGraph(), history};
}

}  // namespace bitsearch
