#pragma once
// oneDNN primitives for a layer signature, ready to be timed. Hides oneDNN's types from the rest of
// the room; must not decide what is measured nor how often.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "space/hardware/layer_signature.h"

namespace bitsearch {

/// What a kernel writes.
enum class KernelOutput : std::uint8_t {
  kSameAsInput,  ///< f32 for a float kernel, u8 for an integer one: what the next layer reads.
  kFloat,        ///< f32 in both, for a layer whose result leaves the network.
};

/// One thing that can be run and timed: a kernel or a reorder, with its memory.
class OnednnWork {
 public:
  virtual ~OnednnWork() = default;
  /// Runs once and waits for the end, with the number of OpenMP threads of the thread that built
  /// it.
  virtual void Run() = 0;
  /// oneDNN's name of the implementation, e.g. "jit_uni_int8:avx2".
  virtual std::string implementation() const = 0;
};

/// Builds work on the CPU. Tensor layouts are left to the kernels, as a runtime does; weights are
/// reordered beforehand and not timed. Integer kernels read u8 activations and s8 weights with one
/// scale per output channel and write u8 (or f32); biases are added. Not thread-safe.
class OnednnFactory {
 public:
  OnednnFactory();
  ~OnednnFactory();

  /// The layer's kernel in fp32 or in INT8. Null if oneDNN has none.
  std::unique_ptr<OnednnWork> Kernel(const LayerSignature& signature, std::int64_t batch,
                                     bool integer, KernelOutput output);
  /// Between the outputs of the layer's float and integer kernels: f32 in the float kernel's layout
  /// to u8 in the integer kernel's (`quantize`), or back. Null if either kernel is missing.
  std::unique_ptr<OnednnWork> OutputReorder(const LayerSignature& signature, std::int64_t batch,
                                            bool quantize);
  /// From a plain f32 tensor (NCHW) to what the layer's kernel reads. Null if the kernel is missing
  /// or reads the plain tensor as it is.
  std::unique_ptr<OnednnWork> InputReorder(const LayerSignature& signature, std::int64_t batch,
                                           bool integer);

  /// Library version and the instruction set it uses here, e.g. "oneDNN 2.6.3, avx2".
  static std::string Description();

 private:
  struct Engine;
  std::unique_ptr<Engine> engine_;
};

/// Runs `call` on a thread of its own that is pinned to one CPU and uses one OpenMP thread; the
/// calling thread's settings stay. Rethrows what `call` throws. Returns the CPU's number, or −1 if
/// it could not be pinned.
int RunPinned(const std::function<void()>& call);

}  // namespace bitsearch
