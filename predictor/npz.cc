// Zip's central directory, deflate through zlib, and .npy headers (versions 1 to 3).
#include "predictor/npz.h"

#include <fmt/format.h>
#include <zlib.h>

#include <cstring>

#include "space/support/error.h"
#include "space/support/files.h"

namespace bitsearch {
namespace {

constexpr std::size_t kMaxMemberBytes = std::size_t{1} << 30;

class Reader {
 public:
  Reader(std::span<const std::byte> bytes, std::string name)
      : bytes_(bytes), name_(std::move(name)) {}

  [[noreturn]] void Fail(const std::string& what, const std::string& member = {}) const {
    throw Error(ErrorId::kNpzFormat, what)
        .At({name_, 0, 0})
        .Key(member)
        .Hint("the file is damaged or holds other data; numpy.savez of float arrays writes one");
  }
  std::span<const std::byte> Bytes(std::size_t offset, std::size_t count) const {
    if (offset > bytes_.size() || count > bytes_.size() - offset) Fail("the file ends too early");
    return bytes_.subspan(offset, count);
  }
  template <typename T>
  T Integer(std::size_t offset) const {
    const auto part = Bytes(offset, sizeof(T));
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      value = static_cast<T>(value | static_cast<T>(static_cast<T>(part[i]) << (8 * i)));
    }
    return value;
  }
  std::size_t size() const { return bytes_.size(); }

 private:
  std::span<const std::byte> bytes_;
  std::string name_;
};

std::vector<std::byte> Inflate(const Reader& reader, std::span<const std::byte> packed,
                               std::size_t size, const std::string& member) {
  std::vector<std::byte> result(size);
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) reader.Fail("zlib failed to start", member);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = static_cast<uInt>(size);
  const int status = inflate(&stream, Z_FINISH);
  inflateEnd(&stream);
  if (status != Z_STREAM_END || stream.avail_out != 0) reader.Fail("damaged deflate data", member);
  return result;
}

/// The value of a key of the header's Python dictionary, up to the comma that ends it.
std::string HeaderValue(const Reader& reader, const std::string& header, const std::string& key,
                        const std::string& member) {
  const std::size_t at = header.find("'" + key + "'");
  const std::size_t colon = at == std::string::npos ? at : header.find(':', at);
  if (colon == std::string::npos) reader.Fail("header lacks \"" + key + "\"", member);
  std::size_t end = colon + 1;
  for (int depth = 0; end < header.size(); ++end) {
    if (header[end] == '(') ++depth;
    if (header[end] == ')') --depth;
    if (depth == 0 && (header[end] == ',' || header[end] == '}')) break;
  }
  return header.substr(colon + 1, end - colon - 1);
}

NpzArray ParseNpy(const Reader& reader, std::span<const std::byte> bytes,
                  const std::string& member) {
  const Reader npy(bytes, member);
  static constexpr unsigned char kMagic[] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
  if (bytes.size() < 10 || std::memcmp(bytes.data(), kMagic, sizeof kMagic) != 0) {
    reader.Fail("not an .npy array", member);
  }
  const int version = static_cast<int>(bytes[6]);
  const std::size_t start = version == 1 ? 10 : 12;
  const std::size_t length =
      version == 1 ? npy.Integer<std::uint16_t>(8) : npy.Integer<std::uint32_t>(8);
  const auto text = npy.Bytes(start, length);
  const std::string header(reinterpret_cast<const char*>(text.data()), text.size());

  const bool wide = HeaderValue(reader, header, "descr", member).find("<f8") != std::string::npos;
  if (!wide && HeaderValue(reader, header, "descr", member).find("<f4") == std::string::npos) {
    reader.Fail("its type is not float32 or float64", member);
  }
  if (HeaderValue(reader, header, "fortran_order", member).find("True") != std::string::npos) {
    reader.Fail("column-major order is not read", member);
  }
  NpzArray array;
  std::size_t count = 1;
  std::int64_t extent = -1;
  for (const char c : HeaderValue(reader, header, "shape", member)) {
    if (c >= '0' && c <= '9') {
      extent = (extent < 0 ? 0 : extent) * 10 + (c - '0');
      if (extent > static_cast<std::int64_t>(kMaxMemberBytes)) reader.Fail("too large", member);
    } else if (extent >= 0) {
      array.shape.push_back(extent);
      count *= static_cast<std::size_t>(extent);
      if (count > kMaxMemberBytes) reader.Fail("too large", member);
      extent = -1;
    }
  }
  const std::size_t width = wide ? 8 : 4;
  if (bytes.size() - start - length != count * width) {
    reader.Fail(fmt::format("{} bytes of data, its shape needs {}", bytes.size() - start - length,
                            count * width),
                member);
  }
  array.values.resize(count);
  const std::byte* data = bytes.data() + start + length;
  for (std::size_t i = 0; i < count; ++i) {
    if (wide) {
      double value = 0.0;
      std::memcpy(&value, data + i * 8, 8);
      array.values[i] = static_cast<float>(value);
    } else {
      std::memcpy(&array.values[i], data + i * 4, 4);
    }
  }
  return array;
}

}  // namespace

std::map<std::string, NpzArray> ParseNpz(std::span<const std::byte> bytes,
                                         const std::string& name) {
  const Reader zip(bytes, name);
  constexpr std::size_t kEndSize = 22;
  constexpr std::uint32_t kEndMark = 0x06054b50;
  constexpr std::uint32_t kEntryMark = 0x02014b50;
  constexpr std::uint32_t kLocalMark = 0x04034b50;
  if (zip.size() < kEndSize) zip.Fail("not a zip file");
  std::size_t end = zip.size() - kEndSize;
  while (zip.Integer<std::uint32_t>(end) != kEndMark) {
    if (end == 0 || zip.size() - end > kEndSize + 0xffff) zip.Fail("not a zip file");
    --end;
  }
  const std::size_t entries = zip.Integer<std::uint16_t>(end + 10);
  std::size_t at = zip.Integer<std::uint32_t>(end + 16);
  std::map<std::string, NpzArray> arrays;
  for (std::size_t i = 0; i < entries; ++i) {
    if (zip.Integer<std::uint32_t>(at) != kEntryMark) zip.Fail("damaged zip directory");
    const int method = zip.Integer<std::uint16_t>(at + 10);
    const auto checksum = zip.Integer<std::uint32_t>(at + 16);
    const std::size_t packed_size = zip.Integer<std::uint32_t>(at + 20);
    const std::size_t size = zip.Integer<std::uint32_t>(at + 24);
    const std::size_t name_size = zip.Integer<std::uint16_t>(at + 28);
    const std::size_t local = zip.Integer<std::uint32_t>(at + 42);
    const auto name_bytes = zip.Bytes(at + 46, name_size);
    std::string member(reinterpret_cast<const char*>(name_bytes.data()), name_size);
    at +=
        46 + name_size + zip.Integer<std::uint16_t>(at + 30) + zip.Integer<std::uint16_t>(at + 32);
    if (zip.Integer<std::uint32_t>(local) != kLocalMark) zip.Fail("damaged zip entry", member);
    const std::size_t data = local + 30 + zip.Integer<std::uint16_t>(local + 26) +
                             zip.Integer<std::uint16_t>(local + 28);
    const auto packed = zip.Bytes(data, packed_size);
    if (size > kMaxMemberBytes) zip.Fail("too large", member);
    std::vector<std::byte> content;
    if (method == 0 && size == packed_size) {
      content.assign(packed.begin(), packed.end());
    } else if (method == 8) {
      content = Inflate(zip, packed, size, member);
    } else {
      zip.Fail(fmt::format("compression method {} is not read", method), member);
    }
    if (crc32(0, reinterpret_cast<const Bytef*>(content.data()),
              static_cast<uInt>(content.size())) != checksum) {
      zip.Fail("its checksum is wrong", member);
    }
    NpzArray array = ParseNpy(zip, content, member);
    if (member.ends_with(".npy")) member.resize(member.size() - 4);
    arrays.emplace(std::move(member), std::move(array));
  }
  return arrays;
}

std::map<std::string, NpzArray> ReadNpz(const std::filesystem::path& path) {
  return ParseNpz(ReadBinaryFile(path), path.string());
}

}  // namespace bitsearch
