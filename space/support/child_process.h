#pragma once
// Runs another program and waits for it: what bitsearch needs to ask a user's runtime. No shell in
// between, so arguments need no quoting.

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace bitsearch {

struct ChildProcess {
  /// The program, looked up in PATH, and its arguments.
  std::vector<std::string> command;
  /// Added to this process's environment.
  std::map<std::string, std::string> environment;
  /// Empty: this process's.
  std::filesystem::path folder;
  /// 0: no limit. A child that runs longer is killed.
  double time_limit_s = 0.0;
  /// Asked every now and then; true kills the child. May be empty.
  std::function<bool()> should_stop;
};

struct ChildResult {
  bool started = false;  ///< False: the program was not found or cannot be run.
  int exit_status = -1;  ///< −1 if it died of a signal.
  bool timed_out = false;
  bool stopped = false;  ///< Killed because should_stop said so.
  std::string output;    ///< Standard output.
  std::string errors;    ///< Standard error.
};

/// Runs the child to its end. Throws Error(kFileWrite) where no pipe or process can be made.
ChildResult RunChild(const ChildProcess& child);

/// A new empty folder for temporary files, removed with everything in it on destruction.
class ScratchFolder {
 public:
  /// Throws Error(kFileWrite).
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace bitsearch
