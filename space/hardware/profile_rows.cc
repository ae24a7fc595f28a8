// Matching and adding up. See profile_rows.h.
#include "space/hardware/profile_rows.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include "space/support/error.h"

namespace bitsearch {
namespace {

bool IsWordCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '/' ||
         c == ':';
}

/// True if `word` stands in `text` with no word character on either side.
bool ContainsWord(const std::string& text, const std::string& word) {
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    const bool starts = at == 0 || !IsWordCharacter(text[at - 1]);
    const bool ends = end == text.size() || !IsWordCharacter(text[end]);
    if (starts && ends) return true;
  }
  return false;
}

/// Finds the layers of a row.
class Matcher {
 public:
  explicit Matcher(const std::vector<LayerKey>& layers) : layers_(layers) {
    by_length_.resize(layers.size());
    std::iota(by_length_.begin(), by_length_.end(), std::size_t{0});
    std::stable_sort(by_length_.begin(), by_length_.end(), [&](std::size_t a, std::size_t b) {
      return layers[a].id.size() > layers[b].id.size();
    });
    for (std::size_t l = 0; l < layers.size(); ++l) exact_.emplace(layers[l].id, l);
  }

  std::set<std::size_t> LayersOf(const ProfileRow& row) const {
    std::set<std::size_t> found;
    for (const std::string& name : row.names) {
      if (const auto layer = LayerOf(name)) found.insert(*layer);
    }
    return found;
  }

 private:
  std::optional<std::size_t> LayerOf(const std::string& name) const {
    if (const auto found = exact_.find(name); found != exact_.end()) return found->second;
    const std::string plain = WithoutOptimizerSuffixes(name);
    if (const auto found = exact_.find(plain); found != exact_.end()) return found->second;
    for (const std::size_t l : by_length_) {
      if (!layers_[l].id.empty() && ContainsWord(plain, layers_[l].id)) return l;
    }
    return std::nullopt;
  }

  const std::vector<LayerKey>& layers_;
  std::vector<std::size_t> by_length_;
  std::map<std::string, std::size_t> exact_;
};

LatencyEntry Share(const LatencyEntry& whole, std::size_t part, std::size_t parts) {
  const auto n = static_cast<std::int64_t>(parts);
  LatencyEntry share = whole;
  // The remainder goes to the first part, so that the shares add up exactly.
  share.latency_ns = whole.latency_ns / n + (part == 0 ? whole.latency_ns % n : 0);
  if (whole.stddev_ns) share.stddev_ns = *whole.stddev_ns / n;
  return share;
}

std::string Listed(const std::vector<std::string>& names) {
  std::string text;
  constexpr std::size_t kMost = 5;
  for (std::size_t i = 0; i < names.size() && i < kMost; ++i) {
    text += (i > 0 ? ", " : "") + names[i];
  }
  if (names.size() > kMost) text += ", … (" + std::to_string(names.size()) + ")";
  return text;
}

}  // namespace

std::string WithoutOptimizerSuffixes(std::string name) {
  while (true) {
    const std::size_t digits = name.find_last_not_of("0123456789");
    if (digits != std::string::npos && digits + 1 < name.size()) {
      const std::string stem = name.substr(0, digits + 1);
      if (stem.ends_with("_token_")) {
        name = stem.substr(0, stem.size() - 7);
        continue;
      }
    }
    bool stripped = false;
    for (const char* suffix : {"_nchwc", "_nhwc", "_quant", "_fused"}) {
      if (!name.ends_with(suffix)) continue;
      name.resize(name.size() - std::string(suffix).size());
      stripped = true;
    }
    if (!stripped) return name;
  }
}

LatencyEntry SumOf(const LatencyEntry& a, const LatencyEntry& b) {
  LatencyEntry sum;
  sum.latency_ns = a.latency_ns + b.latency_ns;
  if (a.stddev_ns && b.stddev_ns) {
    sum.stddev_ns = std::llround(
        std::hypot(static_cast<double>(*a.stddev_ns), static_cast<double>(*b.stddev_ns)));
  }
  sum.samples = std::min(a.samples, b.samples);
  return sum;
}

std::int64_t NanosecondsOfMilliseconds(double milliseconds) {
  return std::llround(milliseconds * 1e6);
}

ImportedProfile AssembleProfile(const std::vector<ProfileRow>& rows, BitChoice choice,
                                const std::vector<LayerKey>& layers,
                                const std::string& source_name) {
  ImportedProfile result;
  result.table.source_name = source_name;
  std::vector<std::string> order;  // Keys in order of first row.
  std::map<std::string, LatencyEntry> times;
  std::map<std::pair<std::string, std::string>, LatencyEntry> edges;
  std::vector<LatencyEntry> waiting;  // Reformats whose consumer has not run yet.
  std::optional<std::string> before;
  std::int64_t fixed_ns = 0;
  const Matcher matcher(layers);

  const auto add = [&](const std::string& key, const LatencyEntry& entry) {
    const auto [found, is_new] = times.emplace(key, entry);
    if (is_new) {
      order.push_back(key);
    } else {
      found->second = SumOf(found->second, entry);
    }
  };
  for (const ProfileRow& row : rows) {
    if (row.kind == ProfileRow::Kind::kReformat) {
      waiting.push_back(row.time);
      continue;
    }
    std::vector<std::string> keys;
    if (row.kind == ProfileRow::Kind::kKernel && layers.empty()) {
      keys.push_back(row.names.front());
    } else if (row.kind == ProfileRow::Kind::kKernel) {
      for (const std::size_t l : matcher.LayersOf(row)) keys.push_back(layers[l].id);
    }
    if (keys.empty()) {
      fixed_ns += row.time.latency_ns;
      continue;
    }
    if (keys.size() > 1) {
      result.warnings.push_back("one kernel runs several layers, its time is shared out evenly: " +
                                Listed(keys));
    }
    for (std::size_t k = 0; k < keys.size(); ++k) add(keys[k], Share(row.time, k, keys.size()));
    for (const LatencyEntry& reformat : waiting) {
      if (!before) {
        fixed_ns += reformat.latency_ns;
        continue;
      }
      const auto [found, is_new] = edges.emplace(std::pair(*before, keys.front()), reformat);
      if (!is_new) found->second = SumOf(found->second, reformat);
    }
    waiting.clear();
    before = keys.back();
  }
  for (const LatencyEntry& reformat : waiting) fixed_ns += reformat.latency_ns;

  std::vector<std::string> missing;
  for (const LayerKey& layer : layers) {
    if (!times.contains(layer.id)) missing.push_back(layer.id);
  }
  if (times.empty()) {
    throw Error(ErrorId::kProfileUnmatched,
                layers.empty() ? "the profile has no row that could be a layer"
                               : "no row of the profile belongs to a layer of the model (" +
                                     Listed(missing) + ")")
        .At({.file = source_name})
        .Hint("is the profile that of this model? names must be those of the ONNX nodes");
  }
  if (!missing.empty()) {
    result.warnings.push_back(source_name + ": " + std::to_string(missing.size()) +
                              " layers have no row at " + choice.ToString() + ": " +
                              Listed(missing));
  }
  for (const std::string& key : order) result.table.Add(key, choice, times.at(key));
  for (const auto& [pair, entry] : edges) {
    result.table.AddTransition({pair.first, pair.second, choice.activation, choice.activation},
                               entry);
  }
  for (const LayerKey& layer : layers) {
    if (!layer.signature.empty() && times.contains(layer.id)) {
      result.table.DeclareSignature(layer.id, layer.signature);
    }
  }
  result.table.set_fixed_ns(fixed_ns);
  return result;
}

void TableMerger::Add(const ImportedProfile& part) {
  for (const LatencyTable::Row& row : part.table.rows()) {
    merged_.table.Add(row.key, row.choice, row.entry);
  }
  for (const auto& [key, entry] : part.table.transitions()) merged_.table.AddTransition(key, entry);
  const auto& known = merged_.table.declared_signatures();
  for (const auto& declared : part.table.declared_signatures()) {
    if (std::find(known.begin(), known.end(), declared) == known.end()) {
      merged_.table.DeclareSignature(declared.first, declared.second);
    }
  }
  for (const auto& [name, value] : part.table.provenance()) {
    merged_.table.SetProvenance(name, value);
  }
  if (merged_.table.source_name.empty()) merged_.table.source_name = part.table.source_name;
  merged_.warnings.insert(merged_.warnings.end(), part.warnings.begin(), part.warnings.end());
  fixed_ns_.push_back(part.table.fixed_ns());
}

ImportedProfile TableMerger::Finish() {
  if (!fixed_ns_.empty()) {
    const auto [low, high] = std::minmax_element(fixed_ns_.begin(), fixed_ns_.end());
    const std::int64_t sum = std::accumulate(fixed_ns_.begin(), fixed_ns_.end(), std::int64_t{0});
    const std::int64_t mean = sum / static_cast<std::int64_t>(fixed_ns_.size());
    merged_.table.set_fixed_ns(mean);
    if ((*high - *low) * 10 > mean) {
      merged_.warnings.push_back("the time outside the layers differs between the settings (" +
                                 std::to_string(*low) + " to " + std::to_string(*high) +
                                 " ns); the mean is used for all");
    }
  }
  return std::move(merged_);
}

}  // namespace bitsearch
