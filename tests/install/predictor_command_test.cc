// The predictor's commands as a user runs them: the line protocol, CSV, curl against the service
// and the C library's clients agree to the last bit; SIGTERM; the page in a browser; training from
// files.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "space/support/files.h"
#include "space/support/random.h"
#include "tests/install/shell.h"
#include "tests/predictor/http_client.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kPredictor = "'" BITSEARCH_EXECUTABLE "' predictor ";

/// `bitsearch predictor serve` as a child process.
class Service {
 public:
  explicit Service(const std::vector<std::string>& arguments) {
    int out[2];
    if (::pipe(out) != 0) return;
    child_ = ::fork();
    if (child_ == 0) {
      ::dup2(out[1], STDOUT_FILENO);
      ::close(out[0]);
      ::close(out[1]);
      std::vector<const char*> argv = {BITSEARCH_EXECUTABLE, "predictor", "serve"};
      for (const std::string& argument : arguments) argv.push_back(argument.c_str());
      argv.push_back(nullptr);
      ::execv(BITSEARCH_EXECUTABLE, const_cast<char* const*>(argv.data()));
      ::_exit(127);
    }
    ::close(out[1]);
    for (char c = 0; ::read(out[0], &c, 1) == 1 && c != '\n';) address_ += c;
    ::close(out[0]);
  }
  ~Service() { Stop(); }
  /// Exit status after SIGTERM.
  int Stop() {
    if (child_ <= 0) return -1;
    ::kill(child_, SIGTERM);
    int status = 0;
    ::waitpid(child_, &status, 0);
    child_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  const std::string& address() const { return address_; }
  int port() const { return std::atoi(address_.c_str() + address_.rfind(':') + 1); }

 private:
  pid_t child_ = -1;
  std::string address_;
};

class PredictorCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("predictor_command_" + std::to_string(::getpid()));
    ASSERT_EQ(Shell("'" BITSEARCH_WRITE_TEST_PREDICTOR "' '" + folder_.string() + "'").status, 0);
    std::istringstream lines(ReadTextFile(folder_ / "rows.txt"));
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      rows_.emplace_back(std::istream_iterator<int>(words), std::istream_iterator<int>());
    }
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string Path(const std::string& name) const { return (folder_ / name).string(); }

  /// A prediction's JSON as a line of expected.txt.
  static std::string Line(const Json& prediction) {
    std::string line;
    char text[64];
    const auto add = [&](const Json& value) {
      std::snprintf(text, sizeof text, "%.17g ", value.is_null() ? HUGE_VAL : value.get<double>());
      line += text;
    };
    add(prediction.at("top1_percent"));
    add(prediction.at("standard_deviation_percent"));
    for (const char* cost : {"latency_us", "size_bits"}) add(prediction.at("costs").at(cost));
    return line + (prediction.at("outside_training_range").get<bool>() ? "1\n" : "0\n");
  }

  fs::path folder_;
  std::vector<std::vector<int>> rows_;
};

TEST_F(PredictorCommandTest, TheLineProtocolIsBitEqual) {
  std::string lines;
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    lines += Json({{"id", r}, {"indices", rows_[r]}}).dump() + "\n";
  }
  WriteFileAtomically(Path("in.jsonl"), lines);
  for (const std::string& command :
       {"query '" + Path("model.bspred") + "' < '" + Path("in.jsonl") + "'",
        "query '" + Path("model.bspred") + "' --input '" + Path("in.jsonl") + "'"}) {
    const ShellResult run = Shell(kPredictor + command);
    ASSERT_EQ(run.status, 0) << run.output;
    std::string got;
    std::istringstream answers(run.output);
    std::size_t next = 0;
    for (std::string line; std::getline(answers, line); ++next) {
      const Json answer = Json::parse(line);
      EXPECT_EQ(answer.at("id"), next);
      got += Line(answer);
    }
    EXPECT_EQ(got, ReadTextFile(Path("expected.txt")));
  }
}

TEST_F(PredictorCommandTest, CsvIsBitEqual) {
  const Json model =
      Json::parse(Shell(kPredictor + ("show '" + Path("model.bspred") + "'")).output);
  const Json& genes = model.at("space").at("genes");
  std::string csv;
  for (const Json& gene : genes) csv += gene.at("name").get<std::string>() + ",";
  csv.back() = '\n';
  for (const auto& row : rows_) {
    for (std::size_t g = 0; g < row.size(); ++g) {
      csv += genes[g].at("values").at(static_cast<std::size_t>(row[g])).get<std::string>() + ",";
    }
    csv.back() = '\n';
  }
  WriteFileAtomically(Path("in.csv"), csv);
  const ShellResult run = Shell(kPredictor + ("query '" + Path("model.bspred") +
                                              "' --format csv < '" + Path("in.csv") + "'"));
  ASSERT_EQ(run.status, 0) << run.output;
  std::istringstream lines(run.output);
  std::string line, got;
  std::getline(lines, line);
  EXPECT_EQ(line,
            "top1_percent,standard_deviation_percent,latency_us,size_bits,"
            "outside_training_range");
  while (std::getline(lines, line)) {
    std::istringstream cells(line);
    for (std::string cell; std::getline(cells, cell, ',');) {
      char text[64];
      std::snprintf(text, sizeof text, "%.17g ", std::strtod(cell.c_str(), nullptr));
      got += text;
    }
    got.back() = '\n';
  }
  EXPECT_EQ(got, ReadTextFile(Path("expected.txt")));
}

TEST_F(PredictorCommandTest, CurlIsBitEqualAndSigtermEndsWithZero) {
  if (Shell("curl --version").status != 0) GTEST_SKIP() << "no curl";
  Service service({Path("model.bspred"), "--port", "0"});
  WriteFileAtomically(Path("body.json"), Json({{"rows", rows_}}).dump());
  const std::string curl = "curl -sS --noproxy '*' ";
  const std::string json = "-H 'Content-Type: application/json' ";
  const ShellResult many = Shell(curl + json + "--data-binary '@" + Path("body.json") + "' " +
                                 service.address() + "v1/predict");
  ASSERT_EQ(many.status, 0) << many.output;
  std::string got;
  const Json reply = Json::parse(many.output);
  for (const Json& prediction : reply.at("predictions")) got += Line(prediction);
  EXPECT_EQ(got, ReadTextFile(Path("expected.txt")));
  const ShellResult one = Shell(curl + json + "-d '" + Json({{"indices", rows_[0]}}).dump() + "' " +
                                service.address() + "v1/predict");
  EXPECT_EQ(Line(Json::parse(one.output)), got.substr(0, got.find('\n') + 1));
  EXPECT_EQ(
      Shell(curl + "-o /dev/null -w '%{http_code}' -d '{}' " + service.address() + "v1/predict")
          .output,
      "415");
  EXPECT_EQ(service.Stop(), 0);
}

TEST_F(PredictorCommandTest, AskAndTellSurviveTheService) {
  const std::vector<std::string> arguments = {Path("model.bspred"), "--port", "0", "--state",
                                              Path("state.jsonl")};
  std::string before;
  const std::string body = Json({{"indices", rows_[0]}}).dump();
  {
    Service service(arguments);
    HttpClient client(service.port());
    ASSERT_EQ(client.Post("/v1/ask", "{\"limits\": {\"latency_us\": 60}}").status, 200);
    ASSERT_EQ(client.Post("/v1/tell", "{\"ask_id\": 0, \"top1_percent\": 75}").status, 200);
    before = client.Post("/v1/predict", body).body;
  }
  Service service(arguments);
  HttpClient client(service.port());
  EXPECT_EQ(client.Post("/v1/predict", body).body, before);
  EXPECT_EQ(Json::parse(client.Get("/v1/model").body).at("told"), 1);
}

TEST_F(PredictorCommandTest, ThePageShowsWhatASliderChanges) {
  if (Shell("chromium --version").status != 0) GTEST_SKIP() << "no chromium (Debian's chromium)";
  if (Shell("python3 --version").status != 0) GTEST_SKIP() << "no python3";
  Service service({Path("model.bspred"), "--port", "0"});
  const std::string picture = BITSEARCH_BINARY_DIR "/predictor_page.png";
  const ShellResult run =
      Shell("timeout 150 python3 '" BITSEARCH_SOURCE_DIR "/tests/install/client/page_client.py' " +
            service.address() + " '" + picture + "'");
  ASSERT_EQ(run.status, 0) << run.output;
  EXPECT_GT(fs::file_size(picture), 10'000U);
}

TEST_F(PredictorCommandTest, TrainsFromFilesAndCarriesTheCosts) {
  // Three layers; the accuracy falls with each bit taken away. Layer c has no 2-bit activations in
  // the table of latencies; 8-bit weights of b occur in the table alone.
  RandomStream random(1, "rows");
  std::string csv = "id", jsonl,
              latency =
                  "# fixed_latency_us: 1.5\nlayer,weight_bits,"
                  "activation_bits,latency_us\n";
  const std::vector<std::string> names = {"a", "b", "c"};
  for (const std::string& name : names)
    csv += "," + name + ".weight_bits," + name + ".activation_bits";
  csv += ",top1_percent\n";
  for (int r = 0; r < 120; ++r) {
    csv += "row" + std::to_string(r);
    Json layers = Json::array();
    double top1 = 92.0 + 0.1 * random.Normal();
    for (std::size_t l = 0; l < 3; ++l) {
      const int weight = l == 1 ? 4 - 2 * static_cast<int>(random.Below(2)) : 2 << random.Below(3);
      const int activation = 4 << random.Below(2);
      top1 -= 8.0 * static_cast<double>(l + 1) / (weight * weight) + 4.0 / activation;
      csv += "," + std::to_string(weight) + "," + std::to_string(activation);
      layers.push_back(
          {{"name", names[l]}, {"weight_bits", weight}, {"activation_bits", activation}});
    }
    csv += "," + std::to_string(top1) + "\n";
    jsonl +=
        Json({{"layers", layers}, {"top1_percent", std::stod(std::to_string(top1))}}).dump() + "\n";
  }
  for (std::size_t l = 0; l < 3; ++l) {
    for (const int weight : {2, 4, 8}) {
      for (const int activation : {4, 8}) {
        if (l == 2 && weight == 2 && activation == 4) continue;
        latency += names[l] + "," + std::to_string(weight) + "," + std::to_string(activation) +
                   "," + std::to_string(10 * weight + activation) + ".25\n";
      }
    }
  }
  WriteFileAtomically(Path("rows.csv"), csv);
  WriteFileAtomically(Path("rows.jsonl"), jsonl);
  WriteFileAtomically(Path("latency.csv"), latency);
  const std::string options =
      "' --latency '" + Path("latency.csv") + "' --members 3 --width 16 --epochs 80 --out '";
  const ShellResult trained = Shell(kPredictor + ("train --data '" + Path("rows.csv") + options +
                                                  Path("a.bspred") + "' 2>/dev/null"));
  ASSERT_EQ(trained.status, 0) << trained.output;
  EXPECT_GT(Json::parse(trained.output).at("cross_validated").at("pairwise_accuracy"), 0.85);
  const ShellResult again = Shell(kPredictor + ("train --data '" + Path("rows.jsonl") + options +
                                                Path("b.bspred") + "' 2>/dev/null"));
  ASSERT_EQ(again.status, 0) << again.output;
  EXPECT_EQ(again.output, trained.output);

  const std::string line = R"({"layers":[{"name":"a","weight_bits":8,"activation_bits":8},)"
                           R"({"name":"b","weight_bits":8,"activation_bits":4},)"
                           R"({"name":"c","weight_bits":2,"activation_bits":ACTIVATION}]})";
  const auto ask = [&](const std::string& activation) {
    std::string text = line;
    text.replace(text.find("ACTIVATION"), 10, activation);
    const ShellResult run =
        Shell("echo '" + text + "' | " + kPredictor + ("query '" + Path("a.bspred") + "'"));
    return Json::parse(run.output);
  };
  const Json runs = ask("8");
  EXPECT_EQ(runs.at("costs").at("latency_us").get<double>(), 1.5 + 88.25 + 84.25 + 28.25);
  EXPECT_TRUE(runs.at("outside_training_range").get<bool>());  // b at 8 bits.
  EXPECT_TRUE(ask("4").at("costs").at("latency_us").is_null());
  EXPECT_EQ(ask("16").at("error").at("code"), "candidate");

  const ShellResult evaluated = Shell(
      kPredictor + ("evaluate '" + Path("a.bspred") + "' --data '" + Path("rows.jsonl") + "'"));
  ASSERT_EQ(evaluated.status, 0) << evaluated.output;
  EXPECT_GT(Json::parse(evaluated.output).at("kendall_tau"), 0.8);

  for (const auto& [rows, words] :
       {std::pair<std::string, std::string>{"{\"top1_percent\": 1}\n", "layers"},
        {"{\"values\": {\"a.weight_bits\": 4}}\n", "top1_percent"},
        {"{\"values\": {\"a.kernel\": 4}, \"top1_percent\": 1}\n", "a.kernel"},
        {"{\"values\": {\"a.weight_bits\": \"x\"}, \"top1_percent\": 1}\n", "number format"},
        {"{\n", "not JSON"},
        {"{\"values\": {\"a.weight_bits\": 4}, \"top1_percent\": 1}\n", "or more"}}) {
    WriteFileAtomically(Path("bad.jsonl"), rows);
    const ShellResult refused = Shell(
        kPredictor + ("train --data '" + Path("bad.jsonl") + "' --out '" + Path("c.bspred") + "'"));
    EXPECT_EQ(refused.status, 3) << rows;
    EXPECT_NE(refused.output.find(words), std::string::npos) << refused.output;
    EXPECT_FALSE(fs::exists(Path("c.bspred")));
  }
}

}  // namespace
}  // namespace bitsearch
