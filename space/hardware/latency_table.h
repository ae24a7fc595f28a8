#pragma once
// LatencyTable: what a device takes for a layer at a choice of bits, for changing bits between two
// layers, and for everything else. Data and look-up only: files are latency_csv.h's job, where the
// numbers come from is the importers' and backends'. Must not depend on how a search uses it.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "space/choices/bit_choice.h"

namespace bitsearch {

/// One time with what is known about its noise.
struct LatencyEntry {
  std::int64_t latency_ns = 0;
  /// Standard deviation of one sample; nothing where the source does not say.
  std::optional<std::int64_t> stddev_ns;
  /// Samples behind the time; 0 where the source does not say.
  std::int64_t samples = 0;
  bool operator==(const LatencyEntry&) const = default;
};

/// What a look-up does where a layer has no entry at the bits asked for.
enum class MissingPolicy : std::uint8_t {
  kError,        ///< The default: a search must not run on invented numbers.
  kInterpolate,  ///< Linear between the layer's nearest integer bit-widths; never outside them.
};

/// Where a time came from.
enum class LookupKind : std::uint8_t { kExact, kSignature, kInterpolated };

struct LatencyLookup {
  LatencyEntry entry;
  LookupKind kind = LookupKind::kExact;
};

/// How many look-ups each way served; a report prints it.
struct LookupCounts {
  std::int64_t exact = 0;
  std::int64_t signature = 0;
  std::int64_t interpolated = 0;
  void Count(LookupKind kind);
};

/// What a layer is looked up by. `signature` may be empty.
struct LayerKey {
  std::string id;
  std::string signature;
};

/// An edge between two layers at two activation formats.
struct TransitionKey {
  std::string producer;
  std::string consumer;
  NumberFormat from;
  NumberFormat to;
  auto operator<=>(const TransitionKey&) const = default;
};

/// Times of one device. Keys of entries are layer ids or signatures (LayerSignature::ToString); a
/// layer id may also be declared to have a signature, so that its entries serve other layers of
/// that shape. A value type; const calls may come from any thread.
class LatencyTable {
 public:
  /// Adds an entry. `key` is a layer id or a signature. Throws Error(kLatencyDuplicate) if the key
  /// has this choice already, Error(kLatencyValue) for a negative time.
  void Add(const std::string& key, BitChoice choice, LatencyEntry entry);
  /// Declares that `layer`'s entries hold for every layer of `signature`. The first layer declared
  /// for a signature serves it.
  void DeclareSignature(const std::string& layer, const std::string& signature);
  /// Adds the time of an edge. Throws as Add.
  void AddTransition(const TransitionKey& key, LatencyEntry entry);
  /// Time that no choice changes: operators between layers, launch, input and output.
  void set_fixed_ns(std::int64_t fixed_ns) { fixed_ns_ = fixed_ns; }
  std::int64_t fixed_ns() const { return fixed_ns_; }
  /// Facts about the making of the table, in the order they are to be printed ("command", "date",
  /// "device", "samples", …). Setting a name again replaces its value.
  void SetProvenance(const std::string& name, const std::string& value);
  const std::vector<std::pair<std::string, std::string>>& provenance() const { return provenance_; }
  /// The value of a fact, or "".
  std::string Provenance(const std::string& name) const;

  /// The entry under exactly this key and choice, or null.
  const LatencyEntry* Find(const std::string& key, BitChoice choice) const;
  /// By id, then by signature, then (if the policy says so) interpolated. Choice 0/0 (the block is
  /// skipped) takes no time and needs no entry. Nothing if the table cannot say.
  std::optional<LatencyLookup> Lookup(const LayerKey& layer, BitChoice choice,
                                      MissingPolicy policy = MissingPolicy::kError) const;
  /// The same, but a missing entry throws Error(kLatencyMissing) naming layer, bits and what the
  /// table does hold for the layer.
  LatencyLookup Require(const LayerKey& layer, BitChoice choice,
                        MissingPolicy policy = MissingPolicy::kError) const;

  /// Time of the edge at these formats: its row; 0 where the formats are equal and no row exists,
  /// or where the table has no row at all for this pair of layers. A pair with rows but none for
  /// unequal formats throws Error(kLatencyEdgeMissing).
  LatencyEntry RequireTransition(const TransitionKey& key) const;

  /// The choices that the table holds for a layer, by id, else by signature. In insertion order.
  std::vector<BitChoice> ChoicesOf(const LayerKey& layer) const;

  struct Row {
    std::string key;
    BitChoice choice;
    LatencyEntry entry;
  };
  /// All entries in the order they were added; all edges likewise.
  const std::vector<Row>& rows() const { return rows_; }
  const std::vector<std::pair<TransitionKey, LatencyEntry>>& transitions() const {
    return transitions_;
  }
  /// Distinct keys in order of first appearance.
  const std::vector<std::string>& keys() const { return keys_; }
  /// (layer, signature) as declared, in order.
  const std::vector<std::pair<std::string, std::string>>& declared_signatures() const {
    return declared_signatures_;
  }
  /// Where the table came from, for messages; may be empty.
  std::string source_name;

 private:
  /// The key under which a layer's entries lie, by id or by signature; null if it has none.
  const std::string* KeyOf(const LayerKey& layer, LookupKind* kind) const;
  std::optional<LatencyEntry> Interpolate(const std::string& key, BitChoice choice) const;
  std::optional<LatencyEntry> InterpolateActivation(const std::string& key, BitChoice choice) const;

  std::vector<Row> rows_;
  std::vector<std::string> keys_;
  std::map<std::string, std::map<BitChoice, std::size_t>> row_of_;
  std::vector<std::pair<TransitionKey, LatencyEntry>> transitions_;
  std::map<TransitionKey, std::size_t> transition_of_;
  std::map<std::pair<std::string, std::string>, std::int64_t> transition_pairs_;
  std::vector<std::pair<std::string, std::string>> declared_signatures_;
  std::map<std::string, std::string> layer_of_signature_;
  std::vector<std::pair<std::string, std::string>> provenance_;
  std::int64_t fixed_ns_ = 0;
};

}  // namespace bitsearch
