#include "sensitivity/interactions.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <Eigen/Core>

#include "space/support/error.h"

namespace bitsearch {
namespace {

constexpr NumberFormat kFloat = NumberFormat::Float32();

using RowMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

}  // namespace

LogitShifts::LogitShifts(std::vector<float> float_log_probabilities, std::int64_t classes,
                         std::vector<std::string> layers)
    : log_p_(std::move(float_log_probabilities)), classes_(classes),
      samples_(static_cast<std::int64_t>(log_p_.size()) / classes), layers_(std::move(layers)),
      entries_(layers_.size()) {}

void LogitShifts::Add(LayerIndex layer, const BitChoice& choice, std::vector<float> shift) {
  if (!shift.empty() && shift.size() != log_p_.size()) {
    throw Error(ErrorId::kInternal, "logit shifts of another number of records").Key(
        layers_[layer.value]);
  }
  entries_[layer.value].push_back({choice, std::move(shift)});
}

std::vector<PairSensitivity> LogitShifts::CrossTerms() const {
  // With w = √p·(u − Σ p u) per record, uᵀGv is the inner product of two such w: all pairs are one
  // Gram matrix.
  struct Row {
    std::size_t layer;
    const Entry* entry;
  };
  std::vector<Row> rows;
  for (std::size_t l = 0; l < entries_.size(); ++l) {
    for (const Entry& entry : entries_[l]) {
      if (!entry.shift.empty()) rows.push_back({l, &entry});
    }
  }
  RowMatrix weighted(static_cast<Eigen::Index>(rows.size()),
                     static_cast<Eigen::Index>(log_p_.size()));
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const std::vector<float>& shift = rows[r].entry->shift;
    for (std::int64_t n = 0; n < samples_; ++n) {
      const float* u = shift.data() + n * classes_;
      const float* log_p = log_p_.data() + n * classes_;
      double mean = 0.0;
      for (std::int64_t c = 0; c < classes_; ++c) mean += std::exp(log_p[c]) * u[c];
      for (std::int64_t c = 0; c < classes_; ++c) {
        weighted(static_cast<Eigen::Index>(r), n * classes_ + c) =
            std::exp(0.5F * log_p[c]) * (u[c] - static_cast<float>(mean));
      }
    }
  }
  const RowMatrix gram = weighted * weighted.transpose() / static_cast<float>(samples_);
  std::vector<PairSensitivity> pairs;
  for (std::size_t a = 0; a < rows.size(); ++a) {
    for (std::size_t b = a + 1; b < rows.size(); ++b) {
      if (rows[a].layer == rows[b].layer) continue;
      pairs.push_back({layers_[rows[a].layer], rows[a].entry->choice, layers_[rows[b].layer],
                       rows[b].entry->choice,
                       gram(static_cast<Eigen::Index>(a), static_cast<Eigen::Index>(b))});
    }
  }
  return pairs;
}

const LogitShifts::Entry* LogitShifts::Find(std::size_t layer, const BitChoice& choice) const {
  for (const Entry& entry : entries_[layer]) {
    if (entry.choice == choice) return &entry;
  }
  return nullptr;
}

void LogitShifts::AddShift(std::size_t layer, const BitChoice& choice,
                           std::vector<float>& logits) const {
  if (choice == BitChoice{kFloat, kFloat}) return;
  const auto add = [&](const Entry& entry) {
    for (std::size_t i = 0; i < entry.shift.size(); ++i) logits[i] += entry.shift[i];
  };
  if (const Entry* joint = Find(layer, choice)) return add(*joint);
  for (const BitChoice& part : {BitChoice{choice.weight, kFloat},
                                BitChoice{kFloat, choice.activation}}) {
    if (part == BitChoice{kFloat, kFloat}) continue;
    const Entry* entry = part == choice ? nullptr : Find(layer, part);
    if (entry == nullptr) {
      throw Error(ErrorId::kUsage, "no one-layer run with " + part.ToString())
          .Key(layers_[layer]);
    }
    add(*entry);
  }
}

std::vector<double> LogitShifts::PredictKlPerRecord(const BitConfig& config) const {
  std::vector<float> logits = log_p_;
  for (std::size_t l = 0; l < layers_.size(); ++l) AddShift(l, config.choices[l], logits);
  std::vector<double> result(static_cast<std::size_t>(samples_));
  for (std::int64_t n = 0; n < samples_; ++n) {
    const float* q = logits.data() + n * classes_;
    const float* log_p = log_p_.data() + n * classes_;
    const double top = *std::max_element(q, q + classes_);
    double sum = 0.0;
    for (std::int64_t c = 0; c < classes_; ++c) sum += std::exp(q[c] - top);
    const double log_sum = top + std::log(sum);
    double kl = 0.0;
    for (std::int64_t c = 0; c < classes_; ++c) {
      kl += std::exp(static_cast<double>(log_p[c])) * (log_p[c] - (q[c] - log_sum));
    }
    result[static_cast<std::size_t>(n)] = kl;
  }
  return result;
}

double LogitShifts::PredictKl(const BitConfig& config) const {
  double sum = 0.0;
  for (const double kl : PredictKlPerRecord(config)) sum += kl;
  return sum / static_cast<double>(samples_);
}

double LogitShifts::PredictKl(const BitConfig& config,
                              std::span<const std::int32_t> records) const {
  const std::vector<double> kl = PredictKlPerRecord(config);
  double sum = 0.0;
  for (const std::int32_t record : records) sum += kl[static_cast<std::size_t>(record)];
  return sum / static_cast<double>(records.size());
}

}  // namespace bitsearch
