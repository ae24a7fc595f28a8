// Reading and writing ONNX tensors byte by byte. Must not depend on LibTorch.
#include "space/graph/onnx_tensor.h"

#include <charconv>
#include <cstring>
#include <fstream>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "space/support/error.h"

namespace bitsearch {
namespace {

Error TensorError(const std::string& name, const std::string& message, const std::string& hint) {
  Error error(ErrorId::kModelTensor, message);
  error.Key(name).Hint(hint);
  return error;
}

/// Bytes that the elements take; −1 where the shape is impossible.
std::int64_t ExpectedBytes(const Shape& shape, int bits) {
  for (const std::int64_t extent : shape) {
    if (extent > kLargestExtent) return -1;
  }
  const std::int64_t count = ElementCount(shape);
  if (count < 0 || count > std::numeric_limits<std::int64_t>::max() / 64) return -1;
  return (count * bits + 7) / 8;
}

Error WrongSize(const std::string& name, DataType type, const Shape& shape, std::int64_t expected,
                std::int64_t got) {
  return TensorError(
      name,
      "the tensor of shape " + ToString(shape) + " and type " + std::string(NameOf(type)) +
          " needs " +
          (expected < 0 ? std::string("an impossible number of") : std::to_string(expected)) +
          " bytes, the file holds " + std::to_string(got),
      "the model file is damaged or incomplete; export or download it again");
}

/// Elements kept one per entry of a typed field, narrowed to `size` bytes each (little endian).
template <typename Field>
std::vector<std::byte> Narrowed(const Field& field, std::size_t size) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(field.size()) * size);
  std::size_t position = 0;
  for (const auto value : field) {
    std::memcpy(bytes.data() + position, &value, size);
    position += size;
  }
  return bytes;
}

std::vector<std::byte> TypedBytes(const onnx::TensorProto& proto, DataType type) {
  const int bits = BitsOf(type);
  const std::size_t size = bits < 8 ? 1 : static_cast<std::size_t>(bits) / 8;
  switch (type) {
    case DataType::kFloat32:
      return Narrowed(proto.float_data(), size);
    case DataType::kFloat64:
      return Narrowed(proto.double_data(), size);
    case DataType::kInt64:
      return Narrowed(proto.int64_data(), size);
    case DataType::kUint32:
    case DataType::kUint64:
      return Narrowed(proto.uint64_data(), size);
    default:
      return Narrowed(proto.int32_data(), size);
  }
}

Error ExternalError(const std::string& name, const std::string& message, const std::string& hint) {
  Error error(ErrorId::kModelExternalData, message);
  error.Key(name).Hint(hint);
  return error;
}

struct ExternalPlace {
  std::string location;
  std::int64_t offset = 0;
  std::optional<std::int64_t> length;
};

ExternalPlace ReadPlace(const onnx::TensorProto& proto, const std::string& name) {
  ExternalPlace place;
  for (const onnx::StringStringEntryProto& entry : proto.external_data()) {
    if (entry.key() == "location") {
      place.location = entry.value();
      continue;
    }
    if (entry.key() != "offset" && entry.key() != "length") continue;
    std::int64_t number = -1;
    const std::string& text = entry.value();
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || number < 0) {
      throw ExternalError(name, "external data: " + entry.key() + " is '" + text + "'",
                          "it must be a number of bytes");
    }
    if (entry.key() == "offset") {
      place.offset = number;
    } else {
      place.length = number;
    }
  }
  return place;
}

std::vector<std::byte> ExternalBytes(const onnx::TensorProto& proto, const std::string& name,
                                     const std::filesystem::path& folder, std::int64_t expected) {
  const ExternalPlace place = ReadPlace(proto, name);
  const std::filesystem::path relative(place.location);
  bool inside = !place.location.empty() && relative.is_relative();
  for (const std::filesystem::path& part : relative) inside &= part != "..";
  if (!inside) {
    throw ExternalError(name, "external data lie at '" + place.location + "'",
                        "the location must be a path below the model's folder");
  }
  const std::filesystem::path path = folder / relative;
  std::error_code failure;
  const auto size = std::filesystem::file_size(path, failure);
  if (failure) {
    throw ExternalError(name, "the external data file '" + place.location + "' cannot be opened",
                        "keep it in the folder of the model: " + path.string());
  }
  const auto available = static_cast<std::int64_t>(size);
  if (place.length.value_or(expected) != expected || place.offset > available ||
      expected > available - place.offset) {
    throw ExternalError(
        name,
        "the tensor needs " + std::to_string(expected) + " bytes at offset " +
            std::to_string(place.offset) + " of '" + place.location + "', which holds " +
            std::to_string(available) +
            (place.length ? " (declared length " + std::to_string(*place.length) + ")"
                          : std::string()),
        "the file is incomplete or belongs to another model");
  }
  std::vector<std::byte> bytes(static_cast<std::size_t>(expected));
  std::ifstream stream(path, std::ios::binary);
  stream.seekg(place.offset);
  stream.read(reinterpret_cast<char*>(bytes.data()), expected);
  if (!stream) {
    throw ExternalError(name, "the external data file '" + place.location + "' cannot be read",
                        "check the file and its permissions");
  }
  return bytes;
}

}  // namespace

DataType ComputeType(DataType type) {
  switch (type) {
    case DataType::kFloat16:
    case DataType::kBfloat16:
    case DataType::kFloat64:
      return DataType::kFloat32;
    default:
      return type;
  }
}

TensorValue ReadTensor(const onnx::TensorProto& proto, const std::string& name,
                       const std::filesystem::path& folder) {
  const auto type = static_cast<DataType>(proto.data_type());
  if (BitsOf(type) == 0) {
    throw TensorError(name,
                      "data type " + std::to_string(proto.data_type()) + " (" +
                          std::string(NameOf(type)) + ") is not supported",
                      "supported: float16/32/64, bfloat16, bool and integers of 2 to 64 bits");
  }
  if (proto.has_segment()) {
    throw TensorError(name, "segmented tensors are not supported", "export the model again");
  }
  const Shape shape(proto.dims().begin(), proto.dims().end());
  const std::int64_t expected = ExpectedBytes(shape, BitsOf(type));
  std::vector<std::byte> bytes;
  if (proto.data_location() == onnx::TensorProto::EXTERNAL) {
    if (expected < 0) throw WrongSize(name, type, shape, expected, 0);
    bytes = ExternalBytes(proto, name, folder, expected);
  } else if (proto.has_raw_data()) {
    const std::string& raw = proto.raw_data();
    if (expected != static_cast<std::int64_t>(raw.size())) {
      throw WrongSize(name, type, shape, expected, static_cast<std::int64_t>(raw.size()));
    }
    const auto* begin = reinterpret_cast<const std::byte*>(raw.data());
    bytes.assign(begin, begin + raw.size());
  } else {
    bytes = TypedBytes(proto, type);
    if (expected != static_cast<std::int64_t>(bytes.size())) {
      throw WrongSize(name, type, shape, expected, static_cast<std::int64_t>(bytes.size()));
    }
  }
  TensorValue value(type, shape, std::move(bytes));
  if (ComputeType(type) == type) return value;
  return TensorValue::FromFloats(shape, value.ToFloats());
}

onnx::TensorProto WriteTensor(const TensorValue& value, const std::string& name) {
  onnx::TensorProto proto;
  if (!name.empty()) proto.set_name(name);
  proto.set_data_type(static_cast<std::int32_t>(value.type()));
  for (const std::int64_t extent : value.shape()) proto.add_dims(extent);
  proto.set_raw_data(value.bytes().data(), value.bytes().size());
  return proto;
}

}  // namespace bitsearch
