// Single optima: against CBC, on HAQ's table, and how they grow.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "experiments/benchmarks/solver_benchmark/cbc.h"
#include "experiments/benchmarks/solver_benchmark/instances.h"
#include "experiments/benchmarks/solver_benchmark/measure.h"
#include "experiments/benchmarks/solver_benchmark/plot.h"
#include "experiments/benchmarks/solver_benchmark/sections.h"
#include "experiments/benchmarks/solver_benchmark/table.h"
#include "search/solver.h"

namespace bitsearch {
namespace {

/// What the instances of one row have in common.
struct Row {
  std::size_t layers;
  int choices;
  std::vector<std::size_t> limited;
  double gap = 0.0;
};

std::string LimitsText(const std::vector<std::size_t>& limited) {
  std::string text;
  for (std::size_t resource : limited) {
    constexpr const char* kNames[] = {"size", "latency", "BOPs"};
    text += (text.empty() ? "" : " + ") + std::string(kNames[resource]);
  }
  return text;
}

AssignmentProblem InstanceOf(const Row& row, int seed) {
  AssignmentProblem problem =
      LayerProblem(row.layers, row.choices, static_cast<std::uint64_t>(seed));
  for (std::size_t resource : row.limited) LimitHalfWay(resource, &problem);
  return problem;
}

void RunRow(const Row& row, const BenchmarkOptions& options) {
  const auto solver = MakeSolver("auto");
  std::vector<double> ours;
  std::vector<double> theirs;
  std::vector<double> ratio;
  double largest_gap = 0.0;
  int unproved = 0;
  int cbc_unproved = 0;
  int cbc_worse = 0;
  for (int seed = 0; seed < options.seeds; ++seed) {
    const AssignmentProblem problem = InstanceOf(row, seed);
    Solution solution;
    ours.push_back(LeastSeconds([&] {
      solution = solver->Solve(problem, {.time_limit_s = options.cbc_seconds, .gap = row.gap}, {});
    }));
    largest_gap = std::max(largest_gap, solution.gap());
    if (solution.gap() > row.gap) ++unproved;
    const CbcAnswer answer =
        SolveWithCbc(problem, solution.objective, row.gap, options.cbc_seconds);
    if (!answer.available) continue;
    theirs.push_back(answer.cpu_seconds);
    ratio.push_back(answer.cpu_seconds / ours.back());
    if (!answer.optimal) ++cbc_unproved;
    const double tolerance = std::max(row.gap, 1e-9) * std::abs(solution.objective);
    if (answer.objective > solution.objective + tolerance) ++cbc_worse;
    // A better CBC answer than a proved optimum would be an error of ours.
    if (solution.status == SolveStatus::kOptimal &&
        answer.objective < solution.objective - tolerance) {
      fmt::print("| **seed {}: CBC has {} and we claim {} is optimal** |\n", seed, answer.objective,
                 solution.objective);
    }
  }
  std::vector<std::string> cells = {fmt::format("{} × {}", row.layers, row.choices),
                                    LimitsText(row.limited),
                                    row.gap == 0.0 ? "0" : fmt::format("{:.0e}", row.gap),
                                    TimeText(Median(ours)),
                                    TimeText(Largest(ours)),
                                    fmt::format("{:.1e}", largest_gap),
                                    std::to_string(unproved)};
  if (!theirs.empty()) {
    cells.insert(cells.end(), {TimeText(Median(theirs)), TimeText(Largest(theirs)),
                               fmt::format("{:.0f}", Median(ratio)),
                               fmt::format("{:.1f}", *std::min_element(ratio.begin(), ratio.end())),
                               std::to_string(cbc_unproved), std::to_string(cbc_worse)});
  }
  PrintRow(cells);
}

/// Median time and labels, and largest memory, of one row of the growth table.
PlotPoint Grow(const Row& row, const BenchmarkOptions& options) {
  const auto solver = MakeSolver("auto");
  std::vector<double> seconds;
  std::vector<double> memory;
  std::vector<double> labels;
  for (int seed = 0; seed < options.seeds; ++seed) {
    const AssignmentProblem problem = InstanceOf(row, seed);
    Solution solution;
    const auto work = [&] {
      solution = solver->Solve(problem, {.time_limit_s = options.cbc_seconds, .gap = row.gap}, {});
    };
    seconds.push_back(LeastSeconds(work));
    labels.push_back(static_cast<double>(solution.counters.labels));
    memory.push_back(PeakMebibytes(work));
  }
  PrintRow({std::to_string(row.layers), std::to_string(row.choices), LimitsText(row.limited),
            TimeText(Median(seconds)), TimeText(Largest(seconds)),
            fmt::format("{:.0f}", Median(labels)), fmt::format("{:.1f}", Largest(memory))});
  return {static_cast<double>(row.layers), Median(seconds)};
}

}  // namespace

void RunSingleSection(const BenchmarkOptions& options) {
  PrintHeading("Single optima against CBC");
  PrintHeader({"layers × choices", "limits", "gap", "median", "largest", "largest gap", "unproved",
               "CBC median", "CBC largest", "median ratio", "least ratio", "CBC unproved",
               "CBC worse"});
  const std::vector<std::vector<std::size_t>> limits = {{kSize}, {kLatency}, {kSize, kLatency}};
  for (const auto& limited : limits) {
    for (std::size_t layers : {50, 200, 1000}) {
      RunRow({layers, 4, limited, layers > 200 ? 1e-5 : 0.0}, options);
    }
    RunRow({54, 25, limited}, options);
  }
}

void RunGrowthSection(const BenchmarkOptions& options) {
  PrintHeading("Growth");
  PrintHeader({"layers", "choices", "limits", "median", "largest", "labels", "largest MiB"});
  std::vector<PlotSeries> series;
  for (const auto& limited : {std::vector<std::size_t>{kLatency}, {kSize, kLatency}}) {
    PlotSeries line{LimitsText(limited), {}};
    for (std::size_t layers : {25, 50, 100, 200, 400, 800, 1600}) {
      line.points.push_back(Grow({layers, 4, limited, 1e-5}, options));
    }
    series.push_back(std::move(line));
  }
  for (int choices : {9, 16, 25}) Grow({54, choices, {kSize, kLatency}, 0.0}, options);
  Grow({54, 4, {kLatency}, 0.0}, options);
  Grow({54, 4, {kSize, kLatency}, 0.0}, options);
  Grow({54, 4, {kSize, kLatency, kBops}, 0.0}, options);
  if (!options.plot.empty()) {
    WritePlot(options.plot, "Time of one optimum, 4 choices, gap 1e-5", "layers",
              "seconds (median)", series);
  }
}

void RunHaqSection(const BenchmarkOptions& options) {
  if (options.haq_table.empty()) return;
  PrintHeading("HAQ's table, 53 layers × 64 choices, 0.6 × all 8 bits");
  PrintHeader({"", "median", "largest"});
  std::vector<double> seconds;
  std::vector<std::pair<std::string, std::vector<double>>> behind = {{"greedy", {}},
                                                                     {"evolution", {}}};
  for (int seed = 0; seed < options.seeds; ++seed) {
    const AssignmentProblem problem =
        HaqProblem(options.haq_table, static_cast<std::uint64_t>(seed));
    Solution best;
    seconds.push_back(LeastSeconds([&] { best = MakeSolver("auto")->Solve(problem, {}, {}); }));
    if (best.status != SolveStatus::kOptimal) fmt::print("| **seed {} unproved** |\n", seed);
    for (auto& [name, gaps] : behind) {
      RunContext context;
      context.root_seed = static_cast<std::uint64_t>(seed);
      const Solution found = MakeSolver(name)->Solve(problem, {}, context);
      gaps.push_back(found.objective / best.objective - 1.0);
    }
  }
  PrintRow({"time of the proof", TimeText(Median(seconds)), TimeText(Largest(seconds))});
  for (const auto& [name, gaps] : behind) {
    PrintRow({name + ", loss above the optimum", fmt::format("{:.2f} %", 100.0 * Median(gaps)),
              fmt::format("{:.2f} %", 100.0 * Largest(gaps))});
  }
}

}  // namespace bitsearch
