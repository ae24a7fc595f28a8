#pragma once
// Long independent jobs of one stage on the run's threads, each with one thread of its own, so that
// what they compute does not depend on how many run at once. Must not know what the jobs are.

#include <cstddef>
#include <functional>
#include <string>

#include "space/support/run_context.h"

namespace bitsearch {

/// Calls `job(0)` … `job(count − 1)` on up to `threads` threads, begun in this order. After one has
/// thrown no further begins, and the exception of the first in order is rethrown.
void RunJobs(int threads, std::size_t count, const std::function<void(std::size_t)>& job);

/// `context` for one of several jobs: one thread, and "NAME: " before what it reports.
RunContext JobContext(const RunContext& context, const std::string& name);

/// Processor time that the calling thread has used, in seconds.
double ThreadSeconds();

}  // namespace bitsearch
