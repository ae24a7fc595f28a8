#pragma once
// Genomes as groups of numbers for kernels: what distances between candidates are made of.

#include <vector>

#include "predictor/encoding.h"
#include "predictor/training/gaussian_process.h"

namespace bitsearch {

/// Gene sets whose mean bits are features of their own: the stages of a network, its edges, …
using BitSummaries = std::vector<std::vector<GeneIndex>>;

/// Groups, those without columns left out: the one-hot architecture; log2(bits) − 2 of every bits
/// gene, 0 where it does not matter; one-hot bits; share of each format among the active bits
/// genes; mean log2(bits) − 2 of each summary and, where bits depend on an architecture gene, of
/// each of its values; its standard deviation over all. Formats count with at most 16 bits.
FeatureGroups CandidateFeatures(const Encoding& encoding, const GenomeView& genomes,
                                const BitSummaries& summaries);

}  // namespace bitsearch
