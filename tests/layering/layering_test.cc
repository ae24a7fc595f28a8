// Reads every #include of the repository and fails on an arrow that the design does not have, on
// LibTorch headers where they must not be, and on an executable that links LibTorch.
#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

/// The rooms with the rooms that each may include besides itself: docs/ARCHITECTURE.md's list,
/// lowest first. sensitivity, predictor and search never include each other.
const std::vector<std::pair<std::string, std::vector<std::string>>>& Rooms() {
  static const std::vector<std::string> space = {
      "space/support",  "space/graph",   "space/choices",  "space/candidates",
      "space/hardware", "space/network", "space/quantizer"};
  static const std::vector<std::pair<std::string, std::vector<std::string>>> rooms = [] {
    std::vector<std::pair<std::string, std::vector<std::string>>> list;
    for (std::size_t i = 0; i < space.size(); ++i) {
      list.emplace_back(space[i], std::vector<std::string>(space.begin(), space.begin() + i));
    }
    std::vector<std::string> all = space;
    for (const char* middle : {"sensitivity", "predictor", "search"}) {
      list.emplace_back(middle, space);
      all.emplace_back(middle);
    }
    list.emplace_back("experiments", all);
    return list;
  }();
  return rooms;
}

/// Folders whose .cc files and x_torch.h headers may include LibTorch.
const std::vector<std::string>& TorchFolders() {
  static const std::vector<std::string> folders = {
      "space/network", "space/quantizer",  "sensitivity",
      "predictor",     "search/supernet", "experiments/benchmarks"};
  return folders;
}

bool IsUnder(const std::string& path, const std::string& folder) {
  return path.starts_with(folder + "/");
}

std::optional<std::string> RoomOf(const std::string& path) {
  for (const auto& [room, allowed] : Rooms()) {
    if (IsUnder(path, room)) return room;
  }
  return std::nullopt;
}

bool IsTorchHeader(const std::string& include) { return include.ends_with("_torch.h"); }

bool IsLibTorch(const std::string& include) {
  return include.starts_with("torch/") || include.starts_with("ATen/") ||
         include.starts_with("c10/") || include.starts_with("c10d/");
}

struct Include {
  std::string target;
  int line = 0;
};

struct Source {
  std::string path;  ///< From the repository root.
  std::vector<Include> includes;
};

std::vector<Include> IncludesOf(const fs::path& file) {
  std::ifstream stream(file);
  std::vector<Include> includes;
  int number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    const std::size_t hash = line.find_first_not_of(" \t");
    if (hash == std::string::npos || line[hash] != '#') continue;
    const std::size_t word = line.find_first_not_of(" \t", hash + 1);
    if (word == std::string::npos || line.compare(word, 7, "include") != 0) continue;
    const std::size_t open = line.find_first_of("\"<", word);
    if (open == std::string::npos) continue;
    const std::size_t close = line.find_first_of("\">", open + 1);
    includes.push_back({line.substr(open + 1, close - open - 1), number});
  }
  return includes;
}

const std::vector<Source>& Sources() {
  static const std::vector<Source> sources = [] {
    std::vector<Source> found;
    const fs::path root = BITSEARCH_SOURCE_DIR;
    for (const char* top :
         {"space", "sensitivity", "predictor", "search", "experiments", "tests"}) {
      for (const auto& entry : fs::recursive_directory_iterator(root / top)) {
        const std::string extension = entry.path().extension().string();
        if (extension != ".h" && extension != ".cc" && extension != ".inc") continue;
        found.push_back(
            {fs::relative(entry.path(), root).generic_string(), IncludesOf(entry.path())});
      }
    }
    std::sort(found.begin(), found.end(),
              [](const Source& a, const Source& b) { return a.path < b.path; });
    return found;
  }();
  return sources;
}

std::string Where(const Source& source, const Include& include) {
  return source.path + ":" + std::to_string(include.line) + " includes " + include.target;
}

TEST(LayeringTest, SourcesAreFound) { EXPECT_GT(Sources().size(), 50U); }

TEST(LayeringTest, EveryFileIsInARoom) {
  for (const Source& source : Sources()) {
    if (IsUnder(source.path, "tests")) continue;
    EXPECT_TRUE(RoomOf(source.path).has_value())
        << source.path << " is in no room of docs/ARCHITECTURE.md";
  }
}

TEST(LayeringTest, IncludesFollowTheArrows) {
  for (const Source& source : Sources()) {
    const auto room = RoomOf(source.path);
    if (!room.has_value()) continue;  // tests may include everything
    const auto entry = std::find_if(Rooms().begin(), Rooms().end(),
                                    [&](const auto& known) { return known.first == *room; });
    for (const Include& include : source.includes) {
      EXPECT_FALSE(IsUnder(include.target, "tests"))
          << Where(source, include) << ": the product must not depend on its tests";
      const auto target = RoomOf(include.target);
      if (!target.has_value() || *target == *room) continue;
      const std::vector<std::string>& allowed = entry->second;
      EXPECT_TRUE(std::find(allowed.begin(), allowed.end(), *target) != allowed.end())
          << Where(source, include) << ": " << *room << " must not include " << *target;
    }
  }
}

TEST(LayeringTest, OwnHeadersAreIncludedFromTheRoot) {
  const fs::path root = BITSEARCH_SOURCE_DIR;
  for (const Source& source : Sources()) {
    const fs::path folder = (root / source.path).parent_path();
    for (const Include& include : source.includes) {
      EXPECT_FALSE(include.target.find('/') == std::string::npos &&
                   fs::exists(folder / include.target))
          << Where(source, include) << ": write the path from the repository root";
    }
  }
}

TEST(LayeringTest, LibTorchStaysInItsFolders) {
  for (const Source& source : Sources()) {
    if (IsUnder(source.path, "tests")) continue;
    const bool folder = std::any_of(
        TorchFolders().begin(), TorchFolders().end(),
        [&](const std::string& torch_folder) { return IsUnder(source.path, torch_folder); });
    const bool file = source.path.ends_with(".cc") || IsTorchHeader(source.path);
    for (const Include& include : source.includes) {
      if (!IsLibTorch(include.target) && !IsTorchHeader(include.target)) continue;
      EXPECT_TRUE(folder && file) << Where(source, include)
                                  << ": LibTorch is for .cc files and x_torch.h of torch folders";
    }
  }
}

TEST(LayeringTest, IncludesMakeNoCycles) {
  std::map<std::string, std::set<std::string>> graph;
  for (const Source& source : Sources()) {
    for (const Include& include : source.includes) graph[source.path].insert(include.target);
  }
  std::set<std::string> done;
  std::vector<std::string> path;
  const auto visit = [&](const auto& self, const std::string& file) -> void {
    if (done.contains(file)) return;
    ASSERT_TRUE(std::find(path.begin(), path.end(), file) == path.end())
        << file << " includes itself through " << path.back();
    path.push_back(file);
    const auto found = graph.find(file);
    if (found != graph.end()) {
      for (const std::string& target : found->second) self(self, target);
    }
    path.pop_back();
    done.insert(file);
  };
  for (const auto& [file, targets] : graph) visit(visit, file);
}

/// Shared libraries that a program needs, directly or not.
std::string LinkedLibraries(const fs::path& program) {
  const std::string command = "ldd '" + program.string() + "' 2>&1";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::string text;
  std::array<char, 4096> buffer{};
  while (pipe != nullptr && fgets(buffer.data(), buffer.size(), pipe.get()) != nullptr) {
    text += buffer.data();
  }
  return text;
}

TEST(LayeringTest, TheExecutableLinksNoLibTorch) {
  const fs::path program = BITSEARCH_EXECUTABLE;
  ASSERT_TRUE(fs::exists(program)) << program;
  const std::string libraries = LinkedLibraries(program);
  ASSERT_NE(libraries.find("libc.so"), std::string::npos) << libraries;
  EXPECT_EQ(libraries.find("libtorch"), std::string::npos) << libraries;
  EXPECT_EQ(libraries.find("libc10"), std::string::npos) << libraries;
}

TEST(LayeringTest, TheTopLevelIsTheAgreedOne) {
  const std::set<std::string> allowed = {"CMakeLists.txt", "CMakePresets.json",
                                         "LICENSE",        "README.md",
                                         "check",          "quickstart",
                                         "cmake",          "docs",
                                         "space",          "search",
                                         "sensitivity",    "predictor",
                                         "experiments",    "tests",
                                         "build",          "runs",
                                         "shared"};
  for (const auto& entry : fs::directory_iterator(BITSEARCH_SOURCE_DIR)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.') || name == "compile_commands.json" || name == "node_modules")
      continue;
    EXPECT_TRUE(allowed.contains(name)) << name;
  }
}

}  // namespace
}  // namespace bitsearch
