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

/// What is said of a file that is not as it should be.
struct JsonFaults {
  ErrorId syntax = ErrorId::kProfileFormat;  ///< This is not JSON.
  ErrorId shape = ErrorId::kProfileFormat;   ///< A value is not what is asked for.
  std::string hint = "is it the file that the tool wrote, and the right --tool?";
  /// Of a text that ends too early.
  std::string cut_hint = "was the file cut short, or the tool stopped while writing?";
};

/// A value inside a JSON file, with the path to it. Valid as long as any JsonValue of its file is.
/// Every accessor throws Error(JsonFaults::shape) with file, line, column and key path where the
/// value is not what is asked for.
class JsonValue {
 public:
  /// Parses a text; `name` stands for the file in messages.
  static JsonValue Parse(std::string text, const std::string& name, JsonFaults faults = {});
  static JsonValue Read(const std::string& path);

  /// The elements of an array.
  std::vector<JsonValue> Elements() const;
  /// The members of an object, in the order of the file.
  std::vector<std::pair<std::string, JsonValue>> Members() const;
  /// A member of an object; `At` throws if it is missing.
  JsonValue At(const std::string& key) const;
  std::optional<JsonValue> Find(const std::string& key) const;

  std::string String() const;
  /// A finite number of 0 or more.
  double NonNegative() const;
  /// A finite number.
  double Number() const;
  /// An integer of 0 or more; integers written as strings ("12") are read too.
  std::int64_t Count() const;
  bool Bool() const;

  bool is_null() const { return node_->is_null(); }
  bool is_number() const { return node_->is_number(); }
  bool is_string() const { return node_->is_string(); }
  bool is_object() const { return node_->is_object(); }
  bool is_array() const { return node_->is_array(); }

  /// An error about this value: place and key path filled in.
  Error Fault(const std::string& message) const;

 private:
  struct Document {
    std::string name;
    std::string text;
    JsonFaults faults;
    nlohmann::ordered_json root;
  };
  JsonValue(std::shared_ptr<const Document> document, const nlohmann::ordered_json* node,
            std::vector<std::string> path)
      : document_(std::move(document)), node_(node), path_(std::move(path)) {}
  JsonValue Child(const nlohmann::ordered_json& node, std::string token) const;

  std::shared_ptr<const Document> document_;
  const nlohmann::ordered_json* node_;
  std::vector<std::string> path_;
};

/// Line and column (from 1) of a byte offset.
SourceLocation LocationOfOffset(std::string_view text, std::size_t offset, std::string file);

}  // namespace bitsearch
