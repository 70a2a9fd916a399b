// Files that PyTorch and safetensors wrote, against what PyTorch reads from them:
// tests/goldens/make_torch_files.py.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/file.h"
#include "tools/convert/weight_file.h"

namespace mg {

using nlohmann::json;

namespace {

const std::filesystem::path kFolder = std::filesystem::path(MG_GOLDENS_DIR) / "torch_files";

double number(const json& value) {
  if (!value.is_string()) return value.get<double>();
  if (value == "NaN") return std::numeric_limits<double>::quiet_NaN();
  return value == "Infinity" ? HUGE_VAL : -HUGE_VAL;
}

double element(const Tensor& tensor, std::int64_t i) {
  switch (tensor.dtype()) {
    case DType::f32:
      return tensor.as<float>()[i];
    case DType::i32:
      return tensor.as<std::int32_t>()[i];
    case DType::i64:
      return static_cast<double>(tensor.as<std::int64_t>()[i]);
    case DType::u8:
      return tensor.as<std::uint8_t>()[i];
    case DType::bf16:  // files of it are read as f32
      break;
  }
  return 0;
}

void check_tensor(const Tensor& tensor, const json& expected) {
  REQUIRE(json(expected["shape"]).size() == static_cast<std::size_t>(tensor.shape().rank()));
  for (int d = 0; d < tensor.shape().rank(); ++d) {
    REQUIRE(tensor.dim(d) == expected["shape"][static_cast<std::size_t>(d)].get<std::int64_t>());
  }
  CHECK(tensor.dense());
  const json& values = expected["values"];
  REQUIRE(tensor.count() == static_cast<std::int64_t>(values.size()));
  for (std::int64_t i = 0; i < tensor.count(); ++i) {
    CAPTURE(i);
    const double got = element(tensor, i), want = number(values[static_cast<std::size_t>(i)]);
    if (std::isnan(want)) {
      CHECK(std::isnan(got));
    } else {
      CHECK(got == want);
      CHECK(std::signbit(got) == std::signbit(want));
    }
  }
}

}  // namespace

TEST_CASE("convert: what PyTorch and safetensors wrote is read number for number") {
  const json expected = json::parse(read_whole_file(kFolder / "expected.json", ExitCode::failure))["files"];
  REQUIRE(expected.size() >= 18);
  for (const auto& [name, file] : expected.items()) {
    CAPTURE(name);
    const WeightFile read = read_weight_file(kFolder / name);
    CHECK(read.tensors.size() == file["tensors"].size());
    CHECK(read.stored_types.size() == file["tensors"].size());
    CHECK(json(read.left_out) == file["left_out"]);
    for (const auto& [key, tensor] : file["tensors"].items()) {
      CAPTURE(key);
      REQUIRE(read.tensors.contains(key));
      CHECK(read.stored_types.at(key) == tensor["type"]);
      check_tensor(read.tensors.at(key), tensor);
    }
  }
}

TEST_CASE("convert: names of one view share its memory") {
  const WeightFile file = read_weight_file(kFolder / "views.pth");
  CHECK(file.tensors.at("whole").as<char>() == file.tensors.at("tied").as<char>());
  CHECK(file.tensors.at("whole").as<char>() != file.tensors.at("rows").as<char>());
}

TEST_CASE("convert: the format, the files and the metadata are told") {
  WeightFile file = read_weight_file(kFolder / "plain.pth");
  CHECK(file.format == "PyTorch zip");
  CHECK(file.files == std::vector<std::filesystem::path>{kFolder / "plain.pth"});
  file = read_weight_file(kFolder / "types.safetensors");
  CHECK(file.format == "safetensors");
  CHECK(file.metadata == std::map<std::string, std::string>{{"format", "pt"}});
  file = read_weight_file(kFolder / "sharded_bin");
  CHECK(file.format == "PyTorch zip (sharded)");
  CHECK(file.files.size() == 3);
  CHECK(file.metadata.at("total_size") == "224");
}

}  // namespace mg
