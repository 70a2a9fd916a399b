// The cases of the contrastive loss.
#pragma once

#include <string>
#include <vector>

#include "kernels/contrastive_loss.h"

namespace mg::test {

struct ContrastiveCase {
  std::string name;
  std::int64_t clips, texts, dim;
  bool prompted = false;
  ContrastiveTarget target = ContrastiveTarget::softmax;
  bool soft = false;       // positives between 0 and 1, beside the clip's own text
  bool normalised = true;  // embeddings of length about 1, or about sqrt(dim / 3)
  bool pitched = true;     // rows rounded up to kChannelAlign, or dense
  float temperature = 0.05f;

  Shape v() const { return {clips, dim}; }
  Shape t() const { return prompted ? Shape{clips, texts, dim} : Shape{texts, dim}; }
  Shape positives() const { return {clips, texts}; }
  std::int64_t pitch(std::int64_t channels) const {
    return pitched ? round_up(channels, kChannelAlign) : channels;
  }
  // With fewer texts than clips several clips share one; with more, some belong to no clip.
  std::int64_t text_of(std::int64_t clip) const { return texts - 1 - clip % texts; }
  float positive(std::int64_t clip, std::int64_t text) const {
    const bool own = text == text_of(clip);
    if (!soft) return own ? 1.0f : 0.0f;
    if (own) return 0.8f;
    return text == (clip + 1) % texts ? 0.2f : clip * text % 5 == 1 ? 0.05f : 0.0f;
  }
  std::vector<std::int32_t> counts() const {
    std::vector<std::int32_t> count(static_cast<std::size_t>(texts));
    for (std::int64_t i = 0; i < clips; ++i) ++count[static_cast<std::size_t>(text_of(i))];
    return count;
  }
};

inline std::vector<ContrastiveCase> contrastive_cases() {
  constexpr auto kL1 = ContrastiveTarget::l1;
  constexpr auto kSoftmax = ContrastiveTarget::softmax;
  return {
      {"one pair of one channel", 1, 1, 1},
      {"one clip, texts of nobody", 1, 5, 33},
      {"one text for all", 5, 1, 64},
      {"clips share texts, dense", 65, 5, 33, false, kSoftmax, true, true, false},
      {"tile - 1", 63, 63, 64},
      {"tile, soft", 64, 64, 256, false, kSoftmax, true},
      {"tile + 1, l1", 65, 65, 33, false, kL1},
      {"three tiles, soft l1", 130, 65, 64, false, kL1, true},
      {"three tiles of texts", 63, 130, 33, false, kSoftmax, true},
      {"three tiles, large similarities", 130, 130, 256, false, kSoftmax, true, false},
      {"channels of three blocks", 64, 65, 301, false, kSoftmax, false, true, false},
      {"texts of nobody are the most similar", 5, 66, 256, false, kSoftmax, true, false},
      {"prompted, one pair", 1, 1, 1, true},
      {"prompted", 5, 64, 64, true, kSoftmax, true},
      {"prompted, l1", 65, 5, 33, true, kL1, true},
      {"prompted, dense", 7, 13, 33, true, kSoftmax, false, true, false},
      {"prompted, three tiles", 66, 130, 256, true, kSoftmax, true, true, true, 0.5f},
      {"prompted, l1, as many texts as clips", 63, 63, 33, true, kL1, false, false},
  };
}

}  // namespace mg::test
