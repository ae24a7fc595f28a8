#pragma once
// The rows of ConfigFormats(), one function per tool; config_format.cc lists them.

#include "experiments/deployment/formats/config_format.h"

namespace bitsearch {

/// The network itself with QuantizeLinear and DequantizeLinear nodes.
ConfigFormat OnnxFormat();
/// The network with QONNX's Quant nodes.
ConfigFormat QonnxFormat();
/// AIMET encodings 1.0.0: ONNX tensors by name, with scales and offsets (aimet_onnx,
/// QuantizationSimModel.load_encodings).
ConfigFormat AimetFormat();
/// AIMET encodings 2.0.0: as 1.0.0 in the terms of ONNX QuantizeLinear.
ConfigFormat Aimet2Format();
/// NVIDIA ModelOpt's quant_cfg (0.46 and later): a list of quantizers by pattern, later ones win.
ConfigFormat ModelOptFormat();
/// torchao's FqnToConfig, as torchao.core.config.config_from_dict reads it.
ConfigFormat TorchaoFormat();
/// A dictionary of HAWQ's bit_config.py.
ConfigFormat HawqFormat();
/// A configuration of NNCF up to 2.19 with manual precision (bitwidth_per_scope).
ConfigFormat NncfFormat();
/// Arguments of onnxruntime.quantization.quantize_static.
ConfigFormat OnnxRuntimeFormat();

/// A document as `layer,weight_bits,activation_bits`.
std::string ConfigCsv(const ConfigDocument& document);
/// The reverse. Throws what CsvTable throws, Error(kCsvBits), Error(kCsvDuplicateRow).
ConfigDocument ReadConfigCsv(const std::filesystem::path& path);

}  // namespace bitsearch
