#include "engine/not_finite.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/error.h"

namespace mg {

namespace {

constexpr std::size_t kMaxListed = 20;

bool is_variance(const std::string& name) { return name.ends_with("running_var"); }

}  // namespace

UnusableNumbers unusable_numbers(const std::string& name, const Tensor& tensor) {
  UnusableNumbers result;
  if (!tensor || tensor.dtype() != DType::f32) return result;
  const float* data = tensor.f32();
  const float least = is_variance(name) ? 0 : -std::numeric_limits<float>::max();
  std::int64_t first = 0;
  for (std::int64_t i = 0; i < tensor.count(); ++i) {
    const bool usable = data[i] >= least && data[i] <= std::numeric_limits<float>::max();
    if (usable) continue;
    if (result.count++ == 0) first = i;
  }
  if (result.count == 0) return result;
  result.value = data[first];
  result.place = index_text(first, tensor.shape());
  return result;
}

std::string describe(const std::string& name, const Tensor& tensor, const UnusableNumbers& numbers) {
  std::string text = fmt::format("{} {} is {}", name, numbers.place, numbers.value);
  if (std::isfinite(numbers.value)) text += ", below zero, but it is a variance";
  if (numbers.count > 1) {
    text += fmt::format(", and {} more of its {} numbers {} not {}", numbers.count - 1, tensor.count(),
                        numbers.count == 2 ? "is" : "are",
                        is_variance(name) ? "finite and at least zero" : "finite");
  }
  return text;
}

std::vector<std::string> unusable_tensors(const TensorMap& tensors) {
  std::vector<std::string> lines;
  for (const auto& [name, tensor] : tensors) {
    const UnusableNumbers numbers = unusable_numbers(name, tensor);
    if (numbers.count > 0) lines.push_back(describe(name, tensor, numbers));
  }
  return lines;
}

void refuse_unusable(const std::vector<std::string>& lines, ExitCode code, const std::string& source,
                     const std::string& advice) {
  if (lines.empty()) return;
  std::string text;
  for (std::size_t i = 0; i < std::min(lines.size(), kMaxListed); ++i) text += "\n  " + lines[i];
  if (lines.size() > kMaxListed) text += fmt::format("\n  and {} more tensors", lines.size() - kMaxListed);
  throw Error(code, "{}: {} with numbers that a model cannot use:{}{}{}", source,
              lines.size() == 1 ? "a tensor" : fmt::format("{} tensors", lines.size()), text,
              advice.empty() ? "" : "\n", advice);
}

}  // namespace mg
