// Folders and indices of sharded models.
#include <doctest/doctest.h>

#include <fstream>
#include <functional>

#include "convert/read_error.h"
#include "temporary_folder.h"
#include "tools/convert/weight_file.h"

namespace mg {

namespace fs = std::filesystem;
using test::TemporaryFolder;

namespace {

const fs::path kGoldens = fs::path(MG_GOLDENS_DIR) / "torch_files";

Tensor scalar(float value) {
  Tensor t(heap_allocator(), {1}, Layout::dense);
  *t.f32() = value;
  return t;
}

void write(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

struct Fault {
  std::string name, index, message;
};

}  // namespace

TEST_CASE("sharded: a fault of the index or a shard is named") {
  const TemporaryFolder folder;
  write_safetensors(folder / "a", {{"x", scalar(1)}, {"y", scalar(2)}});
  write_safetensors(folder / "b", {{"z", scalar(3)}});
  write_safetensors(folder / "b_again", {{"z", scalar(3)}, {"x", scalar(4)}});
  fs::copy(kGoldens / "plain.pth", folder / "torch");
  const fs::path index = folder / "model.safetensors.index.json";
  const auto map = [](const std::string& entries) { return "{\"weight_map\": {" + entries + "}}"; };
  const std::string a = R"("x": "a", "y": "a")";
  write(index, map(a + R"(, "z": "b")"));
  CHECK(read_weight_file(index).tensors.size() == 3);
  CHECK(read_weight_file(folder.path).tensors.at("z").at(0, 0) == 3);

  const std::vector<Fault> faults{
      {"no JSON", "{\"weight_map\": ", "the index is not JSON"},
      {"no map", "{\"metadata\": {}}", "expected the index of a sharded model, with a weight_map"},
      {"an empty map", map(""), "expected the index of a sharded model"},
      {"a map that is a list", "{\"weight_map\": []}", "expected the index of a sharded model"},
      {"metadata of a list", "{\"metadata\": [], \"weight_map\": {\"x\": \"a\"}}",
       "metadata: expected an object"},
      {"a key twice", map(R"("x": "a", "x": "b")"), "the key 'x' is there twice"},
      {"a file that is a number", map(R"("x": 3)"), "weight_map: 'x': expected a file's name"},
      {"a path up", map(R"("x": "../a")"),
       "weight_map: 'x': expected the name of a file beside the index, got '../a'"},
      {"an absolute path", map(R"("x": "/etc/passwd")"), "got '/etc/passwd'"},
      {"a backslash", map(R"("x": "..\\a")"), "got '..\\a'"},
      {"a NUL", map(R"("x": "a\u0000b")"), "expected the name of a file beside the index"},
      {"the folder itself", map(R"("x": "..")"), "got '..'"},
      {"no name", map(R"("x": "")"), "got ''"},
      {"depth", map(R"("x": )" + std::string(100000, '[')), "nested deeper than 16 levels"},
      {"a shard that is missing", map(a + R"(, "z": "c")"),
       "c: the shard is missing, but model.safetensors.index.json"},
      {"a key that is missing", map(a + R"(, "z": "b", "w": "b")"), "'w': not in b, where the index has it"},
      {"a key too many", map(R"("x": "a", "z": "b")"), "a: 'y': not in the index"},
      {"a key in two shards", map(a + R"(, "z": "b_again")"),
       "b_again: 'x': also here, but the index has it in a"},
      {"two formats", map(a + R"(, "0.weight": "torch")"),
       "torch: expected a safetensors as the shards before it"},
      {"an index in the index", map(a + R"(, "z": "model.safetensors.index.json")"),
       "expected a shard, got an index"},
  };
  for (const Fault& fault : faults) {
    CAPTURE(fault.name);
    write(index, fault.index);
    const std::string message = test::read_error([&] { read_weight_file(index); });
    CAPTURE(message);
    CHECK(message.starts_with(folder.path.string()));
    CHECK(message.find(fault.message) != std::string::npos);
  }
}

TEST_CASE("folder: one model, copies of it that are equal, or what a folder needs is listed") {
  const TemporaryFolder folder;
  const auto message = [&] { return test::read_error([&] { read_weight_file(folder.path); }); };
  CHECK(message() == folder.path.string() +
                         ": a folder: expected one of model.safetensors, model.safetensors.index.json, "
                         "pytorch_model.bin, pytorch_model.bin.index.json in it, got none");
  fs::copy(kGoldens / "plain.pth", folder / "pytorch_model.bin");
  CHECK(read_weight_file(folder.path).format == "PyTorch zip");
  TensorMap tensors = read_weight_file(folder.path).tensors;
  write_safetensors(folder / "model.safetensors", tensors);
  const WeightFile both = read_weight_file(folder.path);
  CHECK(both.format == "safetensors");
  REQUIRE(both.notes.size() == 1);
  CHECK(both.notes[0].find("model.safetensors is read; pytorch_model.bin has") != std::string::npos);
  for (auto& [name, tensor] : tensors) {
    if (tensor.dtype() != DType::f32 || tensor.count() == 0) continue;
    Tensor other(heap_allocator(), tensor.shape(), Layout::dense);
    std::copy_n(tensor.f32(), tensor.count(), other.f32());
    other.f32()[0] += 1;
    tensor = other;
    break;
  }
  write_safetensors(folder / "model.safetensors", tensors);
  CHECK(message().find("model.safetensors and pytorch_model.bin differ in '") != std::string::npos);
}

}  // namespace mg
