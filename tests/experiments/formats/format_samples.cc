#include "tests/experiments/formats/format_samples.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "space/graph/onnx_reader.h"
#include "space/graph/rewrites.h"
#include "space/quantizer/weight_quantizer.h"

namespace bitsearch {
namespace {

namespace fs = std::filesystem;

template <typename T>
const T& Pick(const std::vector<T>& from, std::mt19937& random) {
  return from[std::uniform_int_distribution<std::size_t>(0, from.size() - 1)(random)];
}

std::vector<NumberFormat> Integers(int least, int most) {
  std::vector<NumberFormat> formats;
  for (int bits = least; bits <= most; ++bits) formats.push_back(NumberFormat::Integer(bits));
  return formats;
}

std::vector<NumberFormat> With(std::vector<NumberFormat> formats, NumberFormat more) {
  formats.push_back(more);
  return formats;
}

TensorQuantizer InputQuantizer(const SampleRange& range, int bits, std::mt19937& random) {
  const float scale = std::uniform_real_distribution<float>(1e-4F, 0.5F)(random);
  const std::int32_t levels = std::int32_t{1} << bits;
  std::int32_t zero_point = 0;
  AffineGrid grid{scale, 0, -levels / 2, levels / 2 - 1};
  if (!range.symmetric_activations) {
    if (!range.from_zero) {
      zero_point = std::uniform_int_distribution<std::int32_t>(0, levels - 1)(random);
    }
    grid = {scale, zero_point, 0, levels - 1};
  }
  return {"per_tensor", range.symmetric_activations, grid.lowest(), grid.highest(), {scale},
          {zero_point}};
}

TensorQuantizer WeightQuantizer(const LayerGraph& graph, const Layer& layer,
                                const SampleRange& range, NumberFormat format) {
  WeightQuantizerSpec spec;
  spec.granularity = range.per_channel ? Granularity::kPerChannel : Granularity::kPerTensor;
  spec.symmetric = range.symmetric_weights;
  const TensorValue& value = *graph.tensor(*layer.weight).constant;
  TensorQuantizer quantizer{
      range.per_channel ? "per_channel" : "per_tensor", spec.symmetric, 0.0, 0.0, {}, {}};
  for (const AffineGrid& grid :
       QuantizeWeight(value.ToFloats(), value.shape(), layer.output_channel_axis, format, spec)
           .grids) {
    quantizer.scale.push_back(grid.scale);
    quantizer.zero_point.push_back(grid.zero_point);
  }
  return quantizer;
}

}  // namespace

const LayerGraph& EmbeddedNetwork() {
  static const LayerGraph graph = FoldBatchNorm(
      ReadOnnx(fs::path(BITSEARCH_SOURCE_DIR) / "experiments" / "fashion_mnist_resnet20.onnx"));
  return graph;
}

const LayerGraph* SharedResNet20() {
  static const std::optional<LayerGraph> graph = []() -> std::optional<LayerGraph> {
    const fs::path file =
        fs::path(BITSEARCH_SHARED_DATA) / "onnx" / "resnet20" / "resnet20_cifar10_bn.onnx";
    if (!fs::exists(file)) return std::nullopt;
    return FoldBatchNorm(ReadOnnx(file));
  }();
  return graph ? &*graph : nullptr;
}

std::vector<const LayerGraph*> Networks() {
  std::vector<const LayerGraph*> networks = {&EmbeddedNetwork()};
  if (SharedResNet20() != nullptr) networks.push_back(SharedResNet20());
  return networks;
}

ConfigDocument RandomConfig(const LayerGraph& graph, const SampleRange& range,
                            std::mt19937& random) {
  ConfigDocument document;
  document.placement = Placement::kLayerInputs;
  WeightQuantizerSpec spec;
  spec.granularity = range.per_channel ? Granularity::kPerChannel : Granularity::kPerTensor;
  spec.symmetric = range.symmetric_weights;
  document.weights = spec;
  const NumberFormat common = Pick(range.activations, random);
  struct Input {
    NumberFormat format;
    std::optional<TensorQuantizer> quantizer;
  };
  std::map<TensorIndex, Input> inputs;
  for (const Layer& layer : graph.layers()) {
    ConfigLayer entry{layer.id, layer.op, {}, {}};
    const auto [input, is_new] = inputs.try_emplace(layer.input);
    if (is_new) {
      input->second.format = range.one_activation ? common : Pick(range.activations, random);
      if (input->second.format.is_integer() && range.quantizers) {
        input->second.quantizer = InputQuantizer(range, input->second.format.bits(), random);
      }
    }
    entry.choice = {Pick(range.weights, random), input->second.format};
    if (range.both_or_none) {
      const bool is_float = entry.choice.activation == NumberFormat::Float32();
      while (entry.choice.weight.is_integer() == is_float) {
        entry.choice.weight = Pick(range.weights, random);
      }
    }
    entry.quantizers.activation = input->second.quantizer;
    if (entry.choice.weight.is_integer() && entry.choice.weight.bits() > 1 && range.quantizers) {
      entry.quantizers.weight = WeightQuantizer(graph, layer, range, entry.choice.weight);
    }
    document.layers.push_back(std::move(entry));
  }
  return document;
}

SampleRange HoldableRange(const std::string& format) {
  const NumberFormat fp32 = NumberFormat::Float32();
  const NumberFormat eight = NumberFormat::Integer(8);
  if (format == "aimet") {
    return {.weights = With(With(Integers(2, 16), fp32), NumberFormat::Float16()),
            .activations = With(With(Integers(2, 16), fp32), NumberFormat::Float16())};
  }
  if (format == "aimet2") {
    return {.weights = With(Integers(2, 16), fp32), .activations = With(Integers(2, 16), fp32)};
  }
  if (format == "modelopt") {
    return {.weights = With(Integers(2, 16), fp32),
            .activations = With(Integers(2, 16), fp32),
            .from_zero = true};
  }
  if (format == "torchao") {
    return {.weights = With(Integers(2, 8), fp32), .activations = {fp32}};
  }
  if (format == "hawq") return {.weights = Integers(2, 8), .activations = Integers(2, 16)};
  if (format == "nncf") {
    return {.weights = With(Integers(2, 8), fp32),
            .activations = With(Integers(2, 8), fp32),
            .one_activation = true};
  }
  if (format == "ort") {
    return {.weights = With(Integers(2, 16), fp32),
            .activations = {eight, NumberFormat::Integer(16), fp32},
            .both_or_none = true};
  }
  SampleRange everything{.weights = With(Integers(1, 16), fp32),
                         .activations = With(Integers(1, 16), fp32)};
  everything.weights.push_back(NumberFormat::Ternary());
  everything.weights.push_back(NumberFormat::Bfloat16());
  everything.activations.push_back(NumberFormat::Float16());
  return everything;
}

std::string Exported(const std::string& format, const ConfigDocument& document,
                     const LayerGraph& graph) {
  return ExportConfig(ConfigFormatNamed(format), {document, &graph, "config.json"}).content;
}

ImportedConfig Imported(const std::string& text, const LayerGraph& graph) {
  const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
  const std::size_t name =
      std::hash<std::string>()(std::string(test.test_suite_name()) + "." + test.name());
  const fs::path path = fs::path(testing::TempDir()) / ("bitsearch_format_" + std::to_string(name));
  std::ofstream(path, std::ios::binary) << text;
  struct Remover {
    fs::path path;
    ~Remover() { fs::remove(path); }
  } remover{path};
  return ReadAnyConfig(path, &graph);
}

ConfigDocument RoundTrip(const std::string& format, const ConfigDocument& document,
                         const LayerGraph& graph) {
  ImportedConfig imported = Imported(Exported(format, document, graph), graph);
  EXPECT_EQ(imported.format, format);
  return std::move(imported.document);
}

std::string Difference(const ConfigDocument& a, const ConfigDocument& b, bool with_quantizers) {
  if (a.layers.size() != b.layers.size()) return "another number of layers";
  const auto text = [](const std::optional<TensorQuantizer>& quantizer) {
    if (!quantizer) return std::string("none");
    std::ostringstream out;
    out.precision(17);
    out << quantizer->granularity << ' ' << quantizer->symmetric << " [" << quantizer->low << ", "
        << quantizer->high << "]";
    for (std::size_t i = 0; i < quantizer->scale.size(); ++i) {
      out << ' ' << quantizer->scale[i] << '/' << quantizer->zero_point[i];
    }
    return out.str();
  };
  for (std::size_t l = 0; l < a.layers.size(); ++l) {
    const ConfigLayer& x = a.layers[l];
    const ConfigLayer& y = b.layers[l];
    if (x.name != y.name) return x.name + " against " + y.name;
    if (x.choice != y.choice) {
      return x.name + ": " + x.choice.ToString() + " against " + y.choice.ToString();
    }
    if (!with_quantizers) continue;
    for (const auto& [p, q] : {std::pair(x.quantizers.weight, y.quantizers.weight),
                               std::pair(x.quantizers.activation, y.quantizers.activation)}) {
      if (text(p) != text(q)) return x.name + ": " + text(p) + " against " + text(q);
    }
  }
  return "";
}

}  // namespace bitsearch
