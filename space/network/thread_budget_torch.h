#pragma once
// Many independent tasks on the run's threads, each with one LibTorch thread: sums then do not
// depend on the number of threads, so results are bitwise equal at any width.

#include <cstdint>
#include <functional>

#include "space/support/run_context.h"

namespace bitsearch {

/// Calls `task(0)` … `task(count − 1)` on up to context.threads threads, without gradients unless
/// `with_gradients`. Rethrows a task's exception; stops early with Error(kInterrupted) on request.
void ForEachOnOneThread(const RunContext& context, std::int64_t count,
                        const std::function<void(std::int64_t)>& task, bool with_gradients = false);

}  // namespace bitsearch
