#pragma once
// Predictions and errors as JSON text. Written by hand because it is done for every configuration.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "predictor/predictor.h"
#include "space/support/error.h"

namespace bitsearch {

/// Everything that is said about a batch; element r belongs to row r.
struct ScoredBatch {
  std::vector<CandidateScore> scores;
  std::vector<std::vector<std::int64_t>> cost_grid;  ///< [cost][row], in grid units.
  std::vector<bool> outside_training_range;
};

/// Costs and training range of valid rows; the scores are left to the caller.
ScoredBatch CostsOf(const Predictor& predictor, const GenomeView& genomes);

/// Immutable; holds a reference to the model.
class PredictionWriter {
 public:
  explicit PredictionWriter(const PredictorModel& model);

  /// Appends {"id": …, "top1_percent": …, "standard_deviation_percent": …, "costs": {…},
  /// "outside_training_range": …} without line breaks. A cost is null where the device cannot run
  /// the row. Numbers are the shortest decimals that read back as the same double. No "id" where
  /// `id_json` is empty.
  void Append(const ScoredBatch& batch, std::size_t row, std::string_view id_json,
              std::string& out) const;
  /// The same as CSV cells: top1_percent,standard_deviation_percent,costs…,outside (0 or 1).
  void AppendCsv(const ScoredBatch& batch, std::size_t row, std::string& out) const;
  /// The header of these cells.
  std::string CsvHeader() const;

 private:
  const PredictorModel& model_;
  std::vector<std::string> cost_keys_;  ///< `"name":` with the comma before it.
};

/// {"id": …, "error": {"code": …, "message": …, "key": …, "hint": …}}; the code is the error's
/// slug.
std::string ErrorJson(const Error& error, std::string_view id_json = {});

}  // namespace bitsearch
