// Checks and packing of weights, and the pass over a block of rows.
#include "predictor/perceptron.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "predictor/perceptron_kernels.h"
#include "space/support/error.h"

namespace bitsearch {
namespace {

std::size_t RoundedUp(std::size_t width) {
  return (width + kPanelWidth - 1) / kPanelWidth * kPanelWidth;
}

void CheckLayer(const DenseLayer& layer, Eigen::Index outputs, Eigen::Index inputs,
                const std::string& name) {
  if (layer.weights.rows() != outputs || layer.weights.cols() != inputs ||
      layer.bias.size() != outputs) {
    throw Error(
        ErrorId::kPredictorModel,
        fmt::format("got weights {} x {} and {} biases, needs {} x {}", layer.weights.rows(),
                    layer.weights.cols(), layer.bias.size(), outputs, inputs))
        .Key(name);
  }
  if (!layer.weights.allFinite() || !layer.bias.allFinite()) {
    throw Error(ErrorId::kPredictorModel, "a weight is not finite").Key(name);
  }
}

}  // namespace

std::int64_t Perceptron::ParameterCount() const {
  const auto count = [](const DenseLayer& layer) {
    return layer.weights.size() + layer.bias.size();
  };
  std::int64_t sum = count(architecture) + count(bits) + count(output);
  for (const DenseLayer& layer : hidden) sum += count(layer);
  return sum;
}

void Perceptron::Validate(const Encoding& encoding) const {
  const auto width_of = [&encoding](FeatureGroup group) {
    return static_cast<Eigen::Index>(encoding.features(group).size());
  };
  Eigen::Index width = architecture.weights.rows();
  if (width < 1 || hidden.empty()) {
    throw Error(ErrorId::kPredictorModel, "a network needs two hidden layers at least");
  }
  CheckLayer(architecture, width, width_of(FeatureGroup::kArchitecture), "architecture");
  if (bits.weights.rows() != 0 || width_of(FeatureGroup::kBits) != 0) {
    CheckLayer(bits, width, width_of(FeatureGroup::kBits), "bits");
  }
  for (std::size_t l = 0; l < hidden.size(); ++l) {
    const Eigen::Index next = hidden[l].weights.rows();
    if (next < 1)
      throw Error(ErrorId::kPredictorModel, "no outputs").Key(fmt::format("hidden{}", l));
    CheckLayer(hidden[l], next, width, fmt::format("hidden{}", l));
    width = next;
  }
  CheckLayer(output, 1, width, "output");
}

PerceptronEngine::Packed PerceptronEngine::Pack(const DenseLayer& layer) {
  Packed packed;
  packed.inputs = static_cast<std::size_t>(layer.weights.cols());
  const auto outputs = static_cast<std::size_t>(layer.weights.rows());
  packed.panels = RoundedUp(outputs) / kPanelWidth;
  packed.weights.assign(packed.panels * packed.inputs * kPanelWidth, 0.0F);
  packed.bias.assign(packed.panels * kPanelWidth, 0.0F);
  for (std::size_t o = 0; o < outputs; ++o) {
    packed.bias[o] = layer.bias[static_cast<Eigen::Index>(o)];
    float* panel = packed.weights.data() + o / kPanelWidth * packed.inputs * kPanelWidth;
    for (std::size_t k = 0; k < packed.inputs; ++k) {
      panel[k * kPanelWidth + o % kPanelWidth] =
          layer.weights(static_cast<Eigen::Index>(o), static_cast<Eigen::Index>(k));
    }
  }
  return packed;
}

std::vector<float> PerceptronEngine::Columns(const DenseLayer& layer, std::size_t stride) {
  std::vector<float> columns(static_cast<std::size_t>(layer.weights.cols()) * stride, 0.0F);
  for (Eigen::Index c = 0; c < layer.weights.cols(); ++c) {
    Eigen::Map<Eigen::VectorXf>(columns.data() + static_cast<std::size_t>(c) * stride,
                                layer.weights.rows()) = layer.weights.col(c);
  }
  return columns;
}

PerceptronEngine::PerceptronEngine(const Perceptron& network) {
  const auto padded = [](const Eigen::VectorXf& values, std::size_t size) {
    std::vector<float> result(size, 0.0F);
    std::copy(values.data(), values.data() + values.size(), result.begin());
    return result;
  };
  first_stride_ = RoundedUp(static_cast<std::size_t>(network.architecture.weights.rows()));
  architecture_columns_ = Columns(network.architecture, first_stride_);
  architecture_bias_ = padded(network.architecture.bias, first_stride_);
  if (network.bits.weights.rows() > 0) {
    bits_columns_ = Columns(network.bits, first_stride_);
    bits_bias_ = padded(network.bits.bias, first_stride_);
  }
  widest_ = first_stride_;
  for (const DenseLayer& layer : network.hidden) {
    hidden_.push_back(Pack(layer));
    widest_ = std::max(widest_, hidden_.back().panels * kPanelWidth);
  }
  output_weights_ =
      padded(network.output.weights.row(0).transpose(), hidden_.back().panels * kPanelWidth);
  output_bias_ = network.output.bias[0];
}

void PerceptronEngine::Run(std::size_t rows, PerceptronScratch& scratch, float* outputs,
                           float* last_hidden) const {
  const PerceptronKernels& kernels = KernelsForThisMachine();
  if (scratch.first.size() < kBlockRows * widest_) {
    scratch.first.resize(kBlockRows * widest_);
    scratch.second.resize(kBlockRows * widest_);
  }
  float* in = scratch.first.data();
  float* out = scratch.second.data();
  std::uint32_t from[2] = {0, 0};
  for (std::size_t r = 0; r < rows; ++r) {
    float* row = in + r * first_stride_;
    kernels.sum_columns(architecture_columns_.data(), architecture_bias_.data(),
                        scratch.architecture_features.data() + from[0],
                        scratch.architecture_ends[r] - from[0], first_stride_, true, false, row);
    from[0] = scratch.architecture_ends[r];
    if (bits_bias_.empty()) continue;
    kernels.sum_columns(bits_columns_.data(), bits_bias_.data(),
                        scratch.bits_features.data() + from[1], scratch.bits_ends[r] - from[1],
                        first_stride_, false, true, row);
    from[1] = scratch.bits_ends[r];
  }
  std::size_t stride = first_stride_;
  for (const Packed& layer : hidden_) {
    kernels.dense(layer.weights.data(), layer.bias.data(), layer.panels, layer.inputs, in, stride,
                  rows, 0.0F, out);
    stride = layer.panels * kPanelWidth;
    std::swap(in, out);
  }
  if (last_hidden != nullptr) std::copy(in, in + rows * stride, last_hidden);
  for (std::size_t r = 0; r < rows; ++r) {
    outputs[r] = output_bias_ + kernels.dot(output_weights_.data(), in + r * stride, stride);
  }
}

void GatherFeatures(const Encoding& encoding, const GenomeView& genomes,
                    PerceptronScratch& scratch) {
  scratch.active.resize(encoding.space().size());
  scratch.architecture_features.clear();
  scratch.bits_features.clear();
  scratch.architecture_ends.clear();
  scratch.bits_ends.clear();
  for (std::size_t r = 0; r < genomes.rows; ++r) {
    encoding.ActiveFeatures(genomes.row(r), scratch.active, scratch.architecture_features,
                            scratch.bits_features);
    scratch.architecture_ends.push_back(
        static_cast<std::uint32_t>(scratch.architecture_features.size()));
    scratch.bits_ends.push_back(static_cast<std::uint32_t>(scratch.bits_features.size()));
  }
}

}  // namespace bitsearch
