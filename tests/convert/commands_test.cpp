// mgconvert inspect and diff as their users run them.
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/checkpoint.h"
#include "run_program.h"

namespace mg {

namespace fs = std::filesystem;
using nlohmann::json;
using test::Output;
using test::TemporaryFolder;

namespace {

const fs::path kGoldens = fs::path(MG_GOLDENS_DIR) / "torch_files";

Output mgconvert(const std::vector<std::string>& arguments) {
  return test::run_program(MG_MGCONVERT, arguments);
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

Tensor vector_of(const std::vector<float>& values) {
  Tensor t(heap_allocator(), {static_cast<std::int64_t>(values.size())}, Layout::dense);
  std::copy(values.begin(), values.end(), t.f32());
  return t;
}

}  // namespace

TEST_CASE("inspect: tensors, types, files and hashes") {
  const TemporaryFolder folder;
  std::ofstream(folder / "abc") << "abc";
  const Output table = mgconvert({"inspect", kGoldens / "wrapped.pth"});
  CHECK(table.code == 0);
  CHECK(has(table.out, "PyTorch zip\n"));
  CHECK(has(table.out, "0.weight               F32               24  [3,2,1,2,2]"));
  CHECK(has(table.out, "9 tensors, 54 parameters"));
  CHECK(has(table.out, "left out  optimizer: a dict of 2"));

  const Output printed = mgconvert({"inspect", "--json", kGoldens / "sharded_safetensors"});
  REQUIRE(printed.code == 0);
  const json report = json::parse(printed.out);
  CHECK(report["format"] == "safetensors (sharded)");
  CHECK(report["files"].size() == 3);
  CHECK(report["tensors"][0] == json({{"name", "0.bias"}, {"type", "F32"}, {"shape", {3}}, {"count", 3}}));
  CHECK(report["parameters"] == 54);
  CHECK(report["metadata"]["total_size"] == "224");
}

TEST_CASE("inspect: the hash is SHA-256, and a certificate is told") {
  const TemporaryFolder folder;
  // A header of two bytes and no data: its SHA-256 by coreutils.
  std::ofstream(folder / "model.safetensors", std::ios::binary) << std::string("\x02\0\0\0\0\0\0\0{}", 10);
  std::ofstream(folder / "certificate.json")
      << R"({"kind": "r2plus1d_18", "source": [{"file": "a.pth", "sha256": "ab12"}], "dropped": ["fc.weight", "fc.bias"]})";
  const Output output = mgconvert({"inspect", folder.path});
  CHECK(output.code == 0);
  CHECK(has(output.out, "10 bytes  sha256 411a485216e432ece6b9af94fa32154cf79a2a56d4f81266baa50063f45092bd"));
  CHECK(has(output.out, "imported  kind r2plus1d_18\n  from    a.pth  sha256 ab12\n  dropped 2 keys\n"));
  std::ofstream(folder / "certificate.json") << "[]";
  const Output bad = mgconvert({"inspect", folder.path});
  CHECK(bad.code == 5);
  CHECK(has(bad.err, "certificate.json: expected an object"));
}

TEST_CASE("inspect: a checkpoint's model is read") {
  const TemporaryFolder folder;
  save_checkpoint(folder / "step_1", {{{"w", vector_of({1, 2})}}, {}, json::object()});
  const Output output = mgconvert({"inspect", folder / "step_1"});
  CHECK(output.code == 0);
  CHECK(has(output.out, "1 tensors, 2 parameters"));
}

TEST_CASE("inspect: names of a hostile file do not reach the terminal as they are") {
  const TemporaryFolder folder;
  write_safetensors(folder / "x", {{"w\x1b]0;renamed\x07", vector_of({1})}}, {{"a\x1b[2J", "b\n"}});
  const Output output = mgconvert({"inspect", folder / "x"});
  CHECK(output.code == 0);
  CHECK_FALSE(has(output.out, "\x1b"));
  CHECK(has(output.out, "w\\x1b]0;renamed\\x07"));
  std::ofstream(folder / "y", std::ios::binary) << std::string("\x0f\0\0\0\0\0\0\0{\"\\u001b[2J\":3}", 23);
  const Output refused = mgconvert({"inspect", folder / "y"});
  CHECK(refused.code == 5);
  CHECK(has(refused.err, "\\x1b[2J: expected an object"));
}

TEST_CASE("mgconvert: exit codes and help") {
  CHECK(mgconvert({}).code == 2);
  CHECK(mgconvert({"inspect"}).code == 2);
  CHECK(mgconvert({"diff", "--tolerance", "-1", "a", "b"}).code == 2);
  const Output absent = mgconvert({"inspect", "/nowhere/x.pth"});
  CHECK(absent.code == 5);
  CHECK(has(absent.err, "mgconvert: /nowhere/x.pth: cannot open: No such file or directory"));
  CHECK(has(mgconvert({"--version"}).out, "mgconvert " MG_VERSION));
  for (const char* command : {"inspect", "diff"}) {
    CAPTURE(command);
    const Output help = mgconvert({command, "--help"});
    CHECK(help.code == 0);
    CHECK(has(help.out, std::string("Example: mgconvert ") + command));
  }
}

TEST_CASE("diff: equal files of two formats") {
  const Output output = mgconvert({"diff", kGoldens / "types.pth", kGoldens / "types.safetensors"});
  CHECK(output.code == 0);
  CHECK(output.out == "15 tensors: 15 equal; largest difference 0\n");
}

TEST_CASE("diff: every way to differ") {
  const TemporaryFolder folder;
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  Tensor bytes = Tensor::zeros(heap_allocator(), {2}, Layout::dense, DType::u8);
  Tensor steps = Tensor::zeros(heap_allocator(), {}, Layout::dense, DType::i64);
  Tensor more = Tensor::zeros(heap_allocator(), {}, Layout::dense, DType::i64);
  *steps.as<std::int64_t>() = std::numeric_limits<std::int64_t>::min();
  *more.as<std::int64_t>() = std::numeric_limits<std::int64_t>::max();
  write_safetensors(folder / "a", {{"differs", vector_of({1, 2, 3, 4})},
                                   {"equal", vector_of({0.f, nan, inf})},
                                   {"infinite", vector_of({inf})},
                                   {"not", vector_of({nan, 1})},
                                   {"only", vector_of({1})},
                                   {"shape", vector_of({1})},
                                   {"steps", steps},
                                   {"type", vector_of({0, 0})}});
  write_safetensors(folder / "b", {{"differs", vector_of({1, 2.5, 3, 3.75})},
                                   {"equal", vector_of({-0.f, nan, inf})},
                                   {"infinite", vector_of({-inf})},
                                   {"new", vector_of({1})},
                                   {"not", vector_of({0, 1})},
                                   {"shape", vector_of({1, 1})},
                                   {"steps", more},
                                   {"type", bytes}});
  const Output output = mgconvert({"diff", folder / "a", folder / "b"});
  CHECK(output.code == 1);
  CHECK(output.out ==
        "differs: differs: 2 of 4 numbers, F32 [4], by 0.188 on average, by 0.5 at [1] at most\n"
        "infinite: differs: 1 of 1 numbers, F32 [1], by inf on average, by inf at [0] at most\n"
        "new: only in B: F32 [1]\n"
        "not: differs: 1 of 2 numbers, F32 [2], 1 NaN in one file only\n"
        "only: only in A: F32 [1]\n"
        "shape: shape or type differs: F32 [1] in A, F32 [2] in B\n"
        "steps: differs: 1 of 1 numbers, I64 [], by 1.84e+19 on average, by 1.84e+19 at [] at most\n"
        "type: shape or type differs: F32 [2] in A, U8 [2] in B\n"
        "9 tensors: 1 equal, 4 differs, 2 shape or type differs, 1 only in A, 1 only in B; largest "
        "difference inf\n");
  const Output tolerant = mgconvert({"diff", "--tolerance", "0.5", "--json", folder / "a", folder / "b"});
  CHECK(tolerant.code == 1);
  const json report = json::parse(tolerant.out);
  CHECK(
      report["summary"] ==
      json({{"equal", 2}, {"differs", 3}, {"shape or type differs", 2}, {"only in A", 1}, {"only in B", 1}}));
  CHECK(report["tensors"][0] == json({{"name", "differs"},
                                      {"result", "equal"},
                                      {"a", "F32 [4]"},
                                      {"b", "F32 [4]"},
                                      {"differing", 0},
                                      {"nan_in_one", 0},
                                      {"max", 0.5},
                                      {"max_at", "[1]"},
                                      {"mean", 0.1875}}));
}

TEST_CASE("diff: a tolerance that is enough") {
  const TemporaryFolder folder;
  write_safetensors(folder / "a", {{"w", vector_of({1, 2})}});
  write_safetensors(folder / "b", {{"w", vector_of({1.25, 2})}});
  CHECK(mgconvert({"diff", "--tolerance", "0.25", folder / "a", folder / "b"}).code == 0);
  CHECK(mgconvert({"diff", "--tolerance", "0.24", folder / "a", folder / "b"}).code == 1);
}

}  // namespace mg
