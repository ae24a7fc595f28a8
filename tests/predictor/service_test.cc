// Requests without sockets: every form of a configuration, errors as objects, JSON lines, CSV.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <sstream>
#include <thread>

#include "predictor/service/csv_batch.h"
#include "predictor/service/line_protocol.h"
#include "predictor/service/prediction_service.h"
#include "tests/predictor/service_fixture.h"

namespace bitsearch {
namespace {

using Json = nlohmann::json;

TEST_F(ServiceTest, EveryFormOfAConfigurationGivesTheSamePrediction) {
  const PredictionService service(predictor_);
  const auto& genes = predictor_.space().genes();
  for (const std::vector<int>& row : Rows(20)) {
    Json layers = Json::array(), bits = Json::array(), values;
    for (std::size_t l = 0; l < genes.size() / 2; ++l) {
      const int weight = std::stoi(genes[2 * l].values[static_cast<std::size_t>(row[2 * l])]);
      const std::string activation =
          genes[2 * l + 1].values[static_cast<std::size_t>(row[2 * l + 1])];
      layers.push_back(
          {{"name", genes[2 * l].layer}, {"weight_bits", weight}, {"activation_bits", activation}});
      bits.push_back({weight, activation});
      values[genes[2 * l].name] = weight;
      values[genes[2 * l + 1].name] = activation;
    }
    const std::string expected = service.Predict(Json({{"indices", row}}).dump()).body;
    EXPECT_EQ(Json::parse(expected).at("top1_percent").get<double>(), Top1(row));
    EXPECT_EQ(service.Predict(Json({{"layers", layers}}).dump()).body, expected);
    EXPECT_EQ(service.Predict(Json({{"bits", bits}}).dump()).body, expected);
    EXPECT_EQ(service.Predict(Json({{"values", values}}).dump()).body, expected);
    // A configuration file as it is: keys of its own are no mistake.
    EXPECT_EQ(
        service
            .Predict(
                Json({{"format", "bitsearch/config/1"}, {"model", "m.onnx"}, {"layers", layers}})
                    .dump())
            .body,
        expected);
    const Json many = Json::parse(
        service
            .Predict(Json({{"id", 7}, {"configs", {{{"bits", bits}}, {{"indices", row}}}}}).dump())
            .body);
    EXPECT_EQ(many.at("id"), 7);
    EXPECT_EQ(many.at("predictions").at(1), Json::parse(expected));
    EXPECT_EQ(many.at("predictions").at(0), many.at("predictions").at(1));
  }
}

TEST_F(ServiceTest, CostsAndRangeAreThoseOfTheModel) {
  const PredictionService service(predictor_);
  std::vector<int> row(40, 1);
  Json reply = Json::parse(service.Predict(Json({{"indices", row}}).dump()).body);
  EXPECT_FALSE(reply.at("outside_training_range").get<bool>());
  // Σ parameters · 4 bits + 320, exactly; latency is a decimal of the model's grid.
  EXPECT_EQ(reply.at("costs").at("size_bits").get<std::int64_t>(), 64 * 210 * 4 + 320);
  std::int64_t grid = 0;
  const std::vector<std::uint8_t> genome(row.begin(), row.end());
  predictor_.model().costs[0].Evaluate({genome.data(), 1, 40}, {&grid, 1});
  EXPECT_EQ(reply.at("costs").at("latency_us").get<double>(), static_cast<double>(grid) / 1000.0);
  row[0] = row[1] = 0;  // W2A4 of layer 0 does not run.
  row[3] = 0;           // Never trained.
  reply = Json::parse(service.Predict(Json({{"indices", row}}).dump()).body);
  EXPECT_TRUE(reply.at("costs").at("latency_us").is_null());
  EXPECT_TRUE(reply.at("outside_training_range").get<bool>());
}

TEST_F(ServiceTest, MistakesAreNamed) {
  const PredictionService service(predictor_);
  const std::vector<int> row(40, 0);
  const auto indices = [&](std::size_t at, Json value) {
    Json list = row;
    list[at] = std::move(value);
    return Json({{"indices", list}}).dump();
  };
  const struct {
    std::string request;
    ErrorId id;
    std::string words;
  } cases[] = {
      {"", ErrorId::kJsonSyntax, "parse error"},
      {"{\"indices\":", ErrorId::kJsonSyntax, "parse error"},
      {std::string(100'000, '['), ErrorId::kJsonSyntax, "parse error"},
      {"\xff\xfe", ErrorId::kJsonSyntax, "parse error"},
      {"[]", ErrorId::kCandidate, "must be an object"},
      {"{}", ErrorId::kCandidate, "needs one of"},
      {"{\"indices\": [1]}", ErrorId::kCandidate, "40 value indices"},
      {"{\"indices\": 3}", ErrorId::kCandidate, "40 value indices"},
      {indices(2, 3), ErrorId::kCandidate, "layer1.weight_bits"},
      {indices(2, -1), ErrorId::kCandidate, "layer1.weight_bits"},
      {indices(2, 1e300), ErrorId::kCandidate, "layer1.weight_bits"},
      {indices(2, "1"), ErrorId::kCandidate, "layer1.weight_bits"},
      {"{\"indicse\": []}", ErrorId::kCandidate, "indicse"},
      {"{\"bits\": [[4, 8]]}", ErrorId::kCandidate, "20 pairs"},
      {"{\"bits\": [], \"values\": {}}", ErrorId::kCandidate, "needs one of"},
      {"{\"layers\": [{\"name\": \"layer\"}]}", ErrorId::kCandidate, "no layer"},
      {"{\"layers\": [{\"name\": \"layer3\", \"weight_bits\": 4.5}]}", ErrorId::kCandidate, "4.5"},
      {"{\"layers\": [{\"name\": \"layer3\", \"weight_bits\": 5}]}", ErrorId::kCandidate,
       "allowed 2, 4, 8"},
      {"{\"layers\": [4]}", ErrorId::kCandidate, "layers[0]"},
      {"{\"values\": {\"layer0.weight_bits\": 4}}", ErrorId::kCandidate, "no value given"},
      {"{\"values\": {\"" + std::string(1'000'000, 'x') + "\": 4}}", ErrorId::kCandidate, "length"},
      {"{\"id\": [1], \"indices\": []}", ErrorId::kCandidate, "id"},
      {"{\"id\": \"" + std::string(1000, 'i') + "\", \"indices\": []}", ErrorId::kCandidate, "id"},
      {"{\"rows\": [[0]]}", ErrorId::kCandidate, "rows[0]"},
      {"{\"configs\": [{\"indices\": []}]}", ErrorId::kCandidate, "configs[0].indices"},
      {"{\"configs\": 1}", ErrorId::kCandidate, "list"},
      {"{\"configs\": [], \"limit\": 1}", ErrorId::kCandidate, "limit"},
  };
  for (const auto& c : cases) {
    const ServiceReply reply = service.Predict(c.request);
    ASSERT_TRUE(reply.error.has_value()) << c.request.substr(0, 80);
    EXPECT_EQ(*reply.error, c.id) << c.request.substr(0, 80) << reply.body.substr(0, 200);
    const Json body = Json::parse(reply.body);
    EXPECT_EQ(body.at("error").at("code"), Slug(c.id));
    EXPECT_NE(reply.body.find(c.words), std::string::npos) << reply.body.substr(0, 300);
    EXPECT_LT(reply.body.size(), 1000U);
  }
}

TEST_F(ServiceTest, LinesAreAnsweredInOrderWithTheirIds) {
  PredictionService service(predictor_);
  const auto rows = Rows(9);
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    lines.push_back(Json({{"id", i}, {"indices", rows[i]}}).dump());
    if (i == 3) lines.push_back("{\"id\": \"broken\", \"indices\": 4}");
    if (i == 4) lines.push_back("not json");
    if (i == 5) lines.push_back("  ");
    if (i == 6) lines.push_back(Json({{"id", "many"}, {"rows", rows}}).dump());
  }
  const std::vector<std::string_view> views(lines.begin(), lines.end());
  std::string out;
  service.AnswerLines(views, out);
  std::istringstream answers(out);
  std::size_t next = 0;
  std::vector<Json> others;
  for (std::string line; std::getline(answers, line);) {
    const Json answer = Json::parse(line);
    if (answer.at("id").is_number()) {
      EXPECT_EQ(answer.at("id"), next);
      EXPECT_EQ(answer.at("top1_percent").get<double>(), Top1(rows[next]));
      ++next;
    } else {
      others.push_back(answer);
    }
  }
  EXPECT_EQ(next, rows.size());
  ASSERT_EQ(others.size(), 3U);
  EXPECT_EQ(others[0].at("error").at("code"), "candidate");
  EXPECT_TRUE(others[1].at("id").is_null());
  EXPECT_EQ(others[1].at("error").at("code"), "json-syntax");
  EXPECT_EQ(others[2].at("predictions").size(), rows.size());
}

/// Feeds text through AnswerJsonLines in pieces and returns what comes out.
std::string ThroughPipes(PredictionService& service, const std::string& text, std::size_t piece) {
  int in[2], out[2];
  EXPECT_EQ(::pipe(in), 0);
  EXPECT_EQ(::pipe(out), 0);
  std::thread writer([&] {
    for (std::size_t at = 0; at < text.size(); at += piece) {
      const std::size_t size = std::min(piece, text.size() - at);
      for (std::size_t done = 0; done < size;) {
        const ssize_t wrote = ::write(in[1], text.data() + at + done, size - done);
        if (wrote <= 0) return;
        done += static_cast<std::size_t>(wrote);
      }
    }
    ::close(in[1]);
  });
  std::string answers;
  std::thread reader([&] {
    char bytes[65536];
    for (ssize_t got; (got = ::read(out[0], bytes, sizeof bytes)) > 0;) {
      answers.append(bytes, static_cast<std::size_t>(got));
    }
  });
  EXPECT_TRUE(AnswerJsonLines(service, in[0], out[1], StopToken()));
  ::close(out[1]);
  writer.join();
  reader.join();
  ::close(in[0]);
  ::close(out[0]);
  return answers;
}

TEST_F(ServiceTest, TheStreamIsDrainedHoweverItIsCut) {
  PredictionService service(predictor_);
  const auto rows = Rows(200);
  std::string text, expected;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    text += Json({{"id", i}, {"indices", rows[i]}}).dump() + (i % 3 == 0 ? "\r\n" : "\n");
  }
  text.pop_back();  // The last line has no line break and is answered all the same.
  const std::string whole = ThroughPipes(service, text, text.size());
  EXPECT_EQ(std::count(whole.begin(), whole.end(), '\n'), 200);
  EXPECT_EQ(ThroughPipes(service, text, 1000), whole);
  EXPECT_EQ(ThroughPipes(service, text, 37), whole);
  EXPECT_EQ(ThroughPipes(service, "", 1), "");
  const std::string first = whole.substr(0, whole.find('\n') + 1);
  const std::string line = text.substr(0, text.find('\r'));
  const std::string after_long =
      ThroughPipes(service, std::string(kMostLineBytes + 100'000, 'x') + "\n" + line, 65536);
  ASSERT_NE(after_long.find('\n'), std::string::npos);
  EXPECT_EQ(Json::parse(after_long.substr(0, after_long.find('\n'))).at("error").at("code"),
            "json-syntax");
  EXPECT_EQ(after_long.substr(after_long.find('\n') + 1), first);
}

TEST_F(ServiceTest, AStopEndsTheStream) {
  PredictionService service(predictor_);
  int in[2];
  ASSERT_EQ(::pipe(in), 0);
  const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  StopToken stop;
  std::thread other([&stop] { stop.RequestStop(); });
  EXPECT_FALSE(AnswerJsonLines(service, in[0], null, stop));
  other.join();
  for (const int file : {in[0], in[1], null}) ::close(file);
}

TEST_F(ServiceTest, CsvGivesTheSameFigures) {
  const PredictionService service(predictor_);
  const auto rows = Rows(30);
  std::string text = "id";
  for (const Gene& gene : predictor_.space().genes()) text += "," + gene.name;
  text += "\n";
  for (std::size_t r = 0; r < rows.size(); ++r) {
    text += fmt::format("\"row, {}\"", r);
    for (std::size_t g = 0; g < rows[r].size(); ++g) {
      text += "," + predictor_.space().genes()[g].values[static_cast<std::size_t>(rows[r][g])];
    }
    text += "\n";
  }
  const CsvTable out =
      CsvTable::Parse(PredictCsv(service.online(), CsvTable::Parse(text, "in.csv")), "out.csv");
  EXPECT_EQ(out.header(),
            (std::vector<std::string>{"id", "top1_percent", "standard_deviation_percent",
                                      "latency_us", "size_bits", "outside_training_range"}));
  ASSERT_EQ(out.rows().size(), rows.size());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    EXPECT_EQ(out.Text(out.rows()[r], 0), fmt::format("row, {}", r));
    EXPECT_EQ(out.Number(out.rows()[r], 1), Top1(rows[r]));
  }
  const std::string header = text.substr(0, text.find('\n'));
  const auto refused = [&](const std::string& csv, ErrorId id, int line) {
    try {
      PredictCsv(service.online(), CsvTable::Parse(csv, "in.csv"));
      ADD_FAILURE() << csv;
    } catch (const Error& error) {
      EXPECT_EQ(error.id(), id) << error.what();
      EXPECT_EQ(error.location().line, line) << error.what();
    }
  };
  std::string bad = text.substr(0, text.find('\n', header.size() + 1) + 1);
  bad.replace(bad.rfind(','), std::string::npos, ",3\n");
  refused(bad, ErrorId::kCandidate, 2);
  refused("layer0.weight\n4\n", ErrorId::kCsvUnknownColumn, 1);
}

}  // namespace
}  // namespace bitsearch
