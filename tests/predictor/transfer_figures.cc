// Prints the transfer curve on NAS-Bench-201 cells: transfer_figures [splits] [samples,…]
// [methods by index,…] [curve.json]. What docs/predictor.md quotes.

#include <cstdio>
#include <sstream>

#include "space/support/files.h"
#include "tests/predictor/nas201_data.h"

namespace {

std::vector<std::size_t> Numbers(const char* text) {
  std::vector<std::size_t> numbers;
  std::istringstream stream(text);
  for (std::string item; std::getline(stream, item, ',');) numbers.push_back(std::stoul(item));
  return numbers;
}

class Standard : public bitsearch::ProgressSink {
 public:
  void Progress(std::string_view task, std::int64_t done, std::int64_t total) override {
    std::fprintf(stderr, "%.*s %ld/%ld\n", static_cast<int>(task.size()), task.data(),
                 static_cast<long>(done), static_cast<long>(total));
  }
  void Log(std::string_view line) override {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
  }
  void Warning(std::string_view) override {}
};

}  // namespace

int main(int argc, char** argv) {
  using namespace bitsearch;
  const auto problem = ReadNas201(std::filesystem::path(BITSEARCH_SHARED_DATA) / "nas201");
  if (!problem) {
    std::fprintf(stderr, "no data at %s/nas201\n", BITSEARCH_SHARED_DATA);
    return 3;
  }
  TransferCurveOptions options;
  if (argc > 1) options.splits = std::stoi(argv[1]);
  if (argc > 2) options.samples = Numbers(argv[2]);
  if (argc > 3) {
    options.methods.clear();
    for (const std::size_t m : Numbers(argv[3])) {
      options.methods.push_back(static_cast<TransferMethod>(m));
    }
  }
  RunContext context;
  context.progress = std::make_shared<Standard>();
  const TransferCurve curve = MeasureTransferCurve(*problem, options, context);
  if (argc > 4) WriteFileAtomically(argv[4], TransferCurveJson(curve, problem->reference_name));
  std::fputs(TransferCurveText(curve, problem->reference_name).c_str(), stdout);
  return 0;
}
