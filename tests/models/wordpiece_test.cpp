#include "models/wordpiece.h"
#include "engine/file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "models/golden.h"
#include "models/wordpiece_texts.h"

namespace mg {

namespace fs = std::filesystem;

namespace {

constexpr int kTexts = 10'000;

// Prints the first text whose ids differ from those stored under key, or whose hash differs.
void compare(const nlohmann::json& golden, const std::string& key, const WordPiece& uncased,
             const WordPiece& cased) {
  const auto max_length = golden["max_length"].get<std::size_t>();
  REQUIRE(golden["cases"].size() >= 300);
  for (const auto& item : golden["cases"]) {
    const auto text = item["text"].get<std::string>();
    CAPTURE(text);
    REQUIRE(uncased.encode(text, max_length) == item[key].get<std::vector<std::int32_t>>());
    REQUIRE(cased.encode(text, max_length) == item[key + " cased"].get<std::vector<std::int32_t>>());
  }
  const test::DrawnTexts texts(golden);
  const auto hashes = test::read_golden("wordpiece_" + key + ".json")["hashes"].get<std::string>();
  REQUIRE(hashes.size() == 8 * kTexts);
  std::size_t ids_compared = 0;
  for (int i = 0; i < kTexts; ++i) {
    const std::string text = texts.text(i);
    CAPTURE(i);
    CAPTURE(text);
    std::vector<std::int32_t> ids = uncased.encode(text, max_length);
    const std::vector<std::int32_t> cased_ids = cased.encode(text, max_length);
    ids.insert(ids.end(), cased_ids.begin(), cased_ids.end());
    ids_compared += ids.size();
    REQUIRE(test::hash_of(ids) == hashes.substr(8 * static_cast<std::size_t>(i), 8));
  }
  MESSAGE(
      fmt::format("proof: WordPiece, {} vocabulary, uncased and cased: {} texts whole, {} texts by hash ({} "
                  "ids): all equal",
                  key, golden["cases"].size(), kTexts, ids_compared));
}

std::vector<std::string> special_and(std::vector<std::string> tokens) {
  tokens.insert(tokens.begin(), {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"});
  return tokens;
}

}  // namespace

TEST_CASE("WordPiece gives BertTokenizer's ids with a small vocabulary") {
  const nlohmann::json golden = test::read_golden("wordpiece.json");
  const auto vocabulary = golden["small_vocabulary"].get<std::vector<std::string>>();
  compare(golden, "small", WordPiece(vocabulary), WordPiece(vocabulary, "small", {.lowercase = false}));
}

TEST_CASE("WordPiece gives BertTokenizer's ids with bert-base-uncased's vocabulary") {
  const char* folder = std::getenv("MG_DATA_DIR");
  if (folder == nullptr) {
    MESSAGE("skipped: MG_DATA_DIR is not set (text/bert-base-uncased-vocab.txt)");
    return;
  }
  const fs::path file = fs::path(folder) / "text/bert-base-uncased-vocab.txt";
  const WordPiece uncased = WordPiece::load(file);
  CHECK(uncased.size() == 30522);
  compare(test::read_golden("wordpiece.json"), "bert", uncased, WordPiece::load(file, {.lowercase = false}));
}

TEST_CASE("WordPiece cuts to the maximal length and pads to the longest") {
  const WordPiece tokenizer(special_and({"a", "b", "##b"}));
  CHECK(tokenizer.encode("a bb a", 200) == std::vector<std::int32_t>{2, 5, 6, 7, 5, 3});
  CHECK(tokenizer.encode("a bb a", 4) == std::vector<std::int32_t>{2, 5, 6, 3});
  CHECK(tokenizer.encode("", 2) == std::vector<std::int32_t>{2, 3});
  CHECK_THROWS_AS(tokenizer.encode("a", 1), Error);
  const TokenBatch batch = tokenizer.encode(std::vector<std::string>{"a", "a bb", ""}, 200);
  CHECK(batch.length == 5);
  CHECK(batch.lengths == std::vector<std::int32_t>{3, 5, 2});
  CHECK(batch.ids == std::vector<std::int32_t>{2, 5, 3, 0, 0, 2, 5, 6, 7, 3, 2, 3, 0, 0, 0});
}

TEST_CASE("WordPiece passes over bytes that are not UTF-8") {
  const WordPiece tokenizer(special_and({"a", "##b"}));
  CHECK(tokenizer.encode("a\xff\xfe"
                         "b \xc3",
                         200) == std::vector<std::int32_t>{2, 5, 6, 3});
}

TEST_CASE("WordPiece refuses vocabularies without special tokens or with a token twice") {
  CHECK_THROWS_WITH_AS(WordPiece({"[PAD]", "[UNK]", "[CLS]"}, "v.txt"),
                       "v.txt: expected the special token [SEP], which none of 3 tokens is", Error);
  CHECK_THROWS_WITH_AS(WordPiece(special_and({"a", "a"}), "v.txt"),
                       "v.txt: line 7: the token 'a' is there twice", Error);
}

TEST_CASE("A trained vocabulary covers its captions, merges the most frequent first, and survives saving") {
  const std::vector<std::string> captions{"touch head", "touch neck", "touching caf\xc3\xa9",
                                          "rub[MASK]hand"};
  const WordPiece large = WordPiece::train(captions, 1000);
  for (const char* word : {"touch", "head", "neck", "cafe", "rub", "hand"}) {
    CAPTURE(word);
    CHECK(large.tokenize(word) == std::vector<std::string>{word});
  }
  CHECK(large.vocabulary()[1] == "[UNK]");
  CHECK(large.tokenize("xyz90") == std::vector<std::string>{"x", "##y", "##z", "##9", "##0"});

  const std::size_t characters = 5 + 2 * 36;
  const WordPiece small = WordPiece::train(captions, characters + 4);
  REQUIRE(small.size() == characters + 4);
  // t-o, u-c, ... occur three times each: ties go to what sorts first.
  CHECK(std::vector<std::string>(small.vocabulary().begin() + characters, small.vocabulary().end()) ==
        std::vector<std::string>{"##ch", "##ou", "##ouch", "touch"});

  const fs::path file = fs::temp_directory_path() / fmt::format("mg_vocab_{}.txt", ::getpid());
  write_whole_file(file, large.text());
  CHECK(WordPiece::load(file).vocabulary() == large.vocabulary());
  fs::remove(file);
}

}  // namespace mg
