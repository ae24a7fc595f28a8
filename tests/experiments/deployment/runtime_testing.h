#pragma once
// Skips a test where ONNX Runtime's Node package is not installed (cmake/install_runtime.sh).

#include <gtest/gtest.h>

#include <filesystem>

#include "space/hardware/onnx_runtime.h"

namespace bitsearch {

/// Where tests find the runtime: as an executable of this build does.
inline RuntimeLocation TestRuntime() {
  return FindRuntime("", std::filesystem::path(BITSEARCH_BINARY_DIR) / "bin");
}

}  // namespace bitsearch

#define BITSEARCH_SKIP_WITHOUT_RUNTIME()                                           \
  if (bitsearch::TestRuntime().modules.empty()) {                                  \
    GTEST_SKIP() << "ONNX Runtime is not installed: run cmake/install_runtime.sh"; \
  }
