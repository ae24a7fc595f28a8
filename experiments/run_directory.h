#pragma once
// Run: a directory with the resolved configuration, the journal, artifacts and results. One process
// at a time. Must not know what a run computes.

#include <filesystem>
#include <string>
#include <string_view>

#include "experiments/journal.h"

namespace bitsearch {

/// How to open a run directory.
enum class RunOpen : std::uint8_t {
  kNew,     ///< The folder must be absent or empty.
  kResume,  ///< Go on with a run, or start one where there is none.
};

/// Holds the lock of a run directory while it lives.
class RunDirectory {
 public:
  /// Creates or opens `path`, which then belongs to this process. Throws Error(kRunExists) (kNew on
  /// a folder with content), Error(kRunNotFound) (kResume on a folder with content that is no run),
  /// Error(kRunLocked) (another process has it), Error(kRunDamaged), Error(kFileWrite).
  RunDirectory(const std::filesystem::path& path, RunOpen open);
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path PathOf(std::string_view name) const { return path_ / name; }
  Journal& journal() { return *journal_; }

  /// Atomically. `name` may hold folders, which are created.
  void Write(std::string_view name, std::string_view content) const;
  std::string Read(std::string_view name) const;
  bool Has(std::string_view name) const;

  /// Names of the files that every run has.
  static constexpr std::string_view kConfiguration = "resolved.yaml";
  static constexpr std::string_view kTiming = "timing.json";
  static constexpr std::string_view kJournal = "journal.sqlite";

 private:
  std::filesystem::path path_;
  int lock_ = -1;
  std::unique_ptr<Journal> journal_;
};

/// `path` if it is a run directory; throws Error(kRunNotFound) otherwise. For readers (reports),
/// which take no lock.
std::filesystem::path RequireRun(const std::filesystem::path& path);

/// True while a process holds the lock of the run directory. Takes no lock that would be in its
/// way.
bool IsRunning(const std::filesystem::path& path);

}  // namespace bitsearch
