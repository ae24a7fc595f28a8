// Builds the tree from yaml-cpp's event stream, and applies --set. Must not know any key.
#include "space/support/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <utility>

namespace bitsearch {
namespace {

/// Collects yaml-cpp's events into YamlValues.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(std::string file, std::vector<Error>& errors)
      : file_(std::move(file)), errors_(errors) {}

  std::shared_ptr<YamlValue> root() const { return root_; }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Add(Make(YamlValue::Kind::kNull, mark, anchor));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    // An alias inside its own anchor would make the tree a cycle.
    if (found == anchors_.end() || IsOpen(found->second.get())) {
      throw YAML::ParserException(mark, "an alias refers to the value that holds it");
    }
    Add(found->second);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    auto value = Make(YamlValue::Kind::kScalar, mark, anchor);
    value->text = text;
    value->quoted = tag != "?";
    Add(std::move(value));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(Make(YamlValue::Kind::kList, mark, anchor));
  }
  void OnSequenceEnd() override { open_.pop_back(); }

  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(Make(YamlValue::Kind::kMap, mark, anchor));
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  /// A list or map whose end has not come yet; `key` waits for its value.
  struct Pending {
    std::shared_ptr<YamlValue> value;
    std::shared_ptr<YamlValue> key;
  };

  SourceLocation Place(const YAML::Mark& mark) const {
    return {file_, mark.line + 1, mark.column + 1};
  }

  bool IsOpen(const YamlValue* value) const {
    return std::any_of(open_.begin(), open_.end(),
                       [value](const Pending& pending) { return pending.value.get() == value; });
  }

  std::shared_ptr<YamlValue> Make(YamlValue::Kind kind, const YAML::Mark& mark,
                                  YAML::anchor_t anchor) {
    auto value = std::make_shared<YamlValue>();
    value->kind = kind;
    value->location = Place(mark);
    if (anchor != 0) anchors_[anchor] = value;
    return value;
  }

  void Open(std::shared_ptr<YamlValue> value) {
    Add(value);
    open_.push_back({std::move(value), nullptr});
  }

  void Add(std::shared_ptr<YamlValue> value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return;
    }
    Pending& parent = open_.back();
    if (parent.value->kind == YamlValue::Kind::kList) {
      parent.value->items.push_back(std::move(value));
      return;
    }
    if (parent.key == nullptr) {
      if (value->kind != YamlValue::Kind::kScalar) {
        const SourceLocation& at = value->location;
        YAML::Mark mark;
        mark.line = at.line - 1;
        mark.column = at.column - 1;
        throw YAML::ParserException(mark, "a key must be a plain word");
      }
      parent.key = std::move(value);
      return;
    }
    const std::shared_ptr<YamlValue> key = std::exchange(parent.key, nullptr);
    for (const YamlValue::Entry& entry : parent.value->entries) {
      if (entry.key != key->text) continue;
      errors_.push_back(
          Error(ErrorId::kYamlDuplicateKey,
                "the key stands twice, first on line " + std::to_string(entry.key_location.line))
              .At(key->location)
              .Key(key->text)
              .Hint("remove one of the two"));
      return;
    }
    parent.value->entries.push_back({key->text, key->location, std::move(value)});
  }

  std::string file_;
  std::vector<Error>& errors_;
  std::shared_ptr<YamlValue> root_;
  std::vector<Pending> open_;
  std::map<YAML::anchor_t, std::shared_ptr<YamlValue>> anchors_;
};

/// Splits `a."b.c".0` at its dots. An empty result means the text is malformed.
std::vector<std::string> SplitPath(std::string_view path) {
  std::vector<std::string> segments;
  while (true) {
    std::string segment;
    if (path.starts_with('"')) {
      const std::size_t end = path.find('"', 1);
      if (end == std::string_view::npos) return {};
      segment = path.substr(1, end - 1);
      path.remove_prefix(end + 1);
    } else {
      const std::size_t end = std::min(path.find('.'), path.size());
      segment = path.substr(0, end);
      path.remove_prefix(end);
    }
    if (segment.empty()) return {};
    segments.push_back(std::move(segment));
    if (path.empty()) return segments;
    if (!path.starts_with('.')) return {};
    path.remove_prefix(1);
  }
}

/// The slot of `parent` that `segment` names; creates a map's entry where there is none.
std::shared_ptr<YamlValue>& Slot(YamlValue& parent, const std::string& segment,
                                 const SourceLocation& place, const Error& complaint) {
  if (parent.kind == YamlValue::Kind::kList) {
    const bool number =
        segment.size() < 9 && segment.find_first_not_of("0123456789") == std::string::npos;
    if (!number || std::stoul(segment) >= parent.items.size()) {
      throw Error(complaint).Hint("the list there has " + std::to_string(parent.items.size()) +
                                  " items, counted from 0; got \"" + segment + "\"");
    }
    return parent.items[std::stoul(segment)];
  }
  if (parent.kind == YamlValue::Kind::kScalar) {
    throw Error(complaint).Hint("\"" + segment +
                                "\" is looked for inside a plain value; shorten the path");
  }
  parent.kind = YamlValue::Kind::kMap;
  for (YamlValue::Entry& entry : parent.entries) {
    if (entry.key == segment) return entry.value;
  }
  auto value = std::make_shared<YamlValue>();
  value->location = place;
  parent.entries.push_back({segment, place, std::move(value)});
  return parent.entries.back().value;
}

}  // namespace

std::shared_ptr<YamlValue> ParseYamlTree(std::string_view text, const std::string& name,
                                         std::vector<Error>& errors) {
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    TreeBuilder builder(name, errors);
    parser.HandleNextDocument(builder);
    if (builder.root() == nullptr) {
      throw Error(ErrorId::kYamlSyntax, "the file is empty")
          .At({name, 1, 1})
          .Hint("docs/experiment.md lists the keys of an experiment");
    }
    std::vector<Error> ignored;
    TreeBuilder second(name, ignored);
    if (parser.HandleNextDocument(second) && second.root() != nullptr) {
      throw Error(ErrorId::kYamlSyntax, "the file holds a second document")
          .At(second.root()->location)
          .Hint("one file is one experiment: remove the line \"---\" and what follows");
    }
    return builder.root();
  } catch (const YAML::Exception& failure) {
    const bool known = failure.mark.line >= 0;
    throw Error(ErrorId::kYamlSyntax, "this is not YAML: " + failure.msg)
        .At({name, known ? failure.mark.line + 1 : 0, known ? failure.mark.column + 1 : 0})
        .Hint("check indentation (blanks, not tabs), brackets and quotes just above this place");
  }
}

void ApplyYamlOverride(YamlValue& root, const std::string& override_text,
                       std::vector<Error>& errors) {
  const SourceLocation place{"--set " + override_text, 0, 0};
  const Error complaint = Error(ErrorId::kSetOverride, "the override cannot be applied").At(place);
  const std::size_t equals = override_text.find('=');
  const std::vector<std::string> segments =
      SplitPath(std::string_view(override_text).substr(0, equals));
  if (equals == std::string::npos || segments.empty()) {
    throw Error(complaint).Hint("write --set key.path=value, as in --set search.solver=auto");
  }
  std::shared_ptr<YamlValue> value;
  const std::string right = override_text.substr(equals + 1);
  if (right.find_first_not_of(" \t") == std::string::npos) {
    value = std::make_shared<YamlValue>();
    value->kind = YamlValue::Kind::kScalar;
    value->quoted = true;
  } else {
    try {
      value = ParseYamlTree(right, place.file, errors);
    } catch (const Error& failure) {
      throw Error(complaint).Hint(failure.message());
    }
  }
  // Lines and columns inside an argument would mislead.
  const auto forget_places = [&](const auto& self, YamlValue& node) -> void {
    node.location = place;
    for (const auto& item : node.items) self(self, *item);
    for (auto& entry : node.entries) {
      entry.key_location = place;
      self(self, *entry.value);
    }
  };
  forget_places(forget_places, *value);

  YamlValue* parent = &root;
  for (std::size_t i = 0; i + 1 < segments.size(); ++i) {
    // A value shared through an alias must not change in its other places.
    std::shared_ptr<YamlValue>& slot = Slot(*parent, segments[i], place, complaint);
    slot = std::make_shared<YamlValue>(*slot);
    parent = slot.get();
  }
  Slot(*parent, segments.back(), place, complaint) = std::move(value);
}

}  // namespace bitsearch
