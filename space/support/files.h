#pragma once
// Reading files whole and writing them so that a crash or a full disk never leaves half a file.

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace bitsearch {

/// The whole file as text. Throws Error(kFileNotFound) (also for a directory or no permission).
std::string ReadTextFile(const std::filesystem::path& path);
/// The whole file as bytes.
std::vector<std::byte> ReadBinaryFile(const std::filesystem::path& path);

/// Writes to a temporary name in the same folder, flushes to disk, renames over `path`. On any
/// failure the old file is untouched, the temporary is removed and Error(kFileWrite) is thrown.
void WriteFileAtomically(const std::filesystem::path& path, std::string_view content);

/// The `candidates` entry nearest to `word` by edit distance, or "" if none is near enough to be
/// a likely slip. For "did you mean" hints.
std::string NearestName(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace bitsearch
