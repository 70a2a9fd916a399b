// Any bytes as the pickle of a state dict: tensors, or an Error of its own code. The archive is not in the
// way here: its checksums would stop nearly every change of a pickle.
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>

#include "engine/error.h"
#include "tools/convert/pickle.h"
#include "tools/convert/state_dict.h"

namespace {

constexpr std::size_t kStorages = 16;

// Storages "0" to "15" of the sizes that the input begins with, a byte each.
class FakeStorages : public mg::StorageSource {
 public:
  explicit FakeStorages(const unsigned char* sizes) : sizes_(sizes) {}

  std::optional<std::uint64_t> bytes_of(const std::string& key) const override {
    std::size_t number = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), number);
    if (error != std::errc() || end != key.data() + key.size() || number >= kStorages) return std::nullopt;
    return sizes_[number];
  }
  void read(const std::string& key, char* out) override { std::memset(out, 1, bytes_of(key).value()); }
  std::unique_ptr<StorageSource> reopen() const override { return std::make_unique<FakeStorages>(sizes_); }

 private:
  const unsigned char* sizes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size < kStorages) return 0;
  FakeStorages storages(data);
  try {
    const mg::Pickle pickle({reinterpret_cast<const char*>(data) + kStorages, size - kStorages}, "fuzz");
    mg::read_state_dict(pickle.root(), storages, "fuzz");
  } catch (const mg::Error& e) {
    if (e.code() != mg::ExitCode::checkpoint) std::abort();
  }
  return 0;
}
