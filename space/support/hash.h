#pragma once
// SHA-256, by which model files and artifacts are named.

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace bitsearch {

/// Lower-case hex digest (64 digits).
std::string Sha256(std::span<const std::byte> bytes);
std::string Sha256(std::string_view text);
/// Of a file's content. Throws Error(kFileNotFound).
std::string Sha256OfFile(const std::filesystem::path& path);

}  // namespace bitsearch
