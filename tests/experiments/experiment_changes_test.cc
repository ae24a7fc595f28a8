#include "experiments/experiment_changes.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitsearch {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ChangedKeysTest, NamesEveryKeyWithOldAndNewValue) {
  const char* before = R"(
seed: 1
search: {gap: 0, solver: auto}
space: {weight_bits: [2, 4], pins: {conv1: {weight: 8}}}
budgets: [{name: "a", size_bytes: 10}]
goal: {minimise: bops}
)";
  const char* after = R"(
seed: 1
search: {gap: 0.01, solver: auto}
space: {weight_bits: [2, 4, 8], pins: {}}
budgets: [{name: "a", size_bytes: 12}, {name: "b"}]
)";
  EXPECT_THAT(ChangedKeys(before, before), IsEmpty());
  EXPECT_THAT(ChangedKeys(before, after),
              ElementsAre("search.gap: 0 → 0.01", "space.weight_bits: [2, 4] → [2, 4, 8]",
                          "budgets.0.size_bytes: 10 → 12", "budgets.1.name: added (b)",
                          "space.pins.conv1.weight: removed (8)", "goal.minimise: removed (bops)"));
}

TEST(ChangedKeysTest, SaysThatADamagedTextCannotBeCompared) {
  EXPECT_THAT(ChangedKeys("seed: [", "seed: 1"),
              ElementsAre(::testing::HasSubstr("cannot be read")));
}

}  // namespace
}  // namespace bitsearch
