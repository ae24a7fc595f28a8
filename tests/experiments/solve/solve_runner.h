#pragma once
// Runs `bitsearch solve` inside the test's process: the real options, files and output.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace bitsearch {

/// What a call of the command came to.
struct SolveOutcome {
  int exit_code = 0;
  std::string out;               ///< Standard output.
  std::string error;             ///< Rendered error; empty if there was none.
  std::vector<std::string> log;  ///< Lines for standard error.
  nlohmann::json Json() const { return nlohmann::json::parse(out); }
};

/// Runs `bitsearch solve` with `arguments` on `threads` threads.
SolveOutcome RunSolve(const std::vector<std::string>& arguments, int threads = 1);

/// A folder of the running test, emptied first.
std::string TestFolder();

/// Writes `content` to `name` in the test's folder; returns the path.
std::string WriteInput(const std::string& folder, const std::string& name,
                       const std::string& content);

}  // namespace bitsearch
