#pragma once
// What the files of the operator table share: arguments that may be constant or computed, windows of
// convolutions and pools, and the sections that operators_torch.cc joins. Private to this folder.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "space/network/operators_torch.h"
#include "space/support/error.h"

namespace bitsearch {

/// Resolves a node once; the function it returns runs it.
using PrepareFn = OperatorFn (*)(const LayerGraph&, const Node&);
using OperatorSection = std::vector<std::pair<std::string, PrepareFn>>;

OperatorSection ConvolutionOperators();
OperatorSection ElementwiseOperators();
OperatorSection LayoutOperators();
OperatorSection NormalizationOperators();
OperatorSection ReductionOperators();

/// Error(kOperatorUnsupported) naming node, operator and opset.
Error UnsupportedOperator(const LayerGraph& graph, const Node& node, const std::string& why);

/// A list of integers: an input (constant, or known only when running) of newer opsets, an
/// attribute of older ones.
class IntsArgument {
 public:
  /// `slot` < 0: attribute only. `attribute` may be null.
  IntsArgument(const LayerGraph& graph, const Node& node, int slot, const char* attribute,
               std::vector<std::int64_t> fallback = {});
  /// Neither input nor attribute was given.
  bool absent() const { return absent_; }
  std::vector<std::int64_t> Get(const OperatorCall& call) const;

 private:
  std::vector<std::int64_t> value_;
  int slot_ = -1;  ///< ≥ 0: read at run time.
  bool absent_ = false;
};

/// A single number, likewise.
class FloatArgument {
 public:
  FloatArgument(const LayerGraph& graph, const Node& node, int slot, const char* attribute,
                double fallback);
  double Get(const OperatorCall& call) const;

 private:
  double value_ = 0.0;
  int slot_ = -1;
};

/// Whether input `slot` exists, as a tensor of the node.
bool HasInput(const Node& node, std::size_t slot);
/// Rank of an input; throws UnsupportedOperator if unknown.
std::int64_t InputRank(const LayerGraph& graph, const Node& node, std::size_t slot);

/// Kernel, strides, dilations and explicit padding of every spatial axis.
struct Window {
  std::vector<std::int64_t> kernel, strides, dilations, begin, end;
  bool symmetric() const { return begin == end; }
  std::vector<std::int64_t> zeros() const { return std::vector<std::int64_t>(kernel.size(), 0); }
};
Window WindowOf(const LayerGraph& graph, const Node& node, std::vector<std::int64_t> kernel);
/// Padding as at::constant_pad_nd wants it: last axis first, begin then end.
std::vector<std::int64_t> TorchPads(const std::vector<std::int64_t>& begin,
                                    const std::vector<std::int64_t>& end);

/// The LibTorch type of an element type; throws Error(kExecution) where there is none.
at::ScalarType ToScalarType(DataType type);

}  // namespace bitsearch
