// Any bytes as a safetensors file: tensors, or an Error of its own code.
#include <cstdlib>
#include <sstream>

#include "engine/error.h"
#include "engine/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  std::istringstream file(std::string(reinterpret_cast<const char*>(data), size));
  try {
    mg::read_safetensors(file, size, "fuzz");
  } catch (const mg::Error& e) {
    if (e.code() != mg::ExitCode::checkpoint) std::abort();
  }
  return 0;
}
