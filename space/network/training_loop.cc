#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <span>
#include <utility>

#include "space/network/training_loop_torch.h"
#include "space/support/error.h"

namespace bitsearch {

EpochBatches::EpochBatches(const Dataset& data, const BatchOptions& options, std::uint64_t seed,
                           int epoch)
    : data_(data),
      options_(options),
      order_(static_cast<std::size_t>(data.size())),
      augment_(seed, options.stream + ".augment", static_cast<std::uint64_t>(epoch)) {
  if (count() == 0) {
    throw Error(ErrorId::kDataCount, "the " + std::to_string(data.size()) +
                                         " training images do not fill one batch of " +
                                         std::to_string(options.batch_size))
        .Hint("use a smaller batch or more images");
  }
  data.RequireLabels();
  if (!data.is_image() && (options.crop_padding != 0 || options.flip)) {
    throw Error(ErrorId::kDataSpec, "the records are no images, which cropping and flipping is for")
        .Hint("set train.crop_padding: 0 and train.flip: false");
  }
  // A Fisher–Yates shuffle.
  std::iota(order_.begin(), order_.end(), 0);
  RandomStream random(seed, options.stream + ".shuffle", static_cast<std::uint64_t>(epoch));
  for (std::size_t i = order_.size(); i > 1; --i) {
    std::swap(order_[i - 1], order_[random.Below(i)]);
  }
}

std::int64_t EpochBatches::count() const {
  return static_cast<std::int64_t>(order_.size()) / options_.batch_size;
}

TrainingBatch EpochBatches::Next(at::Device device) {
  const std::span<const std::int64_t> records(order_.data() + next_ * options_.batch_size,
                                              static_cast<std::size_t>(options_.batch_size));
  ++next_;
  std::vector<std::int64_t> shape = data_.shape();
  shape.insert(shape.begin(), options_.batch_size);
  at::Tensor images = at::empty(shape, at::kFloat);
  at::Tensor labels = at::empty({options_.batch_size}, at::kLong);
  const std::int64_t stride = data_.elements();
  const auto shifts = static_cast<std::uint64_t>(2 * options_.crop_padding + 1);
  float* out = images.data_ptr<float>();
  std::int64_t* label = labels.data_ptr<std::int64_t>();
  for (const std::int64_t record : records) {
    const int dx = static_cast<int>(augment_.Below(shifts)) - options_.crop_padding;
    const int dy = static_cast<int>(augment_.Below(shifts)) - options_.crop_padding;
    const bool flip = augment_.Sign() > 0 && options_.flip;
    data_.CopyAugmented(record, dx, dy, flip, out);
    out += stride;
    *label++ = data_.labels()[static_cast<std::size_t>(record)];
  }
  images = images.to(device);
  if (images.dim() == 4) images = images.contiguous(at::MemoryFormat::ChannelsLast);
  return {images, labels.to(device)};
}

double CosineRate(double highest, double lowest, double warmup_epochs, double epochs,
                  double epoch) {
  if (epoch < warmup_epochs) return highest * std::max(epoch, 0.05) / warmup_epochs;
  const double progress = (epoch - warmup_epochs) / std::max(1e-9, epochs - warmup_epochs);
  return lowest +
         0.5 * (highest - lowest) * (1.0 + std::cos(std::numbers::pi * std::min(progress, 1.0)));
}

void SetLearningRate(torch::optim::Optimizer& optimizer, double rate) {
  for (auto& group : optimizer.param_groups()) group.options().set_lr(rate);
}

TrainableParameters MakeTrainable(Network& network) {
  TrainableParameters parameters;
  for (const TensorIndex index : network.TrainableConstants()) {
    at::Tensor parameter = network.constant(index).clone();
    if (parameter.dim() == 4) parameter = parameter.contiguous(at::MemoryFormat::ChannelsLast);
    parameter.requires_grad_(true);
    network.SetConstant(index, parameter);
    (parameter.dim() > 1 ? parameters.decayed : parameters.plain).push_back(parameter);
  }
  return parameters;
}

std::unique_ptr<torch::optim::SGD> MakeSgd(const TrainableParameters& parameters,
                                           double learning_rate, double momentum,
                                           double weight_decay) {
  const auto group = [&](const std::vector<at::Tensor>& tensors, double decay) {
    auto options = std::make_unique<torch::optim::SGDOptions>(learning_rate);
    options->momentum(momentum).nesterov(momentum > 0).weight_decay(decay);
    return torch::optim::OptimizerParamGroup(tensors, std::move(options));
  };
  return std::make_unique<torch::optim::SGD>(
      std::vector{group(parameters.decayed, weight_decay), group(parameters.plain, 0.0)},
      torch::optim::SGDOptions(learning_rate));
}

EpochSummary RunTrainingEpoch(
    const Dataset& data, const BatchOptions& options, const EpochPlace& place, at::Device device,
    const RunContext& context,
    const std::function<StepOutcome(const TrainingBatch& batch, double position)>& step) {
  EpochBatches batches(data, options, context.root_seed, place.epoch);
  EpochSummary summary;
  summary.steps = batches.count();
  std::int64_t correct = 0;
  for (std::int64_t s = 0; s < summary.steps; ++s) {
    context.ThrowIfStopped();
    const TrainingBatch batch = batches.Next(device);
    const double position =
        place.epoch + static_cast<double>(s) / static_cast<double>(summary.steps);
    const StepOutcome outcome = step(batch, position);
    const double loss = outcome.loss.item<double>();
    if (!std::isfinite(loss)) {
      throw Error(ErrorId::kTrainingDiverged, "the loss is not finite in epoch " +
                                                  std::to_string(place.epoch + 1) + ", step " +
                                                  std::to_string(s + 1))
          .Hint("lower the learning rate");
    }
    summary.loss_nats += loss;
    if (outcome.logits.defined()) {
      correct += outcome.logits.argmax(1).eq(batch.labels).sum().item<std::int64_t>();
    }
    context.progress->Progress(place.task, place.done_before + s + 1, place.total);
  }
  const auto steps = static_cast<double>(summary.steps);
  summary.loss_nats /= steps;
  summary.top1_percent =
      100.0 * static_cast<double>(correct) / (steps * static_cast<double>(options.batch_size));
  return summary;
}

}  // namespace bitsearch
