// Look-up and interpolation. See latency_table.h.
#include "space/hardware/latency_table.h"

#include <algorithm>
#include <cmath>

#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

/// Linear between two entries; `fraction` in [0, 1] of the way to `high`. The deviation is the same
/// mean of the two: an upper bound, as if their noise were fully correlated.
LatencyEntry Mix(const LatencyEntry& low, const LatencyEntry& high, double fraction) {
  const auto mix = [fraction](std::int64_t a, std::int64_t b) {
    return a + std::llround(fraction * static_cast<double>(b - a));
  };
  LatencyEntry entry;
  entry.latency_ns = mix(low.latency_ns, high.latency_ns);
  if (low.stddev_ns && high.stddev_ns) entry.stddev_ns = mix(*low.stddev_ns, *high.stddev_ns);
  entry.samples = std::min(low.samples, high.samples);
  return entry;
}

double Fraction(int low, int at, int high) {
  return static_cast<double>(at - low) / static_cast<double>(high - low);
}

}  // namespace

void LookupCounts::Count(LookupKind kind) {
  switch (kind) {
    case LookupKind::kExact:
      ++exact;
      return;
    case LookupKind::kSignature:
      ++signature;
      return;
    case LookupKind::kInterpolated:
      ++interpolated;
      return;
  }
}

void LatencyTable::Add(const std::string& key, BitChoice choice, LatencyEntry entry) {
  if (entry.latency_ns < 0) {
    throw Error(ErrorId::kLatencyValue, "the time of " + choice.ToString() + " is negative")
        .Key(key);
  }
  auto& choices = row_of_[key];
  if (choices.empty()) keys_.push_back(key);
  if (!choices.emplace(choice, rows_.size()).second) {
    throw Error(ErrorId::kLatencyDuplicate, "a second entry for " + choice.ToString())
        .Key(key)
        .Hint("each layer may have one time for each pair of bits; remove one of the two");
  }
  rows_.push_back({key, choice, entry});
}

void LatencyTable::DeclareSignature(const std::string& layer, const std::string& signature) {
  declared_signatures_.emplace_back(layer, signature);
  layer_of_signature_.emplace(signature, layer);
}

void LatencyTable::AddTransition(const TransitionKey& key, LatencyEntry entry) {
  const std::string edge = key.producer + " -> " + key.consumer;
  const std::string bits = key.from.ToString() + " to " + key.to.ToString() + " bits";
  if (entry.latency_ns < 0) {
    throw Error(ErrorId::kLatencyValue, "the time from " + bits + " is negative").Key(edge);
  }
  if (!transition_of_.emplace(key, transitions_.size()).second) {
    throw Error(ErrorId::kLatencyDuplicate, "a second row from " + bits)
        .Key(edge)
        .Hint("each edge may have one time for each pair of bits; remove one of the two");
  }
  transitions_.emplace_back(key, entry);
  ++transition_pairs_[{key.producer, key.consumer}];
}

void LatencyTable::SetProvenance(const std::string& name, const std::string& value) {
  for (auto& [known, text] : provenance_) {
    if (known == name) {
      text = value;
      return;
    }
  }
  provenance_.emplace_back(name, value);
}

std::string LatencyTable::Provenance(const std::string& name) const {
  for (const auto& [known, text] : provenance_) {
    if (known == name) return text;
  }
  return "";
}

const LatencyEntry* LatencyTable::Find(const std::string& key, BitChoice choice) const {
  const auto found = row_of_.find(key);
  if (found == row_of_.end()) return nullptr;
  const auto row = found->second.find(choice);
  return row == found->second.end() ? nullptr : &rows_[row->second].entry;
}

const std::string* LatencyTable::KeyOf(const LayerKey& layer, LookupKind* kind) const {
  *kind = LookupKind::kExact;
  if (const auto found = row_of_.find(layer.id); found != row_of_.end()) return &found->first;
  *kind = LookupKind::kSignature;
  if (layer.signature.empty()) return nullptr;
  if (const auto found = row_of_.find(layer.signature); found != row_of_.end()) {
    return &found->first;
  }
  const auto declared = layer_of_signature_.find(layer.signature);
  if (declared == layer_of_signature_.end()) return nullptr;
  const auto found = row_of_.find(declared->second);
  return found == row_of_.end() ? nullptr : &found->first;
}

std::optional<LatencyEntry> LatencyTable::InterpolateActivation(const std::string& key,
                                                                BitChoice choice) const {
  if (const LatencyEntry* exact = Find(key, choice)) return *exact;
  if (!choice.activation.is_integer()) return std::nullopt;
  const std::map<BitChoice, std::size_t>& entries = row_of_.at(key);
  std::optional<int> low, high;
  const int at = choice.activation.bits();
  for (const auto& [held, row] : entries) {
    if (held.weight != choice.weight || !held.activation.is_integer()) continue;
    const int bits = held.activation.bits();
    if (bits < at && (!low || bits > *low)) low = bits;
    if (bits > at && (!high || bits < *high)) high = bits;
  }
  if (!low || !high) return std::nullopt;
  return Mix(*Find(key, {choice.weight, NumberFormat::Integer(*low)}),
             *Find(key, {choice.weight, NumberFormat::Integer(*high)}), Fraction(*low, at, *high));
}

std::optional<LatencyEntry> LatencyTable::Interpolate(const std::string& key,
                                                      BitChoice choice) const {
  if (auto entry = InterpolateActivation(key, choice)) return entry;
  if (!choice.weight.is_integer()) return std::nullopt;
  std::optional<std::pair<int, LatencyEntry>> low, high;
  const int at = choice.weight.bits();
  for (int bits = 1; bits <= 16; ++bits) {
    if (bits == at) continue;
    const auto entry = InterpolateActivation(key, {NumberFormat::Integer(bits), choice.activation});
    if (!entry) continue;
    if (bits < at) low = {bits, *entry};
    if (bits > at && !high) high = {bits, *entry};
  }
  if (!low || !high) return std::nullopt;
  return Mix(low->second, high->second, Fraction(low->first, at, high->first));
}

std::optional<LatencyLookup> LatencyTable::Lookup(const LayerKey& layer, BitChoice choice,
                                                  MissingPolicy policy) const {
  LookupKind kind = LookupKind::kExact;
  const bool skipped = choice.weight.kind() == NumberFormat::Kind::kSkip &&
                       choice.activation.kind() == NumberFormat::Kind::kSkip;
  if (skipped) {
    const LatencyEntry* entry = Find(layer.id, choice);
    return LatencyLookup{entry != nullptr ? *entry : LatencyEntry{.stddev_ns = 0}, kind};
  }
  const std::string* key = KeyOf(layer, &kind);
  if (key == nullptr) return std::nullopt;
  if (const LatencyEntry* entry = Find(*key, choice)) return LatencyLookup{*entry, kind};
  // An id with some entries but not this one may still have its shape measured elsewhere.
  if (kind == LookupKind::kExact && !layer.signature.empty()) {
    const LayerKey by_shape{.id = layer.signature, .signature = layer.signature};
    LookupKind ignored = LookupKind::kSignature;
    const std::string* other = KeyOf(by_shape, &ignored);
    if (other != nullptr && *other != *key) {
      if (const LatencyEntry* entry = Find(*other, choice)) {
        return LatencyLookup{*entry, LookupKind::kSignature};
      }
    }
  }
  if (policy == MissingPolicy::kInterpolate) {
    if (const auto entry = Interpolate(*key, choice)) {
      return LatencyLookup{*entry, LookupKind::kInterpolated};
    }
  }
  return std::nullopt;
}

LatencyLookup LatencyTable::Require(const LayerKey& layer, BitChoice choice,
                                    MissingPolicy policy) const {
  if (auto found = Lookup(layer, choice, policy)) return *found;
  const std::vector<BitChoice> held = ChoicesOf(layer);
  std::string message = "no latency for weight bits " + choice.weight.ToString() +
                        ", activation bits " + choice.activation.ToString();
  std::string hint;
  if (held.empty()) {
    message += "; the table has no entry for this layer";
    if (!layer.signature.empty()) message += " nor for its shape " + layer.signature;
    const std::string near = NearestName(layer.id, keys_);
    hint = near.empty() ? "measure or import this layer" : "did you mean '" + near + "'?";
  } else {
    message += "; the table holds ";
    for (std::size_t i = 0; i < held.size() && i < 12; ++i) {
      if (i > 0) message += ", ";
      message += held[i].weight.ToString() + "/" + held[i].activation.ToString();
    }
    if (held.size() > 12) message += ", … (" + std::to_string(held.size()) + " pairs)";
    hint = policy == MissingPolicy::kInterpolate
               ? "interpolation needs a lower and a higher bit-width of this layer: measure it, or "
                 "take the choice out of the search"
               : "measure it, take the choice out of the search, or ask for interpolation";
  }
  Error error(ErrorId::kLatencyMissing, message);
  error.Key(layer.id).Hint(hint);
  if (!source_name.empty()) error.At({.file = source_name});
  throw error;
}

LatencyEntry LatencyTable::RequireTransition(const TransitionKey& key) const {
  if (const auto found = transition_of_.find(key); found != transition_of_.end()) {
    return transitions_[found->second].second;
  }
  if (key.from == key.to || !transition_pairs_.contains({key.producer, key.consumer})) {
    return LatencyEntry{.stddev_ns = 0};
  }
  Error error(ErrorId::kLatencyEdgeMissing, "no requantization time from " + key.from.ToString() +
                                                " to " + key.to.ToString() + " bits");
  error.Key(key.producer + " -> " + key.consumer)
      .Hint("add the row to the transitions file: only equal bits may be left out");
  if (!source_name.empty()) error.At({.file = source_name});
  throw error;
}

std::vector<BitChoice> LatencyTable::ChoicesOf(const LayerKey& layer) const {
  LookupKind kind = LookupKind::kExact;
  const std::string* key = KeyOf(layer, &kind);
  std::vector<BitChoice> choices;
  if (key == nullptr) return choices;
  for (const auto& [choice, row] : row_of_.at(*key)) choices.push_back(choice);
  std::sort(choices.begin(), choices.end(), [&](BitChoice a, BitChoice b) {
    return row_of_.at(*key).at(a) < row_of_.at(*key).at(b);
  });
  return choices;
}

}  // namespace bitsearch
