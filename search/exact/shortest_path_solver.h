#pragma once
// The independent oracle that users can choose too.

#include <memory>

#include "search/solver.h"

namespace bitsearch {

/// "shortest_path": Boost.Graph's r_c_shortest_paths on the layered graph (label setting, best
/// bound first). Readable rather than fast; gives no configuration before it is done.
std::unique_ptr<Solver> MakeShortestPathSolver();

}  // namespace bitsearch
