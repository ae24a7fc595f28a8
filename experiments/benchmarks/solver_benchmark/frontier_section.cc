// Whole frontiers, beside one CBC solve of the same problem.
#include <fmt/format.h>

#include <algorithm>

#include "experiments/benchmarks/solver_benchmark/cbc.h"
#include "experiments/benchmarks/solver_benchmark/instances.h"
#include "experiments/benchmarks/solver_benchmark/measure.h"
#include "experiments/benchmarks/solver_benchmark/sections.h"
#include "experiments/benchmarks/solver_benchmark/table.h"
#include "search/frontier.h"
#include "search/solver.h"

namespace bitsearch {
namespace {

void RunRow(std::size_t layers, int choices, const std::vector<std::size_t>& traded,
            const BenchmarkOptions& options) {
  std::vector<double> seconds;
  std::vector<double> points;
  std::vector<double> epsilon;
  std::vector<double> memory;
  std::vector<double> cbc;
  for (int seed = 0; seed < options.seeds; ++seed) {
    AssignmentProblem problem = LayerProblem(layers, choices, static_cast<std::uint64_t>(seed));
    FrontierOptions wanted;
    for (std::size_t resource : traded) wanted.resources.emplace_back(resource);
    Frontier frontier;
    const auto work = [&] { frontier = ComputeFrontier(problem, wanted, {}); };
    seconds.push_back(LeastSeconds(work));
    points.push_back(static_cast<double>(frontier.points().size()));
    epsilon.push_back(frontier.epsilon());
    frontier = {};
    memory.push_back(PeakMebibytes(work));
    for (std::size_t resource : traded) LimitHalfWay(resource, &problem);
    const Solution best = MakeSolver("auto")->Solve(problem, {}, {});
    const CbcAnswer answer = SolveWithCbc(problem, best.objective, 0.0, options.cbc_seconds);
    if (answer.available) cbc.push_back(answer.cpu_seconds);
  }
  PrintRow({fmt::format("{} × {}", layers, choices),
            traded.size() == 2 ? "size, latency" : (traded[0] == kSize ? "size" : "latency"),
            TimeText(Median(seconds)), TimeText(Largest(seconds)),
            fmt::format("{:.0f}", Median(points)), fmt::format("{:.1e}", Largest(epsilon)),
            fmt::format("{:.0f}", Largest(memory)), cbc.empty() ? "" : TimeText(Median(cbc)),
            cbc.empty() ? "" : TimeText(*std::min_element(cbc.begin(), cbc.end()))});
}

}  // namespace

void RunFrontierSection(const BenchmarkOptions& options) {
  PrintHeading("Whole frontiers");
  PrintHeader({"layers × choices", "traded for loss", "median", "largest", "points (median)",
               "largest ε", "largest MiB", "one CBC solve (median)", "(least)"});
  for (std::size_t resource : {kSize, kLatency}) {
    RunRow(54, 4, {resource}, options);
    RunRow(54, 25, {resource}, options);
    RunRow(200, 4, {resource}, options);
  }
  RunRow(20, 4, {kSize, kLatency}, options);
  RunRow(54, 4, {kSize, kLatency}, options);
}

}  // namespace bitsearch
