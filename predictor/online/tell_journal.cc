// POSIX calls: the standard library neither locks nor syncs.
#include "predictor/online/tell_journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

using Json = nlohmann::json;

constexpr const char* kFormat = "bitsearch/tells/1";
constexpr const char* kFormatPrefix = "bitsearch/tells/";

std::string TextAt(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Error Failed(ErrorId id, const std::filesystem::path& path, const std::string& what, int line = 0) {
  return Error(id, what).At({path.string(), line, 0});
}

}  // namespace

TellJournal::TellJournal(const std::filesystem::path& path, const std::string& identity)
    : path_(path) {
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file_ < 0) throw Failed(ErrorId::kFileWrite, path, std::strerror(errno));
  try {
    if (::flock(file_, LOCK_EX | LOCK_NB) != 0) {
      throw Failed(ErrorId::kRunLocked, path, "another process has the state open")
          .Hint("one server at a time may use a state file");
    }
    const std::string text = ReadTextFile(path);
    const std::size_t whole = text.rfind('\n') + 1;  // npos + 1 is 0.
    if (whole != text.size() && ::ftruncate(file_, static_cast<off_t>(whole)) != 0) {
      throw Failed(ErrorId::kFileWrite, path, std::strerror(errno));
    }
    size_ = static_cast<std::int64_t>(whole);
    int number = 0;
    for (std::size_t at = 0; at < whole; ++number) {
      const std::size_t end = text.find('\n', at);
      const std::string line = text.substr(at, end - at);
      at = end + 1;
      const Json json = Json::parse(line, nullptr, false);
      if (!json.is_object()) {
        throw Failed(ErrorId::kRunDamaged, path, "not a record", number + 1)
            .Hint("remove this line to go on with the others");
      }
      if (number > 0) {
        records_.push_back(line);
        continue;
      }
      const std::string format = TextAt(json, "format");
      if (format != kFormat) {
        throw Failed(
            ErrorId::kRunDamaged, path,
            fmt::format("its format is \"{}\", this program reads \"{}\"", format, kFormat), 1)
            .Hint(format.starts_with(kFormatPrefix) ? "it was written by a newer bitsearch"
                                                    : "is this a state file?");
      }
      if (TextAt(json, "identity") != identity) {
        throw Failed(ErrorId::kPredictorData, path,
                     "its measurements are of another search space than the predictor's", 1)
            .Hint("give another file; the old one stays as it is");
      }
    }
    if (number == 0) WriteLine(Json({{"format", kFormat}, {"identity", identity}}).dump());
  } catch (...) {
    ::close(file_);
    throw;
  }
}

TellJournal::~TellJournal() { ::close(file_); }

void TellJournal::Append(const std::string& record) { WriteLine(record); }

void TellJournal::WriteLine(const std::string& line) {
  const std::string text = line + "\n";
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t wrote = ::write(file_, text.data() + done, text.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) break;
    done += static_cast<std::size_t>(wrote);
  }
  if (done < text.size() || ::fdatasync(file_) != 0) {
    const int error = errno;
    // Half a line would make the next one unreadable.
    if (::ftruncate(file_, static_cast<off_t>(size_)) != 0) { /* The next open cuts it off. */
    }
    throw Failed(ErrorId::kFileWrite, path_,
                 fmt::format("cannot write the state ({})", std::strerror(error)));
  }
  size_ += static_cast<std::int64_t>(text.size());
}

}  // namespace bitsearch
