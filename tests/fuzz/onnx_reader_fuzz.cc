// libFuzzer target: any bytes given to the ONNX reader end in a graph or in an Error, and a graph
// that was read can be rewritten, described, written and read again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>

#include "space/graph/describe.h"
#include "space/graph/onnx_reader.h"
#include "space/graph/onnx_writer.h"
#include "space/graph/rewrites.h"
#include "space/graph/ties.h"
#include "space/support/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bitsearch;
  const auto read = [](const void* bytes, std::size_t count) {
    return ReadOnnxBytes({static_cast<const std::byte*>(bytes), count}, "fuzz.onnx");
  };
  try {
    const LayerGraph graph = read(data, size);
    const LayerGraph rewritten = RemoveIdentities(FoldBatchNorm(graph));
    (void)DescribeLayers(rewritten, InferTies(rewritten, {.activations = true, .joins = true}));
    (void)DescribeAsDot(rewritten);
    const std::string written = SerializeOnnx(rewritten);
    try {
      if (read(written.data(), written.size()).layers().size() != rewritten.layers().size()) {
        std::abort();  // Writing lost a layer.
      }
    } catch (const Error&) {
      std::abort();  // What was accepted must be accepted again.
    }
  } catch (const Error& error) {
    if (ClassOf(error.id()) == ErrorClass::kInternal) std::abort();
  }
  return 0;
}
