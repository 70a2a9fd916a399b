// The three presets about the paper, side by side: what it states, what its authors' released code does, and
// what we advise. Every choice on which they might differ is a row, also where they agree, and every value
// says who says so.
#include "train/config.h"

namespace mg {

namespace {

struct Choice {
  const char *value, *source;
};
struct Row {
  const char* key;
  Choice paper, authors, sane;
};

// What is not in the paper.
constexpr const char* kSilent = "the paper is silent; authors' code";
constexpr const char* kCode = "authors' code";
constexpr const char* kNone = "authors' code: no augmentation";
constexpr const char* kTrainable = "authors' code: both encoders trainable in stage 1";
constexpr const char* kKinetics = "torchvision, Kinetics-400 weights";

Row same(const char* key, const char* value, const char* paper, const char* authors, const char* sane) {
  return {key, {value, paper}, {value, authors}, {value, sane}};
}
// Of which the paper says nothing, and which we take from the authors' code.
Row of_code(const char* key, const char* value, const char* code = kCode) {
  return same(key, value, kSilent, code, code);
}

std::vector<Row> video_rows() {
  return {
      {"video.size",
       {"224", "paper: frames of 224x224"},
       {"112", "authors' code: centre crop of torchvision's transform"},
       {"112", kKinetics}},
      {"video.resize_height",
       {"0", "mg: one resize, at caching"},
       {"128", "authors' code: torchvision's transform after decoding"},
       {"0", "mg: one resize, at caching"}},
      {"video.resize_width",
       {"0", "mg: one resize, at caching"},
       {"171", "authors' code: torchvision's transform after decoding"},
       {"0", "mg: one resize, at caching"}},
      {"video.scale",
       {"unit", "the paper is silent; what the weights were trained on"},
       {"authors_255", "authors' code: 0 to 255 are normalised unscaled"},
       {"unit", kKinetics}},
      same("video.mean", "0.43216,0.394666,0.37645", "the paper is silent; torchvision, Kinetics-400 weights",
           "authors' code: torchvision's transform", kKinetics),
      same("video.std", "0.22803,0.22145,0.216989", "the paper is silent; torchvision, Kinetics-400 weights",
           "authors' code: torchvision's transform", kKinetics),
      same("video.input", "rgb", "paper: RGB video", kCode, "paper: RGB video"),
      of_code("video.freeze", "false", kTrainable),
      same("video.frames", "32", "paper: 32 frames", kCode, "paper: 32 frames"),
      {"cache.height",
       {"256", "inferred: twice torchvision's 128x171, for a crop of 224"},
       {"224", "authors' code: decord at 224x224"},
       {"128", kKinetics}},
      {"cache.width",
       {"342", "inferred: twice torchvision's 128x171, for a crop of 224"},
       {"224", "authors' code: decord at 224x224"},
       {"171", kKinetics}},
      {"cache.resize",
       {"bilinear", "the paper is silent; torchvision, Kinetics-400 weights"},
       {"ffmpeg", "authors' code: decord scales by ffmpeg's filter"},
       {"bilinear", kKinetics}},
      {"cache.fps",
       {"0", "the paper is silent; every frame"},
       {"16", "authors' code: SMG's clips are re-encoded at 16 frames a second"},
       {"0", "mg: every frame"}},
      {"sampler.train",
       {"center", "paper: frames sampled uniformly"},
       {"authors_random", "authors' code: a random frame of each segment"},
       {"segment_random", "mg"}},
      {"sampler.test",
       {"center", "paper: frames sampled uniformly"},
       {"authors_random", "authors' code: random in testing, too"},
       {"center", "mg: a test has one result"}},
      {"sampler.short",
       {"nearest_repeat", "the paper is silent; mg"},
       {"paper_random", "authors' code: drawn with replacement"},
       {"nearest_repeat", "mg"}},
      of_code("augment.crop", "center", kNone),
      of_code("augment.window", "1", kNone),
      of_code("augment.crop_scale", "1", kNone),
      of_code("augment.flip", "false", kNone),
      of_code("augment.brightness", "0", kNone),
      of_code("augment.contrast", "0", kNone),
      of_code("augment.mixup", "0", kNone),
  };
}

std::vector<Row> text_rows() {
  return {
      same("text.kind", "distilbert", "paper: DistilBERT", "authors' code: distilbert-base-uncased",
           "paper: DistilBERT"),
      same("text.template", "", "paper: label names", "authors' code: raw label names", "paper: label names"),
      of_code("text.max_length", "200"),
      of_code("text.pooling", "cls", "authors' code: CLS of the last layer"),
      of_code("text.freeze", "false", kTrainable),
  };
}

std::vector<Row> model_rows() {
  return {
      same("model.embedding_dim", "256", "paper: D = 256", kCode, "paper: D = 256"),
      of_code("model.head_dropout", "0.1"),
      {"prompt.kind",
       {"paper_eq", "paper: eq. 1-2"},
       {"none", "authors' code: the module is defined, never called"},
       {"xclip", "authors' code, X-CLIP's block, called as X-CLIP does"}},
      same("prompt.tokens", "spatiotemporal",
           "inferred: over one token for v_i, attention would be a linear map", "mg: not used",
           "mg: over one token, attention would be a linear map"),
      same("prompt.condition", "each", "inferred: eq. 1-4 read literally (own) leak the pair", "mg: not used",
           "mg: own leaks the pair"),
      same("prompt.layers", "1", "paper: eq. 1-2 once", "authors' code: num_blocks = 1",
           "authors' code: num_blocks = 1"),
      same("prompt.heads", "0", "the paper is silent; authors' code: one for each 64 channels",
           "authors' code: one for each 64 channels", "authors' code: one for each 64 channels"),
      of_code("prompt.alpha", "0.1"),
      {"prompt.alpha_shape",
       {"scalar", "paper: a learnable parameter lambda"},
       {"vector", "authors' code: 256 numbers"},
       {"vector", "authors' code: 256 numbers"}},
  };
}

std::vector<Row> contrastive_rows() {
  return {
      {"contrastive.similarity",
       {"dot", "paper: v . t / tau"},
       {"cosine", "inferred: its ancestor ActionCLIP normalises; the call is not released"},
       {"cosine", "mg: the dot product saturates the softmax"}},
      same("contrastive.temperature", "0.05", "paper: tau = 0.05", kCode, "paper: tau = 0.05"),
      {"contrastive.target",
       {"l1", "paper: 0/1 ground truth, inferred: divided by its sum"},
       {"softmax", "authors' code: KLLoss"},
       {"softmax", "authors' code: KLLoss"}},
      same("contrastive.label_scale", "10", "mg: not used", "authors' code: softmax(10 x labels)",
           "authors' code: softmax(10 x labels)"),
      same("contrastive.lr_video", "0.0001", "paper: 1e-4 for the video encoder", kCode,
           "paper: 1e-4 for the video encoder"),
      same("contrastive.lr_text", "0.00001", "paper: 1e-5 for the text encoder", kCode,
           "paper: 1e-5 for the text encoder"),
      of_code("contrastive.lr_head", "0.001", "authors' code: head_lr"),
      of_code("contrastive.weight_decay", "0.001"),
      {"contrastive.max_norm",
       {"0", "the paper is silent; authors' code: not clipped"},
       {"0", "authors' code: not clipped"},
       {"1", "mg"}},
      {"contrastive.schedule",
       {"constant", "the paper is silent"},
       {"plateau", "authors' code: in the manner of ReduceLROnPlateau"},
       {"cosine", "mg"}},
      same("contrastive.plateau_patience", "1", "mg: not used", kCode, "mg: not used"),
      same("contrastive.plateau_factor", "0.8", "mg: not used", kCode, "mg: not used"),
      {"contrastive.warmup",
       {"0", "the paper is silent"},
       {"0", "inferred: no warm-up is known of the authors' code"},
       {"0.05", "mg"}},
      of_code("contrastive.batch", "32"),
      {"contrastive.epochs",
       {"30", "the paper is silent; mg"},
       {"1000", "authors' code: a ceiling more than a recipe"},
       {"30", "mg"}},
      same("contrastive.early_stop", "0", "the paper is silent",
           "inferred: none is known of the authors' code", "mg: the cosine ends it"),
      same("contrastive.eval_every", "1", "mg", "mg", "mg"),
  };
}

std::vector<Row> classifier_rows() {
  return {
      {"classifier.head",
       {"mlp2", "paper: a two-layer MLP"},
       {"authors_tied", "authors' code: ProjectionHead2 with its fc used twice"},
       {"authors_tied", "authors' code: ProjectionHead2 with its fc used twice"}},
      of_code("classifier.dropout", "0.1"),
      {"classifier.views",
       {"1", "mg: its frames are the same in each epoch"},
       {"4", "mg: for new random frames in each epoch"},
       {"4", "mg"}},
      same("classifier.lr", "0.001", "paper: 1e-3", "paper: 1e-3; the code of this training is not released",
           "paper: 1e-3"),
      of_code("classifier.weight_decay", "0.001"),
      same("classifier.label_smoothing", "0", "paper: cross-entropy", "paper: cross-entropy",
           "paper: cross-entropy"),
      of_code("classifier.batch", "32"),
      {"classifier.schedule",
       {"constant", "the paper is silent"},
       {"constant", "mg: nothing is released"},
       {"cosine", "mg"}},
  };
}

std::vector<Row> emotion_rows() {
  return {
      {"emotion.tokens",
       {"wordpieces", "paper: text predictions"},
       {"wordpieces", "authors' code, inferred: embeddings as many as the tokenizer's"},
       {"classes", "mg"}},
      of_code("emotion.dim", "128", "authors' code: hidden_dim"),
      of_code("emotion.layers", "3", "authors' code: num_layers"),
      of_code("emotion.heads", "8", "authors' code: nhead"),
      {"emotion.max_length",
       {"2048", "mg: iMiGUE has up to 208 gestures of some six word pieces"},
       {"2048", "mg: iMiGUE has up to 208 gestures of some six word pieces"},
       {"512", "mg"}},
      {"emotion.lr",
       {"0.00001", "paper: 1e-5"},
       {"0.00001", "paper: 1e-5; the code is silent"},
       {"0.0003", "mg: 1e-5 hardly moves from random weights"}},
      {"emotion.schedule",
       {"constant", "the paper is silent"},
       {"constant", "mg: nothing is released"},
       {"cosine", "mg"}},
  };
}

std::vector<Row> all_rows() {
  std::vector<Row> all;
  for (const auto& rows :
       {video_rows(), text_rows(), model_rows(), contrastive_rows(), classifier_rows(), emotion_rows()}) {
    all.insert(all.end(), rows.begin(), rows.end());
  }
  return all;
}

}  // namespace

std::vector<Preset> paper_presets() {
  Preset sane{
      "sane", "the paper's networks with deterministic frames, a cosine schedule and clipped gradients", {}};
  Preset paper{"paper", "what the paper states", {}};
  Preset authors{"authors", "what the paper's released code does", {}};
  for (const Row& row : all_rows()) {
    paper.values.push_back({row.key, row.paper.value, row.paper.source});
    authors.values.push_back({row.key, row.authors.value, row.authors.source});
    sane.values.push_back({row.key, row.sane.value, row.sane.source});
  }
  return {sane, paper, authors};
}

}  // namespace mg
