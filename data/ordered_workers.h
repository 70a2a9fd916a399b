// Numbered jobs on worker threads, their results in order: the same whatever the number of threads, and no
// more of them in memory than a window holds.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace mg {

template <class Result>
class OrderedWorkers {
 public:
  // job(i) for i = 0 .. jobs - 1, called from up to `threads` threads at once.
  OrderedWorkers(std::int64_t jobs, int threads, std::function<Result(std::int64_t)> job)
      : jobs_(jobs), window_(std::max(threads, 1) + 1), job_(std::move(job)) {
    const auto count = std::min<std::int64_t>(std::max(threads, 1), jobs);
    for (std::int64_t i = 0; i < count; ++i) threads_.emplace_back([this] { work(); });
  }
  ~OrderedWorkers() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  OrderedWorkers(const OrderedWorkers&) = delete;
  OrderedWorkers& operator=(const OrderedWorkers&) = delete;

  // The result of the next job not yet taken; throws what the job threw. To be called at most `jobs` times.
  Result take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return done_.count(taken_) > 0; });
    Outcome outcome = std::move(done_.extract(taken_).mapped());
    ++taken_;
    lock.unlock();
    changed_.notify_all();
    if (outcome.failure) std::rethrow_exception(outcome.failure);
    return std::move(*outcome.result);
  }

 private:
  struct Outcome {
    std::optional<Result> result;
    std::exception_ptr failure;
  };

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stopped_ || started_ == jobs_ || started_ < taken_ + window_; });
      if (stopped_ || started_ == jobs_) return;
      const std::int64_t i = started_++;
      lock.unlock();
      Outcome outcome;
      try {
        outcome.result.emplace(job_(i));
      } catch (...) {
        outcome.failure = std::current_exception();
      }
      lock.lock();
      done_.emplace(i, std::move(outcome));
      changed_.notify_all();
    }
  }

  const std::int64_t jobs_, window_;
  const std::function<Result(std::int64_t)> job_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::int64_t started_ = 0, taken_ = 0;
  bool stopped_ = false;
  std::map<std::int64_t, Outcome> done_;
  std::vector<std::thread> threads_;
};

}  // namespace mg
