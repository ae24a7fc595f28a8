#pragma once
// NumPy's .npy format (versions 1–3, C order, little endian numbers), read only.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace bitsearch {

/// An array with its elements converted to double (exact for float32, float64 and integers up to
/// 53 bits).
struct NpyArray {
  std::vector<std::int64_t> shape;
  std::vector<double> values;  ///< Row-major.
  bool is_integer = false;     ///< What the file holds, before the conversion.
  bool is_byte = false;        ///< uint8
};

/// Reads the bytes of a .npy file; `name` stands in messages. Throws Error(kArrayFormat): not .npy,
/// Fortran order, another type than float32/64 or (u)int8/16/32/64, truncated.
NpyArray ParseNpy(std::span<const std::byte> bytes, const std::string& name);

}  // namespace bitsearch
