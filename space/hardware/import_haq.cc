// NumPy's .npy as HAQ ships its latency tables. See importers.h.
#include <bit>
#include <charconv>
#include <cstring>
#include <optional>

#include "space/hardware/importers.h"
#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

static_assert(std::endian::native == std::endian::little, ".npy data is read as it lies");

/// Faults in a binary file are placed by their byte: line 1, column = offset + 1.
Error Fault(const std::string& path, std::size_t offset, const std::string& message) {
  return Error(ErrorId::kProfileFormat, message)
      .At({path, 1, static_cast<int>(offset) + 1})
      .Hint(
          "columns count bytes; expected a .npy of integers, shape (layers, weight bits, "
          "activation bits)");
}

/// The text behind `'name':` in a .npy header, up to the next comma outside parentheses.
std::string HeaderValue(const std::string& header, const std::string& name) {
  std::size_t at = header.find("'" + name + "'");
  if (at == std::string::npos) return "";
  at = header.find(':', at);
  if (at == std::string::npos) return "";
  at = header.find_first_not_of(' ', at + 1);
  if (at == std::string::npos) return "";
  std::size_t end = at;
  for (int depth = 0; end < header.size(); ++end) {
    if (header[end] == '(') ++depth;
    if (header[end] == ')') --depth;
    if (depth < 0 || (depth == 0 && (header[end] == ',' || header[end] == '}'))) break;
  }
  return header.substr(at, end - at);
}

struct NpyArray {
  std::vector<std::size_t> shape;
  std::vector<std::int64_t> values;
};

std::vector<std::size_t> ShapeOf(const std::string& text, const std::string& path) {
  std::vector<std::size_t> shape;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] < '0' || text[at] > '9') {
      ++at;
      continue;
    }
    std::size_t extent = 0;
    const auto [end, status] = std::from_chars(text.data() + at, text.data() + text.size(), extent);
    if (status != std::errc()) throw Fault(path, 10, "the shape " + text + " is not readable");
    shape.push_back(extent);
    at = static_cast<std::size_t>(end - text.data());
  }
  return shape;
}

NpyArray ReadIntegers(const std::string& path) {
  const std::vector<std::byte> bytes = ReadBinaryFile(path);
  constexpr std::string_view kMagic = "\x93NUMPY";
  if (bytes.size() < 10 || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) {
    throw Fault(path, 0, "this is not a .npy file");
  }
  const int version = static_cast<int>(bytes[6]);
  if (version < 1 || version > 3) {
    throw Fault(path, 6, "got .npy version " + std::to_string(version) + " (allowed: 1, 2, 3)");
  }
  std::size_t header_at = 10;
  std::size_t header_size = static_cast<std::size_t>(bytes[8]) | static_cast<std::size_t>(bytes[9])
                                                                     << 8;
  if (version > 1) {
    header_at = 12;
    if (bytes.size() < header_at) throw Fault(path, bytes.size(), "the header is cut short");
    header_size |= static_cast<std::size_t>(bytes[10]) << 16 | static_cast<std::size_t>(bytes[11])
                                                                   << 24;
  }
  if (header_size > bytes.size() - header_at) {
    throw Fault(path, bytes.size(), "the header is cut short");
  }
  const std::string header(reinterpret_cast<const char*>(bytes.data()) + header_at, header_size);
  const std::string type = HeaderValue(header, "descr");
  if (type != "'<i8'" && type != "'<i4'") {
    throw Fault(path, header_at, "got elements of type " + type + " (allowed: '<i8', '<i4')");
  }
  if (HeaderValue(header, "fortran_order") != "False") {
    throw Fault(path, header_at, "the array must be in C order");
  }
  NpyArray array;
  array.shape = ShapeOf(HeaderValue(header, "shape"), path);
  const std::size_t width = type == "'<i8'" ? 8 : 4;
  const std::size_t data_at = header_at + header_size;
  const std::size_t available = (bytes.size() - data_at) / width;
  std::size_t count = 1;
  for (const std::size_t extent : array.shape) {
    if (extent != 0 && count > available / extent)
      count = available + 1;
    else
      count *= extent;
  }
  if (count != available || (bytes.size() - data_at) % width != 0) {
    throw Fault(path, bytes.size(),
                "the shape " + HeaderValue(header, "shape") + " does not fit the " +
                    std::to_string(bytes.size() - data_at) + " bytes of data");
  }
  for (std::size_t i = 0; i < count; ++i) {
    const std::byte* at = bytes.data() + data_at + i * width;
    std::int64_t value = 0;
    if (width == 8) {
      std::memcpy(&value, at, 8);
    } else {
      std::int32_t narrow = 0;
      std::memcpy(&narrow, at, 4);
      value = narrow;
    }
    if (value < 0) {
      throw Fault(path, data_at + i * width,
                  "got " + std::to_string(value) + " (allowed: 0 or more)");
    }
    array.values.push_back(value);
  }
  return array;
}

}  // namespace

ImportedProfile ImportHaq(const std::string& path, const std::vector<LayerKey>& layers) {
  const NpyArray array = ReadIntegers(path);
  constexpr std::size_t kMostBits = 16;
  if (array.shape.size() != 3 || array.shape[1] > kMostBits || array.shape[2] > kMostBits) {
    throw Fault(path, 10, "the array must have 3 axes, the last two of at most 16 bits");
  }
  if (!layers.empty() && layers.size() != array.shape[0]) {
    throw Error(ErrorId::kProfileUnmatched, "the table has " + std::to_string(array.shape[0]) +
                                                " layers, the model has " +
                                                std::to_string(layers.size()))
        .At({.file = path})
        .Hint("the table goes by position: it must be made for this very network");
  }
  ImportedProfile result;
  result.table.source_name = path;
  std::size_t i = 0;
  for (std::size_t l = 0; l < array.shape[0]; ++l) {
    const std::string key = layers.empty() ? "layer" + std::to_string(l) : layers[l].id;
    for (std::size_t w = 1; w <= array.shape[1]; ++w) {
      for (std::size_t a = 1; a <= array.shape[2]; ++a, ++i) {
        result.table.Add(key,
                         {NumberFormat::Integer(static_cast<int>(w)),
                          NumberFormat::Integer(static_cast<int>(a))},
                         {array.values[i]});
      }
    }
  }
  result.table.SetProvenance("tool", "HAQ lookup table (simulator)");
  result.table.SetProvenance("unit",
                             "the source does not state it: one unit is written as 1 ns, "
                             "only ratios mean anything");
  return result;
}

}  // namespace bitsearch
