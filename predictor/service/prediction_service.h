#pragma once
// PredictionService: requests as JSON text → replies as JSON text: predict, ask, tell, describe.
// What the line protocol and the HTTP service have in common. Must not know streams or sockets.

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "predictor/online/online_predictor.h"
#include "predictor/online/tell_journal.h"
#include "predictor/service/candidate_reader.h"
#include "predictor/service/prediction_writer.h"

namespace bitsearch {

struct ServiceOptions {
  std::uint64_t seed = 0;
  /// Where asked and told configurations are kept; nothing: in memory only.
  std::optional<std::filesystem::path> state;
  /// Most configurations of one request.
  std::size_t most_configs = 100'000;
};

/// A reply; `error` says which error its text describes, if any.
struct ServiceReply {
  std::string body;
  std::optional<ErrorId> error;
};

/// All members may be called from several threads. Replies to invalid requests are error objects;
/// only the constructor throws.
class PredictionService {
 public:
  /// Replays the state. Throws as TellJournal, and Error(kRunDamaged) for records that do not fit.
  /// The predictor must outlive this object.
  PredictionService(const Predictor& predictor, ServiceOptions options = {});

  const Predictor& predictor() const { return online_.predictor(); }
  const OnlinePredictor& online() const { return online_; }

  /// One configuration in a form of CandidateReader, {"configs": [configuration, …]} or
  /// {"rows": [[index, …], …]}; "id" is echoed. → a prediction, or {"predictions": […]}.
  ServiceReply Predict(std::string_view text) const;
  /// {"limits": {"latency_us": 900}, "count": 1} → {"asks": [{"ask_id", "indices", "values",
  /// "prediction"}]}.
  ServiceReply Ask(std::string_view text);
  /// A configuration or {"ask_id": n}, with "top1_percent" → {"told": n, "before": prediction,
  /// "after": prediction}.
  ServiceReply Tell(std::string_view text);
  /// The predictor's description with what was told and asked.
  std::string Model() const;

  /// Replies to lines in order, one line each, appended to `out`. A line is a predict request, or
  /// {"ask": {…}} or {"tell": {…}}; all with an optional "id". Predictions of neighbouring lines
  /// are made in one batch.
  void AnswerLines(std::span<const std::string_view> lines, std::string& out);

  /// Time spent in predictors and costs, and configurations predicted, since the start.
  std::uint64_t predictor_ns() const { return predictor_ns_.load(std::memory_order_relaxed); }
  std::uint64_t predicted() const { return predicted_.load(std::memory_order_relaxed); }
  std::size_t asked() const;

 private:
  using Json = nlohmann::json;
  ScoredBatch Score(const std::vector<std::uint8_t>& genomes) const;
  std::string PredictMany(const Json& request, std::string_view id_json) const;
  std::string AskParsed(const Json& request, std::string_view id_json);
  std::string TellParsed(const Json& request, std::string_view id_json);
  void Replay(const std::string& record);

  OnlinePredictor online_;
  ServiceOptions options_;
  CandidateReader reader_;
  PredictionWriter writer_;
  mutable std::atomic<std::uint64_t> predictor_ns_ = 0;
  mutable std::atomic<std::uint64_t> predicted_ = 0;
  /// Guards all below.
  mutable std::mutex state_mutex_;
  std::unique_ptr<TellJournal> journal_;
  std::vector<std::vector<std::uint8_t>> asked_;  ///< By ask_id.
  struct Hash {
    std::size_t operator()(const std::vector<std::uint8_t>& genome) const {
      return HashGenome(genome);
    }
  };
  std::unordered_set<std::vector<std::uint8_t>, Hash> taken_;  ///< Asked or told.
};

}  // namespace bitsearch
