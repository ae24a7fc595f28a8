#include "tests/experiments/formats/json_schema.h"

#include <algorithm>
#include <regex>
#include <set>
#include <stdexcept>

namespace bitsearch {
namespace {

using nlohmann::json;

bool HasType(const json& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "integer") return value.is_number_integer();
  if (type == "number") return value.is_number();
  if (type == "boolean") return value.is_boolean();
  if (type == "null") return value.is_null();
  throw std::logic_error("unknown type " + type);
}

std::string ObjectFault(const json& value, const json& schema, const std::string& path) {
  for (const json& key : schema.value("required", json::array())) {
    if (!value.contains(key)) return path + ": lacks " + key.dump();
  }
  const json properties = schema.value("properties", json::object());
  for (const auto& [key, member] : value.items()) {
    const std::string place = path + "." + key;
    std::string fault;
    if (properties.contains(key)) {
      fault = SchemaFault(member, properties[key], place);
    } else if (schema.contains("additionalProperties")) {
      const json& others = schema["additionalProperties"];
      if (others == false) return place + ": is no property";
      if (others.is_object()) fault = SchemaFault(member, others, place);
    }
    if (!fault.empty()) return fault;
  }
  return "";
}

std::string ArrayFault(const json& value, const json& schema, const std::string& path) {
  if (value.size() < schema.value("minItems", std::size_t{0})) return path + ": too few items";
  if (!schema.contains("items")) return "";
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::string fault =
        SchemaFault(value[i], schema["items"], path + "[" + std::to_string(i) + "]");
    if (!fault.empty()) return fault;
  }
  return "";
}

}  // namespace

std::string SchemaFault(const json& value, const json& schema, const std::string& path) {
  static const std::set<std::string> kKnown = {
      "type",    "enum",    "required", "properties", "additionalProperties", "items", "minItems",
      "pattern", "minimum", "maximum",  "anyOf"};
  for (const auto& [keyword, ignored] : schema.items()) {
    if (!kKnown.contains(keyword)) throw std::logic_error("unknown keyword " + keyword);
  }
  if (schema.contains("anyOf")) {
    std::string faults;
    for (const json& each : schema["anyOf"]) {
      const std::string fault = SchemaFault(value, each, path);
      if (fault.empty()) return "";
      faults += (faults.empty() ? "" : " | ") + fault;
    }
    return faults;
  }
  if (schema.contains("type") && !HasType(value, schema["type"])) {
    return path + ": " + value.dump() + " is no " + schema["type"].get<std::string>();
  }
  if (schema.contains("enum") &&
      std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end()) {
    return path + ": " + value.dump() + " is none of " + schema["enum"].dump();
  }
  if (schema.contains("pattern") &&
      !std::regex_search(value.get<std::string>(),
                         std::regex(schema["pattern"].get<std::string>()))) {
    return path + ": " + value.dump() + " does not match " + schema["pattern"].dump();
  }
  if (schema.contains("minimum") && value < schema["minimum"]) return path + ": too small";
  if (schema.contains("maximum") && value > schema["maximum"]) return path + ": too large";
  if (value.is_object()) return ObjectFault(value, schema, path);
  if (value.is_array()) return ArrayFault(value, schema, path);
  return "";
}

}  // namespace bitsearch
