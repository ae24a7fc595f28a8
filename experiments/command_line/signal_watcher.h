#pragma once
// Turns SIGINT, SIGTERM and SIGHUP into a request to stop. A thread waits for them, so no handler
// and no global is needed. Only the command line may use it.

#include <atomic>
#include <thread>

#include "space/support/run_context.h"

namespace bitsearch {

/// While it lives, the first signal sets the token and a second one ends the process with 130.
/// Create it in main before any other thread: threads inherit the mask of blocked signals. Child
/// processes inherit it too and must unblock.
class SignalWatcher {
 public:
  explicit SignalWatcher(RunContext context);
  SignalWatcher(const SignalWatcher&) = delete;
  SignalWatcher& operator=(const SignalWatcher&) = delete;
  ~SignalWatcher();

 private:
  void Watch();
  RunContext context_;
  std::atomic<bool> closing_ = false;
  std::thread thread_;
};

}  // namespace bitsearch
