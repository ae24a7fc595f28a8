#include "space/support/run_context.h"

#include "space/support/error.h"

namespace bitsearch {

void RunContext::ThrowIfStopped() const {
  if (stop.StopRequested()) {
    throw Error(ErrorId::kInterrupted, "stopped by signal or request")
        .Hint("run and train go on where they stopped with --resume");
  }
}

}  // namespace bitsearch
