#pragma once
// What a CalibratedNetwork holds, and what its files share. Private to this folder.

#include <torch/torch.h>

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "space/network/network_torch.h"
#include "space/quantizer/layer_reconstruction.h"
#include "space/quantizer/quantized_network.h"

namespace bitsearch {

/// Range and values of one tensor on the calibration set.
struct MeasuredTensor {
  Range range;                ///< By min-max or percentile.
  std::vector<float> sample;  ///< For methods whose range depends on the bits.
};

struct CalibratedNetwork::State {
  State(Network executable, const QuantizationSpec& s) : network(std::move(executable)), spec(s) {}

  Network network;
  QuantizationSpec spec;
  at::Tensor images;                                    ///< Undefined without calibration data.
  std::vector<std::optional<MeasuredTensor>> measured;  ///< By TensorIndex; empty without data.
  StoredCalibration stored;
  std::vector<at::Tensor> output_mean;  ///< By layer: float mean per output channel.
  /// By layer, for adaround; null where the layer's integers are the nearest. Empty without it.
  std::vector<std::shared_ptr<const InputMoments>> input_moments;
  BatchNormMap statistics;
  mutable std::mutex mutex;
  mutable std::map<std::pair<std::size_t, NumberFormat>, QuantizedWeight> weights;
};

/// Whether output channels of a node are the last axis (products) or axis 1 (convolutions).
inline bool ChannelsAreLast(const Node& node) {
  return node.op != "Conv" && node.op != "ConvTranspose";
}

/// Mean of a layer's output over everything but its channels.
at::Tensor ChannelMean(const at::Tensor& output, bool channels_last);

/// One value per channel in a shape that broadcasts against `like`.
at::Tensor BroadcastOverChannels(const at::Tensor& values, const at::Tensor& like,
                                 bool channels_last);

}  // namespace bitsearch
