// Compares models with tests/goldens/*.json, which tests/goldens/make_goldens.py makes with PyTorch.
// Weights and inputs are computed from their names on both sides; the files hold outputs only.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/checkpoint.h"
#include "engine/context.h"
#include "engine/module.h"
#include "hashed.h"

namespace mg::test {

inline nlohmann::json read_golden(const std::string& file) {
  std::ifstream stream(std::string(MG_GOLDENS_DIR) + "/" + file);
  CAPTURE(file);
  REQUIRE(stream);
  return nlohmann::json::parse(stream);
}

inline Tensor hashed_tensor(Context& ctx, const std::string& name, Shape shape) {
  Tensor t = ctx.empty(shape);
  const Hashed hashed(name);
  for (std::int64_t i = 0; i < t.count(); ++i) {
    t.f32()[i / t.channels() * t.pitch() + i % t.channels()] = static_cast<float>(hashed(i));
  }
  return t;
}

// Gives every parameter and buffer the value that make_goldens.py gives the one of the same name.
inline void fill(Module& module) {
  for (const NamedTensor& t : named_tensors(module)) {
    Tensor& tensor = *t.tensor;
    if (tensor.dtype() != DType::f32) continue;
    const Hashed hashed(t.name);
    const double spread =
        std::sqrt(3.0 * static_cast<double>(tensor.dim(0)) / static_cast<double>(tensor.count()));
    for (std::int64_t i = 0; i < tensor.count(); ++i) {
      const double u = hashed(i);
      double value = 0.1 * u;
      if (t.name.ends_with("running_var")) {
        value = 1 + 0.5 * u;
      } else if (tensor.shape().rank() >= 2) {
        value = spread * u;
      } else if (t.name.ends_with("weight")) {
        value = 1 + 0.3 * u;
      }
      tensor.f32()[i] = static_cast<float>(value);
    }
  }
}

// The relative L2 error of tensor over what golden, an output as shared.py's stored() writes it, holds.
inline double golden_error(const nlohmann::json& golden, const Tensor& tensor) {
  Shape shape;
  for (const auto& dim : golden["shape"]) shape.append(dim.get<std::int64_t>());
  REQUIRE(to_string(tensor.shape()) == to_string(shape));
  const auto stride = golden["stride"].get<std::int64_t>();
  double error = 0, norm = 0;
  std::int64_t i = 0;
  for (const auto& stored : golden["values"]) {
    const auto expected = stored.get<double>();
    const double got = tensor.at(i / tensor.channels(), i % tensor.channels());
    error += (got - expected) * (got - expected);
    norm += expected * expected;
    i += stride;
  }
  REQUIRE(i >= tensor.count());
  return std::sqrt(error / norm);
}

inline void check_golden(const std::string& name, const Tensor& tensor, double tolerance = 1e-5) {
  static const nlohmann::json cases = read_golden("models.json")["cases"];
  CAPTURE(name);
  REQUIRE(cases.contains(name));
  CHECK(golden_error(cases[name], tensor) <= tolerance);
}

}  // namespace mg::test
