#include "tools/convert/state_dict.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <future>
#include <memory>
#include <thread>
#include <unordered_map>

#include "engine/error.h"
#include "engine/stored_type.h"
#include "tools/convert/pickle_globals.h"

namespace mg {

namespace {

using Kind = PickleKind;

constexpr std::array kWrappers{"state_dict", "model", "model_state_dict", "module", "net"};

// Elements of a storage, in a storage's order of bytes.
struct StorageView {
  const StoredType* type;
  std::int64_t offset;  // in elements, as the strides
  Shape sizes, strides;
  std::int64_t count;

  bool contiguous() const {
    std::int64_t expected = 1;
    for (int i = sizes.rank() - 1; i >= 0; --i) {
      if (sizes[i] != 1 && strides[i] != expected) return false;
      expected *= sizes[i];
    }
    return true;
  }
  // Equal for the same elements in the same shape.
  std::array<std::int64_t, 2 * kMaxRank + 2> key() const {
    std::array<std::int64_t, 2 * kMaxRank + 2> result{offset, sizes.rank()};
    auto next = result.begin() + 2;
    for (int i = 0; i < sizes.rank(); ++i) {
      *next++ = sizes[i];
      *next++ = strides[i];
    }
    return result;
  }
};

struct NamedView {
  StorageView view;
  std::vector<std::string> names;
};

struct Storage {
  std::string key;
  const StoredType* type;
  std::int64_t elements;
  std::int64_t viewed = 0;  // elements of all its different views together
  std::map<decltype(StorageView().key()), NamedView> views;

  std::uint64_t bytes() const { return static_cast<std::uint64_t>(elements) * type->bytes; }
};

bool valid_utf8(const std::string& text) {
  const auto* at = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  auto left = static_cast<utf8proc_ssize_t>(text.size());
  while (left > 0) {
    utf8proc_int32_t code_point = 0;
    const utf8proc_ssize_t length = utf8proc_iterate(at, left, &code_point);
    if (length <= 0) return false;
    at += length;
    left -= length;
  }
  return true;
}

// Copies a view's elements to out, dense and converted, row after row of its last dimension.
void copy_view(const StorageView& view, const char* storage, char* out) {
  const StoredType& type = *view.type;
  const auto bytes = static_cast<std::int64_t>(type.bytes);
  const auto move = [&type](const char* from, std::int64_t count, char* to) {
    if (type.convert != nullptr) {
      type.convert(from, count, to);
    } else {
      std::memcpy(to, from, static_cast<std::size_t>(count) * type.bytes);
    }
  };
  if (view.count == 0) return;
  if (view.contiguous()) return move(storage + view.offset * bytes, view.count, out);
  const std::int64_t row = view.sizes.channels(), stride = view.strides.channels();
  std::vector<char> gathered(static_cast<std::size_t>(row * bytes));
  std::array<std::int64_t, kMaxRank> index{};
  std::int64_t first = view.offset;  // of this row
  for (std::int64_t r = 0; r < view.sizes.rows(); ++r) {
    for (std::int64_t c = 0; c < row; ++c) {
      std::memcpy(gathered.data() + c * bytes, storage + (first + c * stride) * bytes, type.bytes);
    }
    move(gathered.data(), row, out);
    out += row * size_of(type.dtype);
    for (int d = view.sizes.rank() - 2; d >= 0; --d) {
      auto& i = index[static_cast<std::size_t>(d)];
      first += view.strides[d];
      if (++i < view.sizes[d]) break;
      first -= i * view.strides[d];
      i = 0;
    }
  }
}

class StateDictReader {
 public:
  StateDictReader(StorageSource& source, const std::string& where) : source_(source), where_(where) {}

  StateDict read(const PickleValue& root) {
    const std::string prefix = choose(root);
    add_entries(*chosen_, prefix);
    read_storages();
    return std::move(result_);
  }

 private:
  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw Error(ExitCode::checkpoint, "{}: {}", where_, fmt::format(format, std::forward<Args>(args)...));
  }

  // Looks at each dict once: one dict may be there a million times.
  bool has_tensors(const PickleValue& value) {
    if (value.kind != Kind::dict) return false;
    const auto [found, added] = has_tensors_.emplace(&value, false);
    for (std::size_t i = 1; added && i < value.items.size(); i += 2) {
      if (value.items[i]->kind == Kind::tensor) found->second = true;
    }
    return found->second;
  }

  static std::string key_text(const PickleValue& key) {
    if (key.kind == Kind::text) return key.text.substr(0, kLongestName);
    return key.kind == Kind::integer ? std::to_string(key.integer) : describe(key);
  }

  // Finds the state dict and returns how to call it in messages: "" or "state_dict.".
  std::string choose(const PickleValue& root) {
    if (root.kind != Kind::dict) fail("expected a dict of tensors, got {}", describe(root));
    std::vector<std::string> wrapped, others;
    for (std::size_t i = 0; i < root.items.size(); i += 2) {
      const PickleValue &key = *root.items[i], &value = *root.items[i + 1];
      if (!has_tensors(value)) continue;
      const bool known = key.kind == Kind::text &&
                         std::find(kWrappers.begin(), kWrappers.end(), key.text) != kWrappers.end();
      auto& names = known ? wrapped : others;
      if (names.size() < kMaxListed) names.push_back(key_text(key));
      if (known) chosen_ = &value;
    }
    if (wrapped.size() > 1) {
      fail("expected one state dict, got {}: which one is meant?", fmt::join(wrapped, ", "));
    }
    if (wrapped.empty() && !has_tensors(root)) {
      fail("no tensors: expected a state dict, or one as {}; {}", fmt::join(kWrappers, ", "),
           others.empty() ? "there is no dict of tensors"
                          : fmt::format("dicts of tensors: {}", fmt::join(others, ", ")));
    }
    if (wrapped.empty()) {
      chosen_ = &root;
      return "";
    }
    for (std::size_t i = 0; i < root.items.size(); i += 2) {
      if (root.items[i + 1] != chosen_) leave_out("", *root.items[i], *root.items[i + 1]);
    }
    return wrapped[0] + ".";
  }

  void leave_out(const std::string& prefix, const PickleValue& key, const PickleValue& value) {
    result_.left_out.push_back(fmt::format("{}{}: {}", prefix, key_text(key), describe(value)));
  }

  void add_entries(const PickleValue& dict, const std::string& prefix) {
    for (std::size_t i = 0; i < dict.items.size(); i += 2) {
      const PickleValue &key = *dict.items[i], &value = *dict.items[i + 1];
      if (value.kind != Kind::tensor) {
        leave_out(prefix, key, value);
        continue;
      }
      if (key.kind != Kind::text) fail("expected a tensor's name, got {} as its key", describe(key));
      if (key.text.size() > kLongestName) {
        fail("'{}...': a name of {} bytes, more than {}", key_text(key), key.text.size(), kLongestName);
      }
      if (!valid_utf8(key.text)) fail("'{}': a name that is not UTF-8", key.text);
      add_tensor(key.text, value);
    }
  }

  void add_tensor(const std::string& name, const PickleValue& tensor) {
    Storage& storage = storage_of(name, *tensor.items[0]);
    if (!result_.stored_types.emplace(name, storage.type->name).second)
      fail("the key '{}' is there twice", name);
    const StorageView view = checked_view(name, tensor, storage);
    NamedView& named = storage.views[view.key()];
    if (named.names.empty()) storage.viewed += view.count;
    if (storage.viewed > kMaxOverlap * storage.elements) {
      fail("{}: the views of its storage '{}' repeat its elements more than {} times", name, storage.key,
           kMaxOverlap);
    }
    named.view = view;
    named.names.push_back(name);
  }

  // The storage that a tensor names, which all its tensors must describe alike.
  Storage& storage_of(const std::string& name, const PickleValue& stored) {
    const std::string& key = stored.items[2]->text;
    const StoredType& type = *find_stored_type(stored.items[1]->global->stored_type);
    const std::int64_t elements = stored.items[4]->integer;
    const auto bytes = source_.bytes_of(key);
    if (!bytes) fail("{}: its storage '{}' is not in the file", name, key);
    if (elements < 0 || static_cast<std::uint64_t>(elements) != *bytes / type.bytes ||
        *bytes % type.bytes != 0) {
      fail("{}: expected {} elements of {} in its storage '{}', but that has {} bytes", name, elements,
           type.name, key, *bytes);
    }
    const auto [found, added] = storage_index_.emplace(key, storages_.size());
    if (added) storages_.push_back({key, &type, elements, 0, {}});
    Storage& storage = storages_[found->second];
    if (storage.type != &type) {
      fail("{}: its storage '{}' is {}, but another tensor's {}", name, key, type.name, storage.type->name);
    }
    return storage;
  }

  StorageView checked_view(const std::string& name, const PickleValue& tensor, const Storage& storage) const {
    const auto &sizes = tensor.items[2]->items, &strides = tensor.items[3]->items;
    if (sizes.size() != strides.size())
      fail("{}: {} sizes, but {} strides", name, sizes.size(), strides.size());
    if (sizes.size() > kMaxRank) {
      fail("{}: expected at most {} dimensions (kMaxRank in kernels/view.h), got {}", name, kMaxRank,
           sizes.size());
    }
    const std::int64_t elements = storage.elements;
    StorageView view{storage.type, tensor.items[1]->integer, {}, {}, 1};
    bool overflow = view.offset < 0;
    std::int64_t last = view.offset;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      if (sizes[i]->kind != Kind::integer || strides[i]->kind != Kind::integer) {
        fail("{}: expected numbers as sizes and strides, got {} and {}", name, describe(*sizes[i]),
             describe(*strides[i]));
      }
      const std::int64_t size = sizes[i]->integer, stride = strides[i]->integer;
      std::int64_t step = 0;
      view.sizes.append(size);
      view.strides.append(stride);
      overflow =
          overflow || size < 0 || stride < 0 || __builtin_mul_overflow(view.count, size, &view.count) ||
          (size > 0 &&
           (__builtin_mul_overflow(size - 1, stride, &step) || __builtin_add_overflow(last, step, &last)));
    }
    // An empty tensor reads nothing, wherever its storage ends.
    if (overflow || (view.count > 0 && last >= elements) || view.offset > elements) {
      fail("{}: offset {}, sizes {} and strides {} reach outside its storage '{}' of {} elements", name,
           view.offset, to_string(view.sizes), to_string(view.strides), storage.key, elements);
    }
    if (view.count > elements) {
      fail("{}: {} elements from a storage '{}' of {}: an expanded tensor; save it as .contiguous()", name,
           view.count, storage.key, elements);
    }
    // The step of a dimension of one is never taken, and may have any length.
    for (int d = 0; d < view.sizes.rank(); ++d) {
      if (view.sizes[d] == 1) view.strides[d] = 0;
    }
    return view;
  }

  // Checksums and page faults cost more than the reading itself, so threads share the storages.
  void read_storages() {
    std::uint64_t bytes = 0;
    for (const Storage& storage : storages_) bytes += storage.bytes();
    const unsigned wanted =
        bytes < kBytesForThreads ? 1 : std::min(kMaxThreads, std::thread::hardware_concurrency());
    std::atomic<std::size_t> next = 0;
    const auto read = [&](StorageSource& source) {
      TensorMap tensors;
      for (std::size_t i = next++; i < storages_.size(); i = next++)
        read_storage(storages_[i], source, tensors);
      return tensors;
    };
    std::vector<std::future<TensorMap>> others;
    for (unsigned i = 1; i < wanted; ++i) {
      others.push_back(std::async(std::launch::async, [&] { return read(*source_.reopen()); }));
    }
    result_.tensors = read(source_);
    for (auto& other : others) result_.tensors.merge(other.get());
  }

  static void read_storage(const Storage& storage, StorageSource& source, TensorMap& tensors) {
    std::unique_ptr<char[]> bytes;
    for (const auto& [key, named] : storage.views) {
      const StorageView& view = named.view;
      Tensor tensor(heap_allocator(), view.sizes, Layout::dense, storage.type->dtype);
      // Most tensors are their whole storage: those are read to where they stay.
      if (storage.views.size() == 1 && storage.type->convert == nullptr && view.contiguous() &&
          view.count == storage.elements) {
        source.read(storage.key, tensor.as<char>());
      } else {
        if (!bytes) {
          bytes = std::make_unique_for_overwrite<char[]>(storage.bytes());
          source.read(storage.key, bytes.get());
        }
        copy_view(view, bytes.get(), tensor.as<char>());
      }
      for (const std::string& name : named.names) tensors.emplace(name, tensor);
    }
  }

  static constexpr std::uint64_t kBytesForThreads = std::uint64_t{4} << 20;
  static constexpr unsigned kMaxThreads = 4;
  static constexpr std::size_t kLongestName = 1000, kMaxListed = 20;
  StorageSource& source_;
  const std::string& where_;
  StateDict result_;
  const PickleValue* chosen_ = nullptr;
  std::unordered_map<const PickleValue*, bool> has_tensors_;
  std::vector<Storage> storages_;  // in the order of their first names
  std::map<std::string, std::size_t> storage_index_;
};

}  // namespace

StateDict read_state_dict(const PickleValue& root, StorageSource& storages, const std::string& where) {
  return StateDictReader(storages, where).read(root);
}

}  // namespace mg
