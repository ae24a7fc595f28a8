#pragma once
// One supernet with its optimisers: the steps that a search repeats, and that the benchmark times.
// Include only from torch targets.

#include <torch/torch.h>

#include <memory>
#include <string>
#include <vector>

#include "search/supernet/choice_distributions_torch.h"
#include "search/supernet/dnas.h"
#include "search/supernet/expected_cost_torch.h"
#include "search/supernet/learned_quantizers_torch.h"
#include "space/network/training_loop_torch.h"

namespace bitsearch {

/// Network, distributions, quantizers, costs and optimisers of a search. Not thread-safe.
class Supernet {
 public:
  Supernet(const LayerGraph& graph, const std::vector<std::vector<BitChoice>>& choices,
           const std::vector<TieGroup>& ties, const AssignmentProblem& problem,
           const Dataset* calibration, const DnasOptions& options, const RunContext& context);
  Supernet(const Supernet&) = delete;
  Supernet& operator=(const Supernet&) = delete;

  const ArchitectureSpace& space() const { return space_; }
  const Network& network() const { return network_; }
  const ChoiceDistributions& distributions() const { return distributions_; }
  MixedPrecisionHooks& hooks() { return hooks_; }

  /// Weights (and scales) learn under masks drawn from the present distributions.
  StepOutcome WeightStep(const TrainingBatch& batch);
  /// Distributions learn; weights keep still.
  StepOutcome ArchitectureStep(const TrainingBatch& batch);
  /// Both at once.
  StepOutcome JointStep(const TrainingBatch& batch);

  void set_temperature(double temperature) { temperature_ = temperature; }
  void set_weight_rate(double rate) { SetLearningRate(*weight_optimizer_, rate); }
  /// Expected resources under softmax(θ).
  std::vector<double> ExpectedResources() const;
  /// Registers everything that changes.
  void AddTo(TrainingCheckpoint& checkpoint);
  /// Steps taken so far: the index of their random streams.
  std::uint64_t steps_taken = 0;

 private:
  StepOutcome Step(const TrainingBatch& batch, bool weights, bool architecture);
  std::vector<at::Tensor> WeightTensors() const;
  at::Tensor ArchitectureLoss(const at::Tensor& cross_entropy, const DrawnMasks& drawn);

  DnasOptions options_;
  std::uint64_t seed_;
  Network network_;
  ArchitectureSpace space_;
  TrainableParameters parameters_;
  LearnedQuantizers quantizers_;
  MixedPrecisionHooks hooks_;
  ChoiceDistributions distributions_;
  ExpectedCost cost_;
  SearchLoss loss_;
  std::unique_ptr<torch::optim::SGD> weight_optimizer_;
  std::unique_ptr<torch::optim::Adam> architecture_optimizer_;
  at::Tensor baseline_;  ///< Single path: moving mean of the loss and whether it is set, [2].
  double temperature_;
};

}  // namespace bitsearch
