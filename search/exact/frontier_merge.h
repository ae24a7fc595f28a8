#pragma once
// The inner loop of the one-resource frontier: merging sorted runs of labels while dropping
// dominated ones. Branch-free, because which run comes next cannot be predicted.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>

namespace bitsearch {

/// A partial configuration on a frontier over D costs. `word` holds the latest choices, `parent` an
/// entry of the table of older ones.
template <int D>
struct FrontierLabel {
  std::int64_t cost[D];
  std::int64_t loss;
  std::uint64_t word;
  std::uint32_t parent;
  std::uint32_t order;
};

/// An array without initialisation that keeps its memory when it is filled again.
template <typename T>
class RawBuffer {
 public:
  /// Room for `count` elements; the content is lost if it has to grow.
  T* Reserve(std::size_t count) {
    if (count > capacity_) {
      capacity_ = count + count / 2;
      data_.reset(new T[capacity_]);
    }
    return data_.get();
  }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  std::size_t size = 0;

 private:
  std::unique_ptr<T[]> data_;
  std::size_t capacity_ = 0;
};

/// Labels in ascending cost and falling loss, to be read with something added to each. The element
/// behind the last must be a sentinel (see EndRun).
struct FrontierRun {
  const FrontierLabel<1>* first = nullptr;
  std::size_t count = 0;
  std::int64_t cost = 0;
  std::int64_t loss = 0;
  std::uint64_t word = 0;
};

/// Larger than every label, and safe to add costs to.
constexpr std::int64_t kSentinelCost = std::numeric_limits<std::int64_t>::max() / 2;

inline void EndRun(FrontierLabel<1>* end) {
  end->cost[0] = kSentinelCost;
  end->loss = kSentinelCost;
}

/// Merges two runs into `out` (room for both and a sentinel); returns the number of labels, of which
/// none dominates another. Of equal labels the first run's stays.
inline std::size_t MergeRuns(const FrontierRun& a, const FrontierRun& b, FrontierLabel<1>* out) {
  const FrontierLabel<1>* pa = a.first;
  const FrontierLabel<1>* pb = b.first;
  const std::size_t total = a.count + b.count;
  std::size_t kept = 0;
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  const FrontierLabel<1>* const end_a = a.first + a.count;
  const FrontierLabel<1>* const end_b = b.first + b.count;
  for (std::size_t i = 0; i < total; ++i) {
    const std::int64_t cost_a = pa == end_a ? kSentinelCost : pa->cost[0] + a.cost;
    const std::int64_t cost_b = pb == end_b ? kSentinelCost : pb->cost[0] + b.cost;
    const std::int64_t loss_a = pa->loss + a.loss;
    const std::int64_t loss_b = pb->loss + b.loss;
    const bool second = (cost_b < cost_a) | ((cost_b == cost_a) & (loss_b < loss_a));
    const FrontierLabel<1>* from = second ? pb : pa;
    const std::int64_t cost = second ? cost_b : cost_a;
    const std::int64_t loss = second ? loss_b : loss_a;
    out[kept].cost[0] = cost;
    out[kept].loss = loss;
    out[kept].word = from->word + (second ? b.word : a.word);
    out[kept].parent = from->parent;
    kept += loss < least ? 1 : 0;
    least = loss < least ? loss : least;
    pa += second ? 0 : 1;
    pb += second ? 1 : 0;
  }
  return kept;
}

}  // namespace bitsearch
