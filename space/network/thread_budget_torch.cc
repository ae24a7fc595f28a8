#include "space/network/thread_budget_torch.h"

#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>
#include <torch/torch.h>


namespace bitsearch {

void ForEachOnOneThread(const RunContext& context, std::int64_t count,
                        const std::function<void(std::int64_t)>& task, bool with_gradients) {
  const auto run = [&](std::int64_t index) {
    context.ThrowIfStopped();
    // Both settings are per thread: a TBB worker does not inherit them from main.
    at::set_num_threads(1);
    const at::AutoGradMode mode(with_gradients);
    task(index);
  };
  if (context.threads <= 1 || count <= 1) {
    for (std::int64_t i = 0; i < count; ++i) run(i);
    return;
  }
  oneapi::tbb::task_arena arena(context.threads);
  arena.execute([&] { oneapi::tbb::parallel_for(std::int64_t{0}, count, run); });
}

}  // namespace bitsearch
