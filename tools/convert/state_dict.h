// From the graph of a pickle to named tensors: which dict is the state dict, and where its tensors' elements
// lie in the storages.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/safetensors.h"
#include "tools/convert/pickle_value.h"

namespace mg {

// Where a pickle's storages are, by the key that the pickle names them by.
class StorageSource {
 public:
  virtual ~StorageSource() = default;
  virtual std::optional<std::uint64_t> bytes_of(const std::string& key) const = 0;
  virtual void read(const std::string& key, char* out) = 0;  // all bytes_of(key)
  // Another on the same file, for another thread.
  virtual std::unique_ptr<StorageSource> reopen() const = 0;
};

struct StateDict {
  TensorMap tensors;
  std::map<std::string, std::string> stored_types;
  std::vector<std::string> left_out;  // "optimizer: a dict of 2"
};

// The state dict is root, or the dict of tensors that root has as state_dict, model, model_state_dict, module
// or net; everything else that root holds is left out and named. Every tensor is checked against its storage
// before memory is taken for any: bounds, and that it has no more elements than its storage (a stride of zero
// makes a tensor of any size from one number). Views of one storage may repeat its elements kMaxOverlap
// times. Names of one and the same view share the memory. Errors begin with where.
StateDict read_state_dict(const PickleValue& root, StorageSource& storages, const std::string& where);

inline constexpr std::int64_t kMaxOverlap = 8;

}  // namespace mg
