// Positions in JSON texts. See json_file.h.
#include "space/hardware/json_file.h"

#include <charconv>
#include <cmath>
#include <utility>

#include "space/support/files.h"

namespace bitsearch {
namespace {

/// Walks a JSON text that is known to be well-formed.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  /// Offset of the value at `path`; of the nearest enclosing value if a step does not exist.
  std::size_t Locate(const std::vector<std::string>& path) {
    Blank();
    for (const std::string& token : path) {
      const std::size_t here = at_;
      if (!Enter(token)) return here;
    }
    return at_;
  }

 private:
  void Blank() {
    while (at_ < text_.size() &&
           std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) {
      ++at_;
    }
  }

  bool Enter(const std::string& token) {
    if (text_[at_] != '[' && text_[at_] != '{') return false;
    const bool object = text_[at_] == '{';
    ++at_;
    for (std::size_t index = 0;; ++index) {
      Blank();
      if (text_[at_] == ']' || text_[at_] == '}') return false;
      std::string name = std::to_string(index);
      if (object) {
        const std::size_t start = at_;
        SkipString();
        name = nlohmann::json::parse(text_.substr(start, at_ - start)).get<std::string>();
        Blank();
        ++at_;  // The colon.
        Blank();
      }
      if (name == token) return true;
      SkipValue();
      Blank();
      if (text_[at_] == ',') ++at_;
    }
  }

  void SkipString() {
    for (++at_; text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') ++at_;
    }
    ++at_;
  }

  void SkipValue() {
    int depth = 0;
    do {
      Blank();
      const char c = text_[at_];
      if (c == '"') {
        SkipString();
      } else if (c == '[' || c == '{') {
        ++depth;
        ++at_;
      } else if (c == ']' || c == '}') {
        --depth;
        ++at_;
      } else if (c == ',' || c == ':') {
        ++at_;
      } else {
        while (at_ < text_.size() &&
               std::string_view(",]}: \t\r\n").find(text_[at_]) == std::string_view::npos) {
          ++at_;
        }
      }
    } while (depth > 0);
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

/// "[3].args.dur"
std::string PathText(const std::vector<std::string>& path) {
  std::string text;
  for (const std::string& token : path) {
    const bool index = !token.empty() && token.find_first_not_of("0123456789") == std::string::npos;
    if (index) {
      text += "[" + token + "]";
    } else {
      text += (text.empty() ? "" : ".") + token;
    }
  }
  return text;
}

std::string Kind(const nlohmann::ordered_json& node) {
  if (node.is_object() || node.is_array()) return std::string("an ") + node.type_name();
  std::string text = node.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  constexpr std::size_t kMost = 40;
  if (text.size() > kMost) text = text.substr(0, kMost) + "…";
  return text;
}

}  // namespace

SourceLocation LocationOfOffset(std::string_view text, std::size_t offset, std::string file) {
  SourceLocation where{std::move(file), 1, 1};
  for (std::size_t i = 0; i < offset && i < text.size(); ++i) {
    if (text[i] == '\n') {
      ++where.line;
      where.column = 1;
    } else {
      ++where.column;
    }
  }
  return where;
}

JsonValue JsonValue::Parse(std::string text, const std::string& name, JsonFaults faults) {
  auto document = std::make_shared<Document>();
  document->name = name;
  document->faults = std::move(faults);
  document->text = std::move(text);
  try {
    document->root = nlohmann::ordered_json::parse(document->text);
  } catch (const nlohmann::ordered_json::parse_error& fault) {
    // nlohmann counts the bytes read, the faulty one included.
    const std::size_t offset = fault.byte > 0 ? fault.byte - 1 : 0;
    const bool at_end = offset >= document->text.size();
    throw Error(document->faults.syntax,
                at_end ? "the JSON text ends too early" : "this is not JSON")
        .At(LocationOfOffset(document->text, offset, name))
        .Hint(at_end ? document->faults.cut_hint : document->faults.hint);
  }
  const nlohmann::ordered_json* root = &document->root;
  return JsonValue(std::move(document), root, {});
}

JsonValue JsonValue::Read(const std::string& path) { return Parse(ReadTextFile(path), path); }

JsonValue JsonValue::Child(const nlohmann::ordered_json& node, std::string token) const {
  std::vector<std::string> path = path_;
  path.push_back(std::move(token));
  return JsonValue(document_, &node, std::move(path));
}

Error JsonValue::Fault(const std::string& message) const {
  const std::size_t offset = Scanner(document_->text).Locate(path_);
  return Error(document_->faults.shape, message)
      .At(LocationOfOffset(document_->text, offset, document_->name))
      .Key(PathText(path_))
      .Hint(document_->faults.hint);
}

std::vector<JsonValue> JsonValue::Elements() const {
  if (!node_->is_array()) throw Fault("got " + Kind(*node_) + " (allowed: an array)");
  std::vector<JsonValue> elements;
  elements.reserve(node_->size());
  for (std::size_t i = 0; i < node_->size(); ++i) {
    elements.push_back(Child((*node_)[i], std::to_string(i)));
  }
  return elements;
}

std::vector<std::pair<std::string, JsonValue>> JsonValue::Members() const {
  if (!node_->is_object()) throw Fault("got " + Kind(*node_) + " (allowed: an object)");
  std::vector<std::pair<std::string, JsonValue>> members;
  for (const auto& [key, value] : node_->items()) members.emplace_back(key, Child(value, key));
  return members;
}

std::optional<JsonValue> JsonValue::Find(const std::string& key) const {
  if (!node_->is_object()) throw Fault("got " + Kind(*node_) + " (allowed: an object)");
  const auto found = node_->find(key);
  if (found == node_->end()) return std::nullopt;
  return Child(*found, key);
}

JsonValue JsonValue::At(const std::string& key) const {
  if (auto value = Find(key)) return *value;
  throw Fault("the field \"" + key + "\" is missing");
}

std::string JsonValue::String() const {
  if (!node_->is_string()) throw Fault("got " + Kind(*node_) + " (allowed: a string)");
  return node_->get<std::string>();
}

double JsonValue::Number() const {
  const double value = node_->is_number() ? node_->get<double>() : std::nan("");
  if (!std::isfinite(value)) throw Fault("got " + Kind(*node_) + " (allowed: a finite number)");
  return value;
}

bool JsonValue::Bool() const {
  if (!node_->is_boolean()) throw Fault("got " + Kind(*node_) + " (allowed: true or false)");
  return node_->get<bool>();
}

double JsonValue::NonNegative() const {
  const double value = node_->is_number() ? node_->get<double>() : -1.0;
  if (!(value >= 0.0) || !std::isfinite(value)) {
    throw Fault("got " + Kind(*node_) + " (allowed: a number of 0 or more)");
  }
  return value;
}

std::int64_t JsonValue::Count() const {
  std::int64_t value = -1;
  if (node_->is_number_integer()) value = node_->get<std::int64_t>();
  if (node_->is_string()) {
    const std::string& text = node_->get_ref<const std::string&>();
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (status != std::errc() || end != text.data() + text.size()) value = -1;
  }
  if (value < 0) throw Fault("got " + Kind(*node_) + " (allowed: an integer of 0 or more)");
  return value;
}

}  // namespace bitsearch
