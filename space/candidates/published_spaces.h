#pragma once
// The spaces of published searches, as CandidateSpaces: once-for-all MobileNetV3, APQ's MobileNetV2
// with pruning and bits, and NAS-Bench-201 cells with bits per stage and edge.

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "space/candidates/candidate_space.h"

namespace bitsearch {

/// Once-for-all MobileNetV3 (Cai et al., ICLR 2020), width 1.2: 5 stages of up to 4 blocks.
/// Genes: resolution; depth (2, 3, 4) per stage; kernel (3, 5, 7) and expand ratio (3, 4, 6) per
/// block. A block matters while its stage is deep enough.
struct OnceForAllSpace {
  static constexpr std::size_t kStages = 5;
  static constexpr std::size_t kBlocksPerStage = 4;
  static constexpr std::size_t kBlocks = kStages * kBlocksPerStage;
  static constexpr std::array<int, 5> kResolutions = {160, 176, 192, 208, 224};
  static constexpr std::array<int, 3> kKernels = {3, 5, 7};
  static constexpr std::array<int, 3> kExpandRatios = {3, 4, 6};
  static constexpr std::array<int, 3> kDepths = {2, 3, 4};
  static constexpr GeneIndex kResolutionGene = 0;
  static GeneIndex DepthGene(std::size_t stage) { return static_cast<GeneIndex>(1 + stage); }
  static GeneIndex KernelGene(std::size_t block) {
    return static_cast<GeneIndex>(1 + kStages + block);
  }
  static GeneIndex ExpandGene(std::size_t block) {
    return static_cast<GeneIndex>(1 + kStages + kBlocks + block);
  }
};
CandidateSpace MakeOnceForAllSpace();

/// APQ's space (Wang et al., CVPR 2020) on MobileNetV2: 21 blocks in 6 stages (4, 4, 4, 4, 4, 1).
/// Genes: depth (2, 3, 4) per stage of four blocks; kernel (3, 5, 7) per block; middle channels per block
/// (4 to 6 times the input channels in steps of 8: architecture and pruning in one); bits
/// (4, 6, 8) of weights and activations of the pointwise and of the depthwise layers per block.
struct ApqSpace {
  static constexpr std::size_t kBlocks = 21;
  static constexpr std::size_t kStages = 6;
  static constexpr std::array<int, 3> kKernels = {3, 5, 7};
  static constexpr std::array<int, 3> kBits = {4, 6, 8};
  /// Per stage: input channels of its first block, output channels, stride of its first block.
  static constexpr std::array<int, kStages> kInputChannels = {16, 24, 40, 80, 96, 192};
  static constexpr std::array<int, kStages> kOutputChannels = {24, 40, 80, 96, 192, 320};
  static constexpr std::array<int, kStages> kStrides = {2, 2, 2, 1, 2, 1};
  static constexpr int kFirstSize = 112;  ///< Input extent of block 0.
  static int InputChannels(std::size_t block);
  static std::vector<int> MiddleChannels(std::size_t block);
  static GeneIndex DepthGene(std::size_t stage) { return static_cast<GeneIndex>(stage); }
  static GeneIndex KernelGene(std::size_t block) { return static_cast<GeneIndex>(6 + block); }
  static GeneIndex ChannelGene(std::size_t block) { return static_cast<GeneIndex>(27 + block); }
  /// `what`: 0 pointwise weights, 1 pointwise activations, 2 depthwise weights, 3 depthwise
  /// activations.
  static GeneIndex BitsGene(std::size_t what, std::size_t block) {
    return static_cast<GeneIndex>(48 + what * kBlocks + block);
  }
};
CandidateSpace MakeApqSpace();

/// NAS-Bench-201's cell (Dong and Yang, ICLR 2020) with bits: 6 edges 0→1, 0→2, 1→2, 0→3, 1→3,
/// 2→3, each one of 5 operations; weight bits (2, 4, 8) per stage (3) and edge, which matter where
/// the operation is a convolution (MP-NAS-Bench201).
struct Nas201Space {
  static constexpr std::size_t kEdges = 6;
  static constexpr std::size_t kStages = 3;
  /// Values of an edge's gene, in order.
  enum Operation : std::uint8_t { kNone, kSkip, kConv1x1, kConv3x3, kPool3x3 };
  static constexpr std::array<int, 3> kBits = {2, 4, 8};
  static GeneIndex EdgeGene(std::size_t edge) { return static_cast<GeneIndex>(edge); }
  static GeneIndex BitsGene(std::size_t stage, std::size_t edge) {
    return static_cast<GeneIndex>(kEdges + stage * kEdges + edge);
  }
};
CandidateSpace MakeNas201Space();

}  // namespace bitsearch
