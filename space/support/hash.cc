// SHA-256 through OpenSSL's EVP interface. Must not depend on any file format.
#include "space/support/hash.h"

#include <openssl/evp.h>

#include <array>
#include <fstream>
#include <memory>
#include <vector>

#include "space/support/error.h"

namespace bitsearch {
namespace {

/// An incremental digest; OpenSSL fails only for want of memory or of the algorithm itself.
class Digest {
 public:
  Digest() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    Expect(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
  }

  void Update(const void* data, std::size_t size) {
    Expect(EVP_DigestUpdate(context_.get(), data, size) == 1);
  }

  std::string Hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned int size = 0;
    Expect(EVP_DigestFinal_ex(context_.get(), bytes.data(), &size) == 1);
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string hex;
    for (unsigned int i = 0; i < size; ++i) {
      hex += kDigits[bytes[i] >> 4U];
      hex += kDigits[bytes[i] & 15U];
    }
    return hex;
  }

 private:
  static void Expect(bool ok) {
    if (!ok) throw Error(ErrorId::kInternal, "OpenSSL cannot compute SHA-256");
  }
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

std::string Sha256(std::span<const std::byte> bytes) {
  Digest digest;
  digest.Update(bytes.data(), bytes.size());
  return digest.Hex();
}

std::string Sha256(std::string_view text) {
  Digest digest;
  digest.Update(text.data(), text.size());
  return digest.Hex();
}

std::string Sha256OfFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> buffer(std::size_t{1} << 20);
  Digest digest;
  bool readable = file.is_open();
  while (readable) {
    file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    digest.Update(buffer.data(), static_cast<std::size_t>(file.gcount()));
    if (file.bad()) readable = false;
    if (!file) break;
  }
  // Opening a folder succeeds and reading it fails.
  if (!readable || std::filesystem::is_directory(path)) {
    throw Error(ErrorId::kFileNotFound, "cannot read the file")
        .At({path.string(), 0, 0})
        .Hint("check the path and its permissions");
  }
  return digest.Hex();
}

}  // namespace bitsearch
