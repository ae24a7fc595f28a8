#include "space/network/evaluate.h"


#include <algorithm>
#include <limits>
#include <vector>

#include "space/network/batches_torch.h"
#include "space/network/network_torch.h"
#include "space/network/thread_budget_torch.h"

namespace bitsearch {

Evaluation EvaluateNetwork(const Network& network, const Dataset& data, ExecutionHooks* hooks,
                           const RunContext& context, std::int64_t batch_size) {
  const std::int64_t batches = (data.size() + batch_size - 1) / batch_size;
  std::vector<double> loss(static_cast<std::size_t>(batches), 0.0);
  std::vector<std::uint8_t> correct(static_cast<std::size_t>(data.size()), 0);
  ForEachOnOneThread(context, batches, [&](std::int64_t b) {
    const std::int64_t first = b * batch_size;
    const std::int64_t count = std::min(batch_size, data.size() - first);
    const at::Tensor labels = LabelBatch(data, first, count).to(network.device());
    const at::Tensor logits =
        network.Forward(ImageBatch(data, first, count).to(network.device()), hooks);
    loss[static_cast<std::size_t>(b)] =
        at::cross_entropy_loss(logits, labels, {}, at::Reduction::Sum).item<double>();
    const at::Tensor hits = logits.argmax(1).eq(labels).to(at::kCPU, at::kByte).contiguous();
    std::copy_n(hits.data_ptr<std::uint8_t>(), count, correct.begin() + first);
  });
  Evaluation result;
  result.samples = data.size();
  for (const double value : loss) result.loss_nats += value;
  result.loss_nats /= static_cast<double>(data.size());
  result.kl_nats = std::numeric_limits<double>::quiet_NaN();
  result.correct_per_sample.assign(correct.begin(), correct.end());
  result.correct = std::count(correct.begin(), correct.end(), 1);
  return result;
}

}  // namespace bitsearch
