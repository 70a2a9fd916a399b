// What the kinds of models have in common.
#pragma once

#include "tools/convert/converted_model.h"

namespace mg {

template <class... Args>
[[noreturn]] void refuse(const Source& source, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ExitCode::checkpoint, "{}: {}", source.path.string(),
              fmt::format(format, std::forward<Args>(args)...));
}

// Copies tensors, under our names, into the model's module. What a file may lack or have is evened out first:
// num_batches_tracked, which old files lack.
void load_model(ConvertedModel& model, TensorMap tensors, const Source& source, const BuildOptions& options);

// A dimension of a tensor that must be there.
std::int64_t extent(const TensorMap& tensors, const std::string& name, int dimension, const Source& source);

// How many of prefix + "0.", prefix + "1.", ... there are.
int count_numbered(const TensorMap& tensors, const std::string& prefix);

// Sets a key and notes that the model decides it. A value that the key does not take is an
// Error(ExitCode::checkpoint): a model that mg cannot build.
template <class Value>
void decide(ConvertedModel& model, const Source& source, const std::string& key, const Value& value) {
  try {
    model.config.set(fmt::format("{}={}", key, value));
  } catch (const Error& e) {
    refuse(source, "a model beyond what mg builds: {}", e.what());
  }
  model.decided.push_back(key);
}

// Uniform in [-1, 1), by name and place.
Tensor drawn_tensor(Context& ctx, const std::string& name, Shape shape);
TokenBatch drawn_texts(std::int64_t vocabulary);  // three texts of 5, 9 and 3 tokens
// At most 256 of a tensor's values, evenly spread.
std::vector<float> some_values(const Tensor& tensor);

// Sets the keys of an encoder in a model's configuration, by shapes and config.json; tensors under our names,
// behind prefix.
void decide_video(ConvertedModel& model, const TensorMap& tensors, const std::string& prefix,
                  const Source& source);
void decide_text(ConvertedModel& model, const std::string& kind, const TensorMap& tensors,
                 const std::string& prefix, const Source& source, const BuildOptions& options);
// Cuts rows of the word embeddings that no token has; fewer rows than tokens are an Error.
void fit_vocabulary(ConvertedModel& model, TensorMap& tensors, const std::string& prefix,
                    const Source& source);

ConvertedModel build_video(const Source& source, const BuildOptions& options);
ConvertedModel build_text(const std::string& kind, const Source& source, const BuildOptions& options);
ConvertedModel build_classifier(const Source& source, const BuildOptions& options);
ConvertedModel build_authors(const Source& source, const BuildOptions& options);

}  // namespace mg
