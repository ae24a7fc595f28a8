// The HTTP service on loopback: bit-equal answers, statuses of every kind of misuse, limits, token,
// metrics, and a graceful stop under load.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <set>

#include "space/support/error.h"
#include "tests/predictor/service_fixture.h"

namespace bitsearch {
namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;

std::string Body(const std::vector<int>& row) { return Json({{"indices", row}}).dump(); }

TEST_F(HttpTest, AnswersOneAndManyBitForBit) {
  Start();
  HttpClient client(port());
  const auto rows = Rows(40);
  for (const auto& row : rows) {
    const HttpReply reply = client.Post("/v1/predict", Body(row));
    ASSERT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.headers.at("content-type"), "application/json");
    EXPECT_EQ(reply.body, service_->Predict(Body(row)).body);
    EXPECT_EQ(Json::parse(reply.body).at("top1_percent").get<double>(), Top1(row));
  }
  const std::string many = Json({{"id", "batch"}, {"rows", rows}}).dump();
  EXPECT_EQ(client.Post("/v1/predict", many).body, service_->Predict(many).body);
  // In pieces, chunked, and several requests in one packet.
  HttpClient pieces(port());
  const std::string text = HttpClient::PostText("/v1/predict", Body(rows[0]));
  for (const char c : text) ASSERT_TRUE(pieces.Send(std::string_view(&c, 1)));
  EXPECT_EQ(pieces.Receive().status, 200);
  const std::string body = Body(rows[1]);
  char size[16];
  std::snprintf(size, sizeof size, "%zx", body.size());
  pieces.Send(
      "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Transfer-Encoding: chunked\r\n\r\n" +
      std::string(size) + "\r\n" + body + "\r\n0\r\n\r\n");
  EXPECT_EQ(pieces.Receive().body, service_->Predict(body).body);
  pieces.Send(text + text + text);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(pieces.Receive().body, service_->Predict(Body(rows[0])).body);
  pieces.Send(
      "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Expect: 100-continue\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n");
  EXPECT_EQ(pieces.Receive().status, 100);
  pieces.Send(body);
  EXPECT_EQ(pieces.Receive().status, 200);
}

TEST_F(HttpTest, PagesAndDocumentsAreServed) {
  Start();
  HttpClient client(port());
  EXPECT_EQ(client.Get("/healthz").status, 200);
  const Json model = Json::parse(client.Get("/v1/model").body);
  EXPECT_EQ(model.at("space").at("genes").size(), 40U);
  EXPECT_EQ(model.at("cost_table_sha256").get<std::string>().size(), 64U);
  const HttpReply page = client.Get("/");
  EXPECT_NE(page.body.find("<title>bitsearch predictor</title>"), std::string::npos);
  EXPECT_NE(page.headers.at("content-security-policy").find("default-src 'none'"),
            std::string::npos);
  // Every path of the document is served with its method, and every reference leads somewhere.
  const Json document = Json::parse(client.Get("/openapi.json").body);
  EXPECT_EQ(document.at("openapi"), "3.0.3");
  EXPECT_EQ(document.at("paths").size(), 8U);
  for (const auto& [path, methods] : document.at("paths").items()) {
    for (const auto& [method, operation] : methods.items()) {
      HttpClient each(port());
      const HttpReply reply = method == "get" ? each.Get(path) : each.Post(path, "{}");
      EXPECT_TRUE(operation.at("responses").contains(std::to_string(reply.status)))
          << path << reply.status;
      EXPECT_NE(reply.status, 404) << path;
    }
  }
  const std::string text = document.dump();
  for (std::size_t at = 0; (at = text.find("#/components/schemas/", at)) != std::string::npos;) {
    at += 21;
    const std::string name = text.substr(at, text.find('"', at) - at);
    EXPECT_TRUE(document.at("components").at("schemas").contains(name)) << name;
  }
}

TEST_F(HttpTest, EveryMisuseHasItsStatus) {
  HttpOptions options;
  options.body_limit = 100'000;
  Start(options);
  const std::string json = "Content-Type: application/json\r\n";
  const std::string long_line(40'000, 'x');
  const struct {
    std::string request;
    int status;
  } cases[] = {
      {HttpClient::PostText("/v1/predict", "{"), 400},
      {HttpClient::PostText("/v1/predict", "{}"), 422},
      {HttpClient::PostText("/v1/predict", std::string(100'001, ' ')), 413},
      {"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n" + json +
           "Content-Length: 99999999999999\r\n\r\n",
       413},
      {"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n" + json +
           "Content-Length: 99999999999999999999999\r\n\r\n",
       400},
      {"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n" + json + "Content-Length: -5\r\n\r\n",
       400},
      {"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n" + json + "Content-Length: 2x\r\n\r\n{}",
       400},
      {"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n" + json +
           "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
       400},
      {"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n" + json +
           "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
       400},
      {"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n" + json + "\r\n", 411},
      {HttpClient::PostText("/v1/predict", "{}", "Content-Type: text/plain\r\n"), 415},
      {HttpClient::PostText("/v1/predict", "{}", ""), 415},
      {HttpClient::PostText("/v1/predict", "{}", json + "Content-Encoding: gzip\r\n"), 415},
      {HttpClient::PostText("/v1/predict", "a=b",
                            "Content-Type: multipart/form-data; boundary=x\r\n"),
       415},
      {"GET /v1/predict HTTP/1.1\r\nHost: localhost\r\n\r\n", 405},
      {HttpClient::PostText("/v1/model", "{}"), 405},
      {"DELETE /v1/model HTTP/1.1\r\nHost: localhost\r\n\r\n", 405},
      {"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", 404},
      {"GET /../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", 404},
      {"GET /healthz HTTP/1.1\r\nHost: attacker.example\r\n\r\n", 421},
      {"nonsense\r\n\r\n", 400},
      {"GET /healthz\r\n\r\n", 400},
      {"GET /" + std::string(9'000, 'a') + " HTTP/1.1\r\nHost: localhost\r\n\r\n", 414},
      {"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + long_line + "\r\n\r\n", 413},
  };
  for (const auto& c : cases) {
    HttpClient client(port());
    client.Send(c.request);
    const HttpReply reply = client.Receive();
    EXPECT_EQ(reply.status, c.status) << c.request.substr(0, 100) << "\n" << reply.body;
    if (reply.status != 0) {
      const Json body = Json::parse(reply.body, nullptr, false);
      ASSERT_TRUE(body.is_object()) << c.request.substr(0, 100);
      EXPECT_FALSE(body.at("error").at("message").get<std::string>().empty());
    }
  }
  // A chunked body that goes beyond the limit.
  HttpClient chunked(port());
  chunked.Send("POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n" + json +
               "Transfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "2710\r\n" + std::string(10'000, ' ') + "\r\n";
  for (int i = 0; i < 30; ++i) chunked.Send(chunk);
  EXPECT_EQ(chunked.Receive().status, 413);
  // A mistake in the content leaves the connection usable.
  HttpClient client(port());
  EXPECT_EQ(client.Post("/v1/predict", "{").status, 400);
  EXPECT_EQ(client.Post("/v1/predict", "{}").status, 422);
  EXPECT_EQ(client.Get("/nothing").status, 404);
  EXPECT_EQ(client.Get("/healthz").status, 200);
  HttpClient head(port());
  head.Send("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(head.Closed(), true);
}

TEST_F(HttpTest, SlowAndSilentClientsAreCutOff) {
  HttpOptions options;
  options.head_timeout = options.body_timeout = milliseconds(200);
  options.idle_timeout = milliseconds(300);
  Start(options);
  HttpClient silent(port());
  EXPECT_TRUE(silent.Closed());
  // A byte now and then keeps no deadline away.
  HttpClient drip(port());
  for (const char c : std::string("GET /heal")) {
    if (!drip.Send(std::string_view(&c, 1))) break;
    std::this_thread::sleep_for(milliseconds(40));
  }
  EXPECT_EQ(drip.Receive().status, 408);
  HttpClient head(port());
  head.Send("GET /healthz HTTP/1.1\r\nHost: loc");
  EXPECT_EQ(head.Receive().status, 408);
  HttpClient body(port());
  body.Send(
      "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Content-Length: 10\r\n\r\n{}");
  EXPECT_EQ(body.Receive().status, 408);
  HttpClient half(port());
  half.Send(
      "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Content-Length: 10\r\n\r\n{}");
  half.HalfClose();
  EXPECT_EQ(half.Receive().status, 400);
  // Half-closed after a whole request: that one is answered.
  HttpClient whole(port());
  whole.Send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  whole.HalfClose();
  EXPECT_EQ(whole.Receive().status, 200);
  HttpClient idle(port());
  EXPECT_EQ(idle.Get("/healthz").status, 200);
  EXPECT_TRUE(idle.Closed());
}

TEST_F(HttpTest, TheQueueIsBoundedAndIdleConnectionsYield) {
  HttpOptions options;
  options.workers = 2;
  options.queue = 3;
  Start(options);
  // Two connections hold the workers in the middle of a body, three wait, the next are told so.
  const std::string part =
      "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
      "application/json\r\nContent-Length: 2\r\n\r\n{";
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (int i = 0; i < 2; ++i) {
    clients.push_back(std::make_unique<HttpClient>(port()));
    clients.back()->Send(part);
  }
  std::this_thread::sleep_for(milliseconds(200));
  for (int i = 0; i < 3; ++i) clients.push_back(std::make_unique<HttpClient>(port()));
  std::this_thread::sleep_for(milliseconds(200));
  for (int i = 0; i < 5; ++i) {
    HttpClient late(port());
    const HttpReply reply = late.Get("/healthz");
    EXPECT_EQ(reply.status, 503);
    EXPECT_EQ(reply.headers.contains("retry-after"), true);
  }
  for (int i = 0; i < 2; ++i) {
    clients[static_cast<std::size_t>(i)]->Send("}");
    EXPECT_EQ(clients[static_cast<std::size_t>(i)]->Receive().status, 422);
  }
  // The two are idle now, and give way to those that wait.
  for (int i = 2; i < 5; ++i) {
    EXPECT_EQ(clients[static_cast<std::size_t>(i)]->Get("/healthz").status, 200) << i;
  }
  HttpClient again(port());
  EXPECT_NE(again.Get("/metrics").body.find("bitsearch_http_rejected_total 5"), std::string::npos);
}

TEST_F(HttpTest, ATokenIsAskedFor) {
  HttpOptions options;
  options.token = "s3cret";
  Start(options);
  HttpClient client(port());
  EXPECT_EQ(client.Get("/healthz").status, 200);
  EXPECT_EQ(client.Get("/").status, 200);
  EXPECT_EQ(client.Get("/v1/model").status, 401);
  EXPECT_EQ(client.Get("/metrics").status, 401);
  EXPECT_EQ(client.Get("/v1/model", "Authorization: Bearer s3cre\r\n").status, 401);
  EXPECT_EQ(client.Get("/v1/model", "Authorization: Bearer s3cretx\r\n").status, 401);
  EXPECT_EQ(client.Get("/v1/model", "Authorization: Bearer s3cret\r\n").status, 200);
  EXPECT_EQ(HttpClient(port()).Post("/v1/predict", "{}").status, 401);
  EXPECT_THROW(HttpServer(*service_, {.address = "0.0.0.0", .port = 0}), Error);
  EXPECT_THROW(HttpServer(*service_, {.address = "127.0.0.1", .port = port()}), Error);
  EXPECT_THROW(HttpServer(*service_, {.address = "no such name.", .port = 0}), Error);
}

TEST_F(HttpTest, MetricsCountWhatHappened) {
  Start();
  HttpClient client(port());
  const auto rows = Rows(10);
  for (const auto& row : rows) client.Post("/v1/predict", Body(row));
  client.Post("/v1/predict", Json({{"rows", rows}}).dump());
  client.Post("/v1/predict", "{}");
  const HttpReply reply = client.Get("/metrics");
  EXPECT_TRUE(reply.headers.at("content-type").starts_with("text/plain"));
  for (const char* line :
       {"bitsearch_http_requests_total{path=\"/v1/predict\",code=\"200\"} 11\n",
        "bitsearch_http_requests_total{path=\"/v1/predict\",code=\"422\"} 1\n",
        "bitsearch_http_request_seconds_count 12\n", "bitsearch_predictions_total 20\n",
        "bitsearch_http_connections 1\n", "# TYPE bitsearch_http_request_seconds histogram\n"}) {
    EXPECT_NE(reply.body.find(line), std::string::npos) << line << reply.body;
  }
}

TEST_F(HttpTest, AskAndTellOverHttp) {
  Start();
  HttpClient client(port());
  const Json asked =
      Json::parse(client.Post("/v1/ask", "{\"limits\": {\"latency_us\": 60}, \"count\": 2}").body);
  ASSERT_EQ(asked.at("asks").size(), 2U);
  const HttpReply told = client.Post("/v1/tell", "{\"ask_id\": 1, \"top1_percent\": 77.5}");
  EXPECT_EQ(told.status, 200);
  EXPECT_EQ(Json::parse(told.body).at("told"), 1);
  EXPECT_EQ(client.Post("/v1/tell", "{\"ask_id\": 5, \"top1_percent\": 77.5}").status, 422);
  EXPECT_EQ(client.Post("/v1/ask", "{\"limits\": {\"latency_us\": 1}}").status, 422);
}

TEST_F(HttpTest, AStopUnderLoadFinishesWhatRunsAndAnswersNothingWrongly) {
  HttpOptions options;
  options.workers = 8;
  Start(options);
  const auto rows = Rows(16);
  std::vector<std::string> expected;
  for (const auto& row : rows) expected.push_back(service_->Predict(Body(row)).body);
  std::atomic<int> answered = 0, wrong = 0, cut_inside = 0;
  std::vector<std::thread> clients;
  for (std::size_t t = 0; t < 6; ++t) {
    clients.emplace_back([&, t] {
      for (std::size_t i = t; i < 1'000'000; ++i) {
        HttpClient client(port(), 5000);
        if (!client.connected()) return;
        for (int k = 0; k < 50; ++k, ++i) {
          if (!client.Send(HttpClient::PostText("/v1/predict", Body(rows[i % 16])))) break;
          const HttpReply reply = client.Receive();
          if (reply.status == 0) {
            if (!reply.headers.empty()) ++cut_inside;
            break;
          }
          ++answered;
          if (reply.status != 200 || reply.body != expected[i % 16]) ++wrong;
        }
      }
    });
  }
  // One request is under way in pieces when the stop comes; it must be answered.
  HttpClient slow(port());
  const std::string text = HttpClient::PostText("/v1/predict", Body(rows[0]));
  slow.Send(text.substr(0, text.size() - 5));
  std::this_thread::sleep_for(milliseconds(500));
  stop_.RequestStop();
  std::this_thread::sleep_for(milliseconds(100));
  slow.Send(text.substr(text.size() - 5));
  EXPECT_EQ(slow.Receive().body, expected[0]);
  EXPECT_TRUE(slow.Closed());
  thread_.join();
  for (std::thread& client : clients) client.join();
  EXPECT_GT(answered.load(), 100);
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_EQ(cut_inside.load(), 0);
}

}  // namespace
}  // namespace bitsearch
