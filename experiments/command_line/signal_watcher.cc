// Signals by sigwait in a thread of their own. Must not know any command.
#include "experiments/command_line/signal_watcher.h"

#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <utility>

namespace bitsearch {
namespace {

constexpr int kExitInterrupted = 130;

sigset_t WatchedSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  return signals;
}

}  // namespace

SignalWatcher::SignalWatcher(RunContext context) : context_(std::move(context)) {
  const sigset_t signals = WatchedSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  thread_ = std::thread([this] { Watch(); });
}

SignalWatcher::~SignalWatcher() {
  closing_ = true;
  pthread_kill(thread_.native_handle(), SIGTERM);
  thread_.join();
  const sigset_t signals = WatchedSignals();
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

void SignalWatcher::Watch() {
  const sigset_t signals = WatchedSignals();
  while (true) {
    int signal = 0;
    if (sigwait(&signals, &signal) != 0) continue;
    if (closing_) return;
    if (context_.stop.StopRequested()) ::_exit(kExitInterrupted);
    context_.stop.RequestStop();
    context_.progress->Log("stopping at the next safe point; the same signal again ends at once");
  }
}

}  // namespace bitsearch
