#pragma once
// The benchmark's sections; each prints its tables.

#include <string>
#include <vector>

namespace bitsearch {

struct BenchmarkOptions {
  int seeds = 10;
  double cbc_seconds = 120.0;  ///< CBC's time limit for one problem.
  double pair_seconds = 60.0;  ///< Time limit of a problem with pair terms.
  std::string haq_table;       ///< HAQ's JSON; empty: that section is left out.
  std::string plot;            ///< Where to write the growth plot (SVG); empty: nowhere.
};

/// Single optima against CBC.
void RunSingleSection(const BenchmarkOptions& options);
/// How time and memory grow with layers, choices and limits; the plot.
void RunGrowthSection(const BenchmarkOptions& options);
/// HAQ's table: time of the proof, and how far greedy and evolution stay behind.
void RunHaqSection(const BenchmarkOptions& options);
/// Whole frontiers.
void RunFrontierSection(const BenchmarkOptions& options);
/// Problems with pair terms between all layers.
void RunPairSection(const BenchmarkOptions& options);

}  // namespace bitsearch
