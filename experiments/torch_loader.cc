// Finds and opens the LibTorch module. Must not be linked against it.
#include <dlfcn.h>

#include <vector>

#include "experiments/torch_backend.h"
#include "space/support/error.h"

namespace bitsearch {

std::shared_ptr<TorchBackend> LoadTorchBackend(const std::filesystem::path& folder) {
  const std::vector<std::filesystem::path> places = {
      folder / "libbitsearch_torch.so", folder.parent_path() / "lib" / "libbitsearch_torch.so"};
  for (const std::filesystem::path& place : places) {
    if (!std::filesystem::exists(place)) continue;
    // Never closed: LibTorch's threads and static objects outlive any use of it.
    void* module = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (module == nullptr) {
      throw Error(ErrorId::kTorchVersion, std::string("cannot be loaded: ") + dlerror())
          .At({place.string()})
          .Hint("is LibTorch installed (Debian: libtorch-dev)?");
    }
    using Factory = TorchBackend* (*)(int);
    const auto make = reinterpret_cast<Factory>(dlsym(module, "bitsearch_make_torch_backend"));
    TorchBackend* backend = make == nullptr ? nullptr : make(kTorchBackendVersion);
    if (backend == nullptr) {
      throw Error(ErrorId::kTorchVersion, "does not fit this executable (wants version " +
                                              std::to_string(kTorchBackendVersion) + ")")
          .At({place.string()})
          .Hint("build and install both together");
    }
    return std::shared_ptr<TorchBackend>(backend);
  }
  throw Error(ErrorId::kTorchMissing, "this needs LibTorch, and this build of bitsearch has none")
      .Hint(
          "build with -DBITSEARCH_WITH_TORCH=ON (module libbitsearch_torch.so beside the "
          "executable)");
}

}  // namespace bitsearch
