#include "tools/convert/models/parts.h"

#include <cmath>
#include <set>

#include "engine/checkpoint.h"
#include "engine/not_finite.h"

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

// Refuses numbers that no model works with in what is taken, or notes them; and notes them in what is left
// aside, where they do no harm.
void check_numbers(ConvertedModel& model, const TensorMap& tensors, const Source& source,
                   const BuildOptions& options) {
  std::vector<std::string> lines;
  for (const auto& [name, tensor] : tensors) {
    const UnusableNumbers numbers = unusable_numbers(name, tensor);
    if (numbers.count == 0) continue;
    const auto theirs = model.keys.source_of.find(name);
    const std::string& shown = theirs == model.keys.source_of.end() ? name : theirs->second;
    lines.push_back(describe(shown, tensor, numbers));
    const auto type = source.weights.stored_types.find(shown);
    if (type != source.weights.stored_types.end() && type->second == "F64")
      lines.back() += " (stored as F64; numbers above 3.4e38 do not fit mg's f32)";
  }
  if (!options.allow_nonfinite) {
    refuse_unusable(
        lines, ExitCode::checkpoint, source.path.string(),
        "The file is damaged, or comes from a training that diverged: use an earlier checkpoint of it. "
        "`mgconvert inspect` shows such numbers; --allow-nonfinite takes them in to look at");
  }
  for (const std::string& line : lines) model.notes.push_back("not usable: " + line);
  for (const auto& [name, reason] : model.keys.dropped) {
    const auto dropped = source.weights.tensors.find(name);
    if (dropped == source.weights.tensors.end()) continue;
    const UnusableNumbers numbers = unusable_numbers(name, dropped->second);
    if (numbers.count > 0)
      model.notes.push_back(describe(name, dropped->second, numbers) +
                            "; it is left aside, and nothing reads it");
  }
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
  // First what does not fit, then what cannot be used: the former often explains the latter.
  load_tensors(targets, tensors, source.path.string(),
               {.allow_missing = options.allow_partial, .allow_unusable = true});
  check_numbers(model, tensors, source, options);
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
