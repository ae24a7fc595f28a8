#include "space/support/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr int kPollMilliseconds = 100;
constexpr int kExecFailed = 127;

Error CannotRun(const std::string& what) {
  return Error(ErrorId::kFileWrite, what + ": " + std::strerror(errno))
      .Hint("is the machine out of processes or file handles?");
}

class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0) throw CannotRun("no pipe to a child process");
  }
  ~Pipe() {
    CloseRead();
    CloseWrite();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int read_end() const { return ends_[0]; }
  int write_end() const { return ends_[1]; }
  void CloseRead() { Close(ends_[0]); }
  void CloseWrite() { Close(ends_[1]); }

 private:
  static void Close(int& end) {
    if (end >= 0) ::close(end);
    end = -1;
  }
  std::array<int, 2> ends_ = {-1, -1};
};

/// Takes what is there; false at the end of the stream.
bool ReadSome(Pipe& pipe, std::string& into) {
  std::array<char, 65536> buffer;
  const ssize_t got = ::read(pipe.read_end(), buffer.data(), buffer.size());
  if (got > 0) {
    into.append(buffer.data(), static_cast<std::size_t>(got));
    return true;
  }
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  pipe.CloseRead();
  return false;
}

}  // namespace

ChildResult RunChild(const ChildProcess& child) {
  if (child.command.empty()) throw Error(ErrorId::kInternal, "a child process needs a command");
  std::vector<char*> arguments;
  for (const std::string& argument : child.command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  std::vector<std::string> settings;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!child.environment.contains(text.substr(0, text.find('=')))) settings.push_back(text);
  }
  for (const auto& [name, value] : child.environment) settings.push_back(name + "=" + value);
  std::vector<char*> environment;
  for (std::string& setting : settings) environment.push_back(setting.data());
  environment.push_back(nullptr);

  Pipe output;
  Pipe errors;
  Pipe exec_error;  // Closed by a successful exec; else it carries errno.
  const pid_t process = ::fork();
  if (process < 0) throw CannotRun("no child process");
  if (process == 0) {
    // Only async-signal-safe calls from here on.
    ::dup2(output.write_end(), STDOUT_FILENO);
    ::dup2(errors.write_end(), STDERR_FILENO);
    const int nothing = ::open("/dev/null", O_RDONLY);
    if (nothing >= 0) ::dup2(nothing, STDIN_FILENO);
    if (child.folder.empty() || ::chdir(child.folder.c_str()) == 0) {
      ::execvpe(arguments[0], arguments.data(), environment.data());
    }
    const int why = errno;
    [[maybe_unused]] const ssize_t written = ::write(exec_error.write_end(), &why, sizeof why);
    ::_exit(kExecFailed);
  }
  output.CloseWrite();
  errors.CloseWrite();
  exec_error.CloseWrite();
  int why = 0;
  ChildResult result;
  result.started = ::read(exec_error.read_end(), &why, sizeof why) <= 0;
  const auto start = std::chrono::steady_clock::now();
  bool output_open = true;
  bool errors_open = true;
  while (output_open || errors_open) {
    std::array<pollfd, 2> ready = {
        pollfd{output_open ? output.read_end() : -1, POLLIN, 0},
        pollfd{errors_open ? errors.read_end() : -1, POLLIN, 0},
    };
    const int count = ::poll(ready.data(), ready.size(), kPollMilliseconds);
    if (count < 0 && errno != EINTR) break;
    if (count > 0 && ready[0].revents != 0) output_open = ReadSome(output, result.output);
    if (count > 0 && ready[1].revents != 0) errors_open = ReadSome(errors, result.errors);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    result.timed_out = child.time_limit_s > 0.0 && elapsed.count() > child.time_limit_s;
    result.stopped = child.should_stop && child.should_stop();
    if (result.timed_out || result.stopped) {
      ::kill(process, SIGKILL);
      break;
    }
  }
  int status = 0;
  while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status)) result.exit_status = WEXITSTATUS(status);
  return result;
}

ScratchFolder::ScratchFolder() {
  std::error_code error;
  std::string pattern = (std::filesystem::temp_directory_path(error) / "bitsearch-XXXXXX").string();
  if (error || ::mkdtemp(pattern.data()) == nullptr) {
    throw Error(ErrorId::kFileWrite, "no temporary folder can be made")
        .At({pattern})
        .Hint("TMPDIR names the folder for temporary files; is it full or read-only?");
  }
  path_ = pattern;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace bitsearch
