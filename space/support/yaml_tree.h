#pragma once
// The tree under a YAML file with the place of every value. Own, because yaml-cpp 0.7 lets
// duplicate keys pass, reads 010 as eight and forgets places; yaml-cpp only scans. Must not know
// any key.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "space/support/error.h"

namespace bitsearch {

/// One YAML value. Plain data; `asked` and `taken` are notes that YamlNode leaves while reading, so
/// that what nobody asked for can be reported.
struct YamlValue {
  enum class Kind { kNull, kScalar, kList, kMap };
  struct Entry {
    std::string key;
    SourceLocation key_location;
    std::shared_ptr<YamlValue> value;
  };

  Kind kind = Kind::kNull;
  SourceLocation location;
  std::string text;     ///< kScalar: its text.
  bool quoted = false;  ///< kScalar: written in quotes, so a string and never a number.
  std::vector<std::shared_ptr<YamlValue>> items;  ///< kList.
  std::vector<Entry> entries;                     ///< kMap, in the file's order, keys distinct.

  std::vector<std::string> asked;  ///< kMap: the keys a reader asked for.
  bool taken = false;              ///< kMap: a reader took all entries, whatever their keys.
};

/// Parses one YAML document; `name` stands for the file in messages. Duplicate keys are added to
/// `errors` (the first is kept). Throws Error(kYamlSyntax) where the text is no YAML at all, is
/// empty, or holds more than one document.
std::shared_ptr<YamlValue> ParseYamlTree(std::string_view text, const std::string& name,
                                         std::vector<Error>& errors);

/// Applies one `--set` override, "a.b=c": replaces or creates the value at the path. A segment that
/// is a number indexes a list; a segment in double quotes may hold dots. The right side is YAML.
/// Throws Error(kSetOverride) where the text or the path makes no sense.
void ApplyYamlOverride(YamlValue& root, const std::string& override_text,
                       std::vector<Error>& errors);

}  // namespace bitsearch
