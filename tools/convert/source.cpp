#include "tools/convert/source.h"

#include "engine/file.h"

namespace mg {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

template <class... Args>
[[noreturn]] void refuse(const fs::path& file, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ExitCode::checkpoint, "{}: {}", file.string(),
              fmt::format(format, std::forward<Args>(args)...));
}

json read_json(Source& source, const fs::path& file) {
  source.files.push_back(file);
  try {
    return json::parse(read_whole_file(file, ExitCode::checkpoint));
  } catch (const json::exception& e) {
    refuse(file, "not JSON: {}", e.what());
  }
}

// A setting that is absent or null means its default.
bool flag(const json& settings, const char* name, bool fallback, const fs::path& file) {
  const auto found = settings.find(name);
  if (found == settings.end() || found->is_null()) return fallback;
  if (!found->is_boolean()) refuse(file, "{}: expected true or false, got {}", name, found->dump());
  return found->get<bool>();
}

// BERT's normalizer: what it calls lower-casing, accents and Chinese characters.
void take_normalizer(Source& source, const json& settings, const char* lowercase, const char* chinese,
                     const fs::path& file) {
  source.tokenizer.lowercase = flag(settings, lowercase, true, file);
  if (flag(settings, "strip_accents", source.tokenizer.lowercase, file) != source.tokenizer.lowercase) {
    refuse(file, "strip_accents: expected accents to be stripped exactly when texts are lower-cased");
  }
  if (!flag(settings, chinese, true, file)) refuse(file, "{}: expected true: CJK characters split", chinese);
}

std::vector<std::string> tokens_of(const json& tokenizer, const fs::path& file) {
  const json& model = tokenizer.at("model");
  // Files of before 2021 do not name the model.
  if (model.value("type", "WordPiece") != "WordPiece" || !model.at("vocab").is_object()) {
    refuse(file, "model: expected WordPiece, got {}", model.value("type", "a list"));
  }
  const json& vocabulary = model.at("vocab");
  std::vector<std::string> tokens(vocabulary.size());
  std::vector<bool> there(vocabulary.size());
  for (const auto& [token, id] : vocabulary.items()) {
    const auto number = id.get<std::uint64_t>();
    if (number >= tokens.size() || there[number]) {
      refuse(file, "vocab: '{}' has the id {}: expected each id from 0 to {} once", token, number,
             tokens.size() - 1);
    }
    tokens[number] = token;
    there[number] = true;
  }
  return tokens;
}

void take_tokenizer(Source& source, const fs::path& folder) {
  const fs::path whole = folder / "tokenizer.json", settings = folder / "tokenizer_config.json",
                 list = folder / "vocab.txt";
  fs::path at = whole;
  try {
    if (fs::exists(whole)) {
      const json tokenizer = read_json(source, whole);
      source.vocabulary = tokens_of(tokenizer, whole);
      const json& normalizer = tokenizer.at("normalizer");
      if (normalizer.value("type", "") != "BertNormalizer") {
        refuse(whole, "normalizer: expected BertNormalizer, got {}", normalizer.dump());
      }
      take_normalizer(source, normalizer, "lowercase", "handle_chinese_chars", whole);
    } else if (fs::exists(settings)) {
      at = settings;
      take_normalizer(source, read_json(source, settings), "do_lower_case", "tokenize_chinese_chars",
                      settings);
    }
    if (!fs::exists(list)) return;
    at = list;
    source.files.push_back(list);
    std::vector<std::string> tokens = WordPiece::load(list).vocabulary();
    if (!source.vocabulary.empty() && source.vocabulary != tokens) {
      refuse(list, "its tokens are not those of {}", whole.filename().string());
    }
    source.vocabulary = std::move(tokens);
  } catch (const json::exception& e) {
    refuse(at, "no tokenizer of BERT's kind: {}", e.what());
  }
}

void take_pooling(Source& source, const fs::path& file) {
  if (!fs::exists(file)) return;
  const json pooling = read_json(source, file);
  const bool cls = flag(pooling, "pooling_mode_cls_token", false, file),
             mean = flag(pooling, "pooling_mode_mean_tokens", false, file);
  for (const auto& [name, value] : pooling.items()) {
    const bool known = name == "pooling_mode_cls_token" || name == "pooling_mode_mean_tokens";
    if (!known && name.starts_with("pooling_mode_") && value == true) {
      refuse(file, "{}: expected CLS or mean pooling", name);
    }
  }
  if (cls == mean) refuse(file, "expected either CLS or mean pooling");
  source.pooling = cls ? TextPooling::cls : TextPooling::mean;
}

}  // namespace

Source read_source(const fs::path& path) {
  Source source;
  source.path = path;
  source.weights = read_weight_file(path);
  source.files = source.weights.files;
  if (!fs::is_directory(path)) return source;
  if (fs::exists(path / "config.json")) source.config = read_json(source, path / "config.json");
  take_tokenizer(source, path);
  take_pooling(source, path / "1_Pooling/config.json");
  return source;
}

}  // namespace mg
