#pragma once
// Training of a LayerGraph by stochastic gradient descent, resumable after any interruption.
// Torch-free header; see train.cc.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "space/graph/layer_graph.h"
#include "space/network/dataset.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// SGD with Nesterov momentum under a cosine schedule with linear warm-up.
struct TrainOptions {
  int epochs = 20;
  int batch_size = 128;
  double learning_rate = 0.1;      ///< Highest; decays to 0 along a half cosine.
  double warmup_epochs = 1.0;
  double momentum = 0.9;
  double weight_decay = 5e-4;      ///< On weights of layers; not on biases and BN.
  double label_smoothing = 0.0;
  int crop_padding = 4;            ///< Random shift by up to this many pixels; 0 switches it off.
  bool flip = true;                ///< Random horizontal mirror.
  std::string device = "cpu";
  /// Where the state after each epoch is kept; empty: no checkpoints.
  std::filesystem::path checkpoint;
  /// Continue from `checkpoint` if it exists (it must come from the same options and data size).
  bool resume = false;
};

/// What an epoch showed. Accuracy on the validation set is reported, never selected on.
struct EpochRecord {
  int epoch = 0;
  double train_loss_nats = 0.0;
  double train_top1_percent = 0.0;
  double validation_top1_percent = 0.0;
};

struct TrainResult {
  LayerGraph graph;  ///< The network after the last epoch.
  std::vector<EpochRecord> history;
};

/// Trains all weights, biases and BN parameters of `graph` on `train`; the last epoch's weights are
/// the result. Deterministic for (context.root_seed, options) at one thread.
/// Throws Error: kTrainingDiverged (loss not finite), kCheckpoint (unreadable, or of other
/// options), kInterrupted after a stop request (the checkpoint of the last epoch remains).
TrainResult Train(LayerGraph graph, const Dataset& train, const Dataset& validation,
                  const TrainOptions& options, const RunContext& context);

}  // namespace bitsearch
