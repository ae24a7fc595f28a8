#pragma once
// The runs behind the table "DNAS against HAWQ, uniform and random at equal size and equal training
// time": each is a folder that can be killed and continued. Torch-free.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "search/supernet/dnas.h"
#include "search/supernet/fine_tune.h"

namespace bitsearch {

/// A size that all methods must keep.
struct TableBudget {
  double compression = 16.0;  ///< 32·Σ parameters / Σ parameters·bits, as papers print it.
  int activation_bits = 32;   ///< 32: weights only.
};

/// One row and seed.
struct TableJob {
  std::string method;  ///< "fp32", "uniform", "random", "hawq", "dnas".
  TableBudget budget;  ///< Not read by fp32.
  std::uint64_t seed = 1;
  /// "dnas-a4-13.1x-seed1": the folder's name.
  std::string Name() const;
};

struct TableSettings {
  std::vector<TableBudget> budgets;
  /// How many of the budgets, from the first, get all seeds; the others get the first.
  std::size_t budgets_with_seeds = 2;
  std::vector<std::uint64_t> seeds = {1, 2, 3};
  std::vector<NumberFormat> weight_formats;
  int tune_epochs = 8;
  int search_epochs = 4;
  /// What the controls are tuned longer by: the search's time in epochs of tuning.
  int extra_control_epochs = 5;
  DnasOptions search;
  FineTuneOptions tune;
  /// HAWQ's sensitivities (`bitsearch sensitivity`), by activation bits; empty: these rows wait.
  std::filesystem::path hawq_weights_only;
  std::filesystem::path hawq_a4;
};

/// What a finished run wrote.
struct TableResult {
  TableJob job;
  BitConfig config;
  double top1_percent = 0.0;
  double compression = 0.0;              ///< As papers print it.
  double compression_with_scales = 0.0;  ///< 32·(parameters + biases) / size_bits.
  std::vector<bool> correct_per_sample;
  std::vector<FineTuneEpoch> curve;
  std::vector<std::string> warnings;
  double cpu_seconds = 0.0;
};

/// All jobs in the order in which they should run: float and every method at the first seed first.
std::vector<TableJob> JobsOf(const TableSettings& settings);

/// Runs a job in `folder` (made if absent), or reads its result if it has finished. `graph` keeps
/// its BN. A killed job goes on where its last epoch ended.
TableResult RunJob(const TableJob& job, const TableSettings& settings, const LayerGraph& graph,
                   const Dataset& train, const Dataset& test, const std::filesystem::path& folder,
                   const RunContext& context);

/// The result of a finished job, or nothing.
std::optional<TableResult> ReadResult(const TableJob& job, const std::filesystem::path& folder);

}  // namespace bitsearch
