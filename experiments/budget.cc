// Reading budgets. Must not know the network nor any cost.
#include "experiments/budget.h"

#include <fmt/format.h>

#include <limits>

#include "space/support/error.h"

namespace bitsearch {
namespace {

std::string_view Trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

Error BadValue(std::string_view text, const std::string& why) {
  return Error(ErrorId::kBudgetValue, fmt::format("got \"{}\": {}", text, why))
      .Hint(
          "write a number, as in 900, or a factor of a uniform configuration, as in 0.6 x int8, "
          "0.5 x w4a8, 0.1 x fp32");
}

}  // namespace

const std::vector<std::string>& BudgetResources() {
  static const std::vector<std::string> names = {"size_bytes", "size_bits",  "mean_weight_bits",
                                                 "bops",       "latency_us", "peak_memory_bytes"};
  return names;
}

std::string BudgetLimit::ToString() const {
  return relative() ? fmt::format("{} x {}", number, baseline) : number;
}

std::string LimitsText(const Budget& budget) {
  std::string text;
  for (const BudgetLimit& limit : budget.limits) {
    text += fmt::format("{}{} <= {}", text.empty() ? "" : ", ", limit.resource, limit.ToString());
  }
  return text;
}

std::optional<BitChoice> ParseBaseline(std::string_view name) {
  const auto format = [](std::string_view text) -> std::optional<NumberFormat> {
    const auto parsed = NumberFormat::Parse(text);
    // A skipped layer has no cost to be relative to.
    return parsed.has_value() && parsed->kind() != NumberFormat::Kind::kSkip ? parsed
                                                                             : std::nullopt;
  };
  if (name == "fp32" || name == "fp16" || name == "bf16") {
    return BitChoice{*format(name), *format(name)};
  }
  if (name.starts_with("int")) {
    const auto bits = format(name.substr(3));
    if (!bits.has_value() || !bits->is_integer()) return std::nullopt;
    return BitChoice{*bits, *bits};
  }
  // "w4a8", "w8afp32", "wternarya8": 'a' occurs in a format's name too, so every one is tried.
  if (!name.starts_with('w')) return std::nullopt;
  for (std::size_t a = name.find('a', 1); a != std::string_view::npos; a = name.find('a', a + 1)) {
    const auto weight = format(name.substr(1, a - 1));
    const auto activation = format(name.substr(a + 1));
    if (weight.has_value() && activation.has_value()) return BitChoice{*weight, *activation};
  }
  return std::nullopt;
}

BudgetLimit ParseBudgetLimit(std::string resource, std::string_view text) {
  BudgetLimit limit;
  limit.resource = std::move(resource);
  std::string_view number = Trim(text);
  for (const std::string_view times : {std::string_view(" x "), std::string_view(" × ")}) {
    const std::size_t at = number.find(times);
    if (at == std::string_view::npos) continue;
    const std::string_view baseline = Trim(number.substr(at + times.size()));
    if (!ParseBaseline(baseline).has_value()) {
      throw BadValue(text, fmt::format("\"{}\" names no uniform configuration", baseline));
    }
    limit.baseline = baseline;
    number = Trim(number.substr(0, at));
    break;
  }
  Decimal value;
  try {
    value = ParseDecimal(number, {});
  } catch (const Error& error) {
    throw BadValue(text, error.message());
  }
  if (value.unscaled < 0) throw BadValue(text, "a limit cannot be negative");
  limit.number = number;
  return limit;
}

std::int64_t ScaleDown(const Decimal& factor, std::int64_t value) {
  __extension__ using Wide = __int128;
  Wide product = static_cast<Wide>(factor.unscaled) * value;
  for (int i = 0; i < factor.decimals; ++i) product /= 10;
  if (product > std::numeric_limits<std::int64_t>::max()) {
    throw Error(ErrorId::kBudgetValue, "the limit is too large").Hint("choose a smaller factor");
  }
  return static_cast<std::int64_t>(product);
}

}  // namespace bitsearch
