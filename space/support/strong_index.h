#pragma once
// Index types that cannot be swapped by mistake: a layer index is not a choice index.

#include <compare>
#include <cstddef>
#include <functional>

namespace bitsearch {

/// A zero-based index with its own type per `Tag`. Converts to std::size_t only explicitly through
/// `value`, so passing a choice where a layer is expected does not compile.
template <typename Tag>
struct StrongIndex {
  std::size_t value = 0;
  constexpr StrongIndex() = default;
  constexpr explicit StrongIndex(std::size_t v) : value(v) {}
  constexpr auto operator<=>(const StrongIndex&) const = default;
  constexpr StrongIndex& operator++() {
    ++value;
    return *this;
  }
};

/// Index of a quantizable layer, in the layer order of the graph (or of the sensitivity file).
using LayerIndex = StrongIndex<struct LayerTag>;
/// Index of a candidate within one layer's list of choices.
using ChoiceIndex = StrongIndex<struct ChoiceTag>;
/// Index of a node (operator) of a LayerGraph.
using NodeIndex = StrongIndex<struct NodeTag>;
/// Index of a tensor of a LayerGraph.
using TensorIndex = StrongIndex<struct TensorTag>;

}  // namespace bitsearch

template <typename Tag>
struct std::hash<bitsearch::StrongIndex<Tag>> {
  std::size_t operator()(const bitsearch::StrongIndex<Tag>& index) const noexcept {
    return std::hash<std::size_t>{}(index.value);
  }
};
