// Runs configurations on a data set, batch by batch.

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "space/network/batches_torch.h"
#include "space/network/data_fit.h"
#include "space/network/thread_budget_torch.h"
#include "space/quantizer/integer_network_torch.h"
#include "space/quantizer/quantized_network_torch.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr std::int64_t kBatch = 25;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

/// What one batch gives beside each sample's own figures: sums over its samples.
struct BatchSums {
  double loss = 0.0;
  double kl = 0.0;
};

/// KL(float ‖ quantized) of each row of logarithms of probabilities, summed.
double SumOfKl(const at::Tensor& float_log_p, const at::Tensor& log_p) {
  return (float_log_p.exp() * (float_log_p - log_p)).sum().item<double>();
}

void CopyTo(const at::Tensor& values, at::ScalarType type, auto& target, std::int64_t first) {
  using Value = typename std::decay_t<decltype(target)>::value_type;
  const at::Tensor dense = values.to(at::kCPU, type).contiguous();
  std::copy_n(dense.data_ptr<Value>(), dense.numel(), target.begin() + first);
}

}  // namespace

struct PtqEvaluator::State {
  const CalibratedNetwork* network;
  const Dataset* data;
  RunContext context;
  /// By batch: logarithms of probabilities where outputs are classes, else outputs, one row each.
  std::vector<at::Tensor> reference;
  /// Mean ‖f‖² of the float network's outputs; of unlabelled data.
  double output_power = 0.0;
  Evaluation float_evaluation;
  std::string logged;  ///< The last line about operators in floating point.

  bool compares() const { return !reference.empty(); }

  // Runs all batches; where `hooks` is null, records the float network's outputs.
  Evaluation Run(ExecutionHooks* hooks) {
    return data->labelled() ? RunLabelled(hooks) : RunUnlabelled(hooks);
  }

  template <typename Work>  // (batch, its first record, its output)
  void ForEachBatch(ExecutionHooks* hooks, const Work& work) {
    const std::int64_t batches = (data->size() + kBatch - 1) / kBatch;
    if (hooks == nullptr) reference.resize(static_cast<std::size_t>(batches));
    ForEachOnOneThread(context, batches, [&](std::int64_t b) {
      const std::int64_t first = b * kBatch;
      const std::int64_t count = std::min(kBatch, data->size() - first);
      const at::Device device = network->network().device();
      work(static_cast<std::size_t>(b), first,
           network->network().Forward(ImageBatch(*data, first, count).to(device), hooks));
    });
  }

  Evaluation RunLabelled(ExecutionHooks* hooks) {
    std::vector<BatchSums> sums(BatchCount());
    std::vector<std::uint8_t> correct(static_cast<std::size_t>(data->size()));
    ForEachBatch(hooks, [&](std::size_t b, std::int64_t first, const at::Tensor& logits) {
      const at::Tensor labels = LabelBatch(*data, first, logits.size(0)).to(logits.device());
      const at::Tensor log_p = at::log_softmax(logits, 1);
      sums[b].loss = at::nll_loss(log_p, labels, {}, at::Reduction::Sum).item<double>();
      if (hooks == nullptr) {
        reference[b] = log_p;
      } else {
        sums[b].kl = compares() ? SumOfKl(reference[b], log_p) : kNone;
      }
      CopyTo(logits.argmax(1).eq(labels), at::kByte, correct, first);
    });
    Evaluation result = Mean(sums);
    result.correct_per_sample.assign(correct.begin(), correct.end());
    result.correct = std::count(correct.begin(), correct.end(), 1);
    return result;
  }

  Evaluation RunUnlabelled(ExecutionHooks* hooks) {
    const bool classes = GivesClasses(network->graph());
    std::vector<BatchSums> sums(BatchCount());
    std::vector<double> power(BatchCount());
    std::vector<float> error(static_cast<std::size_t>(data->size()));
    ForEachBatch(hooks, [&](std::size_t b, std::int64_t first, const at::Tensor& output) {
      const at::Tensor rows = output.flatten(1);
      sums[b] = {kNone, classes ? 0.0 : kNone};
      if (hooks == nullptr) {
        reference[b] = rows;
        power[b] = rows.square().sum(at::kDouble).item<double>();
        return;
      }
      if (!compares()) {
        throw Error(ErrorId::kUsage,
                    "records without labels are compared with the float network's outputs: "
                    "without those nothing can be said");
      }
      CopyTo((rows - reference[b]).square().sum(1), at::kFloat, error, first);
      if (classes) {
        sums[b].kl = SumOfKl(at::log_softmax(reference[b], 1), at::log_softmax(rows, 1));
      }
    });
    if (hooks == nullptr) {
      output_power = 0.0;
      for (const double value : power) output_power += value;
      output_power /= static_cast<double>(data->size());
    }
    // A float network that gives zeros only has no scale: any difference is then infinite.
    for (float& value : error) {
      if (value > 0.0F) value = static_cast<float>(100.0 * value / output_power);
    }
    Evaluation result = Mean(sums);
    result.output_error_percent_per_sample = std::move(error);
    return result;
  }

  std::size_t BatchCount() const {
    return static_cast<std::size_t>((data->size() + kBatch - 1) / kBatch);
  }

  Evaluation Mean(const std::vector<BatchSums>& sums) const {
    Evaluation result;
    result.samples = data->size();
    for (const BatchSums& batch : sums) {
      result.loss_nats += batch.loss;
      result.kl_nats += batch.kl;
    }
    result.loss_nats /= static_cast<double>(data->size());
    result.kl_nats /= static_cast<double>(data->size());
    return result;
  }
};

PtqEvaluator::PtqEvaluator(const CalibratedNetwork& network, const Dataset& data,
                           const RunContext& context, bool compare_with_float)
    : state_(std::make_unique<State>(State{&network, &data, context, {}, 0.0, {}, {}})) {
  if (compare_with_float) state_->float_evaluation = state_->Run(nullptr);
}

PtqEvaluator::~PtqEvaluator() = default;

const Evaluation& PtqEvaluator::FloatEvaluation() const { return state_->float_evaluation; }

std::vector<Evaluation> PtqEvaluator::Evaluate(std::span<const BitConfig> configs) {
  std::vector<Evaluation> results;
  for (const BitConfig& config : configs) {
    state_->context.ThrowIfStopped();
    const PlacedHooks placed = HooksOf(*state_->network, config);
    if (placed.note != state_->logged) state_->context.progress->Log(placed.note);
    state_->logged = placed.note;
    results.push_back(state_->Run(placed.hooks.get()));
  }
  return results;
}

}  // namespace bitsearch
