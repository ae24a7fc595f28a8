#pragma once
// From the rows of a profiler to a latency table: which row belongs to which layer, which is a
// change of format between two layers, and which is time that no choice changes. Shared by the
// importers of runtime profiles; must not know any file format.

#include <string>
#include <vector>

#include "space/hardware/latency_table.h"

namespace bitsearch {

/// One row of a profile, in execution order.
struct ProfileRow {
  enum class Kind : std::uint8_t {
    kKernel,    ///< May be a layer (perhaps fused with others).
    kReformat,  ///< Changes layout or format of a tensor between two kernels.
    kOther,     ///< Certainly no layer.
  };
  /// The name of what ran; names that were fused into it, and what else identifies it.
  std::vector<std::string> names;
  Kind kind = Kind::kKernel;
  LatencyEntry time;
};

/// A table made from a profile, and what the user must know about it.
struct ImportedProfile {
  LatencyTable table;
  std::vector<std::string> warnings;
};

/// Assigns rows to layers and adds them up, all at `choice`.
///
/// With `layers` given, a row belongs to the layer whose id occurs in one of its names as a whole
/// word (not inside a longer name), the longest such id of each name; suffixes that optimizers add
/// ("_token_3", "_nchwc", "_quant") are ignored. A row with several layers is shared out evenly. A
/// layer with several rows gets their sum. Without `layers` every kKernel row is a layer by its
/// first name. Rows of kind kReformat become edges from the layer that ran before to the one that
/// runs next, at the choice's activation bits; at either end of the network, and for all other
/// rows, the time is fixed.
/// Warns of layers without a row; throws Error(kProfileUnmatched) if no layer has one.
ImportedProfile AssembleProfile(const std::vector<ProfileRow>& rows, BitChoice choice,
                                const std::vector<LayerKey>& layers,
                                const std::string& source_name);

/// Adds `from` (another setting of the same network) to `into`: entries and edges side by side.
/// Fixed times cannot differ by choice: the mean is kept, and a warning returned where they differ
/// by more than a tenth of it. Throws Error(kLatencyDuplicate) if both hold the same entry.
class TableMerger {
 public:
  void Add(const ImportedProfile& part);
  /// The merged table; warnings of all parts.
  ImportedProfile Finish();

 private:
  ImportedProfile merged_;
  std::vector<std::int64_t> fixed_ns_;
};

/// A name without the suffixes that optimizers add.
std::string WithoutOptimizerSuffixes(std::string name);

/// a + b; noise taken as independent, the smaller number of samples.
LatencyEntry SumOf(const LatencyEntry& a, const LatencyEntry& b);

/// Milliseconds as written by other tools, to the nearest nanosecond.
std::int64_t NanosecondsOfMilliseconds(double milliseconds);

}  // namespace bitsearch
