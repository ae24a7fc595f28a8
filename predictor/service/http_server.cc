// cpp-httplib parses requests and writes responses; accepting, queueing, deadlines and stopping are
// here, because the library bounds neither slow heads nor waiting connections.
#include "predictor/service/http_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>
#include <vector>

#include "predictor/service/http_connection.h"
#include "predictor/service/http_metrics.h"
#include "predictor/service/web_files.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

using std::chrono::milliseconds;

constexpr int kBacklog = 1024;
constexpr int kAcceptPollMs = 50;
/// Heads of requests, each and in all.
constexpr std::size_t kHeadBytes = std::size_t{32} << 10;
/// Chunked bodies have some framing beside their bytes.
constexpr std::size_t kBodySlackBytes = std::size_t{64} << 10;
constexpr milliseconds kLinger{500};
/// Time for a head, and requests on one connection, while other connections wait.
constexpr milliseconds kHurriedHead{1000};
constexpr int kMostServedAtOnce = 100;
constexpr std::size_t kMostTurnedAway = 64;
constexpr const char* kJsonType = "application/json";

/// Path → the method it takes. Every path that metrics may name.
const std::map<std::string, std::string>& Paths() {
  static const std::map<std::string, std::string> paths = {
      {"/", "GET"},         {"/healthz", "GET"},     {"/metrics", "GET"}, {"/openapi.json", "GET"},
      {"/v1/model", "GET"}, {"/v1/predict", "POST"}, {"/v1/ask", "POST"}, {"/v1/tell", "POST"}};
  return paths;
}

std::string ErrorBody(std::string_view code, std::string_view message) {
  return nlohmann::json({{"error", {{"code", code}, {"message", message}}}}).dump();
}

/// Compares without telling by its time where the difference lies.
bool SameSecret(const std::string& a, const std::string& b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned char>(a[i]) ^
                  static_cast<unsigned char>(b.empty() ? 1 : b[i % b.size()]);
  }
  return difference == 0;
}

int StatusOf(const ServiceReply& reply) {
  if (!reply.error) return 200;
  switch (*reply.error) {
    case ErrorId::kJsonSyntax:
      return 400;
    case ErrorId::kFileWrite:
    case ErrorId::kInternal:
      return 500;
    default:
      return 422;
  }
}

const char* ReasonOf(int status) {
  switch (status) {
    case 400:
      return "malformed request";
    case 404:
      return "no such path";
    case 408:
      return "the request took too long to arrive";
    case 413:
      return "the request is too long";
    case 414:
      return "the path is too long";
    case 416:
      return "ranges are not served";
    default:
      return "the request could not be answered";
  }
}

/// What is known of the request in hand beside httplib's objects.
struct Exchange {
  HttpConnection& connection;
  int refusal = 0;  ///< Status decided after the head; the body is then not read.
  std::string refusal_body;
  std::string path = "other";  ///< For metrics.
  int status = 0;
  bool close = false;
};

thread_local Exchange* current_exchange = nullptr;

}  // namespace

class HttpServer::Impl : private httplib::Server {
 public:
  Impl(PredictionService& service, HttpOptions options)
      : service_(service), options_(std::move(options)) {
    Bind();
    AddRoutes();
  }
  ~Impl() override {
    if (listener_ >= 0) ::close(listener_);
  }

  int port() const { return port_; }
  void Serve(const StopToken& stop);

 private:
  void Bind();
  void AddRoutes();
  void Work(const StopToken& stop);
  void ServeConnection(int socket, const StopToken& stop);
  /// Decides from the head alone; see Exchange::refusal.
  void Examine(httplib::Request& request, Exchange& exchange);
  bool AcceptAll(std::vector<std::pair<int, HttpConnection::Clock::time_point>>& turned_away);
  bool Overloaded() const { return waiting_.load(std::memory_order_relaxed) > 0; }

  PredictionService& service_;
  HttpOptions options_;
  HttpMetrics metrics_;
  bool loopback_ = false;
  int listener_ = -1;
  int port_ = 0;

  std::mutex mutex_;  ///< Guards queue_, active_ and closing_.
  std::condition_variable work_;
  std::deque<int> queue_;
  std::set<int> active_;
  bool closing_ = false;
  std::atomic<std::size_t> waiting_ = 0;
};

void HttpServer::Impl::Bind() {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const std::string service = std::to_string(options_.port);
  const auto refuse = [this](const char* why) {
    throw Error(ErrorId::kUsage, fmt::format("cannot listen on {} port {} ({})", options_.address,
                                             options_.port, why))
        .Key("--address")
        .Hint("give another --port, or an address of this machine");
  };
  const int resolved = ::getaddrinfo(options_.address.c_str(), service.c_str(), &hints, &found);
  if (resolved != 0) refuse(::gai_strerror(resolved));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> freed(found, ::freeaddrinfo);
  listener_ = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener_ < 0) refuse(std::strerror(errno));
  const int on = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(listener_, found->ai_addr, found->ai_addrlen) != 0 ||
      ::listen(listener_, kBacklog) != 0) {
    const int error = errno;
    ::close(listener_);
    listener_ = -1;
    refuse(std::strerror(error));
  }
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&bound), &size);
  if (bound.ss_family == AF_INET6) {
    const auto& six = reinterpret_cast<const sockaddr_in6&>(bound);
    port_ = ntohs(six.sin6_port);
    loopback_ = IN6_IS_ADDR_LOOPBACK(&six.sin6_addr);
  } else {
    const auto& four = reinterpret_cast<const sockaddr_in&>(bound);
    port_ = ntohs(four.sin_port);
    loopback_ = (ntohl(four.sin_addr.s_addr) >> 24) == 127;
  }
  if (!loopback_ && options_.token.empty()) {
    throw Error(ErrorId::kUsage,
                fmt::format("{} can be reached from other machines", options_.address))
        .Key("--address")
        .Hint("give a token (--token-file), or keep to 127.0.0.1");
  }
}

void HttpServer::Impl::AddRoutes() {
  set_payload_max_length(options_.body_limit);
  // What the library announces; the limits themselves are kept here.
  set_keep_alive_timeout(
      std::chrono::duration_cast<std::chrono::seconds>(options_.idle_timeout).count());
  set_keep_alive_max_count(1'000'000);
  set_pre_routing_handler([](const httplib::Request&, httplib::Response& response) {
    if (current_exchange->refusal == 0) return HandlerResponse::Unhandled;
    response.status = current_exchange->refusal;
    response.set_content(current_exchange->refusal_body, kJsonType);
    return HandlerResponse::Handled;
  });
  set_error_handler(HandlerWithResponse([](const httplib::Request&, httplib::Response& response) {
    Exchange& exchange = *current_exchange;
    if (exchange.connection.timed_out()) response.status = 408;
    if (exchange.connection.over_budget()) response.status = 413;
    exchange.status = response.status;
    if (response.body.empty()) {
      // The library's own complaint: nothing is known about what follows on this connection.
      exchange.close = true;
      response.set_content(
          ErrorBody(fmt::format("http-{}", response.status), ReasonOf(response.status)), kJsonType);
    }
    return HandlerResponse::Handled;
  }));
  set_exception_handler(
      [](const httplib::Request&, httplib::Response& response, std::exception_ptr failure) {
        std::string message = "unknown failure";
        try {
          std::rethrow_exception(failure);
        } catch (const std::exception& known) {
          message = known.what();
        } catch (...) {
        }
        response.status = 500;
        response.set_content(ErrorBody("internal", message), kJsonType);
      });
  const auto answer = [](ServiceReply reply, httplib::Response& response) {
    response.status = StatusOf(reply);
    response.set_content(std::move(reply.body), kJsonType);
  };
  Post("/v1/predict", [=, this](const httplib::Request& request, httplib::Response& response) {
    answer(service_.Predict(request.body), response);
  });
  Post("/v1/ask", [=, this](const httplib::Request& request, httplib::Response& response) {
    answer(service_.Ask(request.body), response);
  });
  Post("/v1/tell", [=, this](const httplib::Request& request, httplib::Response& response) {
    answer(service_.Tell(request.body), response);
  });
  Get("/v1/model", [this](const httplib::Request&, httplib::Response& response) {
    response.set_content(service_.Model(), kJsonType);
  });
  Get("/healthz", [](const httplib::Request&, httplib::Response& response) {
    response.set_content("{\"status\":\"ok\"}", kJsonType);
  });
  Get("/openapi.json", [](const httplib::Request&, httplib::Response& response) {
    response.set_content(kOpenApiJson, std::strlen(kOpenApiJson), kJsonType);
  });
  Get("/", [](const httplib::Request&, httplib::Response& response) {
    response.set_header("Content-Security-Policy",
                        "default-src 'none'; style-src 'unsafe-inline'; script-src "
                        "'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'");
    response.set_content(kPageHtml, std::strlen(kPageHtml), "text/html; charset=utf-8");
  });
  Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
    HttpMetrics::Gauges gauges;
    {
      const std::lock_guard lock(mutex_);
      gauges.open_connections = active_.size();
      gauges.queued_connections = queue_.size();
    }
    gauges.predicted = service_.predicted();
    gauges.predictor_ns = service_.predictor_ns();
    gauges.told = service_.online().told();
    gauges.asked = service_.asked();
    response.set_content(metrics_.Text(gauges), "text/plain; version=0.0.4");
  });
}

void HttpServer::Impl::Examine(httplib::Request& request, Exchange& exchange) {
  request.ranges.clear();
  const auto refuse = [&](int status, std::string_view code, std::string_view message) {
    if (exchange.refusal != 0) return;
    exchange.refusal = status;
    exchange.refusal_body = ErrorBody(code, message);
  };
  const auto path = Paths().find(request.path);
  if (path != Paths().end()) exchange.path = path->first;

  // Where a body ends must be beyond doubt before anything else is.
  const std::size_t lengths = request.get_header_value_count("Content-Length");
  const std::string length = request.get_header_value("Content-Length");
  const std::string encoding = request.get_header_value("Transfer-Encoding");
  const bool digits = !length.empty() && length.size() < 19 &&
                      length.find_first_not_of("0123456789") == std::string::npos;
  if (lengths > 1 || (lengths == 1 && (!digits || !encoding.empty()))) {
    refuse(400, "http-400", "Content-Length is malformed, or not alone");
  } else if (!encoding.empty() && encoding != "chunked") {
    refuse(400, "http-400", "unknown Transfer-Encoding");
  } else if (lengths == 1 && std::stoull(length) > options_.body_limit) {
    refuse(413, "http-413", fmt::format("allowed are bodies of {} bytes", options_.body_limit));
  }
  if (loopback_) {
    // A web page elsewhere may have its own name resolve to this machine.
    std::string host = request.get_header_value("Host");
    if (const std::size_t colon = host.rfind(':');
        colon != std::string::npos && host.find(']', colon) == std::string::npos) {
      host.resize(colon);
    }
    if (!host.empty() && host != "localhost" && host != "[::1]" && !host.starts_with("127.")) {
      refuse(421, "http-421", "this service is for this machine: use localhost");
    }
  }
  if (!options_.token.empty() && (request.path.starts_with("/v1/") || request.path == "/metrics") &&
      !SameSecret(request.get_header_value("Authorization"), "Bearer " + options_.token)) {
    refuse(401, "http-401", "needs Authorization: Bearer TOKEN");
  }
  const bool body = lengths == 1 || !encoding.empty();
  if (path != Paths().end()) {
    const bool get = path->second == "GET";
    if (!(request.method == path->second || (get && request.method == "HEAD"))) {
      refuse(405, "http-405", fmt::format("allowed: {}", path->second));
    }
    if (!get) {
      const std::string type = request.get_header_value("Content-Type");
      if (!body) refuse(411, "http-411", "needs a Content-Length");
      // Also what keeps foreign pages out: browsers send this type nowhere without asking first.
      if (!type.starts_with(kJsonType))
        refuse(415, "http-415", "needs Content-Type: application/json");
      if (request.has_header("Content-Encoding")) {
        refuse(415, "http-415", "compressed bodies are not read");
      }
    }
  } else {
    refuse(404, "http-404", ReasonOf(404));
  }
  if (exchange.refusal != 0 && (body || exchange.refusal == 400)) {
    // The body stays unread, so nothing can follow it.
    exchange.close = true;
  }
  if (exchange.close) {
    request.headers.erase("Connection");
    request.headers.emplace("Connection", "close");
  }
}

void HttpServer::Impl::ServeConnection(int socket, const StopToken& stop) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  HttpConnection connection(socket, options_.write_timeout);
  milliseconds idle = options_.head_timeout;  // The first request has no time to be idle.
  const auto give_up = [this, &stop, first = true]() mutable {
    // A new connection may take a moment to say something; one that was served yields at once.
    if (std::exchange(first, false)) return false;
    return stop.StopRequested() || Overloaded();
  };
  int served = 0;
  while (connection.WaitForRequest(idle, give_up)) {
    const auto start = HttpConnection::Clock::now();
    Exchange exchange{connection};
    current_exchange = &exchange;
    const bool overloaded = Overloaded();
    connection.StartPhase(
        overloaded ? std::min(kHurriedHead, options_.head_timeout) : options_.head_timeout,
        kHeadBytes);
    // Whoever has held a worker for long while others wait is asked to come again.
    exchange.close = stop.StopRequested() || (overloaded && ++served > kMostServedAtOnce);
    bool closed = false;
    bool answered =
        process_request(connection, exchange.close, closed, [&](httplib::Request& request) {
          connection.StartPhase(options_.body_timeout, options_.body_limit + kBodySlackBytes);
          Examine(request, exchange);
        });
    current_exchange = nullptr;
    if (!answered && exchange.status == 0 && (connection.timed_out() || connection.over_budget())) {
      // The library gives up on an unfinished first line without a word.
      exchange.status = connection.timed_out() ? 408 : 413;
      const std::string body =
          ErrorBody(fmt::format("http-{}", exchange.status), ReasonOf(exchange.status));
      const std::string text = fmt::format(
          "HTTP/1.1 {} {}\r\nConnection: close\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n{}",
          exchange.status, exchange.status == 408 ? "Request Timeout" : "Payload Too Large",
          kJsonType, body.size(), body);
      connection.write(text.data(), text.size());
    }
    const bool sent = connection.Flush();
    if (answered || exchange.status != 0) {
      metrics_.CountRequest(
          exchange.path, exchange.status == 0 ? 200 : exchange.status,
          std::chrono::duration<double>(HttpConnection::Clock::now() - start).count());
    }
    if (!sent || connection.write_failed()) return;
    if (!answered || closed || exchange.close) {
      if (exchange.status != 0) connection.Linger(kLinger);
      return;
    }
    idle = options_.idle_timeout;
  }
}

void HttpServer::Impl::Work(const StopToken& stop) {
  while (true) {
    int socket = -1;
    {
      std::unique_lock lock(mutex_);
      work_.wait(lock, [this] { return closing_ || !queue_.empty(); });
      if (queue_.empty()) return;
      socket = queue_.front();
      queue_.pop_front();
      waiting_.store(queue_.size(), std::memory_order_relaxed);
      active_.insert(socket);
    }
    ServeConnection(socket, stop);
    const std::lock_guard lock(mutex_);
    active_.erase(socket);
  }
}

bool HttpServer::Impl::AcceptAll(
    std::vector<std::pair<int, HttpConnection::Clock::time_point>>& turned_away) {
  bool any = false;
  while (true) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EMFILE || errno == ENFILE) std::this_thread::sleep_for(milliseconds(10));
      return any;
    }
    any = true;
    {
      const std::lock_guard lock(mutex_);
      if (queue_.size() < options_.queue) {
        queue_.push_back(socket);
        waiting_.store(queue_.size(), std::memory_order_relaxed);
        work_.notify_one();
        continue;
      }
    }
    metrics_.CountRejected();
    static const std::string body = ErrorBody("http-503", "too many connections; try again");
    static const std::string text = fmt::format(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
        "Content-Type: {}\r\nContent-Length: {}\r\n\r\n{}",
        kJsonType, body.size(), body);
    (void)!::send(socket, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    ::shutdown(socket, SHUT_WR);
    if (turned_away.size() < kMostTurnedAway) {
      turned_away.emplace_back(socket, HttpConnection::Clock::now() + kLinger);
    } else {
      ::close(socket);
    }
  }
}

void HttpServer::Impl::Serve(const StopToken& stop) {
  std::vector<std::jthread> workers;
  for (int w = 0; w < options_.workers; ++w) workers.emplace_back([&] { Work(stop); });
  // Connections that were told 503 and must be read from until they close, lest a reset overtake
  // the answer.
  std::vector<std::pair<int, HttpConnection::Clock::time_point>> turned_away;
  while (!stop.StopRequested()) {
    std::vector<pollfd> polled{{listener_, POLLIN, 0}};
    for (const auto& [socket, until] : turned_away) polled.push_back({socket, POLLIN, 0});
    ::poll(polled.data(), polled.size(), kAcceptPollMs);
    const auto now = HttpConnection::Clock::now();
    std::erase_if(turned_away, [&, i = std::size_t{0}](const auto& entry) mutable {
      const short events = polled[++i].revents;
      char dropped[4096];
      bool over = now >= entry.second;
      if (events != 0 && ::recv(entry.first, dropped, sizeof dropped, MSG_DONTWAIT) <= 0) {
        over = true;
      }
      if (over) ::close(entry.first);
      return over;
    });
    AcceptAll(turned_away);
  }
  AcceptAll(turned_away);  // What has reached this machine is answered too.
  ::close(listener_);
  listener_ = -1;
  for (const auto& [socket, until] : turned_away) ::close(socket);
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  work_.notify_all();
  const auto until = HttpConnection::Clock::now() + options_.drain_timeout;
  while (HttpConnection::Clock::now() < until) {
    {
      const std::lock_guard lock(mutex_);
      if (queue_.empty() && active_.empty()) break;
    }
    std::this_thread::sleep_for(milliseconds(5));
  }
  const std::lock_guard lock(mutex_);
  // Whoever is still there has had its time; the workers notice at their next read or write.
  for (const int socket : active_) ::shutdown(socket, SHUT_RDWR);
  for (const int socket : queue_) ::close(socket);
  queue_.clear();
}

HttpServer::HttpServer(PredictionService& service, HttpOptions options)
    : impl_(std::make_unique<Impl>(service, std::move(options))) {}
HttpServer::~HttpServer() = default;
int HttpServer::port() const { return impl_->port(); }
void HttpServer::Serve(const StopToken& stop) { impl_->Serve(stop); }

}  // namespace bitsearch
