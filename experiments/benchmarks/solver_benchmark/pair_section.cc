// All pairs of layers interact: proved gap within a time, against simulated annealing.
#include <fmt/format.h>

#include <algorithm>

#include "experiments/benchmarks/solver_benchmark/instances.h"
#include "experiments/benchmarks/solver_benchmark/measure.h"
#include "experiments/benchmarks/solver_benchmark/sections.h"
#include "experiments/benchmarks/solver_benchmark/table.h"
#include "search/solver.h"

namespace bitsearch {
namespace {

constexpr int kAnnealingSeeds = 8;

void RunInstance(std::size_t layers, int choices, int seed, const BenchmarkOptions& options) {
  const AssignmentProblem problem = PairProblem(layers, choices, static_cast<std::uint64_t>(seed));
  RunContext limited;
  const CpuClock clock;
  const StopAfterCpu stop(options.pair_seconds, limited.stop);
  const Solution solution = MakeSolver("auto")->Solve(problem, {}, limited);
  const double seconds = clock.Seconds();
  std::vector<double> annealed;
  for (int n = 0; n < kAnnealingSeeds; ++n) {
    RunContext context;
    context.root_seed = static_cast<std::uint64_t>(n);
    const Solution found =
        MakeSolver("annealing")->Solve(problem, {.evaluations = 5'000'000}, context);
    annealed.push_back(100.0 * (found.objective / solution.objective - 1.0));
  }
  PrintRow({fmt::format("{} × {}", layers, choices), std::to_string(seed),
            std::string(NameOf(solution.status)), TimeText(seconds),
            fmt::format("{:.3f} %", 100.0 * solution.gap()),
            fmt::format("{:+.3f} %", *std::min_element(annealed.begin(), annealed.end())),
            fmt::format("{:+.3f} %", Median(annealed)),
            fmt::format("{:+.3f} %", Largest(annealed))});
}

}  // namespace

void RunPairSection(const BenchmarkOptions& options) {
  PrintHeading("All pairs of layers interact");
  PrintHeader({"layers × choices", "instance", "status", "CPU time", "gap",
               "annealing: best of 8 above ours", "median", "worst"});
  const int instances = std::min(options.seeds, 4);
  for (int seed = 0; seed < instances; ++seed) RunInstance(20, 6, seed, options);
  for (int seed = 0; seed < instances; ++seed) RunInstance(54, 4, seed, options);
}

}  // namespace bitsearch
