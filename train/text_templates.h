// What is read for a label: the label itself, or sentences made of it (handcrafted prompts, as in CLIP).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/contrastive_model.h"
#include "models/wordpiece.h"

namespace mg {

class Config;

// The templates that text.template names; each has {} where the label goes. Without one: just "{}".
// Error(ExitCode::config) for a template without {}.
std::vector<std::string> text_templates(const Config& config);

std::string fill_template(const std::string& text_template, const std::string& label);

// Tokens of texts in every template: all templates of the first text, then of the second, ...
struct TemplatedTexts {
  TokenBatch tokens;
  std::int64_t templates = 1;
};
TemplatedTexts encode_templated(const WordPiece& tokenizer, const std::vector<std::string>& templates,
                                const std::vector<std::string>& texts, std::size_t max_length);

// The texts' embeddings, each the mean over its templates: [K,D], not normalised.
Value encode_text(Context& ctx, ContrastiveModel& model, const TemplatedTexts& texts);

}  // namespace mg
