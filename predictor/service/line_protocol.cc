// Reading what has arrived, cutting it into lines.
#include "predictor/service/line_protocol.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 18;
constexpr int kStopPollMs = 100;

void WriteAll(int output, std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(output, text.data(), text.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) {
      throw Error(ErrorId::kFileWrite,
                  fmt::format("cannot write the answers ({})", std::strerror(errno)))
          .At({"standard output", 0, 0});
    }
    text.remove_prefix(static_cast<std::size_t>(wrote));
  }
}

}  // namespace

bool AnswerJsonLines(PredictionService& service, int input, int output, const StopToken& stop) {
  std::string pending, answers;
  std::vector<std::string_view> lines;
  std::size_t searched = 0;  // No line break before this.
  bool skipping = false;     // Inside a line that was too long.
  bool ended = false;
  while (!ended) {
    pollfd ready{input, POLLIN, 0};
    const int polled = ::poll(&ready, 1, kStopPollMs);
    if (stop.StopRequested()) return false;
    if (polled == 0 || (polled < 0 && errno == EINTR)) continue;
    const std::size_t before = pending.size();
    pending.resize(before + kReadBytes);
    const ssize_t got = ::read(input, pending.data() + before, kReadBytes);
    if (got < 0) {
      pending.resize(before);
      if (errno == EINTR || errno == EAGAIN) continue;
      throw Error(ErrorId::kFileNotFound, fmt::format("cannot read ({})", std::strerror(errno)))
          .At({"standard input", 0, 0});
    }
    pending.resize(before + static_cast<std::size_t>(got));
    ended = got == 0;
    if (ended && !pending.empty() && pending.back() != '\n') pending += '\n';

    std::size_t start = 0;
    lines.clear();
    answers.clear();
    for (std::size_t end;
         (end = pending.find('\n', std::max(start, searched))) != std::string::npos;
         start = end + 1) {
      if (skipping) {
        skipping = false;
        continue;
      }
      lines.emplace_back(pending.data() + start, end - start);
    }
    service.AnswerLines(lines, answers);
    pending.erase(0, start);
    if (pending.size() > kMostLineBytes) {
      if (!skipping) {
        answers += ErrorJson(Error(ErrorId::kJsonSyntax,
                                   fmt::format("the line is longer than {} bytes", kMostLineBytes)),
                             "null") +
                   "\n";
      }
      skipping = true;
      pending.clear();
    }
    searched = pending.size();
    WriteAll(output, answers);
  }
  return true;
}

}  // namespace bitsearch
