#pragma once
// What this machine calls itself, for the provenance of measurements. Never part of anything that
// is hashed or compared.

#include <string>

namespace bitsearch {

/// Model name of the CPU, logical CPUs, and its integer vector extensions, e.g.
/// "AMD EPYC, 2 logical CPUs, avx2, no vnni". "unknown CPU" where the system does not say.
std::string CpuDescription();

/// Now, as "2024-05-01T12:34:56Z".
std::string UtcNow();

}  // namespace bitsearch
