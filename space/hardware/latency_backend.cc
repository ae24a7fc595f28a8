// The raw samples file. See latency_backend.h.
#include "space/hardware/latency_backend.h"

#include "space/hardware/latency_csv.h"

namespace bitsearch {

std::string RawSamplesCsvText(const std::vector<RawSamples>& raw) {
  std::string text = "name,kind,formats,implementation,samples_ns\n";
  for (const RawSamples& kernel : raw) {
    text += CsvCell(kernel.name) + "," + CsvCell(kernel.kind) + "," + CsvCell(kernel.formats) +
            "," + CsvCell(kernel.implementation) + ",";
    for (std::size_t i = 0; i < kernel.samples_ns.size(); ++i) {
      if (i > 0) text += ' ';
      text += std::to_string(kernel.samples_ns[i]);
    }
    text += '\n';
  }
  return text;
}

std::string SamplesPathFor(const std::string& latency_path) {
  std::string stem = latency_path;
  if (stem.ends_with(".csv")) stem.resize(stem.size() - 4);
  return stem + ".samples.csv";
}

}  // namespace bitsearch
