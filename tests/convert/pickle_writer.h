// Pickles written opcode by opcode: honest ones, and those that Python would never write.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mg::test {

class PickleWriter {
 public:
  PickleWriter() { op("\x80\x02"); }

  PickleWriter& op(const std::string& bytes) {
    bytes_ += bytes;
    return *this;
  }
  PickleWriter& repeat(const std::string& bytes, std::size_t times) {
    for (std::size_t i = 0; i < times; ++i) bytes_ += bytes;
    return *this;
  }
  PickleWriter& global(const std::string& module, const std::string& name) {
    return op("c" + module + "\n" + name + "\n");
  }
  PickleWriter& text(const std::string& text) { return op("X" + little(text.size(), 4) + text); }
  PickleWriter& number(std::int64_t value) {
    return op("\x8a\x08" + little(static_cast<std::uint64_t>(value), 8));
  }
  PickleWriter& numbers(const std::vector<std::int64_t>& values) {
    op("(");
    for (const std::int64_t value : values) number(value);
    return op("t");
  }
  PickleWriter& storage(const std::string& type, const std::string& key, std::int64_t elements) {
    op("(").text("storage").global("torch", type + "Storage").text(key).text("cpu").number(elements);
    return op("tQ");
  }
  // Of a storage that has so many elements.
  PickleWriter& tensor(const std::vector<std::int64_t>& sizes, const std::vector<std::int64_t>& strides,
                       std::int64_t offset, std::int64_t elements, const std::string& type = "Float",
                       const std::string& key = "0") {
    global("torch._utils", "_rebuild_tensor_v2").op("(").storage(type, key, elements).number(offset);
    numbers(sizes).numbers(strides).op("\x89");
    return global("collections", "OrderedDict").op(")RtR");
  }
  std::string end() const { return bytes_ + "."; }

  static std::string little(std::uint64_t value, int bytes) {
    std::string result;
    for (int i = 0; i < bytes; ++i) result += i < 8 ? static_cast<char>(value >> (8 * i) & 0xff) : '\0';
    return result;
  }

 private:
  std::string bytes_;
};

}  // namespace mg::test
