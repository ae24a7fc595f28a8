// Whole-file reading and crash-safe writing with POSIX calls: the standard library offers no fsync.
// Must not depend on any format.
#include "space/support/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <numeric>
#include <utility>

#include "space/support/error.h"

namespace bitsearch {
namespace {

/// Closes a descriptor at the end of a scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

[[noreturn]] void ThrowNotFound(const std::filesystem::path& path, const std::string& reason) {
  throw Error(ErrorId::kFileNotFound, "cannot read the file (" + reason + ")")
      .At({path.string(), 0, 0})
      .Hint("check the path and its permissions");
}

[[noreturn]] void ThrowWrite(const std::filesystem::path& path, int error_number) {
  throw Error(ErrorId::kFileWrite,
              std::string("cannot write the file (") + std::strerror(error_number) + ")")
      .At({path.string(), 0, 0})
      .Hint("check that the folder exists, is writable and has free space");
}

/// Appends the file's content to `out`, a container of one-byte elements.
template <typename Bytes>
void ReadInto(const std::filesystem::path& path, Bytes& out) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) ThrowNotFound(path, std::strerror(errno));
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) ThrowNotFound(path, std::strerror(errno));
  if (S_ISDIR(info.st_mode)) ThrowNotFound(path, "it is a directory");
  constexpr std::size_t kStep = std::size_t{1} << 20;
  std::size_t used = 0;
  // One byte more than the size says, so that a regular file needs one read and one end-of-file.
  std::size_t room = info.st_size > 0 ? static_cast<std::size_t>(info.st_size) + 1 : kStep;
  while (true) {
    out.resize(used + room);
    const ssize_t got = ::read(file.get(), out.data() + used, room);
    if (got < 0) {
      if (errno == EINTR) continue;
      ThrowNotFound(path, std::strerror(errno));
    }
    if (got == 0) break;
    used += static_cast<std::size_t>(got);
    room = out.size() > used ? out.size() - used : kStep;
  }
  out.resize(used);
}

bool WriteAll(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

/// Damerau–Levenshtein distance (adjacent swaps count one), case ignored.
std::size_t EditDistance(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  std::vector<std::size_t> before_last(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> current(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = lower(a[i - 1]) == lower(b[j - 1]);
      current[j] = std::min({last[j] + 1, current[j - 1] + 1, last[j - 1] + (same ? 0U : 1U)});
      if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
          lower(a[i - 2]) == lower(b[j - 1])) {
        current[j] = std::min(current[j], before_last[j - 2] + 1);
      }
    }
    std::swap(before_last, last);
    std::swap(last, current);
  }
  return last[b.size()];
}

/// Devices and pipes (/dev/stdout) cannot be replaced by another file: they are written to as they
/// are. False for anything else.
bool WroteToDevice(const std::filesystem::path& path, std::string_view content) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || S_ISREG(info.st_mode) || S_ISDIR(info.st_mode)) {
    return false;
  }
  const Descriptor device(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (device.get() < 0 || !WriteAll(device.get(), content)) ThrowWrite(path, errno);
  return true;
}

/// The file that a symbolic link leads to, so that the link stays; else the path itself.
std::filesystem::path BehindLinks(const std::filesystem::path& path) {
  std::error_code failure;
  if (!std::filesystem::is_symlink(path, failure)) return path;
  const std::filesystem::path target = std::filesystem::weakly_canonical(path, failure);
  return failure ? path : target;
}

}  // namespace

std::string ReadTextFile(const std::filesystem::path& path) {
  std::string text;
  ReadInto(path, text);
  return text;
}

std::vector<std::byte> ReadBinaryFile(const std::filesystem::path& path) {
  std::vector<std::byte> bytes;
  ReadInto(path, bytes);
  return bytes;
}

void WriteFileAtomically(const std::filesystem::path& given, std::string_view content) {
  if (WroteToDevice(given, content)) return;
  const std::filesystem::path path = BehindLinks(given);
  std::string temporary = path.string() + ".tmp.XXXXXX";
  Descriptor file(::mkstemp(temporary.data()));
  if (file.get() < 0) ThrowWrite(path, errno);
  const auto fail = [&](int error_number) {
    ::unlink(temporary.c_str());
    ThrowWrite(path, error_number);
  };
  // mkstemp makes the file private; give it the mode of the file it replaces, or an ordinary one.
  struct stat info {};
  const mode_t mode = ::stat(path.c_str(), &info) == 0 ? (info.st_mode & 07777) : mode_t{0644};
  if (::fchmod(file.get(), mode) != 0) fail(errno);
  if (!WriteAll(file.get(), content)) fail(errno);
  if (::fsync(file.get()) != 0) fail(errno);
  if (::close(file.Release()) != 0) fail(errno);
  if (::rename(temporary.c_str(), path.c_str()) != 0) fail(errno);
  // The rename itself must reach the disk too; a file system without directory sync is no failure.
  std::filesystem::path folder = path.parent_path();
  if (folder.empty()) folder = ".";
  const Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() >= 0) (void)::fsync(directory.get());
}

std::string NearestName(std::string_view word, const std::vector<std::string>& candidates) {
  std::string nearest;
  std::size_t best = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = EditDistance(word, candidate);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  if (!nearest.empty() || word.size() < 3) return nearest;
  // A part of a name is a likely slip too: "activation" for "activation_bits".
  for (const std::string& candidate : candidates) {
    if (candidate.starts_with(word) || (candidate.size() >= 3 && word.starts_with(candidate))) {
      return candidate;
    }
  }
  return nearest;
}

}  // namespace bitsearch
