// Options of the predictor's commands; the work is done in predictor/service and
// predictor/training.
#include "experiments/command_line/predictor_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "experiments/command_line/option_checks.h"
#include "experiments/command_line/predictor_training.h"
#include "predictor/predictor_file.h"
#include "predictor/service/csv_batch.h"
#include "predictor/service/http_server.h"
#include "predictor/service/line_protocol.h"
#include "predictor/service/prediction_service.h"
#include "predictor/training/transfer_curve.h"
#include "space/support/error.h"
#include "space/support/files.h"
#include "space/support/hash.h"

namespace bitsearch {
namespace {

/// What query and serve have in common.
struct ModelRequest {
  std::string model;
  std::string state;
  std::size_t seed = 0;
  int threads = 1;

  void AddTo(CLI::App& command) {
    command.add_option("MODEL", model, "A predictor file (.bspred)")->required();
    command.add_option("--state", state,
                       "File that keeps asked and told configurations over restarts");
    command.add_option("--seed", seed, "Seed of what ask proposes (default 0)")
        ->check(IntegerText(0, 1'000'000'000));
    command.add_option("--threads", threads, "Most threads of one large batch (default 1)")
        ->check(IntegerText(1, 256));
  }
  ServiceOptions Options() const {
    ServiceOptions options;
    options.seed = seed;
    if (!state.empty()) options.state = state;
    return options;
  }
};

struct QueryRequest {
  ModelRequest model;
  std::string input = "-";
  std::string format = "jsonl";
};

ExitCode Query(const QueryRequest& request, CommandContext& context) {
  const Predictor predictor(ReadPredictor(request.model.model), {.threads = request.model.threads});
  PredictionService service(predictor, request.model.Options());
  if (request.format == "csv") {
    const std::string path = request.input == "-" ? "/dev/stdin" : request.input;
    const CsvTable table = CsvTable::Parse(ReadTextFile(path),
                                           request.input == "-" ? "standard input" : request.input);
    context.out << PredictCsv(service.online(), table);
    return ExitCode::kDone;
  }
  int input = STDIN_FILENO;
  if (request.input != "-") {
    input = ::open(request.input.c_str(), O_RDONLY | O_CLOEXEC);
    if (input < 0) {
      throw Error(ErrorId::kFileNotFound, "cannot read the file")
          .At({request.input, 0, 0})
          .Hint("check the path and its permissions");
    }
  }
  const bool whole = AnswerJsonLines(service, input, STDOUT_FILENO, context.run.stop);
  if (input != STDIN_FILENO) ::close(input);
  return whole ? ExitCode::kDone : ExitCode::kInterrupted;
}

void AddQuery(CLI::App& predictor, CommandContext& context) {
  auto request = std::make_shared<QueryRequest>();
  CLI::App* query = predictor.add_subcommand(
      "query", "Answer configurations: JSON lines in and out, or a batch as CSV");
  request->model.AddTo(*query);
  query->add_option("--input", request->input, "File instead of standard input");
  query->add_option("--format", request->format, "jsonl (default) or csv")
      ->check(NameText({"jsonl", "csv"}));
  query->footer(
      "A line: {\"id\": 1, \"bits\": [[4, 8], ...]}, or with \"layers\", \"values\" or "
      "\"indices\";\n"
      "{\"id\": 2, \"ask\": {\"limits\": {\"latency_us\": 900}}}; {\"id\": 3, \"tell\": "
      "{\"ask_id\": 0,\n"
      "\"top1_percent\": 91.2}}. Answers keep the order; errors are objects. See "
      "docs/predictor.md.");
  query->callback([request, &context] {
    context.action = [request, &context] { return Query(*request, context); };
  });
}

struct ServeRequest {
  ModelRequest model;
  HttpOptions http;
  int body_limit_kib = 8192;
  std::string token_file;
};

ExitCode Serve(ServeRequest request, CommandContext& context) {
  if (!request.token_file.empty()) {
    std::string token = ReadTextFile(request.token_file);
    while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
    if (token.empty()) {
      throw Error(ErrorId::kUsage, "the file holds no token")
          .At({request.token_file, 0, 0})
          .Hint("write a long random text into it");
    }
    request.http.token = token;
  }
  request.http.body_limit = static_cast<std::size_t>(request.body_limit_kib) << 10;
  const Predictor predictor(ReadPredictor(request.model.model), {.threads = request.model.threads});
  PredictionService service(predictor, request.model.Options());
  HttpServer server(service, request.http);
  context.out << fmt::format("http://{}:{}/\n",
                             request.http.address.find(':') == std::string::npos
                                 ? request.http.address
                                 : "[" + request.http.address + "]",
                             server.port());
  context.out.flush();
  server.Serve(context.run.stop);
  return ExitCode::kDone;  // Being stopped is how a service ends.
}

void AddServe(CLI::App& predictor, CommandContext& context) {
  auto request = std::make_shared<ServeRequest>();
  CLI::App* serve = predictor.add_subcommand(
      "serve", "Answer over HTTP: predict, ask, tell, and a page to try configurations by hand");
  request->model.AddTo(*serve);
  serve->add_option("--address", request->http.address,
                    "Where to listen (default 127.0.0.1; others need a token)");
  serve->add_option("--port", request->http.port, "Port (default 8080; 0: any free one)")
      ->check(IntegerText(0, 65535));
  serve->add_option("--workers", request->http.workers, "Connections served at once (default 32)")
      ->check(IntegerText(1, 1024));
  serve
      ->add_option("--queue", request->http.queue,
                   "Connections that may wait; beyond that 503 (default 128)")
      ->check(IntegerText(0, 100'000));
  serve
      ->add_option("--body-limit-kib", request->body_limit_kib,
                   "Longest request body, in KiB (default 8192)")
      ->check(IntegerText(1, 1'048'576));
  serve->add_option("--token-file", request->token_file,
                    "File with a token that /v1 and /metrics then ask for");
  serve->footer(
      "The address is printed once it listens. SIGTERM or Ctrl-C: what was accepted is\n"
      "answered, then the service ends with 0. See docs/predictor.md and /openapi.json.");
  serve->callback([request, &context] {
    context.action = [request, &context] { return Serve(*request, context); };
  });
}

struct TrainRequest {
  std::string data;
  std::string cheap;
  std::string out;
  std::string name = "network";
  std::string latency;
  std::vector<std::string> costs;
  EnsembleOptions options;
  std::size_t seed = 0;
};

nlohmann::json QualityJson(const FitQuality& quality) {
  return {{"rows", quality.rows},
          {"rmse_percent", quality.rmse_percent},
          {"kendall_tau", quality.kendall_tau},
          {"pairwise_accuracy", quality.pairwise_accuracy}};
}

ExitCode Train(const TrainRequest& request, CommandContext& context) {
  RequireWritable(request.out);
  context.run.root_seed = request.seed;
  const std::vector<MeasuredConfig> configs = ReadMeasuredConfigs(request.data);
  std::vector<std::string> cost_files = request.costs;
  if (!request.latency.empty()) cost_files.insert(cost_files.begin(), request.latency);
  std::vector<MeasuredConfig> cheap;
  if (!request.cheap.empty()) cheap = ReadMeasuredConfigs(request.cheap);
  CostedSpace space = SpaceOf(request.name, Joined(configs, cheap), cost_files);
  const TrainingRows rows = RowsIn(space.space, configs);
  const TrainingRows source = RowsIn(space.space, cheap);
  EnsembleOptions options = request.options;
  if (!cheap.empty()) options.source = &source;
  TrainedEnsemble trained = WithPlace({request.data}, [&] {
    return TrainEnsemble(Encoding::OneHot(space.space), rows, options, context.run);
  });
  PredictorModel& model = trained.model;
  model.costs = std::move(space.costs);
  const FitQuality& quality = trained.cross_validated;
  model.facts = {{"samples", fmt::format("{}", quality.rows)},
                 {"loss", options.ranking_share > 0.0
                              ? fmt::format("squared error, {:g} of ranking", options.ranking_share)
                              : "squared error"},
                 {"seed", fmt::format("{}", request.seed)},
                 {"epochs", fmt::format("{}", request.options.epochs)},
                 {"data_sha256", Sha256OfFile(request.data)},
                 {"cross_validated_rmse_percent", fmt::format("{}", quality.rmse_percent)},
                 {"cross_validated_kendall_tau", fmt::format("{}", quality.kendall_tau)}};
  for (const std::string& path : cost_files) {
    model.facts.emplace_back(fmt::format("cost_file_{}_sha256", model.facts.size() - 6),
                             Sha256OfFile(path));
  }
  if (!cheap.empty()) model.facts.emplace_back("cheap_data_sha256", Sha256OfFile(request.cheap));
  WritePredictor(request.out, model);
  nlohmann::json summary = {{"format", "bitsearch/predictor-training/1"},
                            {"layers", model.encoding.space().size() / 2},
                            {"cross_validated", QualityJson(quality)},
                            {"residual_deviation_percent", model.residual_deviation_percent},
                            {"costs", nlohmann::json::array()}};
  for (const FactoredCost& cost : model.costs) summary["costs"].push_back(cost.name());
  context.out << summary.dump(1) << "\n";
  return ExitCode::kDone;
}

void AddTrain(CLI::App& predictor, CommandContext& context) {
  auto request = std::make_shared<TrainRequest>();
  CLI::App* train = predictor.add_subcommand(
      "train", "Train a predictor for a fixed network from measured configurations");
  train
      ->add_option(
          "--data", request->data,
          "CSV (<layer>.weight_bits, <layer>.activation_bits, …, top1_percent) or JSON lines")
      ->required();
  train->add_option("--cheap", request->cheap,
                    "Many cheap measurements, as --data: trained on first, weights carried over");
  train
      ->add_option("--ranking", request->options.ranking_share,
                   "Share of the pairwise ranking loss, 0 to 1 (default 0)")
      ->check(CLI::Range(0.0, 1.0));
  train->add_option("--out", request->out, "The predictor file to write (.bspred)")->required();
  train->add_option("--latency", request->latency,
                    "CSV: layer,weight_bits,activation_bits,latency_us");
  train
      ->add_option("--cost", request->costs, "CSV: layer, bits and one column per further resource")
      ->allow_extra_args(false)
      ->take_all();
  train->add_option("--name", request->name, "Name of the network (default \"network\")");
  train->add_option("--members", request->options.members, "Networks and folds (default 5)")
      ->check(IntegerText(2, 64));
  train->add_option("--width", request->options.width, "Units of a hidden layer (default 64)")
      ->check(IntegerText(1, 4096));
  train->add_option("--epochs", request->options.epochs, "Passes over the data (default 300)")
      ->check(IntegerText(1, 100'000));
  train->add_option("--seed", request->seed, "Seed (default 0)")
      ->check(IntegerText(0, 1'000'000'000));
  train->callback([request, &context] {
    context.action = [request, &context] { return Train(*request, context); };
  });
}

struct EvaluateRequest {
  std::string model;
  std::string data;
  std::string cheap;
  std::vector<std::size_t> samples = {10, 20, 50, 100, 200, 500};
  int splits = 5;
  double tested_share = 0.5;
  std::size_t seed = 0;
};

ExitCode EvaluateTransfer(const EvaluateRequest& request, CommandContext& context) {
  const TransferProblem problem =
      TransferProblemFrom(ReadMeasuredConfigs(request.data), ReadMeasuredConfigs(request.cheap));
  TransferCurveOptions options;
  options.samples = request.samples;
  options.splits = request.splits;
  options.tested_share = request.tested_share;
  context.run.root_seed = request.seed;
  const TransferCurve curve = WithPlace(
      {request.data}, [&] { return MeasureTransferCurve(problem, options, context.run); });
  context.out << TransferCurveJson(curve, problem.reference_name);
  return ExitCode::kDone;
}

ExitCode EvaluatePredictor(const EvaluateRequest& request, CommandContext& context) {
  if (request.model.empty()) {
    throw Error(ErrorId::kUsage, "got neither MODEL nor --cheap")
        .Hint("name a predictor file, or give cheap measurements for a transfer curve");
  }
  const Predictor predictor(ReadPredictor(request.model));
  const TrainingRows rows = RowsIn(predictor.space(), ReadMeasuredConfigs(request.data));
  const std::size_t count = rows.top1_percent.size();
  std::vector<CandidateScore> scores(count);
  predictor.Predict({rows.genomes.data(), count, predictor.space().size()}, scores);
  std::vector<double> predicted;
  std::size_t within = 0;
  for (std::size_t r = 0; r < count; ++r) {
    predicted.push_back(scores[r].top1_percent);
    within += std::abs(scores[r].top1_percent - rows.top1_percent[r]) <=
                      2.0 * scores[r].standard_deviation_percent
                  ? 1
                  : 0;
  }
  nlohmann::json summary = QualityJson(QualityOf(predicted, rows.top1_percent));
  summary["format"] = "bitsearch/predictor-evaluation/1";
  summary["within_two_deviations"] = static_cast<double>(within) / static_cast<double>(count);
  context.out << summary.dump(1) << "\n";
  return ExitCode::kDone;
}

void AddEvaluate(CLI::App& predictor, CommandContext& context) {
  auto request = std::make_shared<EvaluateRequest>();
  CLI::App* evaluate = predictor.add_subcommand(
      "evaluate", "Compare a predictor with measured configurations that it was not trained on");
  CLI::Option* model = evaluate->add_option("MODEL", request->model, "A predictor file (.bspred)");
  evaluate->add_option("--data", request->data, "As for train")->required();
  CLI::Option* cheap = evaluate->add_option(
      "--cheap", request->cheap,
      "Instead of MODEL: many cheap measurements. Prints the transfer curve, how well rows of "
      "--data are ranked after few of them (docs/predictor.md)");
  cheap->excludes(model);
  evaluate->add_option("--samples", request->samples, "Of the curve (default 10,20,50,100,200,500)")
      ->delimiter(',')
      ->check(IntegerText(5, 100'000))
      ->needs(cheap);
  evaluate->add_option("--splits", request->splits, "Of the curve (default 5)")
      ->check(IntegerText(1, 1000))
      ->needs(cheap);
  evaluate->add_option("--tested-share", request->tested_share, "Of --data (default 0.5)")
      ->check(CLI::Range(0.01, 0.99))
      ->needs(cheap);
  evaluate->add_option("--seed", request->seed, "Seed (default 0)")
      ->check(IntegerText(0, 1'000'000'000))
      ->needs(cheap);
  evaluate->callback([request, &context] {
    context.action = [request, &context] {
      if (!request->cheap.empty()) return EvaluateTransfer(*request, context);
      return EvaluatePredictor(*request, context);
    };
  });
}

void AddShow(CLI::App& predictor, CommandContext& context) {
  auto path = std::make_shared<std::string>();
  CLI::App* show =
      predictor.add_subcommand("show", "Print what a predictor file says of itself, as JSON");
  show->add_option("MODEL", *path, "A predictor file (.bspred)")->required();
  show->callback([path, &context] {
    context.action = [path, &context] {
      context.out << DescribePredictor(ReadPredictor(*path)) << "\n";
      return ExitCode::kDone;
    };
  });
}

}  // namespace

void AddPredictorCommand(CLI::App& app, CommandContext& context) {
  CLI::App* predictor =
      app.add_subcommand("predictor", "Predict accuracy and cost of configurations");
  predictor->require_subcommand(1);
  AddTrain(*predictor, context);
  AddEvaluate(*predictor, context);
  AddQuery(*predictor, context);
  AddServe(*predictor, context);
  AddShow(*predictor, context);
}

}  // namespace bitsearch
