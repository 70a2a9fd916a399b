// Between modules or optimizers and stored tensors, by name.
#include <algorithm>

#include "engine/checkpoint.h"
#include "engine/nearest_name.h"
#include "engine/not_finite.h"
#include "engine/optimizer.h"

namespace mg {

namespace {

constexpr std::size_t kMaxListed = 20;

// " (nearest: ...)", or nothing when there are no candidates.
std::string nearest_hint(const std::string& name, const std::vector<std::string>& candidates) {
  const std::string nearest = nearest_name(name, candidates);
  return nearest.empty() ? "" : fmt::format(" (nearest: {})", nearest);
}

std::string describe(const Tensor& t) { return to_string(t.dtype()) + " " + to_string(t.shape()); }

struct Mismatches {
  std::vector<std::string> missing, extra, misshaped;
};

void report(const Mismatches& m, const std::vector<std::string>& stored_names,
            const std::vector<std::string>& target_names, const std::string& source) {
  std::vector<std::string> lines;
  for (const std::string& name : m.missing) {
    if (lines.size() < kMaxListed) lines.push_back("missing " + name + nearest_hint(name, stored_names));
  }
  for (const std::string& name : m.extra) {
    if (lines.size() < kMaxListed) lines.push_back("extra " + name + nearest_hint(name, target_names));
  }
  for (const std::string& line : m.misshaped) {
    if (lines.size() < kMaxListed) lines.push_back(line);
  }
  const std::size_t total = m.missing.size() + m.extra.size() + m.misshaped.size();
  std::string text;
  for (const std::string& line : lines) text += "\n  " + line;
  if (total > lines.size()) text += fmt::format("\n  and {} more", total - lines.size());
  throw Error(ExitCode::checkpoint,
              "{}: the tensors do not fit: {} missing, {} extra, {} of another type or shape{}", source,
              m.missing.size(), m.extra.size(), m.misshaped.size(), text);
}

}  // namespace

std::vector<NamedTensor> named_tensors(Module& module, const std::string& prefix) {
  std::vector<NamedTensor> all;
  for (const NamedParameter& p : module.parameters(prefix)) all.push_back({p.name, &p.parameter->value});
  for (const NamedBuffer& b : module.buffers(prefix)) all.push_back(b);
  return all;
}

std::vector<NamedTensor> named_tensors(AdamW& optimizer) {
  std::vector<NamedTensor> all;
  for (const OptimizerState& s : optimizer.state()) all.push_back({s.name, s.tensor});
  return all;
}

TensorMap to_tensor_map(const std::vector<NamedTensor>& tensors) {
  TensorMap map;
  for (const NamedTensor& t : tensors) {
    expect(map.emplace(t.name, t.tensor->to_host()).second, "to_tensor_map: two tensors are named {}",
           t.name);
  }
  return map;
}

void load_tensors(const std::vector<NamedTensor>& targets, const TensorMap& stored, const std::string& source,
                  const LoadOptions& options) {
  Mismatches mismatches;
  std::vector<std::string> target_names, stored_names;
  for (const NamedTensor& target : targets) {
    target_names.push_back(target.name);
    const auto found = stored.find(target.name);
    if (found == stored.end()) {
      if (!options.allow_missing) mismatches.missing.push_back(target.name);
    } else if (found->second.shape() != target.tensor->shape() ||
               found->second.dtype() != target.tensor->dtype()) {
      mismatches.misshaped.push_back(fmt::format("{}: expected {}, got {}", target.name,
                                                 describe(*target.tensor), describe(found->second)));
    }
  }
  std::vector<std::string> sorted = target_names;
  std::sort(sorted.begin(), sorted.end());
  for (const auto& [name, tensor] : stored) {
    stored_names.push_back(name);
    if (!options.allow_extra && !std::binary_search(sorted.begin(), sorted.end(), name)) {
      mismatches.extra.push_back(name);
    }
  }
  if (!mismatches.missing.empty() || !mismatches.extra.empty() || !mismatches.misshaped.empty()) {
    report(mismatches, stored_names, target_names, source);
  }
  if (!options.allow_unusable) {
    TensorMap taken;
    for (const std::string& name : target_names) {
      if (const auto found = stored.find(name); found != stored.end()) taken.insert(*found);
    }
    refuse_unusable(unusable_tensors(taken), ExitCode::checkpoint, source);
  }
  for (const NamedTensor& target : targets) {
    const auto found = stored.find(target.name);
    if (found == stored.end()) continue;
    expect(target.tensor->dense() && found->second.dense(), "load_tensors: {} is not dense", target.name);
    target.tensor->take(found->second);
  }
}

}  // namespace mg
