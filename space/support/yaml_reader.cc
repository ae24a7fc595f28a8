// Typed access to the YAML tree, and the report of everything that is wrong with it at once.
// Must not know any key.
#include "space/support/yaml_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "space/support/files.h"
#include "space/support/yaml_tree.h"

namespace bitsearch {

/// Errors found so far; shared by all nodes of a file.
struct YamlNode::Notes {
  std::vector<Error> errors;
};

namespace {

std::string Join(const std::vector<std::string>& names) {
  std::string joined;
  for (const std::string& name : names) joined += (joined.empty() ? "" : ", ") + name;
  return joined;
}

std::string JoinPath(const std::string& path, const std::string& key) {
  const std::string shown = key.find('.') == std::string::npos ? key : '"' + key + '"';
  return path.empty() ? shown : path + "." + shown;
}

std::string Describe(const YamlValue& value) {
  switch (value.kind) {
    case YamlValue::Kind::kNull:
      return "nothing";
    case YamlValue::Kind::kScalar:
      return (value.quoted ? "the string \"" : "\"") + value.text + "\"";
    case YamlValue::Kind::kList:
      return "a list";
    case YamlValue::Kind::kMap:
      return "a mapping of keys";
  }
  return "nothing";
}

/// 007 and -010: YAML 1.1 reads them as octal, YAML 1.2 as decimal.
bool HasLeadingZero(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return text.size() > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9';
}

Error LeadingZero(const std::string& text) {
  const std::size_t first = text.find_first_not_of("+-0");
  return Error(ErrorId::kYamlLeadingZero,
               fmt::format("got {}, a number with a leading zero, which some YAML readers take for "
                           "octal",
                           text))
      .Hint(fmt::format("write {} if that is meant",
                        first == std::string::npos ? "0" : text.substr(first)));
}

void NoteLeftovers(const YamlValue& value, const std::string& path, std::vector<Error>& errors) {
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    NoteLeftovers(*value.items[i], JoinPath(path, std::to_string(i)), errors);
  }
  // A map that no reader opened is either an unknown key's, reported above it, or its reader gave
  // up on an error that is already noted.
  if (value.asked.empty() && !value.taken) return;
  for (const YamlValue::Entry& entry : value.entries) {
    const bool known = value.taken || std::find(value.asked.begin(), value.asked.end(),
                                                entry.key) != value.asked.end();
    if (known) {
      NoteLeftovers(*entry.value, JoinPath(path, entry.key), errors);
      continue;
    }
    const std::string nearest = NearestName(entry.key, value.asked);
    errors.push_back(Error(ErrorId::kYamlUnknownKey,
                           fmt::format("got an unknown key (allowed {})", Join(value.asked)))
                         .At(entry.key_location)
                         .Key(JoinPath(path, entry.key))
                         .Hint(nearest.empty() ? "remove the key"
                                               : fmt::format("did you mean \"{}\"?", nearest)));
  }
}

std::string DescribeRange(const NumberRange& range) {
  const bool low = std::isfinite(range.min);
  const bool high = std::isfinite(range.max);
  const std::string above =
      fmt::format("{} {}", range.excludes_min ? "above" : "at least", range.min);
  const std::string below =
      fmt::format("{} {}", range.excludes_max ? "below" : "at most", range.max);
  if (low && high) return above + " and " + below;
  return low ? above : below;
}

}  // namespace

SourceLocation YamlNode::location() const {
  return value_ != nullptr ? value_->location : fallback_location_;
}
bool YamlNode::is_scalar() const {
  return value_ != nullptr && value_->kind == YamlValue::Kind::kScalar;
}
bool YamlNode::is_list() const {
  return value_ != nullptr && value_->kind == YamlValue::Kind::kList;
}
bool YamlNode::is_map() const { return value_ != nullptr && value_->kind == YamlValue::Kind::kMap; }

void YamlNode::Fail(Error error) const {
  notes_->errors.push_back(std::move(error.At(location()).Key(path_)));
}

YamlNode YamlNode::operator[](const std::string& key) const {
  const std::string child_path = JoinPath(path_, key);
  if (value_ == nullptr) return {notes_, nullptr, child_path, fallback_location_};
  if (!is_map()) {
    // Noted once, however many keys are asked for.
    if (!value_->taken) {
      Fail(Error(ErrorId::kYamlType,
                 fmt::format("got {}, allowed a mapping of keys", Describe(*value_)))
               .Hint("indent the keys below this one"));
      value_->taken = true;
    }
    return {notes_, nullptr, child_path, value_->location};
  }
  if (std::find(value_->asked.begin(), value_->asked.end(), key) == value_->asked.end()) {
    value_->asked.push_back(key);
  }
  for (const YamlValue::Entry& entry : value_->entries) {
    if (entry.key == key) return {notes_, entry.value, child_path, entry.key_location};
  }
  return {notes_, nullptr, child_path, value_->location};
}

std::vector<YamlNode> YamlNode::Items() const {
  std::vector<YamlNode> items;
  if (value_ == nullptr) return items;
  if (!is_list()) {
    Fail(Error(ErrorId::kYamlType, fmt::format("got {}, allowed a list", Describe(*value_)))
             .Hint("write it in brackets: [a, b]"));
    return items;
  }
  for (std::size_t i = 0; i < value_->items.size(); ++i) {
    items.push_back(
        {notes_, value_->items[i], JoinPath(path_, std::to_string(i)), value_->items[i]->location});
  }
  return items;
}

std::vector<std::pair<std::string, YamlNode>> YamlNode::Entries() const {
  std::vector<std::pair<std::string, YamlNode>> entries;
  if (value_ == nullptr) return entries;
  if (!is_map()) {
    Fail(Error(ErrorId::kYamlType,
               fmt::format("got {}, allowed a mapping of keys", Describe(*value_)))
             .Hint("indent `name: value` lines below this key"));
    return entries;
  }
  value_->taken = true;
  for (const YamlValue::Entry& entry : value_->entries) {
    entries.emplace_back(
        entry.key, YamlNode(notes_, entry.value, JoinPath(path_, entry.key), entry.key_location));
  }
  return entries;
}

const YamlNode& YamlNode::Required() const {
  if (value_ == nullptr) {
    Fail(Error(ErrorId::kYamlMissingKey, "the key is missing").Hint("add it to the file"));
  }
  return *this;
}

std::optional<std::string> YamlNode::Scalar(std::string_view wanted, bool may_be_quoted) const {
  if (value_ == nullptr) return std::nullopt;
  if (!is_scalar() || (value_->quoted && !may_be_quoted)) {
    Fail(Error(ErrorId::kYamlType, fmt::format("got {}, allowed {}", Describe(*value_), wanted))
             .Hint(is_scalar()                              ? "remove the quotes"
                   : value_->kind == YamlValue::Kind::kNull ? "write a value, or remove the key"
                                                            : "write a single value"));
    return std::nullopt;
  }
  return value_->text;
}

std::string YamlNode::String(std::string fallback) const {
  const auto text = Scalar("a string", true);
  return text.has_value() ? *text : std::move(fallback);
}

std::int64_t YamlNode::Integer(std::int64_t fallback, IntegerRange range) const {
  const auto text = Scalar("an integer", false);
  if (!text.has_value()) return fallback;
  if (HasLeadingZero(*text)) {
    Fail(LeadingZero(*text));
    return fallback;
  }
  std::int64_t value = 0;
  const char* end = text->data() + text->size();
  const auto [stopped, status] = std::from_chars(text->data(), end, value);
  if (status == std::errc::invalid_argument || stopped != end) {
    Fail(Error(ErrorId::kYamlType, fmt::format("got \"{}\", allowed an integer", *text))
             .Hint("write decimal digits only"));
    return fallback;
  }
  if (status != std::errc() || value < range.min || value > range.max) {
    constexpr IntegerRange kAny;
    // Of a number that no integer holds, "at least 0" would be true.
    const bool representable = status == std::errc();
    const std::string allowed =
        representable && range.max == kAny.max   ? fmt::format("at least {}", range.min)
        : representable && range.min == kAny.min ? fmt::format("at most {}", range.max)
                                                 : fmt::format("{} to {}", range.min, range.max);
    Fail(Error(ErrorId::kYamlRange, fmt::format("got {}, allowed {}", *text, allowed))
             .Hint("choose a value in that range"));
    return fallback;
  }
  return value;
}

double YamlNode::Number(double fallback, NumberRange range) const {
  const auto text = Scalar("a number", false);
  if (!text.has_value()) return fallback;
  if (HasLeadingZero(*text)) {
    Fail(LeadingZero(*text));
    return fallback;
  }
  double value = 0.0;
  const char* end = text->data() + text->size();
  const auto [stopped, status] = std::from_chars(text->data(), end, value);
  if (status != std::errc() || stopped != end || !std::isfinite(value)) {
    Fail(Error(ErrorId::kYamlType, fmt::format("got \"{}\", allowed a finite number", *text))
             .Hint("write it as in 0.5 or 1e-3"));
    return fallback;
  }
  const bool low = range.excludes_min ? value <= range.min : value < range.min;
  const bool high = range.excludes_max ? value >= range.max : value > range.max;
  if (low || high) {
    Fail(Error(ErrorId::kYamlRange, fmt::format("got {}, allowed {}", *text, DescribeRange(range)))
             .Hint("choose a value in that range"));
    return fallback;
  }
  return value;
}

bool YamlNode::Boolean(bool fallback) const {
  const auto text = Scalar("true or false", false);
  if (!text.has_value()) return fallback;
  if (*text == "true") return true;
  if (*text == "false") return false;
  Fail(Error(ErrorId::kYamlType, fmt::format("got \"{}\", allowed true or false", *text))
           .Hint("write true or false"));
  return fallback;
}

std::size_t YamlNode::Choice(const std::vector<std::string>& names, std::size_t fallback) const {
  const auto text = Scalar("one of " + Join(names), true);
  if (!text.has_value()) return fallback;
  const auto found = std::find(names.begin(), names.end(), *text);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  const std::string nearest = NearestName(*text, names);
  Fail(Error(ErrorId::kYamlChoice, fmt::format("got \"{}\", allowed {}", *text, Join(names)))
           .Hint(nearest.empty() ? "choose one of these"
                                 : fmt::format("did you mean \"{}\"?", nearest)));
  return fallback;
}

YamlFile YamlFile::Read(const std::string& path, const std::vector<std::string>& overrides) {
  return Parse(ReadTextFile(path), path, overrides);
}

YamlFile YamlFile::Parse(std::string_view text, std::string name,
                         const std::vector<std::string>& overrides) {
  YamlFile file;
  file.name_ = std::move(name);
  file.notes_ = std::make_shared<YamlNode::Notes>();
  file.root_ = ParseYamlTree(text, file.name_, file.notes_->errors);
  for (const std::string& override_text : overrides) {
    ApplyYamlOverride(*file.root_, override_text, file.notes_->errors);
  }
  return file;
}

YamlNode YamlFile::root() const { return {notes_, root_, "", root_->location}; }

void YamlFile::Finish() const { Finish({}); }

void YamlFile::Finish(std::vector<Error> further) const {
  std::vector<Error> errors = notes_->errors;
  NoteLeftovers(*root_, "", errors);
  errors.insert(errors.end(), std::make_move_iterator(further.begin()),
                std::make_move_iterator(further.end()));
  if (errors.empty()) return;
  // File order; overrides (line 0) last.
  std::stable_sort(errors.begin(), errors.end(), [](const Error& a, const Error& b) {
    const auto rank = [](const Error& error) {
      const SourceLocation& at = error.location();
      return std::pair(at.line > 0 ? at.line : std::numeric_limits<int>::max(), at.column);
    };
    return rank(a) < rank(b);
  });
  throw ErrorList(std::move(errors));
}

}  // namespace bitsearch
