#include <utility>

#include "search/supernet/supernet_torch.h"

namespace bitsearch {
namespace {

constexpr double kBaselineMomentum = 0.9;

// Parameters that do not learn in a step need no gradients: a third of the work.
class FrozenWhileAlive {
 public:
  explicit FrozenWhileAlive(std::vector<at::Tensor> parameters)
      : parameters_(std::move(parameters)) {
    for (at::Tensor& parameter : parameters_) parameter.requires_grad_(false);
  }
  ~FrozenWhileAlive() {
    for (at::Tensor& parameter : parameters_) parameter.requires_grad_(true);
  }
  FrozenWhileAlive(const FrozenWhileAlive&) = delete;
  FrozenWhileAlive& operator=(const FrozenWhileAlive&) = delete;

 private:
  std::vector<at::Tensor> parameters_;
};

}  // namespace

Supernet::Supernet(const LayerGraph& graph, const std::vector<std::vector<BitChoice>>& choices,
                   const std::vector<TieGroup>& ties, const AssignmentProblem& problem,
                   const Dataset* calibration, const DnasOptions& options,
                   const RunContext& context)
    : options_(options),
      seed_(context.root_seed),
      network_(graph, options.device),
      space_(BuildArchitectureSpace(network_.graph(), choices, ties, options.scope)),
      parameters_(MakeTrainable(network_)),
      quantizers_(network_, space_, calibration, options.quantizers, context),
      hooks_(network_.graph(), space_, quantizers_),
      distributions_(space_),
      cost_(space_, choices, problem),
      loss_(options.terms, problem),
      baseline_(at::zeros({2}, at::kDouble)),
      temperature_(options.temperature) {
  TrainableParameters with_scales = parameters_;
  for (const at::Tensor& scale : quantizers_.Parameters()) with_scales.plain.push_back(scale);
  weight_optimizer_ =
      MakeSgd(with_scales, options.weight_rate, options.momentum, options.weight_decay);
  architecture_optimizer_ =
      std::make_unique<torch::optim::Adam>(std::vector<at::Tensor>{distributions_.theta()},
                                           torch::optim::AdamOptions(options.architecture_rate)
                                               .weight_decay(options.architecture_decay));
}

StepOutcome Supernet::WeightStep(const TrainingBatch& batch) { return Step(batch, true, false); }
StepOutcome Supernet::ArchitectureStep(const TrainingBatch& batch) {
  return Step(batch, false, true);
}
StepOutcome Supernet::JointStep(const TrainingBatch& batch) { return Step(batch, true, true); }

std::vector<at::Tensor> Supernet::WeightTensors() const {
  std::vector<at::Tensor> tensors = quantizers_.Parameters();
  tensors.insert(tensors.end(), parameters_.decayed.begin(), parameters_.decayed.end());
  tensors.insert(tensors.end(), parameters_.plain.begin(), parameters_.plain.end());
  return tensors;
}

StepOutcome Supernet::Step(const TrainingBatch& batch, bool weights, bool architecture) {
  RandomStream random(seed_, "dnas.draw", steps_taken++);
  DrawnMasks drawn;
  {
    const at::AutoGradMode record(architecture);
    drawn = distributions_.Draw(options_.mode, temperature_, random);
  }
  hooks_.SetMasks(drawn.masks, drawn.mixtures);
  weight_optimizer_->zero_grad();
  architecture_optimizer_->zero_grad();
  const FrozenWhileAlive frozen(weights ? std::vector<at::Tensor>() : WeightTensors());
  const at::Tensor logits = network_.Forward(batch.images, &hooks_, /*training=*/true);
  const at::Tensor cross_entropy = at::cross_entropy_loss(logits, batch.labels);
  const at::Tensor total = architecture ? ArchitectureLoss(cross_entropy, drawn) : cross_entropy;
  total.backward();
  if (weights) {
    weight_optimizer_->step();
    quantizers_.KeepPositive();
  }
  if (architecture) architecture_optimizer_->step();
  hooks_.SetMasks(drawn.masks.detach(), drawn.mixtures.detach());
  return {total.detach(), logits.detach()};
}

at::Tensor Supernet::ArchitectureLoss(const at::Tensor& cross_entropy, const DrawnMasks& drawn) {
  if (options_.mode != SupernetMode::kSinglePath) {
    return loss_.Total(cross_entropy, cost_.Expected(drawn.masks));
  }
  // The path has no gradient to θ: its loss enters through the score function, with a moving mean
  // as baseline; the cost is differentiable by itself.
  const double value = cross_entropy.item<double>();
  double* baseline = baseline_.data_ptr<double>();
  if (baseline[1] == 0.0) {
    baseline[0] = value;
    baseline[1] = 1.0;
  }
  const at::Tensor score = drawn.log_probability * (value - baseline[0]);
  baseline[0] = kBaselineMomentum * baseline[0] + (1.0 - kBaselineMomentum) * value;
  return loss_.Total(cross_entropy, cost_.Expected(distributions_.Probabilities())) + score -
         score.detach();
}

std::vector<double> Supernet::ExpectedResources() const {
  const at::NoGradGuard no_grad;
  const at::Tensor expected = cost_.Expected(distributions_.Probabilities()).contiguous();
  return {expected.data_ptr<double>(), expected.data_ptr<double>() + expected.numel()};
}

void Supernet::AddTo(TrainingCheckpoint& checkpoint) {
  checkpoint.Add(network_);
  checkpoint.Add("theta", distributions_.theta());
  for (const auto& [name, state] : quantizers_.NamedState()) checkpoint.Add(name, state);
  checkpoint.Add("weight_optimizer", weight_optimizer_.get());
  checkpoint.Add("architecture_optimizer", architecture_optimizer_.get());
  checkpoint.Add("baseline", baseline_);
}

}  // namespace bitsearch
