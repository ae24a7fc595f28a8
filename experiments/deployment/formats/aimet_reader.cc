#include "experiments/deployment/formats/aimet_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "experiments/deployment/formats/format_layers.h"

namespace bitsearch {
namespace {

/// A tensor's format and, for integers, its quantizer.
struct TensorEncoding {
  NumberFormat format;
  std::optional<TensorQuantizer> quantizer;
};

std::vector<float> Scales(const JsonValue& value) {
  std::vector<float> scales;
  const auto add = [&](const JsonValue& each) {
    const auto scale = static_cast<float>(each.Number());
    if (!(scale > 0.0F) || !std::isfinite(scale)) {
      throw each.Fault("got a scale that is not above 0");
    }
    scales.push_back(scale);
  };
  if (value.is_array()) {
    for (const JsonValue& each : value.Elements()) add(each);
  } else {
    add(value);
  }
  return scales;
}

/// `count` zero points: an array, or one number.
std::vector<std::int32_t> ZeroPoints(const JsonValue& value, std::size_t count) {
  std::vector<std::int32_t> points;
  const auto add = [&](const JsonValue& each) {
    const double number = each.Number();
    constexpr double kMost = 1 << 20;
    if (number != std::floor(number) || std::fabs(number) > kMost) {
      throw each.Fault("got a fraction of a step (allowed: integers)");
    }
    points.push_back(static_cast<std::int32_t>(number));
  };
  if (value.is_array()) {
    for (const JsonValue& each : value.Elements()) add(each);
  } else {
    add(value);
  }
  if (points.size() != count) {
    throw value.Fault(fmt::format("got {} values beside {} scales", points.size(), count));
  }
  return points;
}

TensorEncoding Finish(int bits, bool symmetric, bool per_channel, std::vector<float> scales,
                      std::vector<std::int32_t> zero_points) {
  TensorEncoding encoding{NumberFormat::Integer(bits), {}};
  if (per_channel) {
    encoding.quantizer =
        TensorQuantizer{"per_channel", symmetric, 0.0, 0.0, scales, std::move(zero_points)};
  } else {
    encoding.quantizer = ActivationQuantizer(symmetric, bits, scales.front(), zero_points.front());
  }
  return encoding;
}

TensorEncoding Read1(const JsonValue& entry) {
  const std::string type = entry.At("enc_type").String();
  if (entry.At("dtype").String() == "FLOAT") {
    if (entry.At("bw").Count() == 32) return {NumberFormat::Float32(), {}};
    if (entry.At("bw").Count() == 16) return {NumberFormat::Float16(), {}};
    throw entry.At("bw").Fault("got a float of other than 16 or 32 bits");
  }
  if (type == "LPBQ") return {IntegerBits(entry.At("compressed_bw"), 2), {}};
  const int bits = IntegerBits(entry.At("bw"), 2).bits();
  if (type == "PER_BLOCK") return {NumberFormat::Integer(bits), {}};
  if (type != "PER_TENSOR" && type != "PER_CHANNEL") {
    throw entry.At("enc_type")
        .Fault("got '" + type + "' (allowed: PER_TENSOR, PER_CHANNEL, PER_BLOCK, LPBQ)");
  }
  std::vector<float> scales = Scales(entry.At("scale"));
  std::vector<std::int32_t> points = ZeroPoints(entry.At("offset"), scales.size());
  if (scales.empty()) throw entry.At("scale").Fault("got no scale");
  if (type == "PER_TENSOR" && scales.size() != 1) {
    throw entry.At("scale").Fault("got several scales for one tensor");
  }
  // Unsigned symmetric grids have is_sym too; what the grid is, its offset says.
  const std::int32_t lowest = -(1 << (bits - 1));
  const bool symmetric =
      entry.At("is_sym").Bool() &&
      std::all_of(points.begin(), points.end(), [&](std::int32_t p) { return p == lowest; });
  for (std::int32_t& point : points) point = symmetric ? 0 : -point;
  return Finish(bits, symmetric, type == "PER_CHANNEL", std::move(scales), std::move(points));
}

TensorEncoding Read2(const JsonValue& entry) {
  const JsonValue type = entry.At("output_dtype");
  std::string name = type.String();
  const bool is_unsigned = name.starts_with('u');
  if (is_unsigned) name.erase(0, 1);
  const auto format = name.starts_with("int") ? NumberFormat::Parse(name.substr(3)) : std::nullopt;
  if (!format || !format->is_integer() || format->bits() < 2) {
    throw type.Fault("got '" + type.String() + "' (allowed: int2 to int16, uint2 to uint16)");
  }
  if (entry.Find("block_size") || entry.Find("per_block_int_scale")) return {*format, {}};
  std::vector<float> scales = Scales(entry.At("y_scale"));
  if (scales.empty()) throw entry.At("y_scale").Fault("got no scale");
  const auto given = entry.Find("y_zero_point");
  std::vector<std::int32_t> points =
      given ? ZeroPoints(*given, scales.size()) : std::vector<std::int32_t>(scales.size(), 0);
  bool symmetric = !is_unsigned;
  const bool shifted = std::any_of(points.begin(), points.end(), [](auto p) { return p != 0; });
  if (symmetric && shifted) {  // Signed and asymmetric: the same grid counted from 0.
    for (std::int32_t& point : points) point += 1 << (format->bits() - 1);
    symmetric = false;
  }
  return Finish(format->bits(), symmetric, entry.Find("axis").has_value(), std::move(scales),
                std::move(points));
}

class Reader {
 public:
  Reader(const LayerGraph& graph, TensorEncoding (*read)(const JsonValue&),
         std::vector<std::string>& notes)
      : graph_(graph), read_(read), notes_(notes) {
    for (std::size_t l = 0; l < graph.layers().size(); ++l) {
      const Layer& layer = graph.layers()[l];
      if (layer.weight) weights_[graph.tensor(*layer.weight).name].push_back(LayerIndex(l));
      inputs_[graph.tensor(layer.input).name].push_back(LayerIndex(l));
    }
    all_ = inputs_;
    all_.insert(weights_.begin(), weights_.end());
  }

  void Add(const JsonValue& entry) {
    const std::string name = entry.At("name").String();
    const auto tensor = graph_.FindTensor(name);
    if (tensor) {
      entries_.insert_or_assign(*tensor, entry);
    } else if (name.ends_with(".bias")) {
      ++others_;  // Folding gives layers biases that the tool may name otherwise.
    } else {
      throw UnknownName(entry.At("name"), "tensor", name, all_);
    }
  }

  ConfigDocument Finish() {
    ConfigDocument document = FloatDocument(graph_);
    std::set<TensorIndex> used;
    for (std::size_t l = 0; l < graph_.layers().size(); ++l) {
      const Layer& layer = graph_.layers()[l];
      ConfigLayer& entry = document.layers[l];
      if (layer.weight && entries_.contains(*layer.weight)) {
        Take(*layer.weight, used, entry.choice.weight, entry.quantizers.weight);
        // A weight's range follows from its grids.
        if (entry.quantizers.weight) entry.quantizers.weight->low = 0.0;
        if (entry.quantizers.weight) entry.quantizers.weight->high = 0.0;
      }
      for (std::optional<TensorIndex> tensor = layer.input; tensor;
           tensor = MovedFrom(graph_, *tensor)) {
        if (!entries_.contains(*tensor)) continue;
        Take(*tensor, used, entry.choice.activation, entry.quantizers.activation);
        break;
      }
    }
    others_ += entries_.size() - used.size();
    if (others_ > 0) {
      notes_.push_back(fmt::format(
          "{} encodings of tensors that are no layer's weight or input are left out", others_));
    }
    if (blocked_ > 0) {
      notes_.push_back(
          fmt::format("the scales of {} blocked encodings are left out; bits are read", blocked_));
    }
    InferPlacement(document);
    InferWeightSpec(graph_, document, notes_);
    return document;
  }

 private:
  void Take(TensorIndex tensor, std::set<TensorIndex>& used, NumberFormat& format,
            std::optional<TensorQuantizer>& quantizer) {
    const TensorEncoding encoding = read_(entries_.at(tensor));
    format = encoding.format;
    quantizer = encoding.quantizer;
    if (used.insert(tensor).second && format.is_integer() && !quantizer) ++blocked_;
  }

  const LayerGraph& graph_;
  TensorEncoding (*read_)(const JsonValue&);
  std::vector<std::string>& notes_;
  LayersByName weights_;
  LayersByName inputs_;
  LayersByName all_;
  std::map<TensorIndex, JsonValue> entries_;
  std::size_t others_ = 0;
  std::size_t blocked_ = 0;
};

void RequireVersion(const JsonValue& file, const std::string& version) {
  const std::string found = file.At("version").String();
  if (found == version) return;
  throw file.At("version")
      .Fault("got encodings of version " + found + ", this reads 1.0.0 and 2.0.0")
      .Hint("export them from AIMET with AIMET_ENCODING_VERSION=1.0.0");
}

}  // namespace

ConfigDocument ReadAimet1(const JsonValue& file, const LayerGraph& graph,
                          std::vector<std::string>& notes) {
  RequireVersion(file, "1.0.0");
  Reader reader(graph, Read1, notes);
  for (const char* list : {"activation_encodings", "param_encodings"}) {
    for (const JsonValue& entry : file.At(list).Elements()) reader.Add(entry);
  }
  return reader.Finish();
}

ConfigDocument ReadAimet2(const JsonValue& file, const LayerGraph& graph,
                          std::vector<std::string>& notes) {
  RequireVersion(file, "2.0.0");
  Reader reader(graph, Read2, notes);
  for (const JsonValue& entry : file.At("encodings").Elements()) reader.Add(entry);
  return reader.Finish();
}

}  // namespace bitsearch
