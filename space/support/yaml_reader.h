#pragma once
// Strict reading of YAML configuration: key paths, types, ranges, names out of a list; what nobody
// asked for is an error with the nearest valid name; all errors come at once with line and column.
// yaml-cpp stays behind yaml_tree.cc.

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "space/support/error.h"

namespace bitsearch {

struct YamlValue;
class YamlFile;

/// Allowed values of an integer, both ends included.
struct IntegerRange {
  std::int64_t min = std::numeric_limits<std::int64_t>::min();
  std::int64_t max = std::numeric_limits<std::int64_t>::max();
};

/// Allowed values of a number, both ends included unless said otherwise.
struct NumberRange {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool excludes_min = false;
  bool excludes_max = false;
};

/// A place in a YamlFile: a value, or the lack of one. Reading never throws: a wrong value is noted
/// in the file, the fallback is returned, and YamlFile::Finish throws everything noted. Cheap to
/// copy; must not outlive its file; one thread at a time.
class YamlNode {
 public:
  bool present() const { return value_ != nullptr; }
  explicit operator bool() const { return present(); }
  /// "search.solver"; items of a list by index: "budgets.0".
  const std::string& path() const { return path_; }
  /// Of the value; of the enclosing map where the value is absent.
  SourceLocation location() const;
  bool is_scalar() const;
  bool is_list() const;
  bool is_map() const;

  /// The value under a key, perhaps absent. The key counts as known from now on.
  YamlNode operator[](const std::string& key) const;
  /// Items of a list; none where absent. A scalar or map is noted as an error.
  std::vector<YamlNode> Items() const;
  /// All entries of a map whose keys are the user's own (layer names, say), in file order.
  std::vector<std::pair<std::string, YamlNode>> Entries() const;

  /// Notes an error where the value is absent; returns itself: `node["x"].Required().String()`.
  const YamlNode& Required() const;

  std::string String(std::string fallback = {}) const;
  /// Decimal digits only: `010`, `1e3` and quoted numbers are refused.
  std::int64_t Integer(std::int64_t fallback, IntegerRange range = {}) const;
  /// A finite number.
  double Number(double fallback, NumberRange range = {}) const;
  /// `true` or `false`.
  bool Boolean(bool fallback) const;
  /// Index in `names` of the text.
  std::size_t Choice(const std::vector<std::string>& names, std::size_t fallback) const;
  /// The value that goes with the name.
  template <typename T>
  T Enum(const std::vector<std::pair<std::string, T>>& table, T fallback) const {
    if (!present()) return fallback;
    std::vector<std::string> names;
    for (const auto& entry : table) names.push_back(entry.first);
    const std::size_t index = Choice(names, names.size());
    return index < table.size() ? table[index].second : fallback;
  }

  /// Notes an error here: adds place and key path to `error`.
  void Fail(Error error) const;

 private:
  friend class YamlFile;
  struct Notes;
  YamlNode(std::shared_ptr<Notes> notes, std::shared_ptr<YamlValue> value, std::string path,
           SourceLocation fallback_location)
      : notes_(std::move(notes)),
        value_(std::move(value)),
        path_(std::move(path)),
        fallback_location_(std::move(fallback_location)) {}
  /// The text of a scalar; notes an error for anything else and returns nothing.
  std::optional<std::string> Scalar(std::string_view wanted, bool may_be_quoted) const;

  std::shared_ptr<Notes> notes_;
  std::shared_ptr<YamlValue> value_;
  std::string path_;
  SourceLocation fallback_location_;
};

/// A YAML file with its overrides applied, and the errors found in it so far.
class YamlFile {
 public:
  /// Reads a file and applies `--set` overrides ("a.b=c") in order. Throws Error(kFileNotFound),
  /// Error(kYamlSyntax), Error(kSetOverride).
  static YamlFile Read(const std::string& path, const std::vector<std::string>& overrides = {});
  /// The same from text; `name` stands for the file in messages.
  static YamlFile Parse(std::string_view text, std::string name,
                        const std::vector<std::string>& overrides = {});

  const std::string& name() const { return name_; }
  /// The outermost map.
  YamlNode root() const;
  /// Notes every key that was in the file and not asked for, then throws ErrorList of all that was
  /// noted, in file order, unless there was nothing.
  void Finish() const;
  /// The same, and `further` errors with it.
  void Finish(std::vector<Error> further) const;

 private:
  std::string name_;
  std::shared_ptr<YamlNode::Notes> notes_;
  std::shared_ptr<YamlValue> root_;
};

}  // namespace bitsearch
