// A real pretrained sentence encoder, end to end: captions, word pieces, encoder, mean over tokens.
#include <cstdlib>

#include "models/golden.h"
#include "models/proof.h"
#include "models/text_encoder.h"
#include "models/wordpiece.h"

namespace mg {

TEST_CASE("all-MiniLM-L6-v2 embeds 100 captions as transformers does") {
  const char* dir = std::getenv("MG_MINILM_DIR");
  if (dir == nullptr) {
    MESSAGE("skipped: MG_MINILM_DIR is not set (what tools/minilm makes)");
    return;
  }
  const std::filesystem::path folder = dir;
  const nlohmann::json golden = test::read_golden("minilm.json");
  const auto captions = golden["captions"].get<std::vector<std::string>>();
  REQUIRE(captions.size() == 100);
  const TokenBatch tokens = WordPiece::load(folder / "vocab.txt").encode(captions, 200);
  TextEncoder encoder({.kind = TextKind::bert, .dim = 384, .hidden_dim = 1536, .layers = 6, .heads = 12});
  load_tensors(named_tensors(encoder), read_safetensors(folder / "model.safetensors").tensors,
               folder.string());
  Context ctx(CpuStream(2));
  const Value hidden = encoder.forward(ctx, tokens);
  const Tensor mean = pool_text(ctx, hidden, tokens.lengths, TextPooling::mean).data;
  test::Proof proof("all-MiniLM-L6-v2, 100 captions");
  proof.check("embeddings", test::golden_error(golden["embeddings"], mean), 1e-4);
}

}  // namespace mg
