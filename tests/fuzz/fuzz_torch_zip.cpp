// Any bytes as a zip of torch.save: tensors, or an Error of its own code.
#include <cstdlib>

#include "engine/error.h"
#include "tools/convert/torch_file.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  try {
    mg::read_torch_file({reinterpret_cast<const char*>(data), size}, "fuzz");
  } catch (const mg::Error& e) {
    if (e.code() != mg::ExitCode::checkpoint) std::abort();
  }
  return 0;
}
