// Options of `bitsearch solve`, and the way from files to a printed solution or frontier.
#include "experiments/command_line/solve_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "experiments/command_line/option_checks.h"
#include "experiments/problem_files.h"
#include "experiments/solution_json.h"
#include "search/frontier.h"
#include "search/solver.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

struct SolveRequest {
  std::string sensitivity;
  std::string latency;
  std::string cost;
  std::string ties;
  std::string transitions;
  std::string pairs;
  std::string cuts;
  std::vector<std::string> limits;
  std::vector<std::string> pins;
  std::string frontier;
  std::size_t max_points = 0;
  bool all_points = false;
  double epsilon = 1e-4;
  std::string solver = "auto";
  double time_limit_s = 60.0;
  double gap = 0.0;
  std::size_t seed = 0;
  bool json = false;
};

std::optional<std::string> Given(const std::string& path) {
  if (path.empty()) return std::nullopt;
  return path;
}

NamedProblem ReadRequest(const SolveRequest& request) {
  NamedProblem named = ReadProblem({.sensitivity = request.sensitivity,
                                    .latency = Given(request.latency),
                                    .cost = Given(request.cost),
                                    .ties = Given(request.ties),
                                    .transitions = Given(request.transitions),
                                    .pairs = Given(request.pairs),
                                    .cuts = Given(request.cuts)});
  for (const std::string& limit : request.limits) AddLimit(limit, &named);
  for (const std::string& pin : request.pins) AddPin(pin, &named);
  return named;
}

ExitCode CodeOf(SolveStatus status, const RunContext& run, bool has_answer,
                const std::string& message) {
  if (status == SolveStatus::kInfeasible) return ExitCode::kInfeasible;
  if (run.stop.StopRequested()) return ExitCode::kInterrupted;
  if (status == SolveStatus::kInterrupted && !has_answer) {
    throw Error(ErrorId::kTimeLimit, message.empty()
                                         ? "the time limit ended before any configuration was found"
                                         : message)
        .Hint("raise --time-limit, or use --solver auto");
  }
  return ExitCode::kDone;
}

ExitCode PrintSolution(const NamedProblem& named, const SolveRequest& request,
                       CommandContext& context) {
  SolverOptions options;
  options.time_limit_s = request.time_limit_s;
  options.gap = request.gap;
  options.explain = true;
  Solution solution = MakeSolver(request.solver)->Solve(named.problem, options, context.run);
  if (solution.status == SolveStatus::kInfeasible && solution.conflicts.empty()) {
    const std::string why = named.WhyNothingIsLeft();
    if (!why.empty()) solution.message = why;
  }
  for (const std::string& line : ExplanationLines(named, solution)) context.run.progress->Log(line);
  (request.json ? WriteSolutionJson : WriteSolutionText)(named, solution, context.out);
  return CodeOf(solution.status, context.run, solution.has_choice(), solution.message);
}

std::vector<ResourceIndex> TradedResources(const NamedProblem& named, const std::string& list) {
  std::vector<ResourceIndex> resources;
  std::size_t at = 0;
  while (at <= list.size()) {
    const std::size_t comma = std::min(list.find(',', at), list.size());
    const ResourceIndex resource = named.FindResource(list.substr(at, comma - at));
    if (std::find(resources.begin(), resources.end(), resource) != resources.end()) {
      throw Error(ErrorId::kUsage, fmt::format("got '{}', a resource twice", list))
          .Key("--frontier")
          .Hint("name each resource once");
    }
    resources.push_back(resource);
    at = comma + 1;
  }
  return resources;
}

ExitCode PrintFrontier(const NamedProblem& named, const SolveRequest& request,
                       CommandContext& context) {
  FrontierOptions options;
  options.resources = TradedResources(named, request.frontier);
  options.epsilon = request.epsilon;
  options.time_limit_s = request.time_limit_s;
  Frontier frontier = ComputeFrontier(named.problem, options, context.run);
  FrontierOutput output;
  output.resources = options.resources;
  output.computed_points = frontier.points().size();
  if (!named.standard_error.empty() && !request.all_points && options.resources.size() == 1) {
    frontier = DistinguishablePoints(frontier, named.standard_error);
    output.noise_aware = true;
  }
  if (request.max_points > 0 && frontier.points().size() > request.max_points) {
    frontier = ThinnedTo(frontier, request.max_points);
    output.thinned = true;
  }
  if (frontier.status() == SolveStatus::kInfeasible && frontier.conflicts.empty()) {
    const std::string why = named.WhyNothingIsLeft();
    if (!why.empty()) frontier.message = why;
  }
  (request.json ? WriteFrontierJson : WriteFrontierText)(named, frontier, output, context.out);
  return CodeOf(frontier.status(), context.run, !frontier.points().empty(), frontier.message);
}

}  // namespace

void AddSolveCommand(CLI::App& app, CommandContext& context) {
  auto request = std::make_shared<SolveRequest>();
  CLI::App* solve = app.add_subcommand(
      "solve", "Choose bits from CSV tables: the optimum under limits, or the whole frontier");
  solve
      ->add_option("--sensitivity", request->sensitivity,
                   "CSV: layer,weight_bits,activation_bits,loss_increase[,standard_error]")
      ->required();
  solve->add_option("--latency", request->latency,
                    "CSV: layer,weight_bits,activation_bits,latency_us");
  solve->add_option("--cost", request->cost,
                    "CSV: layer, bits and one column per further resource");
  solve->add_option("--ties", request->ties, "CSV: group,layer[,what] (both, weight, activation)");
  solve->add_option("--transitions", request->transitions,
                    "CSV: producer,consumer,from_bits,to_bits and costs of requantization");
  solve->add_option("--pairs", request->pairs, "CSV of interactions between two layers' choices");
  solve->add_option("--cuts", request->cuts, "CSV: cut,layer,elements; adds peak_memory_bits");
  solve->add_option("--limit", request->limits, "NAME=VALUE, inclusive; may be given several times")
      ->allow_extra_args(false)
      ->take_all();
  solve->add_option("--pin", request->pins, "GLOB=W,A fixes layers; may be given several times")
      ->allow_extra_args(false)
      ->take_all();
  solve->add_option("--frontier", request->frontier,
                    "Print the frontier over these resources (NAME[,NAME]) instead of one answer");
  solve
      ->add_option("--max-points", request->max_points, "Thin a printed frontier to so many points")
      ->check(IntegerText(1, 1'000'000'000));
  solve->add_flag("--all-points", request->all_points,
                  "Print points too that differ by less than one standard error");
  solve
      ->add_option(
          "--epsilon", request->epsilon,
          "Guarantee of a frontier that is too large to be exact (share of the losses' range)")
      ->check(NumberText(0.0, 1.0));
  std::string solvers;
  for (const std::string& name : SolverNames()) solvers += (solvers.empty() ? "" : ", ") + name;
  solve->add_option("--solver", request->solver, "One of: " + solvers);
  solve
      ->add_option("--time-limit", request->time_limit_s,
                   "Seconds; then the best so far is printed with its gap (default 60)")
      ->check(NumberText(0.0));
  solve
      ->add_option("--gap", request->gap,
                   "Stop at this relative gap (default 0: prove the optimum)")
      ->check(NumberText(0.0));
  solve->add_option("--seed", request->seed, "Seed of the heuristic solvers (default 0)")
      ->check(IntegerText(0, 1'000'000'000));
  solve->add_flag("--json", request->json, "Print JSON");
  solve->callback([request, &context] {
    context.action = [request, &context] {
      context.run.root_seed = request->seed;
      const NamedProblem named = ReadRequest(*request);
      return request->frontier.empty() ? PrintSolution(named, *request, context)
                                       : PrintFrontier(named, *request, context);
    };
  });
}

}  // namespace bitsearch
