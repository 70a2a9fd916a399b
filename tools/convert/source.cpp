#include "tools/convert/source.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

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
  source.has_tokenizer_settings = true;
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
    }
    if (fs::exists(settings)) {
      at = settings;
      const json own = read_json(source, settings);
      const bool both = source.has_tokenizer_settings, lowercase = source.tokenizer.lowercase;
      if (both && flag(own, "do_lower_case", lowercase, settings) != lowercase) {
        refuse(settings, "do_lower_case is {}, but {} says {}", !lowercase, whole.filename().string(),
               lowercase);
      }
      if (both) at = whole;
      if (!both) take_normalizer(source, own, "do_lower_case", "tokenize_chinese_chars", settings);
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

// The pooling of sentence-transformers: "pooling_mode": "mean", or a flag for each mode, as before version 5.
void take_pooling(Source& source, const fs::path& file) {
  const json pooling = read_json(source, file);
  std::set<std::string> modes;
  const auto named = pooling.find("pooling_mode");
  if (named != pooling.end() && named->is_string()) modes.insert(named->get<std::string>());
  if (named != pooling.end() && named->is_array()) {
    for (const json& mode : *named) modes.insert(mode.is_string() ? mode.get<std::string>() : mode.dump());
  }
  std::set<std::string> flags;
  for (const auto& [name, value] : pooling.items()) {
    if (!name.starts_with("pooling_mode_") || !flag(pooling, name.c_str(), false, file)) continue;
    std::string mode = name.substr(std::string_view("pooling_mode_").size());
    for (const std::string_view ending : {"_tokens", "_token"}) {
      if (mode.ends_with(ending)) mode.resize(mode.size() - ending.size());
    }
    flags.insert(mode);
  }
  if (!modes.empty() && !flags.empty() && modes != flags) {
    refuse(file, "pooling_mode is {}, but its flags say {}", fmt::join(modes, ", "), fmt::join(flags, ", "));
  }
  modes.merge(flags);
  if (modes != std::set<std::string>{"cls"} && modes != std::set<std::string>{"mean"}) {
    refuse(file, "expected either CLS or mean pooling, got {}",
           modes.empty() ? "none" : fmt::format("{}", fmt::join(modes, " and ")));
  }
  source.pooling = modes.contains("cls") ? TextPooling::cls : TextPooling::mean;
}

// modules.json lists what a sentence encoder does one after the other.
void take_modules(Source& source, const fs::path& folder) {
  const fs::path list = folder / "modules.json", usual = folder / "1_Pooling/config.json";
  fs::path pooling = usual;
  if (fs::exists(list)) {
    const json modules = read_json(source, list);
    if (!modules.is_array()) refuse(list, "expected a list of modules");
    for (const json& module : modules) {
      const std::string type = module.is_object() ? module.value("type", "") : "";
      const std::string kind = type.substr(type.rfind('.') + 1);
      if (kind == "Pooling") pooling = folder / module.value("path", "1_Pooling") / "config.json";
      if (kind == "Normalize")
        source.notes.push_back("modules.json: Normalize is what mg does whenever it compares embeddings");
      if (kind != "Transformer" && kind != "Pooling" && kind != "Normalize") {
        refuse(list, "the module {} is not done here: expected Transformer, Pooling and Normalize", type);
      }
    }
    if (pooling != usual && fs::exists(usual))
      source.notes.push_back(fmt::format("{} is not used: modules.json names {}", usual.filename().string(),
                                         pooling.parent_path().filename().string()));
  }
  if (fs::exists(pooling)) take_pooling(source, pooling);
}

void take_sentence_settings(Source& source, const fs::path& file) {
  if (!fs::exists(file)) return;
  const json settings = read_json(source, file);
  const auto length = settings.find("max_seq_length");
  if (length != settings.end() && !length->is_null()) {
    if (!length->is_number_integer() || length->get<std::int64_t>() < 2)
      refuse(file, "max_seq_length: expected a number of at least 2, got {}", length->dump());
    source.max_length = length->get<std::int64_t>();
  }
  if (flag(settings, "do_lower_case", false, file) && source.has_tokenizer_settings &&
      !source.tokenizer.lowercase) {
    refuse(file, "do_lower_case is true, but the tokenizer keeps capital letters");
  }
}

bool has_capitals(const std::vector<std::string>& tokens) {
  return std::any_of(tokens.begin(), tokens.end(), [](const std::string& token) {
    return !is_special_token(token) && !token.starts_with("[") &&
           std::any_of(token.begin(), token.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  });
}

// Says what was not found of what decides how texts are read.
void note_missing(Source& source) {
  if (!source.has_tokenizer_settings) {
    source.tokenizer.lowercase = !has_capitals(source.vocabulary);
    source.notes.push_back(
        fmt::format("no tokenizer.json and no tokenizer_config.json beside the weights: texts {}, as the "
                    "vocabulary has {} "
                    "capital letters (--set text.lowercase=... decides otherwise)",
                    source.tokenizer.lowercase ? "are lower-cased" : "keep their capital letters",
                    source.tokenizer.lowercase ? "no" : "tokens with"));
  }
  if (!source.pooling) {
    source.notes.push_back(
        "no pooling beside the weights (modules.json, 1_Pooling/config.json): the preset decides it "
        "(text.pooling)");
  }
}

// Files of a model's folder that were not read, so that nobody takes them for known.
void note_unread(Source& source) {
  std::vector<std::string> unread;
  for (const auto& entry : fs::directory_iterator(source.path)) {
    const std::string name = entry.path().filename().string();
    const bool about = name.starts_with(".") || name.starts_with("README") || name.starts_with("LICENSE") ||
                       name == "certificate.json" || name == "config.toml" || name == "load.py";
    const bool read = std::any_of(source.files.begin(), source.files.end(), [&](const fs::path& file) {
      return file.lexically_relative(source.path).begin()->string() == name;
    });
    const bool copy = std::any_of(source.notes.begin(), source.notes.end(), [&](const std::string& note) {
      return note.find(name) != std::string::npos;
    });
    if (!about && !read && !copy) unread.push_back(name);
  }
  std::sort(unread.begin(), unread.end());
  if (!unread.empty()) source.notes.push_back(fmt::format("not read: {}", fmt::join(unread, ", ")));
}

}  // namespace

Source read_source(const fs::path& path, bool described) {
  Source source;
  source.path = path;
  source.weights = read_weight_file(path);
  source.files = source.weights.files;
  source.notes = source.weights.notes;
  if (!described) return source;
  const fs::path folder = fs::is_directory(path) ? path : fs::absolute(path).parent_path();
  if (fs::exists(folder / "config.json")) source.config = read_json(source, folder / "config.json");
  take_tokenizer(source, folder);
  take_modules(source, folder);
  take_sentence_settings(source, folder / "sentence_bert_config.json");
  note_missing(source);
  if (fs::is_directory(path)) note_unread(source);
  return source;
}

}  // namespace mg
