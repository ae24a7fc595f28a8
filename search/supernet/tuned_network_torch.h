#pragma once
// From a network in training to a TunedNetwork, and BN statistics measured anew. Include only from
// torch targets.

#include "search/supernet/architecture_space.h"
#include "search/supernet/learned_quantizers_torch.h"
#include "search/supernet/tuned_network.h"
#include "space/network/network_torch.h"
#include "space/network/training_loop_torch.h"

namespace bitsearch {

/// Freezes a network in training: weights rounded, BN folded (a channel's factor goes into its
/// scales, a negative one mirrors its levels), grids collected. `space` has one candidate a group.
TunedNetwork FreezeTuned(const Network& network, const ArchitectureSpace& space,
                         const LearnedQuantizers& quantizers);

/// Replaces the running mean and variance of every BatchNormalization by their averages over
/// `batches` training batches of `data` (unaugmented), the network running with batch statistics.
void ReestimateBatchNorm(Network& network, ExecutionHooks* hooks, const Dataset& data,
                         std::int64_t batch_size, int batches);

}  // namespace bitsearch
