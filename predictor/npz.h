#pragma once
// Reads float arrays from NumPy's .npz files (a zip of .npy; stored or deflated). Reading only.

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace bitsearch {

/// A float32 array, row-major.
struct NpzArray {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

/// All arrays by name (without ".npy"). Throws Error(kFileNotFound), Error(kNpzFormat) naming the
/// member: damaged zip, wrong checksum, a type other than little-endian float32 or float64.
std::map<std::string, NpzArray> ReadNpz(const std::filesystem::path& path);
/// The same from bytes; `name` stands for the file in messages.
std::map<std::string, NpzArray> ParseNpz(std::span<const std::byte> bytes, const std::string& name);

}  // namespace bitsearch
