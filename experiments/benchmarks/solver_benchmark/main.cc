// solver_benchmark: the figures of docs/solver_benchmark.md. One thread; all instances from seeds.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <set>

#include "experiments/benchmarks/solver_benchmark/sections.h"
#include "space/support/error.h"

int main(int argc, char** argv) {
  using namespace bitsearch;
  BenchmarkOptions options;
  std::vector<std::string> sections = {"single", "frontier", "growth", "haq", "pairs"};
  CLI::App app("Exact solvers against CBC: medians over seeds, as Markdown");
  app.add_option("--sections", sections, "Which: single, frontier, growth, haq, pairs")
      ->delimiter(',');
  app.add_option("--seeds", options.seeds, "Instances per row (10)");
  app.add_option("--cbc-seconds", options.cbc_seconds, "Time limit of one CBC solve (120)");
  app.add_option("--pair-seconds", options.pair_seconds, "Time limit with pair terms (60)");
  app.add_option("--haq-table", options.haq_table, "JSON file with HAQ's latency table");
  app.add_option("--plot", options.plot, "Write the growth plot here (SVG)");
  CLI11_PARSE(app, argc, argv);
  try {
    for (const std::string& section : sections) {
      if (section == "single") RunSingleSection(options);
      if (section == "frontier") RunFrontierSection(options);
      if (section == "growth") RunGrowthSection(options);
      if (section == "haq") RunHaqSection(options);
      if (section == "pairs") RunPairSection(options);
    }
  } catch (const Error& error) {
    std::cerr << error.what() << '\n';
    return static_cast<int>(ClassOf(error.id()));
  }
  return 0;
}
