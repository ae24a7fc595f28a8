// The folder of a run and its lock. Must not know what a run computes.
#include "experiments/run_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLock = "lock";

/// True if the folder holds anything.
bool HasContent(const fs::path& path) {
  std::error_code failure;
  return fs::directory_iterator(path, failure) != fs::directory_iterator();
}

}  // namespace

namespace {

/// A process that is killed within WriteFileAtomically leaves NAME.tmp.XXXXXX behind.
void RemoveHalfWritten(const fs::path& folder) {
  constexpr std::string_view kMark = ".tmp.";
  constexpr std::size_t kRandomLetters = 6;
  std::vector<fs::path> half_written;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const std::size_t mark = name.rfind(kMark);
    if (mark == std::string::npos || mark == 0) continue;
    if (name.size() == mark + kMark.size() + kRandomLetters) half_written.push_back(entry.path());
  }
  for (const fs::path& path : half_written) fs::remove(path);
}

}  // namespace

RunDirectory::RunDirectory(const fs::path& path, RunOpen open) : path_(path) {
  if (fs::exists(path_) && HasContent(path_)) {
    if (open == RunOpen::kNew) {
      throw Error(ErrorId::kRunExists, "the folder is not empty")
          .At({path_.string(), 0, 0})
          .Hint("add --resume to go on with the run in it, or name another folder by --out");
    }
    if (!fs::exists(path_ / kLock)) {
      throw Error(ErrorId::kRunNotFound, "the folder is not empty and holds no run")
          .At({path_.string(), 0, 0})
          .Hint("name the run's folder, or an empty one, by --out");
    }
  }
  std::error_code failure;
  fs::create_directories(path_, failure);
  if (failure) {
    throw Error(ErrorId::kFileWrite, "cannot make the run's folder (" + failure.message() + ")")
        .At({path_.string(), 0, 0})
        .Hint("check the path and its permissions");
  }
  const fs::path lock = path_ / kLock;
  lock_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0) {
    throw Error(ErrorId::kFileWrite, std::string("cannot write (") + std::strerror(errno) + ")")
        .At({lock.string(), 0, 0})
        .Hint("check the folder's permissions");
  }
  // The kernel drops the lock when the process ends, however it ends.
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    ::close(lock_);
    throw Error(ErrorId::kRunLocked, "another process works in this folder")
        .At({path_.string(), 0, 0})
        .Hint("wait for it or stop it, or name another folder by --out");
  }
  RemoveHalfWritten(path_);
  try {
    journal_ = std::make_unique<Journal>(path_ / kJournal);
  } catch (...) {
    ::close(lock_);
    throw;
  }
}

RunDirectory::~RunDirectory() {
  journal_.reset();
  ::close(lock_);
}

void RunDirectory::Write(std::string_view name, std::string_view content) const {
  const fs::path file = PathOf(name);
  std::error_code failure;  // a failure shows when the file is written
  fs::create_directories(file.parent_path(), failure);
  WriteFileAtomically(file, content);
}

std::string RunDirectory::Read(std::string_view name) const { return ReadTextFile(PathOf(name)); }

bool RunDirectory::Has(std::string_view name) const { return fs::is_regular_file(PathOf(name)); }

fs::path RequireRun(const fs::path& path) {
  if (!fs::is_regular_file(path / RunDirectory::kConfiguration)) {
    throw Error(ErrorId::kRunNotFound, "this is no run directory")
        .At({path.string(), 0, 0})
        .Hint("name a folder that bitsearch run has made; it holds " +
              std::string(RunDirectory::kConfiguration));
  }
  return path;
}

bool IsRunning(const fs::path& path) {
  const int file = ::open((path / kLock).c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  // A shared lock, given back at once: a run that starts in this very moment would be refused, as
  // it would be by any other process in its folder.
  const bool locked = ::flock(file, LOCK_SH | LOCK_NB) != 0;
  ::close(file);
  return locked;
}

}  // namespace bitsearch
