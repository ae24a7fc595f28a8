// Genes of the published spaces. Gene orders follow the reference data, so that golden rows can be
// read as they are.
#include "space/candidates/published_spaces.h"

#include <fmt/format.h>

#include <string>

namespace bitsearch {
namespace {

template <typename Container>
std::vector<std::string> Texts(const Container& values) {
  std::vector<std::string> texts;
  for (const int value : values) texts.push_back(std::to_string(value));
  return texts;
}

/// A block at `position` of a stage whose depths are 2, 3, 4 matters from that depth on.
std::uint64_t DeepEnough(std::size_t position) {
  if (position < 2) return 0b111;
  return position == 2 ? 0b110 : 0b100;
}

}  // namespace

CandidateSpace MakeOnceForAllSpace() {
  using S = OnceForAllSpace;
  std::vector<Gene> genes;
  genes.push_back({"resolution", GeneKind::kArchitecture, Texts(S::kResolutions)});
  for (std::size_t s = 0; s < S::kStages; ++s) {
    genes.push_back({fmt::format("stage{}.depth", s), GeneKind::kArchitecture, Texts(S::kDepths)});
  }
  const auto add_blocks = [&genes](const char* what, const auto& values) {
    for (std::size_t b = 0; b < S::kBlocks; ++b) {
      genes.push_back({fmt::format("block{}.{}", b, what), GeneKind::kArchitecture, Texts(values),
                       S::DepthGene(b / S::kBlocksPerStage), DeepEnough(b % S::kBlocksPerStage)});
    }
  };
  add_blocks("kernel", S::kKernels);
  add_blocks("expand", S::kExpandRatios);
  return CandidateSpace("once-for-all-mobilenetv3", std::move(genes));
}

int ApqSpace::InputChannels(std::size_t block) {
  return block % 4 == 0 ? kInputChannels[block / 4] : kOutputChannels[block / 4];
}

std::vector<int> ApqSpace::MiddleChannels(std::size_t block) {
  std::vector<int> channels;
  const int input = InputChannels(block);
  for (int c = 4 * input; c <= 6 * input; c += 8) channels.push_back(c);
  return channels;
}

CandidateSpace MakeApqSpace() {
  using S = ApqSpace;
  std::vector<Gene> genes;
  for (std::size_t s = 0; s < S::kStages; ++s) {
    // The last stage has one block: its depth is given.
    genes.push_back({fmt::format("stage{}.depth", s), GeneKind::kArchitecture,
                     s + 1 < S::kStages ? std::vector<std::string>{"2", "3", "4"}
                                        : std::vector<std::string>{"1"}});
  }
  const auto parent = [](std::size_t b) { return S::DepthGene(b / 4); };
  const auto mask = [](std::size_t b) { return DeepEnough(b % 4); };  // Block 20: always.
  for (std::size_t b = 0; b < S::kBlocks; ++b) {
    genes.push_back({fmt::format("block{}.kernel", b), GeneKind::kArchitecture, Texts(S::kKernels),
                     parent(b), mask(b)});
  }
  for (std::size_t b = 0; b < S::kBlocks; ++b) {
    genes.push_back({fmt::format("block{}.channels", b), GeneKind::kArchitecture,
                     Texts(S::MiddleChannels(b)), parent(b), mask(b)});
  }
  constexpr const char* kWhat[] = {"pointwise", "pointwise", "depthwise", "depthwise"};
  for (std::size_t what = 0; what < 4; ++what) {
    const bool weight = what % 2 == 0;
    for (std::size_t b = 0; b < S::kBlocks; ++b) {
      const std::string layer = fmt::format("block{}.{}", b, kWhat[what]);
      genes.push_back({layer + (weight ? ".weight_bits" : ".activation_bits"),
                       weight ? GeneKind::kWeightBits : GeneKind::kActivationBits, Texts(S::kBits),
                       parent(b), mask(b), layer});
    }
  }
  return CandidateSpace("apq-mobilenetv2", std::move(genes));
}

CandidateSpace MakeNas201Space() {
  using S = Nas201Space;
  constexpr const char* kEdgeNames[] = {"0-1", "0-2", "1-2", "0-3", "1-3", "2-3"};
  std::vector<Gene> genes;
  for (const char* edge : kEdgeNames) {
    genes.push_back({fmt::format("edge{}.operation", edge),
                     GeneKind::kArchitecture,
                     {"none", "skip", "conv1x1", "conv3x3", "pool3x3"}});
  }
  constexpr std::uint64_t kConvolutions = (1U << S::kConv1x1) | (1U << S::kConv3x3);
  for (std::size_t stage = 0; stage < S::kStages; ++stage) {
    for (std::size_t e = 0; e < S::kEdges; ++e) {
      const std::string layer = fmt::format("stage{}.edge{}", stage, kEdgeNames[e]);
      genes.push_back({layer + ".weight_bits", GeneKind::kWeightBits, Texts(S::kBits),
                       S::EdgeGene(e), kConvolutions, layer});
    }
  }
  return CandidateSpace("nas-bench-201-bits", std::move(genes));
}

}  // namespace bitsearch
