#pragma once
// What a run leaves behind, for tests that compare runs byte for byte.

#include <filesystem>
#include <map>
#include <string>

#include "space/support/files.h"

namespace bitsearch {

/// Every artifact of a run's folder by name, but what says when and how long: times, lock, journal.
inline std::map<std::string, std::string> RunArtifacts(const std::filesystem::path& run) {
  std::map<std::string, std::string> artifacts;
  for (const auto& entry : std::filesystem::directory_iterator(run)) {
    const std::string name = entry.path().filename().string();
    if (name == "timing.json" || name == "lock" || name.starts_with("journal")) continue;
    artifacts[name] = ReadTextFile(entry.path());
  }
  return artifacts;
}

}  // namespace bitsearch
