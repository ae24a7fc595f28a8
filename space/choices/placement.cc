#include "space/choices/placement.h"

#include <array>
#include <utility>

namespace bitsearch {
namespace {

constexpr std::array kNames = {
    std::pair{Placement::kWeightsOnly, std::string_view("weights_only")},
    std::pair{Placement::kLayerInputs, std::string_view("layer_inputs")},
    std::pair{Placement::kRuntime, std::string_view("runtime")},
    std::pair{Placement::kInteger, std::string_view("integer")},
};

}  // namespace

std::string_view NameOf(Placement placement) {
  for (const auto& [value, name] : kNames) {
    if (value == placement) return name;
  }
  return "?";
}

std::optional<Placement> ParsePlacement(std::string_view name) {
  for (const auto& [value, text] : kNames) {
    if (text == name) return value;
  }
  return std::nullopt;
}

}  // namespace bitsearch
