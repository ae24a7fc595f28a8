#include "experiments/parallel_jobs.h"

#include <algorithm>
#include <atomic>
#include <ctime>
#include <exception>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace bitsearch {
namespace {

class NamedProgress : public ProgressSink {
 public:
  NamedProgress(std::shared_ptr<ProgressSink> inner, const std::string& name)
      : inner_(std::move(inner)), prefix_(name + ": ") {}
  void Progress(std::string_view task, std::int64_t done, std::int64_t total) override {
    inner_->Progress(prefix_ + std::string(task), done, total);
  }
  void Log(std::string_view line) override { inner_->Log(prefix_ + std::string(line)); }
  void Warning(std::string_view line) override { inner_->Warning(prefix_ + std::string(line)); }

 private:
  std::shared_ptr<ProgressSink> inner_;
  std::string prefix_;
};

}  // namespace

void RunJobs(int threads, std::size_t count, const std::function<void(std::size_t)>& job) {
  std::vector<std::exception_ptr> failures(count);
  std::atomic<std::size_t> next = 0;
  std::atomic<bool> failed = false;
  const auto work = [&] {
    for (std::size_t i = next++; i < count && !failed; i = next++) {
      try {
        job(i);
      } catch (...) {
        failures[i] = std::current_exception();
        failed = true;
      }
    }
  };
  {
    std::vector<std::jthread> workers;
    const auto wanted = std::min(count, static_cast<std::size_t>(std::max(1, threads)));
    for (std::size_t t = 0; t < wanted; ++t) workers.emplace_back(work);
  }
  for (const std::exception_ptr& failure : failures) {
    if (failure != nullptr) std::rethrow_exception(failure);
  }
}

RunContext JobContext(const RunContext& context, const std::string& name) {
  RunContext own = context;
  own.threads = 1;
  own.progress = std::make_shared<NamedProgress>(context.progress, name);
  return own;
}

double ThreadSeconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  constexpr double kNanosecond = 1e-9;
  return static_cast<double>(time.tv_sec) + kNanosecond * static_cast<double>(time.tv_nsec);
}

}  // namespace bitsearch
