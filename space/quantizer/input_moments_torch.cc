#include "space/quantizer/input_moments_torch.h"

#include <algorithm>

#include "space/network/operator_builders_torch.h"

namespace bitsearch {
namespace {

// Positions that are enough for covariances of some hundred inputs.
constexpr std::int64_t kMostPositions = std::int64_t{1} << 17;
constexpr std::int64_t kRecordsAtOnce = 16;

// Columns [groups, K, positions] of an image batch.
class ConvColumns {
 public:
  ConvColumns(const LayerGraph& graph, const Node& node, const Shape& weight)
      : window_(WindowOf(graph, node, {weight.begin() + 2, weight.end()})),
        groups_(node.attributes.Int("group", 1)) {
    if (window_.kernel.size() != 1) return;
    // One dimension is an image of one row.
    for (auto* ones : {&window_.kernel, &window_.strides, &window_.dilations}) {
      ones->insert(ones->begin(), 1);
    }
    for (auto* zeros : {&window_.begin, &window_.end}) zeros->insert(zeros->begin(), 0);
  }

  std::int64_t groups() const { return groups_; }

  at::Tensor operator()(const at::Tensor& images) const {
    const at::Tensor planar = images.dim() == 3 ? images.unsqueeze(2) : images;
    const at::Tensor padded = at::constant_pad_nd(planar, TorchPads(window_.begin, window_.end));
    const at::Tensor columns =
        at::im2col(padded, window_.kernel, window_.dilations, window_.zeros(), window_.strides);
    return columns.view({columns.size(0), groups_, -1, columns.size(2)})
        .permute({1, 2, 0, 3})
        .reshape({groups_, columns.size(1) / groups_, -1});
  }

 private:
  Window window_;
  std::int64_t groups_;
};

at::Tensor MatrixColumns(const at::Tensor& records) {
  return records.reshape({-1, records.size(-1)}).t().unsqueeze(0);
}

InputMoments ToMoments(const at::Tensor& moments) {
  const at::Tensor plain = moments.to(at::kCPU, at::kFloat).contiguous();
  InputMoments result;
  result.inputs = plain.size(1);
  const std::int64_t size = result.inputs * result.inputs;
  for (std::int64_t g = 0; g < plain.size(0); ++g) {
    const float* begin = plain.data_ptr<float>() + g * size;
    result.by_group.emplace_back(begin, begin + size);
  }
  return result;
}

// Sums in double over portions of records, so that their number does not matter.
template <typename Columns>
InputMoments Accumulate(const at::Tensor& left, const at::Tensor& right, bool centred,
                        const Columns& columns_of) {
  const bool same = left.is_same(right);
  const std::int64_t records = left.size(0);
  const std::int64_t positions = columns_of(left.narrow(0, 0, 1)).size(2);
  const std::int64_t wanted = std::clamp(kMostPositions / std::max<std::int64_t>(1, positions),
                                         std::min<std::int64_t>(32, records), records);
  const std::int64_t stride = records / wanted;
  const at::Tensor kept_left = at::slice(left, 0, 0, records, stride);
  const at::Tensor kept_right = same ? kept_left : at::slice(right, 0, 0, records, stride);
  at::Tensor products;
  at::Tensor left_sum;
  at::Tensor right_sum;
  std::int64_t count = 0;
  for (std::int64_t start = 0; start < kept_left.size(0); start += kRecordsAtOnce) {
    const std::int64_t portion = std::min(kRecordsAtOnce, kept_left.size(0) - start);
    const at::Tensor a = columns_of(kept_left.narrow(0, start, portion));
    const at::Tensor b = same ? a : columns_of(kept_right.narrow(0, start, portion));
    const at::Tensor product = at::bmm(a, b.transpose(1, 2)).to(at::kDouble);
    const at::Tensor a_sum = a.sum(2, false, at::kDouble);
    const at::Tensor b_sum = same ? a_sum : b.sum(2, false, at::kDouble);
    products = products.defined() ? products + product : product;
    left_sum = left_sum.defined() ? left_sum + a_sum : a_sum;
    right_sum = right_sum.defined() ? right_sum + b_sum : b_sum;
    count += a.size(2);
  }
  at::Tensor moments = products / count;
  if (centred) {
    moments = moments - at::bmm((left_sum / count).unsqueeze(2), (right_sum / count).unsqueeze(1));
  }
  return ToMoments(moments);
}

}  // namespace

std::optional<InputMoments> MeasureInputMoments(const LayerGraph& graph, const Layer& layer,
                                                const at::Tensor& left, const at::Tensor& right,
                                                bool centred) {
  if (!layer.weight || layer.input_slot != 0 || left.size(0) < 1) return std::nullopt;
  const Shape& weight = graph.tensor(*layer.weight).constant->shape();
  const Node& node = graph.node(layer.node);
  if (layer.op == "Conv") {
    if (weight.size() != 3 && weight.size() != 4) return std::nullopt;
    const ConvColumns columns(graph, node, weight);
    return Accumulate(left, right, centred, columns);
  }
  if ((layer.op == "Gemm" || layer.op == "MatMul") && weight.size() == 2 &&
      node.attributes.Int("transA", 0) == 0) {
    return Accumulate(left, right, centred, MatrixColumns);
  }
  return std::nullopt;
}

}  // namespace bitsearch
