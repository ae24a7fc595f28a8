#include "experiments/experiment_changes.h"

#include <algorithm>
#include <utility>

#include "space/support/error.h"
#include "space/support/yaml_reader.h"

namespace bitsearch {
namespace {

using KeysAndValues = std::vector<std::pair<std::string, std::string>>;

/// A list of scalars as one value: "[2, 3, 4]".
std::string ListText(const std::vector<YamlNode>& items) {
  std::string text;
  for (const YamlNode& item : items) text += (text.empty() ? "" : ", ") + item.String();
  return "[" + text + "]";
}

void Flatten(const YamlNode& node, KeysAndValues& flat) {
  if (node.is_map()) {
    for (const auto& [key, value] : node.Entries()) Flatten(value, flat);
    return;
  }
  if (!node.is_list()) {
    flat.emplace_back(node.path(), node.String());
    return;
  }
  const std::vector<YamlNode> items = node.Items();
  const bool plain = std::all_of(items.begin(), items.end(),
                                 [](const YamlNode& item) { return item.is_scalar(); });
  if (plain) flat.emplace_back(node.path(), ListText(items));
  for (const YamlNode& item : items) {
    if (!plain) Flatten(item, flat);
  }
}

KeysAndValues Flat(std::string_view text) {
  KeysAndValues flat;
  Flatten(YamlFile::Parse(text, "resolved.yaml").root(), flat);
  return flat;
}

const std::string* Find(const KeysAndValues& flat, const std::string& key) {
  for (const auto& [known, value] : flat) {
    if (known == key) return &value;
  }
  return nullptr;
}

}  // namespace

std::vector<std::string> ChangedKeys(std::string_view before, std::string_view after) {
  KeysAndValues old_keys;
  try {
    old_keys = Flat(before);
  } catch (const Error&) {
    return {"the options that the run was started with cannot be read any more"};
  }
  const KeysAndValues new_keys = Flat(after);
  std::vector<std::string> lines;
  for (const auto& [key, value] : new_keys) {
    const std::string* old_value = Find(old_keys, key);
    if (old_value == nullptr) {
      lines.push_back(key + ": added (" + value + ")");
    } else if (*old_value != value) {
      lines.push_back(key + ": " + *old_value + " → " + value);
    }
  }
  for (const auto& [key, value] : old_keys) {
    if (Find(new_keys, key) == nullptr) lines.push_back(key + ": removed (" + value + ")");
  }
  return lines;
}

}  // namespace bitsearch
