// A comparison of many parts with PyTorch, each with its bound, that prints one line: `test_models | grep
// proof:` is the table of all.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <utility>

namespace mg::test {

class Proof {
 public:
  explicit Proof(std::string what) : what_(std::move(what)) {}
  Proof(const Proof&) = delete;
  Proof& operator=(const Proof&) = delete;
  ~Proof() {
    MESSAGE(fmt::format("proof: {}: {} parts, the nearest to its bound is {}: error {:.1e}, bound {:.1e}",
                        what_, parts_, part_, error_, bound_));
  }

  void check(const std::string& part, double error, double bound) {
    CAPTURE(what_);
    CAPTURE(part);
    CHECK(error <= bound);
    const bool nearest = parts_ == 0 || !(error * bound_ <= error_ * bound);  // not a number is the nearest
    ++parts_;
    if (!nearest) return;
    part_ = part;
    error_ = error;
    bound_ = bound;
  }

 private:
  std::string what_, part_;
  int parts_ = 0;
  double error_ = 0, bound_ = 0;
};

}  // namespace mg::test
