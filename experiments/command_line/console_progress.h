#pragma once
// The command line's ProgressSink: a bar with the time left on a terminal, log lines elsewhere.
// Writes to standard error only.

#include <memory>

#include "space/support/run_context.h"

namespace bitsearch {

/// A sink for standard error: a bar if that is a terminal, else a log line at most every ten
/// seconds per task. Thread-safe.
std::shared_ptr<ProgressSink> MakeConsoleProgress();

}  // namespace bitsearch
