// Runs configurations on a data set, batch by batch.

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "space/network/batches_torch.h"
#include "space/network/thread_budget_torch.h"
#include "space/quantizer/integer_network_torch.h"
#include "space/quantizer/quantized_network_torch.h"

namespace bitsearch {
namespace {

constexpr std::int64_t kBatch = 25;

}  // namespace

struct PtqEvaluator::State {
  const CalibratedNetwork* network;
  const Dataset* data;
  RunContext context;
  std::vector<at::Tensor> float_log_probabilities;  ///< By batch.
  Evaluation float_evaluation;
  std::string logged;  ///< The last line about operators in floating point.

  // Runs all batches; where `hooks` is null, records the float network's outputs.
  Evaluation Run(ExecutionHooks* hooks) {
    const std::int64_t batches = (data->size() + kBatch - 1) / kBatch;
    std::vector<double> loss(static_cast<std::size_t>(batches));
    std::vector<double> kl(static_cast<std::size_t>(batches));
    std::vector<std::uint8_t> correct(static_cast<std::size_t>(data->size()));
    if (hooks == nullptr) float_log_probabilities.resize(static_cast<std::size_t>(batches));
    ForEachOnOneThread(context, batches, [&](std::int64_t b) {
      const auto slot = static_cast<std::size_t>(b);
      const std::int64_t first = b * kBatch;
      const std::int64_t count = std::min(kBatch, data->size() - first);
      const at::Device device = network->network().device();
      const at::Tensor labels = LabelBatch(*data, first, count).to(device);
      const at::Tensor logits =
          network->network().Forward(ImageBatch(*data, first, count).to(device), hooks);
      const at::Tensor log_p = at::log_softmax(logits, 1);
      loss[slot] = at::nll_loss(log_p, labels, {}, at::Reduction::Sum).item<double>();
      if (hooks == nullptr) {
        float_log_probabilities[slot] = log_p;
      } else if (float_log_probabilities.empty()) {
        kl[slot] = std::numeric_limits<double>::quiet_NaN();
      } else {
        const at::Tensor& reference = float_log_probabilities[slot];
        kl[slot] = (reference.exp() * (reference - log_p)).sum().item<double>();
      }
      const at::Tensor hits = logits.argmax(1).eq(labels).to(at::kCPU, at::kByte).contiguous();
      std::copy_n(hits.data_ptr<std::uint8_t>(), count, correct.begin() + first);
    });
    Evaluation result;
    result.samples = data->size();
    for (std::size_t b = 0; b < loss.size(); ++b) {
      result.loss_nats += loss[b];
      result.kl_nats += kl[b];
    }
    result.loss_nats /= static_cast<double>(data->size());
    result.kl_nats /= static_cast<double>(data->size());
    result.correct_per_sample.assign(correct.begin(), correct.end());
    result.correct = std::count(correct.begin(), correct.end(), 1);
    return result;
  }
};

PtqEvaluator::PtqEvaluator(const CalibratedNetwork& network, const Dataset& data,
                           const RunContext& context, bool compare_with_float)
    : state_(std::make_unique<State>(State{&network, &data, context, {}, {}, {}})) {
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
