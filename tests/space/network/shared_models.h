#pragma once
// The pretrained networks and images of the shared test data, where they are present.

#include <filesystem>
#include <string>

#include "space/network/dataset.h"

namespace bitsearch {

inline std::filesystem::path SharedData() { return BITSEARCH_SHARED_DATA; }

inline std::filesystem::path SharedResNet(int depth, const std::string& variant) {
  const std::string name = "resnet" + std::to_string(depth);
  return SharedData() / "onnx" / name / (name + "_cifar10_" + variant);
}

/// CIFAR-10 records normalised as the pretrained networks want them.
inline Dataset SharedCifar(const std::string& file, std::int64_t samples = -1) {
  DataSpec spec = DataSpec::Parse("cifar10:" + (SharedData() / "cifar10" / file).string());
  spec.mean = {0.485F, 0.456F, 0.406F};
  spec.std = {0.229F, 0.224F, 0.225F};
  spec.samples = samples;
  return Dataset::Load(spec);
}

}  // namespace bitsearch

#define BITSEARCH_SKIP_WITHOUT_SHARED_DATA()                                   \
  if (!std::filesystem::exists(bitsearch::SharedData() / "MANIFEST.md")) {     \
    GTEST_SKIP() << "no shared data at " << bitsearch::SharedData();           \
  }                                                                            \
  static_assert(true, "")
