#include "train/text_templates.h"

#include <sstream>

#include "train/config.h"

namespace mg {

namespace {

const std::vector<std::string>& handcrafted() {
  static const std::vector<std::string> templates{
      "a video of a person {}",         "a person is {}",         "the micro gesture of {}",
      "someone in an interview is {}",  "a small movement: {}",   "the person in this clip is {}",
      "{}, a gesture made unknowingly", "a short clip showing {}"};
  return templates;
}

}  // namespace

std::vector<std::string> text_templates(const Config& config) {
  const std::string& value = config.text("text.template");
  if (value.empty()) return {"{}"};
  if (value == "handcrafted") return handcrafted();
  std::vector<std::string> templates;
  std::istringstream parts(value);
  for (std::string part; std::getline(parts, part, '|');) {
    if (part.find("{}") == std::string::npos) {
      throw Error(ExitCode::config,
                  "text.template: expected {{}} where the label goes, `handcrafted` or nothing, got '{}'",
                  part);
    }
    templates.push_back(part);
  }
  return templates;
}

std::string fill_template(const std::string& text_template, const std::string& label) {
  std::string text = text_template;
  text.replace(text.find("{}"), 2, label);
  return text;
}

TemplatedTexts encode_templated(const WordPiece& tokenizer, const std::vector<std::string>& templates,
                                const std::vector<std::string>& texts, std::size_t max_length) {
  std::vector<std::string> all;
  all.reserve(texts.size() * templates.size());
  for (const std::string& text : texts) {
    for (const std::string& text_template : templates) all.push_back(fill_template(text_template, text));
  }
  return {tokenizer.encode(all, max_length), static_cast<std::int64_t>(templates.size())};
}

Value encode_text(Context& ctx, ContrastiveModel& model, const TemplatedTexts& texts) {
  Value all = model.encode_text(ctx, texts.tokens);
  if (texts.templates == 1) return all;
  return global_average_pool(
      ctx, reshape(all, {all.shape()[0] / texts.templates, texts.templates, all.shape()[1]}));
}

}  // namespace mg
