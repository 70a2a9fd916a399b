// Hugging Face folders: what lies beside the weights, and what in it computes otherwise.
#include <doctest/doctest.h>

#include <algorithm>

#include "convert/foreign_models.h"
#include "convert/read_error.h"
#include "engine/file.h"
#include "temporary_folder.h"

namespace mg {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

struct Folder : test::TemporaryFolder {
  Folder() { write_safetensors(path / "model.safetensors", test::small_text(TextKind::bert)); }
  void write(const std::string& name, const json& value) const { write_text(name, value.dump()); }
  void write_text(const std::string& name, const std::string& text) const {
    fs::create_directories((path / name).parent_path());
    write_whole_file(path / name, text);
  }
  std::string error() const {
    return test::read_error([&] { read_source(path); });
  }
};

json tokenizer_json() {
  json vocabulary = json::object();
  for (const std::string& token : test::small_vocabulary()) vocabulary[token] = vocabulary.size();
  return {{"normalizer",
           {{"type", "BertNormalizer"},
            {"lowercase", true},
            {"strip_accents", nullptr},
            {"handle_chinese_chars", true}}},
          {"model", {{"type", "WordPiece"}, {"vocab", vocabulary}}}};
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("A tokenizer is read from tokenizer.json, or from vocab.txt and its settings") {
  const Folder whole;
  whole.write("tokenizer.json", tokenizer_json());
  Source source = read_source(whole.path);
  CHECK(source.vocabulary == test::small_vocabulary());
  CHECK(source.tokenizer.lowercase);
  CHECK(source.config.is_null());
  CHECK(source.files.size() == 2);

  const Folder parts;
  std::string lines;
  for (const std::string& token : test::small_vocabulary()) lines += token + "\n";
  parts.write_text("vocab.txt", lines);
  parts.write("tokenizer_config.json", {{"do_lower_case", false}, {"strip_accents", nullptr}});
  parts.write("config.json", test::small_text_settings(TextKind::bert));
  source = read_source(parts.path);
  CHECK(source.vocabulary == test::small_vocabulary());
  CHECK_FALSE(source.tokenizer.lowercase);
  CHECK(source.config["num_attention_heads"] == 4);
  CHECK_FALSE(source.pooling);
}

TEST_CASE("A sentence encoder's pooling is taken, and one that is not done here refused") {
  const Folder folder;
  const char* file = "1_Pooling/config.json";
  folder.write(file, {{"word_embedding_dimension", 16}, {"pooling_mode_mean_tokens", true}});
  CHECK(read_source(folder.path).pooling == TextPooling::mean);
  folder.write(file, {{"pooling_mode_cls_token", true}, {"pooling_mode_mean_tokens", false}});
  CHECK(read_source(folder.path).pooling == TextPooling::cls);
  folder.write(file, {{"pooling_mode_max_tokens", true}});
  CHECK(has(folder.error(), "expected either CLS or mean pooling, got max"));
  folder.write(file, {{"pooling_mode_cls_token", true}, {"pooling_mode_mean_tokens", true}});
  CHECK(has(folder.error(), "expected either CLS or mean pooling, got cls and mean"));
  folder.write(file, {{"embedding_dimension", 16}, {"pooling_mode", "mean"}});
  CHECK(read_source(folder.path).pooling == TextPooling::mean);
  folder.write(file, {{"pooling_mode", "cls"}, {"include_prompt", true}});
  CHECK(read_source(folder.path).pooling == TextPooling::cls);
  folder.write(file, {{"pooling_mode", "lasttoken"}});
  CHECK(has(folder.error(), "got lasttoken"));
  folder.write(file, {{"pooling_mode", "mean"}, {"pooling_mode_cls_token", true}});
  CHECK(has(folder.error(), "pooling_mode is mean, but its flags say cls"));
}

TEST_CASE("The modules of a sentence encoder are those that are done here, or one is refused by name") {
  const Folder folder;
  folder.write("pool/config.json", {{"pooling_mode", "cls"}});
  json modules = {{{"type", "sentence_transformers.models.Transformer"}, {"path", ""}},
                  {{"type", "sentence_transformers.models.Pooling"}, {"path", "pool"}},
                  {{"type", "sentence_transformers.models.Normalize"}, {"path", "2_Normalize"}}};
  folder.write("modules.json", modules);
  CHECK(read_source(folder.path).pooling == TextPooling::cls);
  modules.push_back({{"type", "sentence_transformers.models.Dense"}, {"path", "3_Dense"}});
  folder.write("modules.json", modules);
  CHECK(has(folder.error(), "the module sentence_transformers.models.Dense is not done here"));
}

TEST_CASE("What lies beside a single weight file says how texts are read, and what is missing is said") {
  const Folder folder;
  const fs::path file = folder.path / "model.safetensors";
  const auto noted = [](const Source& source, const std::string& part) {
    return std::any_of(source.notes.begin(), source.notes.end(), [&](const auto& n) { return has(n, part); });
  };
  std::string lines;
  for (const std::string& token : test::small_vocabulary()) lines += token + "\n";
  folder.write_text("vocab.txt", lines + "Eyes\n");
  CHECK_FALSE(read_source(file).tokenizer.lowercase);  // as the vocabulary has it
  CHECK(noted(read_source(file), "keep their capital letters"));
  folder.write_text("vocab.txt", lines);
  CHECK(read_source(file).tokenizer.lowercase);
  folder.write("tokenizer_config.json", {{"do_lower_case", false}});
  folder.write("config.json", test::small_text_settings(TextKind::bert));
  folder.write("sentence_bert_config.json", {{"max_seq_length", 11}, {"do_lower_case", false}});
  folder.write_text("tf_model.h5", "x");
  const Source source = read_source(file);
  CHECK_FALSE(source.tokenizer.lowercase);
  CHECK(source.config["num_attention_heads"] == 4);
  CHECK(source.max_length == 11);
  CHECK(noted(source, "no pooling"));
  CHECK(noted(read_source(folder.path), "not read: tf_model.h5"));
  folder.write("tokenizer.json", tokenizer_json());
  CHECK(has(folder.error(), "do_lower_case is false, but tokenizer.json says true"));
  CHECK(read_source(file, false).config.is_null());
}

TEST_CASE("Tokenizers that split otherwise, contradict themselves, or are damaged, are refused by name") {
  const Folder folder;
  const auto error_with = [&](const char* pointer, const json& value) {
    json tokenizer = tokenizer_json();
    tokenizer[json::json_pointer(pointer)] = value;
    folder.write("tokenizer.json", tokenizer);
    return folder.error();
  };
  CHECK(has(error_with("/model/type", "BPE"), "model: expected WordPiece, got BPE"));
  CHECK(has(error_with("/model/vocab/a", 5), "expected each id from 0 to 11 once"));
  CHECK(has(error_with("/model/vocab/a", 99), "'a' has the id 99"));
  CHECK(has(error_with("/model/vocab/a", "ten"), "no tokenizer of BERT's kind"));
  CHECK(has(error_with("/normalizer/type", "Sequence"), "normalizer: expected BertNormalizer"));
  CHECK(has(error_with("/normalizer/strip_accents", false), "strip_accents"));
  CHECK(has(error_with("/normalizer/handle_chinese_chars", false), "handle_chinese_chars: expected true"));
  CHECK(has(error_with("/normalizer/lowercase", 1), "lowercase: expected true or false, got 1"));
  folder.write_text("tokenizer.json", "{");
  CHECK(has(folder.error(), "tokenizer.json: not JSON"));
  folder.write("tokenizer.json", tokenizer_json());
  folder.write_text("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n");
  CHECK(has(folder.error(), "its tokens are not those of tokenizer.json"));
}

}  // namespace mg
