#pragma once
// HTTP over a PredictionService: one process, a fixed number of worker threads, everything bounded
// (bodies, heads, times, waiting connections). Must not know the command line.

#include <chrono>
#include <memory>
#include <string>

#include "predictor/service/prediction_service.h"
#include "space/support/run_context.h"

namespace bitsearch {

struct HttpOptions {
  std::string address = "127.0.0.1";
  int port = 8080;  ///< 0: any free one.
  /// Each serves one connection at a time; an idle connection yields when others wait.
  int workers = 32;
  /// Connections that may wait for a worker; beyond that the answer is 503.
  std::size_t queue = 128;
  std::size_t body_limit = std::size_t{8} << 20;
  std::chrono::milliseconds head_timeout{5000};
  std::chrono::milliseconds body_timeout{15000};
  std::chrono::milliseconds write_timeout{10000};
  std::chrono::milliseconds idle_timeout{30000};
  /// After a stop, running requests may take so long.
  std::chrono::milliseconds drain_timeout{10000};
  /// Not empty: /v1/… and /metrics need `Authorization: Bearer <token>`.
  std::string token;
};

/// POST /v1/predict, /v1/ask, /v1/tell; GET /, /v1/model, /healthz, /metrics, /openapi.json.
/// Statuses: 200; 400 no JSON or malformed HTTP; 401 token; 404, 405; 408 too slow; 411 no length;
/// 413 too long; 415 no JSON type; 421 a foreign Host on loopback; 422 an invalid configuration;
/// 503 too many connections. Bodies of errors are {"error": {"code", "message", …}}.
class HttpServer {
 public:
  /// Binds and listens. Throws Error(kUsage) if the address is none, or taken. `service` must
  /// outlive this object.
  HttpServer(PredictionService& service, HttpOptions options);
  ~HttpServer();

  /// The port that was bound.
  int port() const;
  /// Serves until a stop is requested; then answers what was accepted, and returns.
  void Serve(const StopToken& stop);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bitsearch
