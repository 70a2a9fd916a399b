#include "tools/convert/compare.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <type_traits>

namespace mg {

std::string to_string(Comparison comparison) {
  switch (comparison) {
    case Comparison::equal:
      return "equal";
    case Comparison::differs:
      return "differs";
    case Comparison::shape_or_type:
      return "shape or type differs";
    case Comparison::only_a:
      return "only in A";
    case Comparison::only_b:
      return "only in B";
  }
  return "?";
}

namespace {

std::string describe(const WeightFile& file, const std::string& name) {
  const auto found = file.tensors.find(name);
  if (found == file.tensors.end()) return "";
  return file.stored_types.at(name) + " " + to_string(found->second.shape());
}

template <class Elem>
double distance_of(Elem a, Elem b) {
  if constexpr (std::is_integral_v<Elem>) {
    // Unsigned: the distance of two i64 may not fit one.
    const auto x = static_cast<std::uint64_t>(a), y = static_cast<std::uint64_t>(b);
    return static_cast<double>(a > b ? x - y : y - x);
  } else {
    return std::abs(static_cast<double>(a) - static_cast<double>(b));
  }
}

template <class Elem>
void compare_elements(const Tensor& a, const Tensor& b, double tolerance, TensorComparison& result) {
  const Elem *x = a.as<Elem>(), *y = b.as<Elem>();
  double sum = 0;
  std::int64_t max_at = 0;
  for (std::int64_t i = 0; i < a.count(); ++i) {
    if (x[i] == y[i]) continue;
    const double distance = distance_of(x[i], y[i]);
    if (std::isnan(distance)) {
      const bool both = x[i] != x[i] && y[i] != y[i];
      if (!both) ++result.nan_in_one;
      continue;
    }
    sum += distance;
    if (distance > result.max) {
      result.max = distance;
      max_at = i;
    }
    if (distance > tolerance) ++result.differing;
  }
  result.count = a.count();
  result.differing += result.nan_in_one;
  result.mean = a.count() > 0 ? sum / static_cast<double>(a.count()) : 0;
  if (result.max > 0) result.max_at = index_text(max_at, a.shape());
}

void compare_values(const Tensor& a, const Tensor& b, double tolerance, TensorComparison& result) {
  switch (a.dtype()) {
    case DType::f32:
      return compare_elements<float>(a, b, tolerance, result);
    case DType::i32:
      return compare_elements<std::int32_t>(a, b, tolerance, result);
    case DType::i64:
      return compare_elements<std::int64_t>(a, b, tolerance, result);
    case DType::u8:
      return compare_elements<std::uint8_t>(a, b, tolerance, result);
    case DType::bf16:  // files of it are read as f32
      break;
  }
}

}  // namespace

std::vector<TensorComparison> compare(const WeightFile& a, const WeightFile& b, double tolerance) {
  std::set<std::string> names;
  for (const auto& [name, tensor] : a.tensors) names.insert(name);
  for (const auto& [name, tensor] : b.tensors) names.insert(name);
  std::vector<TensorComparison> results;
  results.reserve(names.size());
  for (const std::string& name : names) {
    TensorComparison r;
    r.name = name;
    r.a = describe(a, name);
    r.b = describe(b, name);
    const auto in_a = a.tensors.find(name), in_b = b.tensors.find(name);
    if (in_a == a.tensors.end()) {
      r.result = Comparison::only_b;
    } else if (in_b == b.tensors.end()) {
      r.result = Comparison::only_a;
    } else if (in_a->second.shape() != in_b->second.shape() || in_a->second.dtype() != in_b->second.dtype()) {
      r.result = Comparison::shape_or_type;
    } else {
      compare_values(in_a->second, in_b->second, tolerance, r);
      if (r.differing > 0) r.result = Comparison::differs;
    }
    results.push_back(std::move(r));
  }
  return results;
}

}  // namespace mg
