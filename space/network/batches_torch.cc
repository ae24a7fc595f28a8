#include "space/network/batches_torch.h"

namespace bitsearch {

at::Tensor ImageBatch(const Dataset& data, std::int64_t first, std::int64_t count) {
  std::vector<std::int64_t> shape = data.shape();
  shape.insert(shape.begin(), count);
  at::Tensor images = at::empty(shape, at::kFloat);
  for (std::int64_t i = 0; i < count; ++i) {
    data.CopyNormalised(first + i, images.data_ptr<float>() + i * data.elements());
  }
  return images;
}

at::Tensor LabelBatch(const Dataset& data, std::int64_t first, std::int64_t count) {
  data.RequireLabels();
  at::Tensor labels = at::empty({count}, at::kLong);
  for (std::int64_t i = 0; i < count; ++i) {
    labels.data_ptr<std::int64_t>()[i] = data.labels()[static_cast<std::size_t>(first + i)];
  }
  return labels;
}

}  // namespace bitsearch
