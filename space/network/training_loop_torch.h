#pragma once
// What every training has in common: batches, learning rates, epochs, checkpoints. Plain training,
// fine-tuning and supernets are steps inside this one loop. Include only from torch targets.

#include <torch/torch.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "space/network/dataset.h"
#include "space/network/network_torch.h"
#include "space/support/random.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// How the images of a batch are drawn. `stream` names the random streams, so that two uses in one
/// training (weights and architecture) draw independently.
struct BatchOptions {
  std::int64_t batch_size = 128;
  int crop_padding = 4;  ///< Random shift by up to this many pixels; 0 switches it off.
  bool flip = true;      ///< Random horizontal mirror.
  std::string stream = "train";
};

struct TrainingBatch {
  at::Tensor images;  ///< N × C × H × W, channels last.
  at::Tensor labels;  ///< N int64.
};

/// The batches of one epoch: every record once, in an order of the epoch's own random stream; a
/// last incomplete batch is left out. Deterministic for (seed, stream, epoch).
class EpochBatches {
 public:
  /// `data` must outlive this object. Throws Error(kDataCount) if it does not fill one batch.
  EpochBatches(const Dataset& data, const BatchOptions& options, std::uint64_t seed, int epoch);
  std::int64_t count() const;
  /// The next batch on `device`; call at most count() times.
  TrainingBatch Next(at::Device device);

 private:
  const Dataset& data_;
  BatchOptions options_;
  std::vector<std::int64_t> order_;
  std::int64_t next_ = 0;
  RandomStream augment_;
};

/// Learning rate at `epoch` (fractional): linear warm-up over `warmup_epochs`, then half a cosine
/// from `highest` down to `lowest` at `epochs`.
double CosineRate(double highest, double lowest, double warmup_epochs, double epochs, double epoch);
void SetLearningRate(torch::optim::Optimizer& optimizer, double rate);

/// A network's trainable constants, replaced by leaves that record gradients.
struct TrainableParameters {
  std::vector<at::Tensor> decayed;  ///< Weights of layers.
  std::vector<at::Tensor> plain;    ///< Biases, BN scales and shifts.
};
/// Clones the constants of `network` and puts leaves in their place (weights channels last, which
/// is about a tenth faster in oneDNN).
TrainableParameters MakeTrainable(Network& network);

/// SGD with (Nesterov) momentum; `decayed` under `weight_decay`, `plain` without.
std::unique_ptr<torch::optim::SGD> MakeSgd(const TrainableParameters& parameters,
                                           double learning_rate, double momentum,
                                           double weight_decay);

/// What one step found.
struct StepOutcome {
  at::Tensor loss;    ///< Scalar; its gradients have been used already.
  at::Tensor logits;  ///< For the running accuracy; may be undefined.
};

/// Means over the steps of an epoch.
struct EpochSummary {
  double loss_nats = 0.0;
  double top1_percent = 0.0;
  std::int64_t steps = 0;
};

/// Where an epoch stands in the whole, for progress.
struct EpochPlace {
  std::string task = "training";
  int epoch = 0;
  std::int64_t done_before = 0;  ///< Steps of the task that precede this epoch.
  std::int64_t total = 0;        ///< Steps of the task in all.
};

/// Runs `step(batch, position)` for each batch of the epoch; `position` is epoch + the part done.
/// Throws Error(kTrainingDiverged) if a loss is not finite, Error(kInterrupted) on request.
EpochSummary RunTrainingEpoch(
    const Dataset& data, const BatchOptions& options, const EpochPlace& place, at::Device device,
    const RunContext& context,
    const std::function<StepOutcome(const TrainingBatch& batch, double position)>& step);

/// Everything that a training needs to go on after a kill, in one file, written whole to a
/// temporary name and renamed.
class TrainingCheckpoint {
 public:
  /// `fingerprint` describes what must agree for a continuation to make sense.
  TrainingCheckpoint(std::filesystem::path path, std::string fingerprint);
  /// Registers a tensor; Load copies the stored values into it.
  void Add(const std::string& name, at::Tensor tensor);
  /// Registers every floating-point constant of a network, as "constant<index>".
  void Add(const Network& network);
  /// Registers an optimiser, which must outlive this object.
  void Add(const std::string& name, torch::optim::Optimizer* optimizer);

  /// `history` is one row per finished epoch, any columns.
  void Save(int next_epoch, const at::Tensor& history) const;
  struct Progress {
    int next_epoch = 0;
    at::Tensor history;
  };
  /// Restores what is registered; nothing if the file does not exist. Throws Error(kCheckpoint) if
  /// the file cannot be read or has another fingerprint.
  std::optional<Progress> Load() const;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::string fingerprint_;
  std::map<std::string, at::Tensor> tensors_;
  std::map<std::string, torch::optim::Optimizer*> optimizers_;
};

/// Rows of doubles as a tensor, and back: what histories are stored as.
at::Tensor HistoryTensor(const std::vector<std::vector<double>>& rows);
std::vector<std::vector<double>> HistoryRows(const at::Tensor& history);

}  // namespace bitsearch
