#pragma once
// JSON written by other tools, read so that every complaint has a line and a column. nlohmann's
// values do not know where they stood: the place is looked up again only when there is a fault.

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "space/support/error.h"

namespace bitsearch {

/// A value inside a JSON file, with the path to it. Valid as long as any JsonValue of its file is.
/// Every accessor throws Error(kProfileFormat) with file, line, column and key path where the value
/// is not what is asked for.
class JsonValue {
 public:
  /// Parses a text; `name` stands for the file in messages.
  static JsonValue Parse(std::string text, const std::string& name);
  static JsonValue Read(const std::string& path);

  /// The elements of an array.
  std::vector<JsonValue> Elements() const;
  /// The members of an object, in the order of their names.
  std::vector<std::pair<std::string, JsonValue>> Members() const;
  /// A member of an object; `At` throws if it is missing.
  JsonValue At(const std::string& key) const;
  std::optional<JsonValue> Find(const std::string& key) const;

  std::string String() const;
  /// A finite number of 0 or more.
  double NonNegative() const;
  /// An integer of 0 or more; integers written as strings ("12") are read too.
  std::int64_t Count() const;

  bool is_string() const { return node_->is_string(); }
  bool is_object() const { return node_->is_object(); }
  bool is_array() const { return node_->is_array(); }

  /// An error about this value: place and key path filled in.
  Error Fault(const std::string& message) const;

 private:
  struct Document {
    std::string name;
    std::string text;
    nlohmann::json root;
  };
  JsonValue(std::shared_ptr<const Document> document, const nlohmann::json* node,
            std::vector<std::string> path)
      : document_(std::move(document)), node_(node), path_(std::move(path)) {}
  JsonValue Child(const nlohmann::json& node, std::string token) const;

  std::shared_ptr<const Document> document_;
  const nlohmann::json* node_;
  std::vector<std::string> path_;
};

/// Line and column (from 1) of a byte offset.
SourceLocation LocationOfOffset(std::string_view text, std::size_t offset, std::string file);

}  // namespace bitsearch
