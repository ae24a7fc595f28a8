#include "space/support/npy.h"

#include <cstring>
#include <regex>

#include "space/support/error.h"

namespace bitsearch {
namespace {

template <typename T>
void Convert(const std::byte* data, std::vector<double>& out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    T value;
    std::memcpy(&value, data + i * sizeof(T), sizeof(T));
    out[i] = static_cast<double>(value);
  }
}

struct ElementType {
  const char* name;
  std::size_t size;
  void (*convert)(const std::byte*, std::vector<double>&);
};

constexpr ElementType kTypes[] = {
    {"f4", 4, Convert<float>},         {"f8", 8, Convert<double>},
    {"i1", 1, Convert<std::int8_t>},   {"i2", 2, Convert<std::int16_t>},
    {"i4", 4, Convert<std::int32_t>},  {"i8", 8, Convert<std::int64_t>},
    {"u1", 1, Convert<std::uint8_t>},  {"u2", 2, Convert<std::uint16_t>},
    {"u4", 4, Convert<std::uint32_t>}, {"u8", 8, Convert<std::uint64_t>},
};

}  // namespace

NpyArray ParseNpy(std::span<const std::byte> bytes, const std::string& name) {
  const auto fail = [&name](const std::string& what) {
    return Error(ErrorId::kArrayFormat, what)
        .At({name})
        .Hint("write it with numpy.save, C order, float32 or an integer type");
  };
  const char* text = reinterpret_cast<const char*>(bytes.data());
  if (bytes.size() < 12 || std::memcmp(text, "\x93NUMPY", 6) != 0) {
    throw fail("is not a .npy file");
  }
  const int version = text[6];
  std::size_t start = 10;
  std::size_t length = static_cast<std::uint8_t>(text[8]) |
                       static_cast<std::size_t>(static_cast<std::uint8_t>(text[9])) << 8;
  if (version >= 2) {
    start = 12;
    length |= static_cast<std::size_t>(static_cast<std::uint8_t>(text[10])) << 16 |
              static_cast<std::size_t>(static_cast<std::uint8_t>(text[11])) << 24;
  }
  if (version < 1 || version > 3 || length > bytes.size() - start) {
    throw fail("the header is damaged or of an unknown version");
  }
  const std::string header(text + start, length);
  std::smatch match;
  static const std::regex kType(R"('descr'\s*:\s*'([<|=])([fiu][1248])')");
  static const std::regex kOrder(R"('fortran_order'\s*:\s*False)");
  static const std::regex kShape(R"('shape'\s*:\s*\(([0-9,\s]*)\))");
  if (!std::regex_search(header, match, kType)) throw fail("elements are of a type not read here");
  const std::string type_name = match[2];
  if (!std::regex_search(header, kOrder)) throw fail("is in Fortran order");
  if (!std::regex_search(header, match, kShape)) throw fail("the header names no shape");
  NpyArray array;
  const std::string extents = match[1];
  static const std::regex kNumber("[0-9]{1,15}");
  std::size_t count = 1;
  for (std::sregex_iterator it(extents.begin(), extents.end(), kNumber), end; it != end; ++it) {
    array.shape.push_back(std::stoll(it->str()));
    const auto extent = static_cast<std::size_t>(array.shape.back());
    if (extent != 0 && count > bytes.size() / extent) throw fail("is truncated");
    count *= extent;
  }
  for (const ElementType& type : kTypes) {
    if (type_name != type.name) continue;
    if (bytes.size() - start - length < count * type.size) throw fail("is truncated");
    array.is_integer = type_name[0] != 'f';
    array.is_byte = type_name == "u1";
    array.values.resize(count);
    type.convert(bytes.data() + start + length, array.values);
    return array;
  }
  throw fail("elements are of a type not read here");
}

}  // namespace bitsearch
