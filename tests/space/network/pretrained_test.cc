// The imported ResNets compute what their makers' PyTorch computes.

#include <gtest/gtest.h>

#include "space/graph/onnx_reader.h"
#include "space/graph/rewrites.h"
#include "space/network/batches_torch.h"
#include "space/network/network_torch.h"
#include "space/support/files.h"
#include "tests/space/network/shared_models.h"

namespace bitsearch {
namespace {

class PretrainedLogits : public testing::TestWithParam<std::tuple<int, const char*>> {};

TEST_P(PretrainedLogits, EqualTheGivenOnesBeforeAndAfterFolding) {
  BITSEARCH_SKIP_WITHOUT_SHARED_DATA();
  const at::NoGradGuard no_grad;
  const auto [depth, variant] = GetParam();
  const at::Tensor images = ImageBatch(SharedCifar("test_batch.bin", 64), 0, 64);
  const auto bytes = ReadBinaryFile(SharedResNet(depth, "logits64.f32"));
  ASSERT_EQ(bytes.size(), 64U * 10 * 4);
  const at::Tensor expected =
      at::from_blob(const_cast<std::byte*>(bytes.data()), {64, 10}, at::kFloat);
  const LayerGraph graph = ReadOnnx(SharedResNet(depth, variant));
  ASSERT_EQ(graph.layers().size(), static_cast<std::size_t>(depth));
  for (const LayerGraph& form : {graph, FoldBatchNorm(graph)}) {
    const at::Tensor logits = Network(form).Forward(images);
    EXPECT_LT((logits - expected).abs().max().item<float>(), 1e-4F);
  }
}

INSTANTIATE_TEST_SUITE_P(All, PretrainedLogits,
                         testing::Combine(testing::Values(20, 56),
                                          testing::Values("bn.onnx", "bn_clean.onnx", "bnfold.onnx",
                                                          "bnfold_clean.onnx")));

}  // namespace
}  // namespace bitsearch
