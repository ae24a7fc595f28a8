#pragma once
// A small JSON Schema validator: type, enum, required, properties, additionalProperties, items,
// minItems, pattern, minimum, maximum, anyOf. Unknown keywords are an error of the test.

#include <nlohmann/json.hpp>
#include <string>

namespace bitsearch {

/// Empty if `value` is valid, else the first fault with its path.
std::string SchemaFault(const nlohmann::json& value, const nlohmann::json& schema,
                        const std::string& path = "$");

}  // namespace bitsearch
