#pragma once
// The result table: method, budget, costs, predicted loss, measured accuracy, paired test against
// ours. Its JSON, CSV and text; and the JSON of single evaluations. No times, no paths.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "experiments/stability.h"
#include "space/choices/bit_config.h"
#include "space/choices/evaluator.h"

namespace bitsearch {

/// One row.
struct ResultRow {
  std::string budget;  ///< "" for rows that belong to no budget (fp32).
  std::string line;    ///< "ours", "uniform", "random (best of 50)", …
  std::string note;
  /// "W4A8", "mixed", or "" where the row stands for many configurations.
  std::string bits;
  std::optional<double> mean_weight_bits;
  /// Resource name with unit → exact decimal; in the order of the columns; "" where unknown.
  std::vector<std::pair<std::string, std::string>> costs;
  std::optional<double> predicted_loss_nats;
  std::int64_t samples = 0;
  std::optional<double> top1_percent;
  std::optional<double> loss_nats;
  std::optional<double> kl_nats;
  /// Of records without labels, which have no top-1: Evaluation::output_error_percent.
  std::optional<double> output_error_percent;
  /// Exact paired test against the budget's "ours": McNemar's, or without labels the sign test of
  /// the records' output errors. Absent for that row itself and for means.
  std::optional<double> p_value;
  /// What the row takes beyond the budget's "ours" by the latency table, and its standard error
  /// (0 where the table states no noise). Absent without a table, for that row itself, for means.
  std::optional<double> latency_beyond_ours_us;
  std::optional<double> latency_error_us;
  /// How often this configuration comes out when the sensitivities are drawn anew within their
  /// errors; of "ours" and of the predicted optimum, where there are errors.
  std::optional<Stability> stability;
};

/// Below it a difference counts.
inline constexpr double kSignificance = 0.01;

/// The row of a budget's answer; null if there is none.
const ResultRow* OursOf(const std::vector<ResultRow>& rows, const std::string& budget);

/// "better", "worse" (than ours) or "not distinguishable"; "" without a p-value.
std::string Verdict(const ResultRow& row, const ResultRow& ours);

/// What a reader should not overlook, one sentence each: a baseline that is as good as ours, or
/// better, costs no more in any column, and at least 5 % less in one; lines of whose latency the
/// table's noise leaves open whether it is less than that of ours; and how sure ours is.
std::vector<std::string> Remarks(const std::vector<ResultRow>& rows);

/// A column of measured figures in tables for people.
struct ResultColumn {
  const char* title;
  std::optional<double> ResultRow::*value;
  int digits;
  std::string TextOf(const ResultRow& row) const;
};
/// Those that any row has, top-1 first.
std::vector<ResultColumn> MeasuredColumns(const std::vector<ResultRow>& rows);

/// JSON `bitsearch/results/1`.
std::string ResultsJson(const std::vector<ResultRow>& rows);
/// Throws Error(kJsonSyntax), Error(kFormatVersion).
std::vector<ResultRow> ParseResultsJson(const std::string& text, const std::string& name);
std::string ResultsCsv(const std::vector<ResultRow>& rows);
/// A table for a terminal.
std::string ResultsText(const std::vector<ResultRow>& rows);

/// One evaluation with its per-sample correctness, exactly.
std::string EvaluationJson(const Evaluation& evaluation);
/// Throws Error(kRunDamaged) where the text was not written by EvaluationJson.
Evaluation ParseEvaluationJson(const std::string& text);

}  // namespace bitsearch
