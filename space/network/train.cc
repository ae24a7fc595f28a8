#include "space/network/train.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "space/network/batches_torch.h"
#include "space/network/evaluate.h"
#include "space/network/network_torch.h"
#include "space/support/error.h"
#include "space/support/random.h"

namespace bitsearch {
namespace {

double ScheduledRate(const TrainOptions& options, double epoch) {
  if (epoch < options.warmup_epochs) {
    return options.learning_rate * std::max(epoch, 0.05) / options.warmup_epochs;
  }
  const double progress = (epoch - options.warmup_epochs) /
                          std::max(1e-9, options.epochs - options.warmup_epochs);
  return 0.5 * options.learning_rate * (1.0 + std::cos(std::numbers::pi * progress));
}

// The order of the records in an epoch: a Fisher–Yates shuffle of its own random stream.
std::vector<std::int64_t> ShuffledOrder(std::int64_t size, std::uint64_t seed, int epoch) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(size));
  std::iota(order.begin(), order.end(), 0);
  RandomStream random(seed, "train.shuffle", static_cast<std::uint64_t>(epoch));
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.Below(i)]);
  return order;
}

at::Tensor AugmentedBatch(const Dataset& data, std::span<const std::int64_t> records,
                          const TrainOptions& options, RandomStream& random) {
  at::Tensor images = at::empty({static_cast<std::int64_t>(records.size()), data.channels(),
                                 data.height(), data.width()},
                                at::kFloat);
  const std::int64_t stride = data.channels() * data.height() * data.width();
  const auto shifts = static_cast<std::uint64_t>(2 * options.crop_padding + 1);
  float* out = images.data_ptr<float>();
  for (const std::int64_t record : records) {
    const int dx = static_cast<int>(random.Below(shifts)) - options.crop_padding;
    const int dy = static_cast<int>(random.Below(shifts)) - options.crop_padding;
    const bool flip = random.Sign() > 0 && options.flip;
    data.CopyAugmented(record, dx, dy, flip, out);
    out += stride;
  }
  return images;
}

// Everything a checkpoint must agree on to be continued.
std::string Fingerprint(const TrainOptions& o, const Dataset& train, std::uint64_t seed) {
  std::ostringstream text;
  text << o.epochs << '|' << o.batch_size << '|' << o.learning_rate << '|' << o.warmup_epochs << '|'
       << o.momentum << '|' << o.weight_decay << '|' << o.label_smoothing << '|' << o.crop_padding
       << '|' << o.flip << '|' << train.size() << '|' << seed;
  return text.str();
}

class Trainer {
 public:
  Trainer(LayerGraph graph, const Dataset& train, const Dataset& validation,
          const TrainOptions& options, const RunContext& context)
      : network_(std::move(graph), options.device),
        train_(train),
        validation_(validation),
        options_(options),
        context_(context) {
    std::vector<at::Tensor> decayed;
    std::vector<at::Tensor> plain;
    for (const TensorIndex index : network_.TrainableConstants()) {
      at::Tensor parameter = network_.constant(index).clone();
      // oneDNN's training kernels are about a tenth faster on channels-last weights.
      if (parameter.dim() == 4) parameter = parameter.contiguous(at::MemoryFormat::ChannelsLast);
      parameter.requires_grad_(true);
      network_.SetConstant(index, parameter);
      (parameter.dim() > 1 ? decayed : plain).push_back(parameter);
    }
    const auto group = [&](std::vector<at::Tensor> parameters, double decay) {
      auto sgd = std::make_unique<torch::optim::SGDOptions>(options.learning_rate);
      sgd->momentum(options.momentum).nesterov(options.momentum > 0).weight_decay(decay);
      return torch::optim::OptimizerParamGroup(std::move(parameters), std::move(sgd));
    };
    optimizer_ = std::make_unique<torch::optim::SGD>(
        std::vector{group(std::move(decayed), options.weight_decay), group(std::move(plain), 0.0)},
        torch::optim::SGDOptions(options.learning_rate));
  }

  TrainResult Run() {
    int first_epoch = 0;
    if (options_.resume && std::filesystem::exists(options_.checkpoint)) first_epoch = Load();
    for (int epoch = first_epoch; epoch < options_.epochs; ++epoch) {
      history_.push_back(RunEpoch(epoch));
      if (!options_.checkpoint.empty()) Save(epoch + 1);
    }
    return {network_.ToGraph(), history_};
  }

 private:
  EpochRecord RunEpoch(int epoch) {
    const std::vector<std::int64_t> order =
        ShuffledOrder(train_.size(), context_.root_seed, epoch);
    RandomStream augment(context_.root_seed, "train.augment", static_cast<std::uint64_t>(epoch));
    const std::int64_t steps = train_.size() / options_.batch_size;
    double loss_sum = 0.0;
    std::int64_t correct = 0;
    for (std::int64_t step = 0; step < steps; ++step) {
      context_.ThrowIfStopped();
      const double at = epoch + static_cast<double>(step) / static_cast<double>(steps);
      for (auto& group : optimizer_->param_groups()) {
        group.options().set_lr(ScheduledRate(options_, at));
      }
      const std::span<const std::int64_t> records(
          order.data() + step * options_.batch_size, static_cast<std::size_t>(options_.batch_size));
      const at::Tensor images = AugmentedBatch(train_, records, options_, augment)
                                    .to(network_.device())
                                    .contiguous(at::MemoryFormat::ChannelsLast);
      at::Tensor labels = at::empty({options_.batch_size}, at::kLong);
      for (std::size_t i = 0; i < records.size(); ++i) {
        labels.data_ptr<std::int64_t>()[i] = train_.labels()[static_cast<std::size_t>(records[i])];
      }
      labels = labels.to(network_.device());
      optimizer_->zero_grad();
      const at::Tensor logits = network_.Forward(images, nullptr, /*training=*/true);
      const at::Tensor loss = at::cross_entropy_loss(logits, labels, {}, at::Reduction::Mean, -100,
                                                     options_.label_smoothing);
      loss.backward();
      optimizer_->step();
      const double value = loss.item<double>();
      if (!std::isfinite(value)) {
        throw Error(ErrorId::kTrainingDiverged, "the loss is not finite in epoch " +
                                                    std::to_string(epoch + 1) + ", step " +
                                                    std::to_string(step + 1))
            .Hint("lower train.learning_rate");
      }
      loss_sum += value;
      correct += logits.argmax(1).eq(labels).sum().item<std::int64_t>();
      context_.progress->Progress("training", epoch * steps + step + 1, options_.epochs * steps);
    }
    EpochRecord record;
    record.epoch = epoch + 1;
    record.train_loss_nats = loss_sum / static_cast<double>(steps);
    record.train_top1_percent = 100.0 * static_cast<double>(correct) /
                                static_cast<double>(steps * options_.batch_size);
    record.validation_top1_percent =
        EvaluateNetwork(network_, validation_, nullptr, context_).top1_percent();
    char line[160];
    std::snprintf(line, sizeof line,
                  "epoch %d/%d: training loss %.4f, training top-1 %.2f %%, validation %.2f %%",
                  record.epoch, options_.epochs, record.train_loss_nats, record.train_top1_percent,
                  record.validation_top1_percent);
    context_.progress->Log(line);
    return record;
  }

  // The state is small, so it is written whole after each epoch, to a temporary name first.
  void Save(int next_epoch) {
    torch::serialize::OutputArchive archive;
    archive.write("fingerprint", c10::IValue(Fingerprint(options_, train_, context_.root_seed)));
    archive.write("next_epoch", c10::IValue(static_cast<std::int64_t>(next_epoch)));
    for (std::size_t t = 0; t < network_.graph().tensors().size(); ++t) {
      const at::Tensor& value = network_.constant(TensorIndex(t));
      if (value.defined() && value.is_floating_point()) {
        archive.write("constant" + std::to_string(t), value.detach());
      }
    }
    torch::serialize::OutputArchive optimizer;
    optimizer_->save(optimizer);
    archive.write("optimizer", optimizer);
    at::Tensor history = at::empty({static_cast<std::int64_t>(history_.size()), 4}, at::kDouble);
    for (std::size_t i = 0; i < history_.size(); ++i) {
      double* row = history.data_ptr<double>() + 4 * i;
      row[0] = history_[i].epoch;
      row[1] = history_[i].train_loss_nats;
      row[2] = history_[i].train_top1_percent;
      row[3] = history_[i].validation_top1_percent;
    }
    archive.write("history", history);
    const std::filesystem::path temporary = options_.checkpoint.string() + ".tmp";
    try {
      archive.save_to(temporary.string());
      std::filesystem::rename(temporary, options_.checkpoint);
    } catch (const std::exception& error) {
      std::error_code ignored;
      std::filesystem::remove(temporary, ignored);
      throw Error(ErrorId::kFileWrite, std::string("cannot write the checkpoint: ") + error.what())
          .At({options_.checkpoint.string()})
          .Hint("is the folder there, and the disk not full?");
    }
  }

  int Load() {
    try {
      torch::serialize::InputArchive archive;
      archive.load_from(options_.checkpoint.string());
      c10::IValue value;
      archive.read("fingerprint", value);
      if (value.toStringRef() != Fingerprint(options_, train_, context_.root_seed)) {
        throw Error(ErrorId::kCheckpoint, "the checkpoint was made with other options or data")
            .At({options_.checkpoint.string()})
            .Hint("train without --resume, or restore the options");
      }
      archive.read("next_epoch", value);
      const int next_epoch = static_cast<int>(value.toInt());
      const at::NoGradGuard no_grad;
      for (std::size_t t = 0; t < network_.graph().tensors().size(); ++t) {
        const at::Tensor& target = network_.constant(TensorIndex(t));
        if (!target.defined() || !target.is_floating_point()) continue;
        at::Tensor stored;
        archive.read("constant" + std::to_string(t), stored);
        target.copy_(stored);
      }
      torch::serialize::InputArchive optimizer;
      archive.read("optimizer", optimizer);
      optimizer_->load(optimizer);
      at::Tensor history;
      archive.read("history", history);
      for (std::int64_t i = 0; i < history.size(0); ++i) {
        const double* row = history.data_ptr<double>() + 4 * i;
        history_.push_back({static_cast<int>(row[0]), row[1], row[2], row[3]});
      }
      return next_epoch;
    } catch (const c10::Error& error) {
      throw Error(ErrorId::kCheckpoint, std::string("cannot read the checkpoint: ") +
                                            error.what_without_backtrace())
          .At({options_.checkpoint.string()})
          .Hint("delete it to start anew");
    }
  }

  Network network_;
  const Dataset& train_;
  const Dataset& validation_;
  const TrainOptions& options_;
  const RunContext& context_;
  std::unique_ptr<torch::optim::SGD> optimizer_;
  std::vector<EpochRecord> history_;
};

}  // namespace

TrainResult Train(LayerGraph graph, const Dataset& train, const Dataset& validation,
                  const TrainOptions& options, const RunContext& context) {
  at::set_num_threads(context.threads);
  return Trainer(std::move(graph), train, validation, options, context).Run();
}

}  // namespace bitsearch
