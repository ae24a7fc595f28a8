// Sockets by POSIX calls.
#include "predictor/service/http_connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace bitsearch {
namespace {

constexpr std::size_t kInBytes = std::size_t{1} << 16;
/// More than this is sent before the rest is written.
constexpr std::size_t kOutBytes = std::size_t{1} << 18;
constexpr std::chrono::milliseconds kSlice{50};

}  // namespace

HttpConnection::HttpConnection(int socket, std::chrono::milliseconds write_timeout)
    : socket_(socket), write_timeout_(write_timeout), in_(kInBytes, '\0') {}

HttpConnection::~HttpConnection() { ::close(socket_); }

bool HttpConnection::WaitFor(short events, Clock::time_point until) const {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd ready{socket_, events, 0};
    const int polled = ::poll(&ready, 1, static_cast<int>(std::max<std::int64_t>(0, left)));
    if (polled > 0) return true;
    if (polled == 0 || errno != EINTR) return false;
  }
}

bool HttpConnection::WaitForRequest(std::chrono::milliseconds idle,
                                    const std::function<bool()>& give_up) {
  if (in_begin_ < in_end_) return true;  // Pipelined.
  const Clock::time_point until = Clock::now() + idle;
  while (true) {
    // A request that has arrived is answered even when giving up.
    const bool leave = give_up();
    if (WaitFor(POLLIN, leave ? Clock::now() : std::min(until, Clock::now() + kSlice))) break;
    if (leave || Clock::now() >= until) return false;
  }
  deadline_ = Clock::now();
  return Fill();
}

void HttpConnection::StartPhase(std::chrono::milliseconds time, std::size_t bytes) {
  deadline_ = Clock::now() + time;
  budget_ = bytes;
}

bool HttpConnection::Fill() {
  while (true) {
    const ssize_t got = ::recv(socket_, in_.data(), in_.size(), MSG_DONTWAIT);
    if (got > 0) {
      in_begin_ = 0;
      in_end_ = static_cast<std::size_t>(got);
      return true;
    }
    if (got == 0) return false;
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return false;
    if (!WaitFor(POLLIN, deadline_)) {
      timed_out_ = true;
      return false;
    }
  }
}

ssize_t HttpConnection::read(char* out, std::size_t size) {
  if (budget_ == 0) {
    over_budget_ = true;
    return -1;
  }
  if (in_begin_ == in_end_) {
    // The peer may wait for what was written ("100 Continue").
    if (!out_.empty() && !Flush()) return -1;
    // Checked here too, or a peer that always has a byte ready would never run out of time.
    if (Clock::now() >= deadline_) {
      timed_out_ = true;
      return -1;
    }
    if (!Fill()) return timed_out_ ? -1 : 0;
  }
  const std::size_t count = std::min({size, in_end_ - in_begin_, budget_});
  std::memcpy(out, in_.data() + in_begin_, count);
  in_begin_ += count;
  budget_ -= count;
  return static_cast<ssize_t>(count);
}

ssize_t HttpConnection::write(const char* data, std::size_t size) {
  if (write_failed_) return -1;
  out_.append(data, size);
  if (out_.size() > kOutBytes && !Flush()) return -1;
  return static_cast<ssize_t>(size);
}

bool HttpConnection::Flush() {
  const Clock::time_point until = Clock::now() + write_timeout_;
  std::string_view left = out_;
  while (!left.empty() && !write_failed_) {
    const ssize_t sent = ::send(socket_, left.data(), left.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      left.remove_prefix(static_cast<std::size_t>(sent));
    } else if (sent < 0 && errno == EINTR) {
      continue;
    } else if (!(sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) &&
                 WaitFor(POLLOUT, until))) {
      write_failed_ = true;
    }
  }
  out_.clear();
  return !write_failed_;
}

void HttpConnection::Linger(std::chrono::milliseconds time) {
  if (!Flush() || ::shutdown(socket_, SHUT_WR) != 0) return;
  const Clock::time_point until = Clock::now() + time;
  while (WaitFor(POLLIN, until)) {
    const ssize_t got = ::recv(socket_, in_.data(), in_.size(), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN)) return;
    if (Clock::now() >= until) return;
  }
}

void HttpConnection::get_remote_ip_and_port(std::string& ip, int& port) const {
  ip.clear();  // Nothing here asks who the peer is.
  port = 0;
}

void HttpConnection::get_local_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}

}  // namespace bitsearch
