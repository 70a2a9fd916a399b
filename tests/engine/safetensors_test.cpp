#include "engine/safetensors.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <vector>

#include "engine/file.h"
#include "temporary_folder.h"

namespace mg {

namespace fs = std::filesystem;

using test::TemporaryFolder;

namespace {

// A folder of its own for a test, removed afterwards.

Tensor filled(Shape shape, Layout layout = Layout::dense) {
  Tensor t(heap_allocator(), shape, layout);
  for (std::int64_t r = 0; r < t.rows(); ++r) {
    for (std::int64_t c = 0; c < t.channels(); ++c) {
      t.f32()[r * t.pitch() + c] = static_cast<float>(r * 100 + c) / 7;
    }
  }
  return t;
}

std::string with_length(const std::string& header, const std::string& data = "") {
  const std::uint64_t length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + header + data;
}

std::string read_error(const fs::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary) << bytes;
  try {
    read_safetensors(file);
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::checkpoint);
    return e.what();
  }
  return "no error";
}

template <class Elem>
std::string bytes_of(std::initializer_list<Elem> values) {
  std::string bytes;
  for (Elem v : values) bytes.append(reinterpret_cast<const char*>(&v), sizeof v);
  return bytes;
}

}  // namespace

TEST_CASE("safetensors: what is written is read, and equal tensors make equal files") {
  const TemporaryFolder folder;
  Tensor steps = Tensor::zeros(heap_allocator(), {}, Layout::dense, DType::i64);
  *steps.as<std::int64_t>() = -5'000'000'000;
  Tensor bytes = Tensor::zeros(heap_allocator(), {3}, Layout::dense, DType::u8);
  bytes.as<std::uint8_t>()[2] = 255;
  const TensorMap tensors{{"b", filled({2, 3, 5})},
                          {"a.weight", filled({7, 21}, Layout::pitched)},
                          {"steps", steps},
                          {"bytes", bytes},
                          {"none", filled({0, 4})}};
  write_safetensors(folder.path / "x", tensors, {{"format", "pt"}});
  const SafetensorsFile file = read_safetensors(folder.path / "x");
  CHECK(file.metadata == std::map<std::string, std::string>{{"format", "pt"}});
  REQUIRE(file.tensors.size() == tensors.size());
  CHECK(*file.tensors.at("steps").as<std::int64_t>() == -5'000'000'000);
  CHECK(file.tensors.at("steps").shape() == Shape{});
  CHECK(file.tensors.at("bytes").as<std::uint8_t>()[2] == 255);
  CHECK(file.tensors.at("none").shape() == Shape{0, 4});
  for (const char* name : {"b", "a.weight"}) {
    const Tensor &written = tensors.at(name), &read = file.tensors.at(name);
    CAPTURE(name);
    REQUIRE(read.shape() == written.shape());
    CHECK(read.dense());
    for (std::int64_t r = 0; r < read.rows(); ++r) {
      for (std::int64_t c = 0; c < read.channels(); ++c) CHECK(read.at(r, c) == written.at(r, c));
    }
  }
  write_safetensors(folder.path / "y", file.tensors, {{"format", "pt"}});
  CHECK(read_whole_file(folder.path / "x", ExitCode::failure) ==
        read_whole_file(folder.path / "y", ExitCode::failure));
  CHECK_FALSE(fs::exists(folder.path / "x.tmp"));
}

TEST_CASE("safetensors: half, bfloat16 and double become fp32") {
  const TemporaryFolder folder;
  const std::string header = R"({"h":{"dtype":"F16","shape":[7],"data_offsets":[0,14]},)"
                             R"("b":{"dtype":"BF16","shape":[2],"data_offsets":[14,18]},)"
                             R"("d":{"dtype":"F64","shape":[2],"data_offsets":[18,34]}} )";
  // 1, -2, the smallest subnormal, the largest number, infinity, not a number, -0
  const auto half = bytes_of<std::uint16_t>({0x3C00, 0xC000, 0x0001, 0x7BFF, 0x7C00, 0x7E00, 0x8000});
  const auto bfloat = bytes_of<std::uint16_t>({0x3F80, 0xC2F7});
  std::ofstream(folder.path / "x", std::ios::binary)
      << with_length(header, half + bfloat + bytes_of<double>({0.1, -1e10}));
  const TensorMap tensors = read_safetensors(folder.path / "x").tensors;
  const float* h = tensors.at("h").f32();
  CHECK(h[0] == 1);
  CHECK(h[1] == -2);
  CHECK(h[2] == 0x1p-24f);
  CHECK(h[3] == 65504);
  CHECK(std::isinf(h[4]));
  CHECK(std::isnan(h[5]));
  CHECK(std::signbit(h[6]));
  CHECK(tensors.at("b").at(0, 0) == 1);
  CHECK(tensors.at("b").at(0, 1) == -123.5f);
  CHECK(tensors.at("d").at(0, 0) == 0.1f);
  CHECK(tensors.at("d").at(0, 1) == -1e10f);
}

TEST_CASE("safetensors: a damaged or hostile file is refused with its own message") {
  const TemporaryFolder folder;
  const fs::path file = folder.path / "x";
  auto one = [](const std::string& fields) { return "{\"w\":{" + fields + "}}"; };
  const std::string f32_2 = R"("dtype":"F32","shape":[2],"data_offsets":)";
  const std::string pair = R"("w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  struct Fault {
    std::string bytes, message;
  };
  const std::vector<Fault> faults{
      {"", "expected a header length of 8 bytes, but the file has 0 bytes"},
      {"1234567", "expected a header length of 8 bytes, but the file has 7 bytes"},
      {with_length(""), "the header does not start with '{'"},
      {with_length("  {}"), "the header does not start with '{'"},
      {bytes_of<std::uint64_t>({100'000'001}), "a header of 100000001 bytes is above the limit of 100000000"},
      {bytes_of<std::uint64_t>({~0ull}), "is above the limit"},
      {bytes_of<std::uint64_t>({50}) + "{}", "a header of 50 bytes does not fit in a file of 10 bytes"},
      {with_length("{\"w\":"), "the header is not JSON"},
      {with_length("{\"\xff\":1}"), "the header is not JSON"},
      {with_length("{" + pair + "," + pair + "}", "1234"), "the key 'w' is there twice"},
      {with_length(one(f32_2 + "[0,8]," + f32_2 + "[0,8]"), "12345678"), "the key 'dtype' is there twice"},
      {with_length(R"({"__metadata__":{"a":"1","a":"2"}})"), "the key 'a' is there twice"},
      {with_length(R"({"__metadata__":{"a":1}})"), "__metadata__: 'a': expected a string"},
      {with_length("{\"w\":" + std::string(10000, '[') + std::string(10000, ']') + "}"), "nested deeper"},
      {with_length("{\"w\":3}"), "w: expected an object of dtype, shape and data_offsets"},
      {with_length(one(f32_2 + "[0,8],\"x\":1"), "12345678"), "w: expected an object of dtype"},
      {with_length(one(R"("dtype":"C64","shape":[1],"data_offsets":[0,8])"), "12345678"), "w: dtype \"C64\""},
      {with_length(one(R"("dtype":"F32","shape":[1,1,1,1,1,1],"data_offsets":[0,4])"), "1234"),
       "w: expected a shape of at most 5 numbers"},
      {with_length(one(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"), "1234"), "w: shape: '-1'"},
      {with_length(one(R"("dtype":"F32","shape":[4294967296,4294967296,2],"data_offsets":[0,0])")),
       "overflows"},
      {with_length(one(R"("dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,0])")), "overflows"},
      {with_length(one(f32_2 + "[8,0]"), "12345678"), "w: its data ends at 0, before it begins at 8"},
      {with_length(one(f32_2 + "[0,8]"), "1234567"),
       "w: its data ends at 8, but the file has 7 bytes of data"},
      {with_length(one(f32_2 + "[0,4]"), "1234"), "takes 8 bytes, but its data has 4"},
      {with_length(one(f32_2 + "[4,12]"), "123456789012"), "w: a hole of 4 bytes before its data"},
      {with_length(one(f32_2 + "[0,8]"), "123456789"), "1 bytes of data after the last tensor"},
      {with_length("{" + pair + R"(,"v":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "12345678"),
       "v: its data begins at 0, inside the tensor before it"},
  };
  for (const Fault& fault : faults) {
    const std::string message = read_error(file, fault.bytes);
    CAPTURE(fault.message);
    CAPTURE(message);
    CHECK(message.starts_with(file.string()));
    CHECK(message.find(fault.message) != std::string::npos);
  }
  CHECK_THROWS_AS(read_safetensors(folder.path / "absent"), Error);
  CHECK_THROWS_AS(read_safetensors(folder.path), Error);
}

TEST_CASE("safetensors: a file that cannot be written is an error and leaves nothing behind") {
  const TemporaryFolder folder;
  CHECK_THROWS_AS(write_safetensors(folder.path / "absent" / "x", {{"w", filled({2})}}), Error);
  fs::create_directories(folder.path / "x");
  CHECK_THROWS_AS(write_safetensors(folder.path / "x", {{"w", filled({2})}}), Error);
  CHECK_FALSE(fs::exists(folder.path / "x.tmp"));
}

}  // namespace mg
