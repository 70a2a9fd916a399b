// The one exception of this project. Its text says what was expected, what came, and where (operation, or
// file and line of input); its code is the exit status of a program that ends because of it.
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace mg {

enum class ExitCode : int {
  ok = 0,
  failure = 1,     // failed while running
  usage = 2,       // wrong command line
  config = 3,      // wrong configuration file, key or value
  data = 4,        // wrong manifest, video or cache
  checkpoint = 5,  // wrong checkpoint or weight file
  out_of_memory = 6,
  interrupted = 130,  // SIGINT
  terminated = 143,   // SIGTERM
};

class Error : public std::runtime_error {
 public:
  template <class... Args>
  Error(ExitCode exit_code, fmt::format_string<Args...> format, Args&&... args)
      : std::runtime_error(fmt::format(format, std::forward<Args>(args)...)), code_(exit_code) {}

  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

// Throws an Error with ExitCode::failure unless condition holds: for the doors of operations.
template <class... Args>
void expect(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) throw Error(ExitCode::failure, format, std::forward<Args>(args)...);
}

}  // namespace mg
