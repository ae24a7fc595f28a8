#include "experiments/benchmarks/ranking_study/measurement.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "space/network/batches_torch.h"
#include "space/network/thread_budget_torch.h"
#include "space/quantizer/quantized_network_torch.h"

namespace bitsearch {
namespace {

constexpr std::int64_t kBatch = 25;  // As evaluation has it: the fastest.

}  // namespace

std::string BlockSums::ToText() const {
  std::string text;
  for (std::size_t b = 0; b < loss_nats.size(); ++b) {
    text += fmt::format("{} {} {} ", loss_nats[b], kl_nats[b], correct[b]);
  }
  return text;
}

std::optional<BlockSums> BlockSums::FromText(const std::string& text) {
  std::istringstream in(text);
  BlockSums sums;
  double loss = 0.0;
  double kl = 0.0;
  double correct = 0.0;
  while (in >> loss >> kl >> correct) {
    sums.loss_nats.push_back(loss);
    sums.kl_nats.push_back(kl);
    sums.correct.push_back(correct);
  }
  if (sums.loss_nats.empty()) return std::nullopt;
  return sums;
}

struct BlockMeasurement::State {
  const CalibratedNetwork& network;
  const Dataset& data;
  std::vector<at::Tensor> float_log_probabilities;  // By batch, in double.

  at::Tensor LogProbabilities(std::int64_t batch, ExecutionHooks* hooks) const {
    const std::int64_t count = std::min(kBatch, data.size() - batch * kBatch);
    const at::Tensor logits =
        network.network().Forward(ImageBatch(data, batch * kBatch, count), hooks);
    return at::log_softmax(logits.to(at::kDouble), 1);
  }
  std::int64_t batches() const { return (data.size() + kBatch - 1) / kBatch; }
};

BlockMeasurement::BlockMeasurement(const CalibratedNetwork& network, const Dataset& data)
    : state_(std::make_unique<State>(State{network, data, {}})) {
  static_assert(kBlockRecords % kBatch == 0, "a batch belongs to one block");
  ForEachOnOneThread(RunContext{}, state_->batches(), [&](std::int64_t b) {
    state_->float_log_probabilities.push_back(state_->LogProbabilities(b, nullptr));
  });
}

BlockMeasurement::~BlockMeasurement() = default;

BlockSums BlockMeasurement::Measure(const BitConfig& config) const {
  QuantizationHooks hooks = PrepareQuantization(state_->network, config);
  BlockSums sums;
  ForEachOnOneThread(RunContext{}, state_->batches(), [&](std::int64_t b) {
    if (b * kBatch % kBlockRecords == 0) {
      sums.loss_nats.push_back(0.0);
      sums.kl_nats.push_back(0.0);
      sums.correct.push_back(0.0);
    }
    const at::Tensor log_q = state_->LogProbabilities(b, &hooks);
    const at::Tensor& log_p = state_->float_log_probabilities[static_cast<std::size_t>(b)];
    const at::Tensor labels = LabelBatch(state_->data, b * kBatch, log_q.size(0));
    sums.loss_nats.back() += at::nll_loss(log_q, labels, {}, at::Reduction::Sum).item<double>();
    sums.kl_nats.back() += (log_p.exp() * (log_p - log_q)).sum().item<double>();
    sums.correct.back() += log_q.argmax(1).eq(labels).sum().item<double>();
  });
  return sums;
}

}  // namespace bitsearch
