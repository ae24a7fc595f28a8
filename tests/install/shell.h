#pragma once
// Runs a command line in a shell and takes what it says. For tests of installed things.

#include <sys/wait.h>

#include <cstdio>
#include <string>

namespace bitsearch {

struct ShellResult {
  int status = -1;  ///< Exit status; −1 if it died otherwise.
  std::string output;
};

/// Standard output; standard error too, unless the command sends it elsewhere.
inline ShellResult Shell(const std::string& command) {
  ShellResult result;
  FILE* pipe = ::popen(("{ " + command + "\n} 2>&1").c_str(), "r");
  if (pipe == nullptr) return result;
  char buffer[4096];
  for (std::size_t got = 0; (got = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) {
    result.output.append(buffer, got);
  }
  const int status = ::pclose(pipe);
  if (WIFEXITED(status)) result.status = WEXITSTATUS(status);
  return result;
}

}  // namespace bitsearch
