// Python's pickle, read as data. A pickle is a program for a small stack machine that may call any function
// of Python by its name, which is how files run code on those who load them. This machine knows the opcodes
// and the names that a state dict needs (the tables in pickle.cpp and pickle_globals.cpp), calls nothing, and
// refuses every other one by its name. What comes out is a graph of plain values.
// (docs.python.org/3/library/pickletools.html; torch/_weights_only_unpickler.py has the same purpose)
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>

#include "tools/convert/pickle_value.h"

namespace mg {

class Pickle {
 public:
  // Throws Error(ExitCode::checkpoint) with where, the byte and the opcode.
  Pickle(std::string_view bytes, const std::string& where);
  const PickleValue& root() const { return *root_; }

 private:
  std::deque<PickleValue> values_;
  const PickleValue* root_ = nullptr;
};

inline constexpr std::size_t kMaxPickle = std::size_t{64} << 20;  // bytes
inline constexpr std::size_t kMaxPickleValues = 4'000'000;
inline constexpr std::size_t kMaxPickleStack = 1'000'000;

}  // namespace mg
