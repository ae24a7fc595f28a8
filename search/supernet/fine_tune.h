#pragma once
// Quantization-aware training of one configuration: straight-through or learned steps (LSQ),
// distillation from the float network, progressive lowering of bits, resumable. Torch-free header.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "search/supernet/learned_quantizers.h"
#include "search/supernet/tuned_network.h"
#include "space/choices/bit_config.h"
#include "space/graph/layer_graph.h"
#include "space/network/dataset.h"
#include "space/support/run_context.h"

namespace bitsearch {

/// From epoch `first_epoch` on, integer formats have at least `least_bits` bits.
struct LoweringStage {
  int first_epoch = 0;
  int least_bits = 0;  ///< 0: the configuration's own.
};

struct FineTuneOptions {
  int epochs = 10;
  std::int64_t batch_size = 64;
  double learning_rate = 0.01;  ///< SGD; half a cosine down to 0.
  double warmup_epochs = 0.0;
  double momentum = 0.9;
  double weight_decay = 1e-4;
  double label_smoothing = 0.0;
  LearnedQuantizerOptions quantizers;
  /// L = (1 − λ)·CE + λT²·KL(teacher ‖ student); 0: no teacher.
  double distillation = 0.5;
  double distillation_temperature = 4.0;
  /// Stages of bits, ascending by first_epoch, the last with least_bits 0; empty: none. Scales are
  /// calibrated anew, and the momentum starts from 0, at each stage.
  std::vector<LoweringStage> lowering;
  /// In the last so many epochs BN uses its stored statistics instead of the batch's.
  int frozen_norm_epochs = 0;
  /// Batches over which BN statistics are re-estimated at the end (0: kept as trained).
  int reestimation_batches = 0;
  int crop_padding = 4;
  bool flip = true;
  std::string device = "cpu";
  std::filesystem::path checkpoint;  ///< After every epoch; empty: none.
  bool resume = false;
};

struct FineTuneEpoch {
  int epoch = 0;
  double train_loss_nats = 0.0;
  double train_top1_percent = 0.0;
  double validation_top1_percent = 0.0;  ///< Reported, never selected on; 0 without a set.
};

struct FineTuneResult {
  TunedNetwork network;  ///< After the last epoch.
  std::vector<FineTuneEpoch> history;
};

/// Fine-tunes `graph` (float, BN not folded) at `config`; blocks whose layers are all 0/0 are left
/// out first. fp32 everywhere gives the float control. Deterministic for (context.root_seed,
/// options) at one thread; resumes to the same result. `validation` may be null. The teacher of the
/// distillation is `teacher`, or `graph` as it is given.
/// Throws Error: kUsage (formats, skips that cannot be), kTrainingDiverged, kCheckpoint,
/// kInterrupted.
FineTuneResult FineTune(const LayerGraph& graph, const BitConfig& config, const Dataset& train,
                        const Dataset* validation, const FineTuneOptions& options,
                        const RunContext& context, const LayerGraph* teacher = nullptr);

}  // namespace bitsearch
