// Reductions over axes.

#include <numeric>

#include "space/network/operator_builders_torch.h"

namespace bitsearch {
namespace {

using Reduce = at::Tensor (*)(const at::Tensor&, const std::vector<std::int64_t>&, bool keep);

at::Tensor Sum(const at::Tensor& x, const std::vector<std::int64_t>& axes, bool keep) {
  return at::sum(x, axes, keep);
}
at::Tensor Mean(const at::Tensor& x, const std::vector<std::int64_t>& axes, bool keep) {
  return at::mean(x, axes, keep);
}
at::Tensor Max(const at::Tensor& x, const std::vector<std::int64_t>& axes, bool keep) {
  return at::amax(x, axes, keep);
}
at::Tensor Min(const at::Tensor& x, const std::vector<std::int64_t>& axes, bool keep) {
  return at::amin(x, axes, keep);
}
at::Tensor L1(const at::Tensor& x, const std::vector<std::int64_t>& axes, bool keep) {
  return at::sum(at::abs(x), axes, keep);
}
at::Tensor L2(const at::Tensor& x, const std::vector<std::int64_t>& axes, bool keep) {
  return at::sqrt(at::sum(x * x, axes, keep));
}
at::Tensor SumSquare(const at::Tensor& x, const std::vector<std::int64_t>& axes, bool keep) {
  return at::sum(x * x, axes, keep);
}
at::Tensor LogSum(const at::Tensor& x, const std::vector<std::int64_t>& axes, bool keep) {
  return at::log(at::sum(x, axes, keep));
}
at::Tensor LogSumExp(const at::Tensor& x, const std::vector<std::int64_t>& axes, bool keep) {
  return at::logsumexp(x, axes, keep);
}
at::Tensor Prod(const at::Tensor& x, const std::vector<std::int64_t>& axes, bool keep) {
  at::Tensor result = x;
  for (const std::int64_t axis : axes) result = at::prod(result, axis, /*keepdim=*/true);
  if (keep) return result;
  std::vector<std::int64_t> sizes;
  std::vector<bool> gone(static_cast<std::size_t>(x.dim()), false);
  for (const std::int64_t axis : axes) {
    gone[static_cast<std::size_t>(axis < 0 ? axis + x.dim() : axis)] = true;
  }
  for (std::int64_t a = 0; a < x.dim(); ++a) {
    if (!gone[static_cast<std::size_t>(a)]) sizes.push_back(x.size(a));
  }
  return result.view(sizes);
}

template <Reduce kFunction>
OperatorFn PrepareReduce(const LayerGraph& graph, const Node& node) {
  const IntsArgument axes_argument(graph, node, 1, "axes");
  const bool keep = node.attributes.Int("keepdims", 1) != 0;
  const bool noop = node.attributes.Int("noop_with_empty_axes", 0) != 0;
  return [=](OperatorCall& call) {
    std::vector<std::int64_t> axes = axes_argument.Get(call);
    if (axes.empty()) {
      if (noop) {
        call.out[0] = call.in[0];
        return;
      }
      axes.resize(static_cast<std::size_t>(call.in[0].dim()));
      std::iota(axes.begin(), axes.end(), 0);
    }
    call.out[0] = kFunction(call.in[0], axes, keep);
  };
}

template <bool kLargest>
OperatorFn PrepareArg(const LayerGraph&, const Node& node) {
  const std::int64_t axis = node.attributes.Int("axis", 0);
  const bool keep = node.attributes.Int("keepdims", 1) != 0;
  return [=](OperatorCall& call) {
    call.out[0] = kLargest ? at::argmax(call.in[0], axis, keep) : at::argmin(call.in[0], axis, keep);
  };
}

OperatorFn PrepareTopK(const LayerGraph& graph, const Node& node) {
  // Before opset 10 the attribute k, one number.
  const IntsArgument k(graph, node, 1, nullptr, {node.attributes.Int("k", 1)});
  const std::int64_t axis = node.attributes.Int("axis", -1);
  const bool largest = node.attributes.Int("largest", 1) != 0;
  const bool sorted = node.attributes.Int("sorted", 1) != 0;
  return [=](OperatorCall& call) {
    auto [values, indices] = at::topk(call.in[0], k.Get(call)[0], axis, largest, sorted);
    call.out[0] = values;
    if (call.out.size() > 1) call.out[1] = indices;
  };
}

OperatorFn PrepareCumSum(const LayerGraph& graph, const Node& node) {
  const IntsArgument axis(graph, node, 1, nullptr, {0});
  const bool exclusive = node.attributes.Int("exclusive", 0) != 0;
  const bool reverse = node.attributes.Int("reverse", 0) != 0;
  return [=](OperatorCall& call) {
    const std::int64_t along = axis.Get(call)[0];
    const at::Tensor x = reverse ? call.in[0].flip(along) : call.in[0];
    at::Tensor sum = at::cumsum(x, along, x.scalar_type());
    if (exclusive) sum = sum - x;
    call.out[0] = reverse ? sum.flip(along) : sum;
  };
}

}  // namespace

OperatorSection ReductionOperators() {
  return {
      {"ArgMax", PrepareArg<true>},
      {"ArgMin", PrepareArg<false>},
      {"CumSum", PrepareCumSum},
      {"ReduceL1", PrepareReduce<L1>},
      {"ReduceL2", PrepareReduce<L2>},
      {"ReduceLogSum", PrepareReduce<LogSum>},
      {"ReduceLogSumExp", PrepareReduce<LogSumExp>},
      {"ReduceMax", PrepareReduce<Max>},
      {"ReduceMean", PrepareReduce<Mean>},
      {"ReduceMin", PrepareReduce<Min>},
      {"ReduceProd", PrepareReduce<Prod>},
      {"ReduceSum", PrepareReduce<Sum>},
      {"ReduceSumSquare", PrepareReduce<SumSquare>},
      {"TopK", PrepareTopK},
  };
}

}  // namespace bitsearch
