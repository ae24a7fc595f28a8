// Linux's /proc/cpuinfo. See machine_info.h.
#include "space/hardware/machine_info.h"

#include <ctime>
#include <fstream>
#include <thread>

namespace bitsearch {
namespace {

std::string ValueOf(const std::string& line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string::npos || colon + 2 > line.size()) return "";
  return line.substr(colon + 2);
}

}  // namespace

std::string CpuDescription() {
  std::ifstream file("/proc/cpuinfo");
  std::string model, flags, line;
  while (std::getline(file, line) && (model.empty() || flags.empty())) {
    if (line.starts_with("model name")) model = ValueOf(line);
    if (line.starts_with("flags")) flags = " " + ValueOf(line) + " ";
  }
  if (model.empty()) model = "unknown CPU";
  std::string text =
      model + ", " + std::to_string(std::thread::hardware_concurrency()) + " logical CPUs";
  if (flags.empty()) return text;
  const auto has = [&](const char* flag) {
    return flags.find(" " + std::string(flag) + " ") != std::string::npos;
  };
  text += has("avx512f") ? ", avx512" : has("avx2") ? ", avx2" : "";
  text += has("avx512_vnni") || has("avx_vnni") ? ", vnni" : ", no vnni";
  return text;
}

std::string UtcNow() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

}  // namespace bitsearch
