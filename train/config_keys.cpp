// The table of configuration keys.
#include "train/config.h"

namespace mg {

namespace {

constexpr double kMany = 1e9;
constexpr const char *kPaper = "paper", *kCode = "authors' code", *kOurs = "mg";
constexpr const char* kTorchvision = "torchvision, Kinetics-400 weights";

const std::vector<std::string> kSamplings{"center", "segment_random", "authors_random"};

ConfigKey integer(std::string key, std::int64_t initial, double low, double high, std::string doc,
                  std::string source = kOurs) {
  return {std::move(key), initial, low, high, {}, std::move(doc), std::move(source)};
}
ConfigKey real(std::string key, double initial, double low, double high, std::string doc,
               std::string source = kOurs) {
  return {std::move(key), initial, low, high, {}, std::move(doc), std::move(source)};
}
ConfigKey flag(std::string key, bool initial, std::string doc, std::string source = kOurs) {
  return {std::move(key), initial, 0, 0, {}, std::move(doc), std::move(source)};
}
ConfigKey choice(std::string key, std::string initial, std::vector<std::string> choices, std::string doc,
                 std::string source = kOurs) {
  return {std::move(key), std::move(initial), 0, 0, std::move(choices), std::move(doc), std::move(source)};
}

void append(std::vector<ConfigKey>& all, std::vector<ConfigKey> more) {
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

std::vector<ConfigKey> general_keys() {
  return {
      choice("preset", "", {}, "the preset that the other values started from (set by --preset)"),
      choice("from", "", {}, "the run whose weights this one started from (set by --from)"),
      integer("seed", 1, 0, 4294967295.0, "all random numbers follow from it"),
      integer("threads", 0, 0, 1024, "compute threads; 0: every core. Changes no result"),
      choice("device", "auto", {"auto", "cpu", "cuda"},
             "what computes; auto: a GPU where there is one. Results are the same to rounding"),
      choice("precision", "f32", {"f32", "bf16", "tf32"},
             "activations and their gradients: f32, or bf16 with f32 parameters, statistics and losses; "
             "tf32: f32 whose "
             "matrix products round their operands to 10 bits, on a GPU"),
      flag("cuda.libraries", false,
           "on a GPU: matrix products and convolutions by cuBLASLt and cuDNN where they can, instead of our "
           "kernels"),
      integer("checkpoint.every", 0, 0, kMany, "steps between checkpoints; 0: once an epoch"),
      integer("checkpoint.keep", 2, 1, 1000, "checkpoints kept of each stage"),
      flag("checkpoint.best", true,
           "keep the checkpoint with the best figures on the val split beside the last, as ckpt/STAGE/best"),
  };
}

std::vector<ConfigKey> video_keys() {
  return {
      integer("video.frames", 32, 1, 512, "frames that the network sees of a clip", kPaper),
      integer("video.size", 112, 8, 512, "height and width of the input, pixels", kCode),
      integer("video.resize_height", 0, 0, 4096,
              "frames are resized to this before the crop, bilinear in fp32 and not rounded; 0: not",
              "torchvision"),
      integer("video.resize_width", 0, 0, 4096, "the width for it; both or none are 0", "torchvision"),
      choice("video.scale", "unit", {"unit", "authors_255"},
             "values of rgb before mean and std: in [0,1], or the authors' 0 to 255", "torchvision"),
      choice("video.mean", "0.43216,0.394666,0.37645", {},
             "taken from red, green and blue, then divided by std", kTorchvision),
      choice("video.std", "0.22803,0.22145,0.216989", {}, "see video.mean", kTorchvision),
      choice("video.input", "rgb", {"rgb", "motion"},
             "rgb; motion: grey and the differences to the frames before and after, which shows movement and "
             "hides who moves",
             kPaper),
      integer("video.width", 64, 4, 512, "channels of the encoder's first layers", "torchvision"),
      integer("video.blocks", 2, 1, 32, "residual blocks in each of the four layers", "torchvision"),
      choice("video.weights", "", {}, "imported weights it starts from (set by --video-weights)"),
      flag("video.freeze", false, "leave the video encoder as it starts, its BatchNorm statistics too",
           kCode),
      integer("cache.height", 128, 8, 4096, "height at which frames are cached", "torchvision"),
      integer("cache.width", 171, 8, 4096, "width at which frames are cached", "torchvision"),
      choice("cache.resize", "bilinear", {"bilinear", "area", "ffmpeg"},
             "bilinear without antialiasing as torchvision's, the mean over the area, or ffmpeg's scale "
             "filter with "
             "its default flags (bicubic)",
             "torchvision"),
      real("cache.fps", 0, 0, 1000, "frames a second that are cached; 0: every frame", kOurs),
      choice("sampler.train", "segment_random", kSamplings,
             "frames of a clip in training: the middle one of each of video.frames equal segments; a random "
             "one of "
             "each; or as the authors' code draws them, one of each segment of linspace(0, length - 1), "
             "never the "
             "last"),
      choice("sampler.test", "center", kSamplings,
             "the same in eval, predict and on the val split; random frames follow from the seed"),
      choice("sampler.short", "nearest_repeat", {"nearest_repeat", "loop", "paper_random"},
             "clips with fewer frames (authors_random: no more; in training, one more at most): each frame "
             "repeated, the clip repeated, or random frames with replacement, in order"),
      choice("augment.crop", "center", {"center", "random"}, "place of the crop in training", kCode),
      real("augment.window", 1, 0.05, 1, "least share of a clip's length that training sees", kCode),
      real("augment.crop_scale", 1, 0.1, 1, "a random factor on the crop's sides is from [this, 1 / this]",
           kCode),
      flag("augment.flip", false, "mirror half of the training clips (changes left and right)", kCode),
      real("augment.brightness", 0, 0, 1, "values times a factor in 1 +- this", kCode),
      real("augment.contrast", 0, 0, 1, "contrast times a factor in 1 +- this", kCode),
      real("augment.mixup", 0, 0, 10, "alpha of mixup's Beta(alpha, alpha) (Zhang et al. 2018); 0: off",
           kCode),
  };
}

std::vector<ConfigKey> text_keys() {
  return {
      choice("text.vocabulary", "", {}, "a vocab.txt; empty: trained on the captions"),
      flag("text.lowercase", true, "lower-case texts and strip accents; false: for a cased vocabulary",
           kCode),
      integer("text.vocabulary_size", 512, 32, 100000, "size of a trained vocabulary"),
      choice("text.kind", "distilbert", {"distilbert", "bert"}, "the text encoder's architecture", kPaper),
      choice("text.template", "", {},
             "what is read for a label: empty: the label; `handcrafted`: a list of sentences around it; or "
             "your own, "
             "'a person {}', several divided by |. Training draws one, tests use the mean of all",
             kCode),
      integer("text.dim", 768, 8, 4096, "channels of the text encoder", kPaper),
      integer("text.hidden_dim", 3072, 8, 16384, "channels inside its feed-forward layers", kPaper),
      integer("text.layers", 6, 1, 48, "its Transformer layers", kPaper),
      integer("text.heads", 12, 1, 64, "its attention heads; must divide text.dim", kPaper),
      integer("text.max_positions", 512, 2, 1000000, "its position embeddings", "transformers"),
      real("text.dropout", 0.1, 0, 0.9, "dropout, attention's included", kPaper),
      integer("text.max_length", 200, 2, 1000000, "word pieces kept of a text", kCode),
      choice("text.pooling", "cls", {"cls", "mean"}, "which vector stands for a text", kCode),
      choice("text.weights", "", {}, "imported weights it starts from (set by --text-weights)"),
      flag("text.freeze", false, "leave the text encoder as it starts", kCode),
  };
}

std::vector<ConfigKey> model_keys() {
  return {
      integer("model.embedding_dim", 256, 8, 4096, "D, the joint embedding space", kPaper),
      real("model.head_dropout", 0.1, 0, 0.9, "dropout in the projection heads", kCode),
      choice("prompt.kind", "xclip", {"none", "xclip", "paper_eq"},
             "adaptive prompting, texts refined by attention over the clip: as in the authors' code "
             "(X-CLIP's block), "
             "or the paper's eq. 1-2 to the letter",
             kPaper),
      choice("prompt.tokens", "spatiotemporal", {"spatiotemporal", "pooled", "batch"},
             "what they attend to: the clip's places and times; its embedding alone, where the softmax over "
             "one key is "
             "always 1, so that attention degenerates to a linear map and queries and keys learn nothing; or "
             "all clips "
             "of the batch, where a result depends on its batch mates"),
      choice(
          "prompt.condition", "each", {"each", "own"},
          "whose clip prompts a text in training: the one it is compared with; or its own (eq. 1-4 read "
          "literally), "
          "which leaks: the text carries its clip, so that training can find the pair without reading, which "
          "no test can, where a text's clip is not known. For parity"),
      integer("prompt.layers", 1, 1, 16, "blocks of the prompting module", kCode),
      integer("prompt.heads", 0, 0, 64, "its heads; 0: one for each 64 channels", kCode),
      real("prompt.alpha", 0.1, -10, 10, "where its learned factor starts", kCode),
      choice("prompt.alpha_shape", "vector", {"vector", "scalar"}, "one factor a channel, or one", kCode),
  };
}

std::vector<ConfigKey> contrastive_keys() {
  return {
      real("contrastive.temperature", 0.05, 1e-4, 100, "tau", kPaper),
      choice("contrastive.similarity", "cosine", {"cosine", "dot"},
             "of embeddings: with L2 normalisation or without (then / tau, it saturates the softmax)"),
      choice("contrastive.target", "softmax", {"softmax", "l1"},
             "the target distribution: softmax(label_scale x positives), or the 0/1 positives by their sum",
             kCode),
      real("contrastive.label_scale", 10, 0, 1000, "the target is softmax(label_scale x positives)", kCode),
      integer("contrastive.epochs", 30, 1, 100000, "passes over the training clips"),
      integer("contrastive.batch", 32, 2, 65536, "clips a step", kCode),
      real("contrastive.lr_video", 1e-4, 0, 10, "learning rate of the video encoder", kPaper),
      real("contrastive.lr_text", 1e-5, 0, 10, "learning rate of the text encoder", kPaper),
      real("contrastive.lr_head", 1e-3, 0, 10, "learning rate of heads and prompting", kCode),
      real("contrastive.weight_decay", 1e-3, 0, 10, "AdamW's, on everything", kCode),
      real("contrastive.max_norm", 0, 0, kMany, "gradients are clipped to this norm; 0: not", kCode),
      choice("contrastive.schedule", "constant", {"constant", "cosine", "plateau"},
             "course of the learning rates; plateau: lower them when the loss stops falling, the val split's "
             "where "
             "there is one (and eval_every is not 0), or else the epoch's mean"),
      integer("contrastive.plateau_patience", 1, 0, 100000,
              "with plateau: epochs without a better loss that are let pass", kCode),
      real("contrastive.plateau_factor", 0.8, 0, 1, "with plateau: on the learning rates then", kCode),
      integer(
          "contrastive.early_stop", 0, 0, 100000,
          "epochs without a better loss (see schedule) that end the stage, with the last weights; 0: never"),
      real("contrastive.warmup", 0, 0, 1, "share of the steps with linear warm-up"),
      integer("contrastive.eval_every", 1, 0, 100000,
              "epochs between looks at the val split; 0: only at the end"),
  };
}

std::vector<ConfigKey> classifier_keys() {
  return {
      choice("classifier.head", "mlp2", {"mlp2", "authors_tied", "linear"},
             "two layers; the authors' head, which uses its second layer twice; or one layer", kPaper),
      integer("classifier.hidden", 256, 1, 65536, "channels of the hidden layer", kPaper),
      real("classifier.dropout", 0.1, 0, 0.9, "between its two layers", kCode),
      integer("classifier.views", 4, 1, 1000, "augmented views of each training clip that it learns from"),
      integer("classifier.epochs", 20, 1, 100000, "passes over all views"),
      integer("classifier.batch", 32, 1, 65536, "views a step", kCode),
      real("classifier.lr", 1e-3, 0, 10, "learning rate", kPaper),
      real("classifier.weight_decay", 1e-3, 0, 10, "AdamW's", kCode),
      real("classifier.label_smoothing", 0, 0, 0.9, "share of the target spread over all classes", kPaper),
      choice("classifier.schedule", "constant", {"constant", "cosine"}, "course of the learning rate"),
  };
}

std::vector<ConfigKey> emotion_keys() {
  return {
      integer("emotion.dim", 128, 8, 4096, "channels of the emotion Transformer", kCode),
      integer("emotion.hidden_dim", 512, 8, 16384, "channels inside its feed-forward layers"),
      integer("emotion.layers", 3, 1, 48, "its layers", kCode),
      integer("emotion.heads", 8, 1, 64, "its attention heads; must divide emotion.dim", kCode),
      real("emotion.dropout", 0.1, 0, 0.9, "its dropout"),
      choice("emotion.tokens", "classes", {"classes", "wordpieces"},
             "what it reads: the recognised classes, or the word pieces of their captions"),
      integer("emotion.max_length", 512, 1, 100000, "tokens a video at most; longer ones keep the last"),
      real("emotion.token_noise", 0, 0, 1, "share of training tokens replaced by random ones"),
      integer("emotion.epochs", 100, 1, 100000, "passes over the training videos"),
      integer("emotion.batch", 16, 1, 65536, "videos a step"),
      real("emotion.lr", 1e-5, 0, 10, "learning rate", kPaper),
      real("emotion.weight_decay", 1e-3, 0, 10, "AdamW's", kCode),
      real("emotion.max_norm", 1, 0, kMany, "gradients are clipped to this norm; 0: not"),
      choice("emotion.schedule", "constant", {"constant", "cosine"}, "course of the learning rate"),
  };
}

}  // namespace

const std::vector<ConfigKey>& config_keys() {
  static const std::vector<ConfigKey> keys = [] {
    std::vector<ConfigKey> all = general_keys();
    append(all, video_keys());
    append(all, text_keys());
    append(all, model_keys());
    append(all, contrastive_keys());
    append(all, classifier_keys());
    append(all, emotion_keys());
    return all;
  }();
  return keys;
}

}  // namespace mg
