// Records: length (8 bytes), its masked CRC, data, its masked CRC, all little-endian. Data is a
// tensorflow.Event: wall_time = 1, step = 2, file_version = 3, summary = 5.
#include "experiments/report/tensorboard.h"

#include <array>
#include <bit>

#include "experiments/search_run.h"
#include "sensitivity/sensitivity_report.h"

namespace bitsearch {
namespace {

using Json = nlohmann::ordered_json;

void AppendLittleEndian(std::uint64_t value, int bytes, std::string* out) {
  for (int i = 0; i < bytes; ++i) *out += static_cast<char>((value >> (8 * i)) & 0xffU);
}

void AppendVarint(std::uint64_t value, std::string* out) {
  constexpr std::uint64_t kMore = 0x80;
  for (; value >= kMore; value >>= 7U) *out += static_cast<char>((value & 0x7fU) | kMore);
  *out += static_cast<char>(value);
}

// Protocol buffers: a field's key is its number and its wire type.
constexpr std::uint64_t kVarint = 0;
constexpr std::uint64_t kFixed64 = 1;
constexpr std::uint64_t kBytes = 2;
constexpr std::uint64_t kFixed32 = 5;

void AppendKey(std::uint64_t field, std::uint64_t type, std::string* out) {
  AppendVarint((field << 3U) | type, out);
}
void AppendBytes(std::uint64_t field, std::string_view bytes, std::string* out) {
  AppendKey(field, kBytes, out);
  AppendVarint(bytes.size(), out);
  out->append(bytes);
}

std::uint32_t Masked(std::uint32_t crc) {
  constexpr std::uint32_t kMaskDelta = 0xa282ead8U;
  return ((crc >> 15U) | (crc << 17U)) + kMaskDelta;
}

void AppendRecord(const std::string& data, std::string* out) {
  std::string length;
  AppendLittleEndian(data.size(), 8, &length);
  *out += length;
  AppendLittleEndian(Masked(Crc32c(length)), 4, out);
  *out += data;
  AppendLittleEndian(Masked(Crc32c(data)), 4, out);
}

std::string EventHead(double wall_time) {
  std::string event;
  AppendKey(1, kFixed64, &event);
  AppendLittleEndian(std::bit_cast<std::uint64_t>(wall_time), 8, &event);
  return event;
}

std::string ScalarEvent(const Scalar& scalar, double wall_time) {
  std::string value;
  AppendBytes(1, scalar.tag, &value);
  AppendKey(2, kFixed32, &value);
  AppendLittleEndian(std::bit_cast<std::uint32_t>(static_cast<float>(scalar.value)), 4, &value);
  std::string summary;
  AppendBytes(1, value, &summary);
  std::string event = EventHead(wall_time);
  AppendKey(2, kVarint, &event);
  AppendVarint(static_cast<std::uint64_t>(scalar.step), &event);
  AppendBytes(5, summary, &event);
  return event;
}

double WidthOf(const NumberFormat& format) { return format.bits(); }

void AddNumbers(const Json& epoch, const std::string& prefix, std::int64_t step,
                std::vector<Scalar>* scalars) {
  for (const auto& [name, value] : epoch.items()) {
    if (value.is_number() && name != "epoch") {
      scalars->push_back({prefix + name, step, value.get<double>()});
    } else if (value.is_object()) {
      AddNumbers(value, prefix + name + "/", step, scalars);
    }
  }
}

}  // namespace

std::uint32_t Crc32c(std::string_view bytes) {
  static const std::array<std::uint32_t, 256> table = [] {
    constexpr std::uint32_t kReversed = 0x82f63b78U;
    std::array<std::uint32_t, 256> entries{};
    for (std::uint32_t i = 0; i < entries.size(); ++i) {
      std::uint32_t crc = i;
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? kReversed : 0U);
      entries[i] = crc;
    }
    return entries;
  }();
  std::uint32_t crc = ~0U;
  for (const char c : bytes) {
    crc = table[(crc ^ static_cast<unsigned char>(c)) & 0xffU] ^ (crc >> 8U);
  }
  return ~crc;
}

std::string EventFile(const std::vector<Scalar>& scalars, double wall_time) {
  std::string file;
  std::string version = EventHead(wall_time);
  AppendBytes(3, "brain.Event:2", &version);
  AppendRecord(version, &file);
  for (const Scalar& scalar : scalars) AppendRecord(ScalarEvent(scalar, wall_time), &file);
  return file;
}

std::vector<Scalar> ReportScalars(const ReportData& data) {
  std::vector<Scalar> scalars;
  const Json& files = data.json.at("files");
  if (files.contains(kResultsName)) {
    for (const Json& row : files.at(kResultsName).at("rows")) {
      const auto budget = row.at("budget").get<std::string>();
      const std::string prefix = "results/" + (budget.empty() ? "" : budget + "/") +
                                 row.at("line").get<std::string>() + "/";
      for (const char* key : {"top1_percent", "kl_nats", "predicted_loss_nats"}) {
        if (row.at(key).is_number())
          scalars.push_back({prefix + key, 0, row.at(key).get<double>()});
      }
    }
  }
  if (files.contains(kSensitivityName)) {
    const SensitivityReport report =
        ParseSensitivityCsv(files.at(kSensitivityName).get<std::string>(), kSensitivityName);
    for (std::size_t l = 0; l < report.layers.size(); ++l) {
      for (const ChoiceSensitivity& choice : report.layers[l].choices) {
        scalars.push_back({"sensitivity/" + choice.choice.ToString(), static_cast<std::int64_t>(l),
                           choice.loss_increase});
      }
    }
  }
  for (const auto& [name, file] : files.items()) {
    if (name.starts_with("config_")) {
      const Json& layers = file.at("layers");
      for (std::size_t l = 0; l < layers.size(); ++l) {
        const Json& bits = layers[l].at("weight_bits");
        const auto format =
            NumberFormat::Parse(bits.is_string() ? bits.get<std::string>() : bits.dump());
        if (!format.has_value()) continue;
        scalars.push_back({"weight_bits/" + name.substr(0, name.find('.')),
                           static_cast<std::int64_t>(l), WidthOf(*format)});
      }
    } else if (name == "finetune.json") {
      for (const Json& line : file.at("lines")) {
        for (const Json& epoch : line.at("curve")) {
          AddNumbers(epoch, "finetune/" + line.at("line").get<std::string>() + "/",
                     epoch.at("epoch").get<std::int64_t>(), &scalars);
        }
      }
    } else if (file.is_object() && file.contains("epochs")) {
      for (const Json& epoch : file.at("epochs")) {
        AddNumbers(epoch, name.substr(0, name.find('.')) + "/",
                   epoch.at("epoch").get<std::int64_t>(), &scalars);
      }
    }
  }
  return scalars;
}

}  // namespace bitsearch
