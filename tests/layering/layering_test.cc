// The arrows between rooms, read from the sources themselves, against what docs/ARCHITECTURE.md
// allows; LibTorch only where it may be; and an executable that starts without LibTorch.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

// Each room and the rooms that it may include; every room may include itself.
const std::map<std::string, std::set<std::string>>& AllowedArrows() {
  static const std::set<std::string> space = {"space/support",  "space/graph",   "space/choices",
                                              "space/hardware", "space/network", "space/quantizer"};
  static const auto with = [](std::set<std::string> rooms, std::initializer_list<const char*> more) {
    rooms.insert(more.begin(), more.end());
    return rooms;
  };
  static const std::map<std::string, std::set<std::string>> arrows = {
      {"space/support", {}},
      {"space/graph", {"space/support"}},
      {"space/choices", {"space/support", "space/graph"}},
      {"space/hardware", {"space/support", "space/graph", "space/choices"}},
      {"space/network", {"space/support", "space/graph", "space/choices", "space/hardware"}},
      {"space/quantizer",
       {"space/support", "space/graph", "space/choices", "space/hardware", "space/network"}},
      {"sensitivity", space},
      {"predictor", space},
      {"search", space},
      {"experiments", with(space, {"sensitivity", "predictor", "search"})},
      {"tests", with(space, {"sensitivity", "predictor", "search", "experiments"})},
  };
  return arrows;
}

std::string RoomOf(const std::string& path) {
  std::string best;
  for (const auto& [room, allowed] : AllowedArrows()) {
    if (path.rfind(room + "/", 0) == 0 && room.size() > best.size()) best = room;
  }
  return best;
}

struct Include {
  std::string file;
  int line;
  std::string target;
  bool system;
};

std::vector<Include> AllIncludes() {
  static const std::regex pattern(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])");
  std::vector<Include> includes;
  const fs::path root = BITSEARCH_SOURCE_DIR;
  for (const char* top : {"space", "sensitivity", "predictor", "search", "experiments", "tests"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / top)) {
      const std::string extension = entry.path().extension();
      if (extension != ".cc" && extension != ".h" && extension != ".inc") continue;
      std::ifstream stream(entry.path());
      std::string text;
      for (int line = 1; std::getline(stream, text); ++line) {
        std::smatch match;
        if (!std::regex_search(text, match, pattern)) continue;
        includes.push_back({fs::relative(entry.path(), root).string(), line, match[2],
                            match[1] == "<"});
      }
    }
  }
  return includes;
}

bool IsTorchHeader(const Include& include) {
  return include.system && (include.target.rfind("torch/", 0) == 0 ||
                            include.target.rfind("ATen/", 0) == 0 ||
                            include.target.rfind("c10/", 0) == 0);
}

// Folders whose .cc files may see LibTorch.
bool MayUseTorch(const std::string& file) {
  const std::string room = RoomOf(file);
  const bool source = file.ends_with(".cc");
  const bool torch_header = file.ends_with("_torch.h");
  if (room == "tests") return true;
  if (room == "space/network" || room == "space/quantizer") return source || torch_header;
  if (file.rfind("search/supernet/", 0) == 0) return source || torch_header;
  return (room == "sensitivity" || room == "predictor") && (source || torch_header);
}

TEST(LayeringTest, RoomsIncludeOnlyWhatLiesBelowThem) {
  const std::vector<Include> includes = AllIncludes();
  ASSERT_GT(includes.size(), 300U) << "the sources were not found";
  for (const Include& include : includes) {
    if (include.system) continue;
    const std::string from = RoomOf(include.file);
    const std::string to = RoomOf(include.target);
    EXPECT_NE(to, "") << include.file << ":" << include.line << " includes \"" << include.target
                      << "\", which is not a path from the repository root";
    if (from.empty() || to.empty() || from == to) continue;
    EXPECT_TRUE(AllowedArrows().at(from).contains(to))
        << include.file << ":" << include.line << ": " << from << " must not include " << to;
  }
}

TEST(LayeringTest, LibTorchIsSeenOnlyWhereItMayBe) {
  for (const Include& include : AllIncludes()) {
    const bool shows_torch = IsTorchHeader(include) || include.target.ends_with("_torch.h");
    if (!shows_torch) continue;
    EXPECT_TRUE(MayUseTorch(include.file))
        << include.file << ":" << include.line << " must not include " << include.target;
  }
}

TEST(LayeringTest, EveryHeaderHasPragmaOnceAndAHeadComment) {
  const fs::path root = BITSEARCH_SOURCE_DIR;
  for (const char* top : {"space", "sensitivity", "predictor", "search", "experiments"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / top)) {
      if (entry.path().extension() != ".h") continue;
      std::ifstream stream(entry.path());
      std::string first;
      std::string second;
      std::getline(stream, first);
      std::getline(stream, second);
      EXPECT_EQ(first, "#pragma once") << entry.path();
      // A C header has its comment in C's form.
      EXPECT_TRUE(second.rfind("//", 0) == 0 || second.rfind("/*", 0) == 0) << entry.path();
    }
  }
}

TEST(LayeringTest, TheExecutableLinksNoLibTorch) {
  const fs::path executable = fs::path(BITSEARCH_BINARY_DIR) / "bin" / "bitsearch";
  ASSERT_TRUE(fs::exists(executable));
  const std::string command = "ldd '" + executable.string() + "' 2>&1";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  ASSERT_TRUE(pipe);
  std::array<char, 512> buffer{};
  std::string libraries;
  while (std::fgets(buffer.data(), buffer.size(), pipe.get()) != nullptr) libraries += buffer.data();
  ASSERT_NE(libraries.find("libc.so"), std::string::npos) << libraries;
  EXPECT_EQ(libraries.find("libtorch"), std::string::npos) << libraries;
  EXPECT_EQ(libraries.find("libc10"), std::string::npos) << libraries;
}

}  // namespace
