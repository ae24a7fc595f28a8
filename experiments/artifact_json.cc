#include "experiments/artifact_json.h"

#include <fmt/format.h>

namespace bitsearch {

JsonValue ParseArtifact(const std::string& text, const std::string& name, ErrorId fault) {
  const std::string hint =
      "delete the file and resume the run (bitsearch run FILE.yaml --resume), which writes it "
      "again";
  return JsonValue::Parse(text, name, {fault, fault, hint, hint});
}

void RequireFormat(const JsonValue& artifact, const std::string& name, const std::string& format) {
  const std::string found = artifact.At("format").String();
  if (found == format) return;
  throw Error(ErrorId::kFormatVersion,
              fmt::format("got format \"{}\", allowed \"{}\"", found, format))
      .At({name, 0, 0})
      .Hint("use the bitsearch that wrote the file, or run again");
}

}  // namespace bitsearch
