#pragma once
// One accepted connection: buffered, with deadlines for a whole head or body rather than for single
// reads, and a budget of bytes. Only http_server.cc may include this (it pulls in cpp-httplib).

#include <httplib.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

namespace bitsearch {

/// A socket that it closes. One thread at a time.
class HttpConnection : public httplib::Stream {
 public:
  using Clock = std::chrono::steady_clock;

  HttpConnection(int socket, std::chrono::milliseconds write_timeout);
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;
  ~HttpConnection() override;

  /// Waits for the first byte of a request until `idle` has passed or `give_up()` says so. False if
  /// none came or the peer closed.
  bool WaitForRequest(std::chrono::milliseconds idle, const std::function<bool()>& give_up);
  /// From now on reads fail after `time`, and after `bytes` more bytes.
  void StartPhase(std::chrono::milliseconds time, std::size_t bytes);
  /// Sends what was written; false if the peer does not take it in time.
  bool Flush();
  /// Ends the connection so that the peer still reads what was sent: half-close, then read what is
  /// under way for a moment.
  void Linger(std::chrono::milliseconds time);

  bool timed_out() const { return timed_out_; }
  bool over_budget() const { return over_budget_; }
  bool write_failed() const { return write_failed_; }

  bool is_readable() const override { return true; }
  bool is_writable() const override { return !write_failed_; }
  ssize_t read(char* out, std::size_t size) override;
  ssize_t write(const char* data, std::size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }

 private:
  /// At least one more byte in the buffer; false at the end, on failure and after the deadline.
  bool Fill();
  bool WaitFor(short events, Clock::time_point until) const;

  int socket_;
  std::chrono::milliseconds write_timeout_;
  std::string in_;
  std::size_t in_begin_ = 0;
  std::size_t in_end_ = 0;
  std::string out_;
  Clock::time_point deadline_{};
  std::size_t budget_ = 0;
  bool timed_out_ = false;
  bool over_budget_ = false;
  bool write_failed_ = false;
};

}  // namespace bitsearch
