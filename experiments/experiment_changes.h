#pragma once
// What differs between two resolved configurations of a run, key by key, for the user who resumes
// with other options. Must not know what the keys mean.

#include <string>
#include <string_view>
#include <vector>

namespace bitsearch {

/// One line per key whose value differs, in the order of `after`, then those that are gone:
/// "search.gap: 0 → 0.01", "goal.minimise: added (bops)", "goal.minimise: removed (bops)".
/// Both texts as ExperimentText writes them. A `before` that is no YAML gives one line that says so.
std::vector<std::string> ChangedKeys(std::string_view before, std::string_view after);

}  // namespace bitsearch
