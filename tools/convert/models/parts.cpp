#include "tools/convert/models/parts.h"

#include <cmath>
#include <set>

#include "engine/checkpoint.h"

namespace mg {

namespace {

constexpr std::int64_t kProbeValues = 256;
constexpr std::uint64_t kProbeSeed = 1;

// Moves names that no target has to the dropped ones, and notes the targets that nothing fills.
void allow_partial(ConvertedModel& model, TensorMap& tensors, const std::vector<NamedTensor>& targets) {
  std::set<std::string> wanted;
  for (const NamedTensor& t : targets) {
    wanted.insert(t.name);
    if (!tensors.contains(t.name)) model.random.push_back(t.name);
  }
  for (auto it = tensors.begin(); it != tensors.end();) {
    if (wanted.contains(it->first)) {
      ++it;
      continue;
    }
    model.keys.dropped.push_back({model.keys.source_of.at(it->first), "the model has no such tensor"});
    model.keys.source_of.erase(it->first);
    it = tensors.erase(it);
  }
}

// BatchNorm's count of batches, which a cast of the whole state dict turns into a real number.
Tensor counter(const Tensor& stored) {
  if (stored.dtype() != DType::f32 || stored.count() != 1 || !(std::abs(stored.at(0)) < 1e15f)) return stored;
  Tensor count(heap_allocator(), stored.shape(), Layout::dense, DType::i64);
  *count.as<std::int64_t>() = std::llround(stored.at(0));
  return count;
}

}  // namespace

void load_model(ConvertedModel& model, TensorMap tensors, const Source& source, const BuildOptions& options) {
  if (options.allow_partial) model.module->initialize(kProbeSeed);
  const std::vector<NamedTensor> targets = named_tensors(*model.module);
  for (const NamedTensor& t : targets) {
    if (!t.name.ends_with("num_batches_tracked")) continue;
    const auto [it, absent] = tensors.try_emplace(t.name, *t.tensor);
    if (!absent) it->second = counter(it->second);
  }
  if (options.allow_partial) allow_partial(model, tensors, targets);
  load_tensors(targets, tensors, source.path.string(), {.allow_missing = options.allow_partial});
}

std::int64_t extent(const TensorMap& tensors, const std::string& name, int dimension, const Source& source) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) refuse(source, "no tensor is called {}, with or without a prefix", name);
  if (found->second.shape().rank() <= dimension) {
    refuse(source, "{}: expected {} dimensions at least, got {}", name, dimension + 1,
           to_string(found->second.shape()));
  }
  return found->second.dim(dimension);
}

int count_numbered(const TensorMap& tensors, const std::string& prefix) {
  int count = 0;
  for (;; ++count) {
    const std::string next = fmt::format("{}{}.", prefix, count);
    const auto at = tensors.lower_bound(next);
    if (at == tensors.end() || !at->first.starts_with(next)) return count;
  }
}

Tensor drawn_tensor(Context& ctx, const std::string& name, Shape shape) {
  Tensor t = ctx.empty(shape);
  const RandomKey key{kProbeSeed, 0, random_site("probe:" + name)};
  for (std::int64_t i = 0; i < t.count(); ++i) {
    const float u = uniform01(key.draw(0, static_cast<std::uint32_t>(i / 4)).v[i % 4]);
    t.f32()[i / t.channels() * t.pitch() + i % t.channels()] = 2 * u - 1;
  }
  return t;
}

TokenBatch drawn_texts(std::int64_t vocabulary) {
  const RandomKey key{kProbeSeed, 0, random_site("probe:texts")};
  std::vector<std::vector<std::int32_t>> texts;
  std::uint32_t next = 0;
  for (const int length : {5, 9, 3}) {
    texts.emplace_back();
    for (int i = 0; i < length; ++i) {
      texts.back().push_back(static_cast<std::int32_t>(key.draw(0, next++).v[0] % vocabulary));
    }
  }
  return pad_tokens(texts, 0);
}

std::vector<float> some_values(const Tensor& tensor) {
  const std::int64_t stride =
      (tensor.count() + kProbeValues - 1) / kProbeValues | 1;  // odd: every channel in turn
  std::vector<float> values;
  for (std::int64_t i = 0; i < tensor.count(); i += stride) {
    values.push_back(tensor.at(i / tensor.channels(), i % tensor.channels()));
  }
  return values;
}

const std::vector<std::string>& model_kinds() {
  static const std::vector<std::string> kinds{"r2plus1d", "distilbert", "bert", "classifier", "authors"};
  return kinds;
}

ConvertedModel build_model(const std::string& kind, const Source& source, const BuildOptions& options) {
  if (kind == "r2plus1d") return build_video(source, options);
  if (kind == "classifier") return build_classifier(source, options);
  if (kind == "authors") return build_authors(source, options);
  return build_text(kind, source, options);
}

}  // namespace mg
