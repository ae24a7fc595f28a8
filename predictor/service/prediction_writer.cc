// Text of predictions.
#include "predictor/service/prediction_writer.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>

namespace bitsearch {
namespace {

using Json = nlohmann::json;

void AppendNumber(double value, std::string_view not_finite, std::string& out) {
  if (std::isfinite(value)) {
    fmt::format_to(std::back_inserter(out), "{}", value);
  } else {
    out += not_finite;
  }
}

double CostAt(const PredictorModel& model, const ScoredBatch& batch, std::size_t c,
              std::size_t row) {
  const std::int64_t grid = batch.cost_grid[c][row];
  return grid >= FactoredCost::kForbidden ? HUGE_VAL : model.costs[c].FromGrid(grid);
}

}  // namespace

ScoredBatch CostsOf(const Predictor& predictor, const GenomeView& genomes) {
  ScoredBatch batch;
  for (const FactoredCost& cost : predictor.model().costs) {
    cost.Evaluate(genomes, batch.cost_grid.emplace_back(genomes.rows));
  }
  for (std::size_t r = 0; r < genomes.rows; ++r) {
    batch.outside_training_range.push_back(predictor.OutsideTrainingRange(genomes.row(r)));
  }
  return batch;
}

PredictionWriter::PredictionWriter(const PredictorModel& model) : model_(model) {
  for (const FactoredCost& cost : model.costs) {
    cost_keys_.push_back((cost_keys_.empty() ? "" : ",") + Json(cost.name()).dump() + ":");
  }
}

void PredictionWriter::Append(const ScoredBatch& batch, std::size_t row, std::string_view id_json,
                              std::string& out) const {
  out += '{';
  if (!id_json.empty()) {
    out += "\"id\":";
    out += id_json;
    out += ',';
  }
  out += "\"top1_percent\":";
  AppendNumber(batch.scores[row].top1_percent, "null", out);
  out += ",\"standard_deviation_percent\":";
  AppendNumber(batch.scores[row].standard_deviation_percent, "null", out);
  out += ",\"costs\":{";
  for (std::size_t c = 0; c < cost_keys_.size(); ++c) {
    out += cost_keys_[c];
    AppendNumber(CostAt(model_, batch, c, row), "null", out);
  }
  out += batch.outside_training_range[row] ? "},\"outside_training_range\":true}"
                                           : "},\"outside_training_range\":false}";
}

void PredictionWriter::AppendCsv(const ScoredBatch& batch, std::size_t row,
                                 std::string& out) const {
  AppendNumber(batch.scores[row].top1_percent, "nan", out);
  out += ',';
  AppendNumber(batch.scores[row].standard_deviation_percent, "nan", out);
  for (std::size_t c = 0; c < cost_keys_.size(); ++c) {
    out += ',';
    AppendNumber(CostAt(model_, batch, c, row), "inf", out);
  }
  out += batch.outside_training_range[row] ? ",1" : ",0";
}

std::string PredictionWriter::CsvHeader() const {
  std::string header = "top1_percent,standard_deviation_percent";
  for (const FactoredCost& cost : model_.costs) header += "," + cost.name();
  return header + ",outside_training_range";
}

std::string ErrorJson(const Error& error, std::string_view id_json) {
  Json body = {{"code", Slug(error.id())}, {"message", error.message()}};
  if (!error.key().empty()) body["key"] = error.key();
  if (!error.hint().empty()) body["hint"] = error.hint();
  std::string out = "{";
  if (!id_json.empty()) {
    out += "\"id\":";
    out += id_json;
    out += ',';
  }
  return out + "\"error\":" + body.dump(-1, ' ', false, Json::error_handler_t::replace) + "}";
}

}  // namespace bitsearch
