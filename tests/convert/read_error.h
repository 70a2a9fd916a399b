// What a reader says about a bad file.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "engine/error.h"

namespace mg::test {

template <class Read>
std::string read_error(Read read) {
  try {
    read();
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::checkpoint);
    return e.what();
  }
  return "no error";
}

}  // namespace mg::test
