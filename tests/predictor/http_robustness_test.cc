// 100,000 hostile requests of every kind, while valid ones must go on being answered bit for bit.
// Run under AddressSanitizer it also says that nothing leaks. Loopback only; ends by itself.
#include <gtest/gtest.h>

#include <atomic>
#include <set>

#include "space/support/random.h"
#include "tests/predictor/service_fixture.h"

namespace bitsearch {
namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;

constexpr std::size_t kRequests = 100'000;
constexpr std::size_t kAttackers = 4;
constexpr const char* kJsonHead =
    "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n"
    "Content-Type: application/json\r\n";

class RobustnessTest : public HttpTest {
 protected:
  std::string Valid(RandomStream& random) const {
    return Json({{"indices", valid_[random.Below(valid_.size())]}}).dump();
  }
  /// A valid body with a few bytes changed, cut off or doubled.
  std::string Mangled(RandomStream& random) const {
    std::string body = Valid(random);
    for (std::uint64_t n = 1 + random.Below(4); n > 0; --n) {
      const std::size_t at = random.Below(body.size());
      switch (random.Below(3)) {
        case 0:
          body[at] = static_cast<char>(random.Below(256));
          break;
        case 1:
          body.erase(at, random.Below(20));
          break;
        default:
          body.insert(at, body.substr(at, random.Below(20)));
      }
      if (body.empty()) body = "x";
    }
    return body;
  }
  static std::string Bytes(RandomStream& random, std::size_t count) {
    std::string bytes(count, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random.Below(256));
    return bytes;
  }

  /// One hostile exchange on a new connection; what is said must be one of `allowed`.
  void Attack(RandomStream& random) {
    HttpClient client(port(), 5000);
    if (!client.connected()) {
      ++refused_connections_;
      return;
    }
    const std::uint64_t kind = random.Below(1000);
    std::set<int> allowed;
    if (kind < 500) {  // Nonsense in JSON; the connection must stay usable.
      for (int i = 0; i < 4; ++i) {
        const int status = client.Post("/v1/predict", Mangled(random)).status;
        Check(status, {200, 400, 422}, "mangled");
        if (status == 0) break;
      }
      return;
    }
    if (kind < 600) {  // Bytes that are no HTTP.
      client.Send(Bytes(random, 1 + random.Below(300)) + "\r\n\r\n");
      client.HalfClose();
      allowed = {400, 404, 408, 413, 414};
    } else if (kind < 700) {  // Too long: announced, or sent.
      client.Send(std::string(kJsonHead) + "Content-Length: 99999999\r\n\r\n");
      allowed = {413};
    } else if (kind < 750) {
      client.Send(std::string(kJsonHead) + "X-Filler: " + std::string(40'000, 'x') + "\r\n\r\n");
      allowed = {413};
    } else if (kind < 800) {
      client.Send(std::string(kJsonHead) + "Transfer-Encoding: chunked\r\n\r\n" +
                  (random.Below(2) == 0 ? "zz\r\nabc" : "ffffffffffffffff\r\nabc"));
      client.HalfClose();
      allowed = {400, 408, 413};
    } else if (kind < 900) {  // Half-closed in the middle of a body, or of a head.
      const std::string text = HttpClient::PostText("/v1/predict", Valid(random));
      client.Send(text.substr(0, 1 + random.Below(text.size() - 1)));
      client.HalfClose();
      allowed = {400, 408};
    } else if (kind < 990) {  // Gone without waiting, with a reset or without.
      client.Send(HttpClient::PostText("/v1/predict", Valid(random)));
      if (random.Below(2) == 0) {
        const linger reset{1, 0};
        ::setsockopt(client.socket(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
      }
      return;
    } else {  // Slow: bytes that never become a request.
      for (const char c : std::string("POST /v1/pre")) {
        if (!client.Send(std::string_view(&c, 1))) break;
        std::this_thread::sleep_for(milliseconds(20));
      }
      allowed = {408};
    }
    Check(client.Receive().status, allowed, "kind " + std::to_string(kind));
  }

  /// 0 is the end of a connection: right where the peer half-closed before a first line was whole,
  /// or where a reset overtook the answer. It is counted, and 503 too.
  void Check(int status, const std::set<int>& allowed, const std::string& what) {
    if (status == 0) {
      ++silent_;
    } else if (status == 503) {
      ++turned_away_;
    } else if (allowed.contains(status)) {
      ++answered_;
    } else {
      ++wrong_;
      ADD_FAILURE() << what << " got " << status;
    }
  }

  std::vector<std::vector<int>> valid_ = Rows(64);
  std::atomic<std::size_t> answered_ = 0, silent_ = 0, turned_away_ = 0, wrong_ = 0;
  std::atomic<std::size_t> refused_connections_ = 0;
};

TEST_F(RobustnessTest, HostileRequestsNeitherStopNorMisleadTheService) {
  HttpOptions options;
  options.head_timeout = options.body_timeout = milliseconds(150);
  options.body_limit = 1 << 20;
  options.workers = 16;
  Start(options);
  std::vector<std::string> bodies, expected;
  for (const auto& row : valid_) {
    bodies.push_back(Json({{"indices", row}}).dump());
    expected.push_back(service_->Predict(bodies.back()).body);
  }
  std::atomic<std::size_t> next = 0;
  std::vector<std::thread> attackers;
  for (std::size_t t = 0; t < kAttackers; ++t) {
    attackers.emplace_back([&] {
      for (std::size_t i; (i = next.fetch_add(1)) < kRequests;) {
        RandomStream random(1, "attack", i);
        Attack(random);
      }
    });
  }
  // Valid requests, all the while.
  std::size_t good = 0, lost = 0;
  while (next.load() < kRequests) {
    HttpClient client(port(), 10'000);
    for (std::size_t i = 0; i < 20; ++i) {
      const std::size_t which = (good + i) % bodies.size();
      const HttpReply reply = client.Post("/v1/predict", bodies[which]);
      if (reply.status != 200) {
        ++lost;
        break;
      }
      ASSERT_EQ(reply.body, expected[which]);
      ++good;
    }
    std::this_thread::sleep_for(milliseconds(2));
  }
  for (std::thread& attacker : attackers) attacker.join();
  std::printf(
      "answered %zu, ended in silence %zu, 503 %zu, not connected %zu; valid %zu, lost %zu\n",
      answered_.load(), silent_.load(), turned_away_.load(), refused_connections_.load(), good,
      lost);
  EXPECT_EQ(wrong_.load(), 0U);
  EXPECT_EQ(refused_connections_.load(), 0U);
  EXPECT_GT(good, 1000U);
  // A connection may be asked to come again, but not often.
  EXPECT_LT(lost, good / 20);
  HttpClient client(port());
  EXPECT_EQ(client.Post("/v1/predict", bodies[0]).body, expected[0]);
}

}  // namespace
}  // namespace bitsearch
