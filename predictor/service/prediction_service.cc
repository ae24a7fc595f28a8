// Requests, their batches, and the state of ask and tell.
#include "predictor/service/prediction_service.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <nlohmann/json.hpp>

#include "predictor/online/ask_strategy.h"
#include "predictor/predictor_file.h"
#include "space/support/hash.h"

namespace bitsearch {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMostIdLength = 256;
constexpr std::size_t kMostAsks = 100;
constexpr std::string_view kIdOnly[] = {"id"};
constexpr std::string_view kTellKeys[] = {"id", "top1_percent", "ask_id"};

Json Parsed(std::string_view text) {
  try {
    return Json::parse(text);
  } catch (const Json::exception& failure) {
    throw Error(ErrorId::kJsonSyntax, failure.what());
  }
}

/// The text of a request's id, "" without one. Objects and lists are refused: echoing them back
/// would let a request decide how much is written.
std::string IdOf(const Json& request) {
  if (!request.is_object()) return {};
  const auto id = request.find("id");
  if (id == request.end()) return {};
  if (!id->is_primitive()) {
    throw Error(ErrorId::kCandidate, "needs a number or a text").Key("id");
  }
  std::string text = id->dump();
  if (text.size() > kMostIdLength) {
    throw Error(ErrorId::kCandidate, fmt::format("longer than {} bytes", kMostIdLength)).Key("id");
  }
  return text;
}

bool IsMany(const Json& request) {
  return request.is_object() && (request.contains("configs") || request.contains("rows"));
}

/// Runs `work` on the parsed request; what it throws becomes an error object.
template <typename Work>
ServiceReply Replied(std::string_view text, Work&& work) {
  std::string id;
  try {
    const Json request = Parsed(text);
    id = IdOf(request);
    return {work(request, id), std::nullopt};
  } catch (const Error& error) {
    return {ErrorJson(error, id), error.id()};
  }
}

/// Two genes of equal names and values mean the same: what a state file is about.
std::string IdentityOf(const CandidateSpace& space) {
  Json json = Json::array();
  for (const Gene& gene : space.genes()) json.push_back({gene.name, gene.values});
  return Sha256(json.dump());
}

}  // namespace

PredictionService::PredictionService(const Predictor& predictor, ServiceOptions options)
    : online_(predictor),
      options_(std::move(options)),
      reader_(predictor.space()),
      writer_(predictor.model()) {
  if (!options_.state) return;
  journal_ = std::make_unique<TellJournal>(*options_.state, IdentityOf(predictor.space()));
  int line = 1;  // The head of the file.
  for (const std::string& record : journal_->records()) {
    ++line;
    try {
      Replay(record);
    } catch (const Error& error) {
      throw Error(ErrorId::kRunDamaged, error.message())
          .At({options_.state->string(), line, 0})
          .Key(error.key())
          .Hint("remove this line to go on with the others");
    }
  }
}

void PredictionService::Replay(const std::string& record) {
  const Json json = Json::parse(record);
  const auto indices = json.find("indices");
  if (indices == json.end()) throw Error(ErrorId::kRunDamaged, "no \"indices\"");
  std::vector<std::uint8_t> genome;
  reader_.ReadIndices(*indices, genome);
  if (const auto tell = json.find("top1_percent"); tell != json.end()) {
    if (!tell->is_number()) throw Error(ErrorId::kRunDamaged, "\"top1_percent\" is no number");
    online_.Tell(genome, tell->get<double>());
  } else {
    asked_.push_back(genome);
  }
  taken_.insert(std::move(genome));
}

ScoredBatch PredictionService::Score(const std::vector<std::uint8_t>& genomes) const {
  const std::size_t genes = online_.space().size();
  const GenomeView view{genomes.data(), genes == 0 ? 0 : genomes.size() / genes, genes};
  const auto start = std::chrono::steady_clock::now();
  ScoredBatch batch = CostsOf(online_.predictor(), view);
  batch.scores.resize(view.rows);
  online_.Predict(view, batch.scores);
  const auto took = std::chrono::steady_clock::now() - start;
  predictor_ns_.fetch_add(static_cast<std::uint64_t>(std::chrono::nanoseconds(took).count()),
                          std::memory_order_relaxed);
  predicted_.fetch_add(view.rows, std::memory_order_relaxed);
  return batch;
}

std::string PredictionService::PredictMany(const Json& request, std::string_view id_json) const {
  const bool by_rows = request.contains("rows");
  const char* name = by_rows ? "rows" : "configs";
  for (auto item = request.begin(); item != request.end(); ++item) {
    if (item.key() != name && item.key() != "id") {
      throw Error(ErrorId::kCandidate, fmt::format("allowed here: id, {}", name))
          .Key(item.key().substr(0, kMostIdLength));
    }
  }
  const Json& configs = request.at(name);
  if (!configs.is_array()) throw Error(ErrorId::kCandidate, "needs a list").Key(name);
  if (configs.size() > options_.most_configs) {
    throw Error(ErrorId::kCandidate, fmt::format("got {} configurations, allowed at most {}",
                                                 configs.size(), options_.most_configs))
        .Key(name);
  }
  std::vector<std::uint8_t> genomes;
  genomes.reserve(configs.size() * online_.space().size());
  for (std::size_t i = 0; i < configs.size(); ++i) {
    try {
      if (by_rows) {
        reader_.ReadIndices(configs[i], genomes);
      } else {
        reader_.Read(configs[i], {}, genomes);
      }
    } catch (Error& error) {
      throw error.Key(
          fmt::format("{}[{}]{}{}", name, i, error.key().empty() ? "" : ".", error.key()));
    }
  }
  const ScoredBatch batch = Score(genomes);
  std::string out = "{";
  if (!id_json.empty()) out += fmt::format("\"id\":{},", id_json);
  out += "\"predictions\":[";
  for (std::size_t r = 0; r < batch.scores.size(); ++r) {
    if (r > 0) out += ',';
    writer_.Append(batch, r, {}, out);
  }
  return out + "]}";
}

ServiceReply PredictionService::Predict(std::string_view text) const {
  return Replied(text, [this](const Json& request, const std::string& id) {
    if (IsMany(request)) return PredictMany(request, id);
    std::vector<std::uint8_t> genome;
    reader_.Read(request, kIdOnly, genome);
    std::string out;
    writer_.Append(Score(genome), 0, id, out);
    return out;
  });
}

std::string PredictionService::AskParsed(const Json& request, std::string_view id_json) {
  if (!request.is_object()) throw Error(ErrorId::kCandidate, "needs an object").Key("ask");
  std::vector<std::pair<std::string, double>> named;
  std::size_t count = 1;
  for (auto item = request.begin(); item != request.end(); ++item) {
    const auto refuse = [&item](const char* what) {
      return Error(ErrorId::kCandidate, what).Key(item.key().substr(0, kMostIdLength));
    };
    if (item.key() == "limits") {
      if (!item->is_object()) throw refuse("needs an object of costs and limits");
      for (auto limit = item->begin(); limit != item->end(); ++limit) {
        if (!limit->is_number() || limit.key().size() > kMostIdLength) {
          throw refuse("a limit needs a cost's name and a number");
        }
        named.emplace_back(limit.key(), limit->get<double>());
      }
    } else if (item.key() == "count") {
      if (!item->is_number_unsigned() || item->get<std::uint64_t>() < 1 ||
          item->get<std::uint64_t>() > kMostAsks) {
        throw refuse("needs a whole number from 1 to 100");
      }
      count = item->get<std::size_t>();
    } else if (item.key() != "id") {
      throw refuse("unknown key; allowed: limits, count, id");
    }
  }
  const std::vector<CostLimit> limits = CostLimits(predictor().model(), named);

  const std::lock_guard lock(state_mutex_);
  std::string out = "{";
  if (!id_json.empty()) out += fmt::format("\"id\":{},", id_json);
  out += "\"asks\":[";
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t ask_id = asked_.size();
    RandomStream random(options_.seed, "ask", ask_id);
    const auto genome = ProposeCandidate(
        online_, limits,
        [this](std::span<const std::uint8_t> row) {
          return taken_.contains(std::vector<std::uint8_t>(row.begin(), row.end()));
        },
        random);
    if (!genome) {
      if (i > 0) break;
      throw Error(ErrorId::kBudgetInfeasible,
                  "found no configuration within the limits that was "
                  "neither asked nor told before")
          .Hint("raise a limit");
    }
    Json record = CandidateJson(online_.space(), *genome);
    if (journal_) {
      journal_->Append(Json({{"ask", ask_id}, {"indices", record["indices"]}}).dump());
    }
    asked_.push_back(*genome);
    taken_.insert(*genome);
    record["ask_id"] = ask_id;
    std::string text = record.dump();
    text.back() = ',';
    out += (i > 0 ? "," : "") + text + "\"prediction\":";
    writer_.Append(Score(*genome), 0, {}, out);
    out += '}';
  }
  return out + "]}";
}

std::string PredictionService::TellParsed(const Json& request, std::string_view id_json) {
  if (!request.is_object()) throw Error(ErrorId::kCandidate, "needs an object").Key("tell");
  const auto measured = request.find("top1_percent");
  if (measured == request.end() || !measured->is_number()) {
    throw Error(ErrorId::kPredictorData, "needs the measured accuracy, in percent")
        .Key("top1_percent");
  }
  const auto top1_percent = measured->get<double>();
  std::vector<std::uint8_t> genome;
  const std::lock_guard lock(state_mutex_);
  if (const auto ask_id = request.find("ask_id"); ask_id != request.end()) {
    if (!ask_id->is_number_unsigned() || ask_id->get<std::uint64_t>() >= asked_.size()) {
      throw Error(ErrorId::kCandidate, "this was never asked").Key("ask_id");
    }
    genome = asked_[ask_id->get<std::size_t>()];
    // A configuration beside it must be the same one.
    if (request.contains("indices") || request.contains("values") || request.contains("bits") ||
        request.contains("layers")) {
      std::vector<std::uint8_t> given;
      reader_.Read(request, kTellKeys, given);
      online_.space().Canonicalize(given);
      if (given != genome) {
        throw Error(ErrorId::kCandidate, "the configuration is not the one that was asked")
            .Key("ask_id");
      }
    }
  } else {
    reader_.Read(request, kTellKeys, genome);
    online_.space().Canonicalize(genome);
  }
  const ScoredBatch before = Score(genome);
  // Checked before it is written: the state file must never hold what cannot be replayed.
  if (!(top1_percent >= 0.0 && top1_percent <= 100.0)) {
    throw Error(ErrorId::kPredictorData,
                fmt::format("got {}, allowed 0 to 100 (percent)", top1_percent))
        .Key("top1_percent");
  }
  if (journal_) {
    journal_->Append(Json({{"indices", std::vector<int>(genome.begin(), genome.end())},
                           {"top1_percent", top1_percent}})
                         .dump());
  }
  online_.Tell(genome, top1_percent);
  taken_.insert(genome);
  std::string out = "{";
  if (!id_json.empty()) out += fmt::format("\"id\":{},", id_json);
  out += fmt::format("\"told\":{},\"before\":", online_.told());
  writer_.Append(before, 0, {}, out);
  out += ",\"after\":";
  writer_.Append(Score(genome), 0, {}, out);
  return out + "}";
}

ServiceReply PredictionService::Ask(std::string_view text) {
  return Replied(
      text, [this](const Json& request, const std::string& id) { return AskParsed(request, id); });
}

ServiceReply PredictionService::Tell(std::string_view text) {
  return Replied(
      text, [this](const Json& request, const std::string& id) { return TellParsed(request, id); });
}

std::string PredictionService::Model() const {
  std::string text = DescribePredictor(predictor().model());
  text.back() = ',';
  return text + fmt::format("\"told\":{},\"asked\":{}}}", online_.told(), asked());
}

std::size_t PredictionService::asked() const {
  const std::lock_guard lock(state_mutex_);
  return asked_.size();
}

void PredictionService::AnswerLines(std::span<const std::string_view> lines, std::string& out) {
  std::vector<std::uint8_t> genomes;
  std::vector<std::string> ids;
  const auto flush = [&] {
    if (ids.empty()) return;
    const ScoredBatch batch = Score(genomes);
    for (std::size_t r = 0; r < ids.size(); ++r) {
      writer_.Append(batch, r, ids[r], out);
      out += '\n';
    }
    genomes.clear();
    ids.clear();
  };
  for (const std::string_view line : lines) {
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    std::string id;
    try {
      const Json request = Parsed(line);
      id = IdOf(request);
      const bool ask = request.is_object() && request.contains("ask");
      const bool tell = request.is_object() && request.contains("tell");
      if (!ask && !tell && !IsMany(request)) {
        reader_.Read(request, kIdOnly, genomes);
        ids.push_back(id);
        continue;
      }
      flush();  // Replies keep the order of the lines, and a tell counts from its line on.
      for (auto item = request.begin(); item != request.end(); ++item) {
        if ((ask || tell) && item.key() != "id" && item.key() != (ask ? "ask" : "tell")) {
          throw Error(ErrorId::kCandidate, "allowed here: id and one of ask, tell")
              .Key(item.key().substr(0, kMostIdLength));
        }
      }
      out += ask    ? AskParsed(request.at("ask"), id)
             : tell ? TellParsed(request.at("tell"), id)
                    : PredictMany(request, id);
    } catch (const Error& error) {
      flush();
      out += ErrorJson(error, id.empty() ? "null" : std::string_view(id));
    }
    out += '\n';
  }
  flush();
}

}  // namespace bitsearch
