#pragma once
// Accuracy and loss of a network on a data set. Torch-free header.

#include <cstdint>

#include "space/choices/evaluator.h"
#include "space/network/dataset.h"
#include "space/support/run_context.h"

namespace bitsearch {

class Network;
class ExecutionHooks;

/// Runs `network` on all of `data`, in fixed batches whose results do not depend on the number of
/// threads (each batch runs on one). `hooks` must be safe for concurrent use if context.threads > 1.
/// loss_nats is the mean cross-entropy; kl_nats is NaN.
Evaluation EvaluateNetwork(const Network& network, const Dataset& data, ExecutionHooks* hooks,
                           const RunContext& context, std::int64_t batch_size = 25);

}  // namespace bitsearch
