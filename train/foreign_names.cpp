#include "train/foreign_names.h"

#include <algorithm>
#include <cctype>

#include "train/config.h"

namespace mg {

namespace {

struct Group {
  std::vector<std::string> names;
  std::vector<Suggestion> suggestions;
};

std::vector<Group> option_groups() {
  return {
      {{"workers", "num-workers", "jobs", "nproc", "cpus", "num-threads", "nthreads", "loader-workers"},
       {{"--threads N"}}},
      {{"gpu", "gpus", "cuda", "use-gpu", "device-id", "num-gpus", "accelerator", "devices"},
       {{"--device cuda"}}},
      {{"cpu", "no-cuda", "no-gpu"}, {{"--device cpu"}}},
      {{"output", "out", "output-dir", "out-dir", "outdir", "save-dir", "save", "log-dir", "logdir",
        "work-dir", "workdir", "project", "name", "exp", "experiment", "results", "run-dir", "run-name", "o"},
       {{"--run FOLDER", "train"}, {"--json FILE", "eval"}, {"--cache FILE", "cache"}, {"--out FOLDER"}}},
      {{"data", "dataset", "data-dir", "data-path", "data-root", "train-data", "csv", "annotations",
        "ann-file", "input", "inputs", "root", "val-data", "test-data", "source"},
       {{"--manifest FILE.csv"}, {"the videos themselves, without an option", "predict"}}},
      {{"video", "videos", "file", "files"}, {{"the videos themselves, without an option", "predict"}}},
      {{"checkpoint", "ckpt", "ckpt-path", "model", "model-path", "load", "load-from", "resume-from",
        "resume-from-checkpoint", "run-path"},
       {{"--from RUN to start from a finished run", "train"},
        {"--resume to continue this one", "train"},
        {"--run FOLDER"}}},
      {{"weights", "pretrained", "init", "init-from", "finetune", "fine-tune", "finetune-from", "backbone"},
       {{"--from RUN", "train"},
        {"--video-weights FOLDER", "train"},
        {"--text-weights FOLDER", "train"},
        {"--run FOLDER"}}},
      {{"continue", "continue-training", "auto-resume", "restart"}, {{"--resume"}}},
      {{"cfg", "config-file", "cfg-file", "yaml", "conf"}, {{"--config FILE.toml"}}},
      {{"opts", "override", "overrides", "cfg-options", "param", "params", "key"},
       {{"--set section.key=value"}}},
      {{"classes", "texts", "prompts", "names", "class-names"}, {{"--labels FILE"}}},
      {{"topk", "top-k", "k"}, {{"--top N"}}},
      {{"subset", "partition", "phase", "set-name"}, {{"--split NAME"}}},
  };
}

Group key_group(std::vector<std::string> names, const std::string& key, const std::string& value = "N") {
  return {std::move(names), {{"--set " + key + "=" + value}}};
}

std::vector<Group> key_groups() {
  return {
      key_group({"epochs", "epoch", "num-epochs", "max-epochs", "n-epochs", "num-train-epochs", "nb-epochs"},
                "contrastive.epochs"),
      key_group({"lr", "learning-rate", "base-lr", "init-lr", "lr0"}, "contrastive.lr_video"),
      key_group({"batch", "batch-size", "batchsize", "bs", "train-batch-size", "per-device-train-batch-size"},
                "contrastive.batch"),
      key_group({"wd", "weight-decay", "decay"}, "contrastive.weight_decay"),
      key_group({"warmup", "warmup-epochs", "warmup-steps", "warmup-ratio"}, "contrastive.warmup", "SHARE"),
      key_group({"scheduler", "lr-scheduler", "lr-schedule", "lr-scheduler-type", "schedule"},
                "contrastive.schedule", "cosine"),
      key_group({"seed", "random-seed", "manual-seed", "random-state"}, "seed"),
      key_group({"amp", "fp16", "bf16", "half", "mixed-precision", "dtype", "float16", "bfloat16", "use-amp"},
                "precision", "bf16"),
      key_group({"tf32"}, "precision", "tf32"),
      key_group({"num-frames", "n-frames", "clip-len", "clip-length", "num-segments", "frames"},
                "video.frames"),
      key_group({"img-size", "image-size", "imgsz", "input-size", "crop-size", "resolution", "size"},
                "video.size"),
      key_group({"fps", "frame-rate", "framerate"}, "cache.fps"),
      key_group({"dropout", "drop", "drop-rate"}, "model.head_dropout"),
      key_group({"embed-dim", "embedding-size", "emb-dim"}, "model.embedding_dim"),
      key_group({"temperature", "temp", "tau"}, "contrastive.temperature"),
      key_group({"patience", "early-stopping", "early-stop"}, "contrastive.early_stop"),
      key_group({"clip-grad", "max-grad-norm", "grad-clip", "gradient-clip-val", "clip-grad-norm"},
                "contrastive.max_norm"),
      key_group({"save-every", "save-freq", "save-interval", "save-steps", "checkpoint-every"},
                "checkpoint.every"),
      key_group({"save-total-limit", "keep-checkpoints", "max-keep"}, "checkpoint.keep"),
      key_group({"save-best", "best"}, "checkpoint.best", "true"),
      key_group({"eval-every", "val-every", "eval-interval", "val-interval", "eval-steps", "eval-freq"},
                "contrastive.eval_every"),
      key_group({"freeze", "freeze-backbone", "freeze-encoder"}, "video.freeze", "true"),
      key_group({"label-smoothing", "smoothing"}, "classifier.label_smoothing"),
  };
}

}  // namespace

std::string plain_name(const std::string& name) {
  std::string plain = name.substr(std::min(name.find_first_not_of('-'), name.size()));
  std::transform(plain.begin(), plain.end(), plain.begin(),
                 [](unsigned char c) { return c == '_' ? '-' : static_cast<char>(std::tolower(c)); });
  return plain;
}

const ForeignNames& trainer_names() {
  static const ForeignNames names = [] {
    ForeignNames all;
    for (const ConfigKey& key : config_keys()) {
      const Suggestion suggestion{"--set " + key.key + "=" +
                                  (key.choices.empty() ? "VALUE" : key.choices[0])};
      all[plain_name(key.key)].push_back(suggestion);
      if (const auto dot = key.key.find('.'); dot != std::string::npos)
        all[plain_name(key.key.substr(dot + 1))].push_back(suggestion);
    }
    for (const std::vector<Group>& groups : {option_groups(), key_groups()}) {
      for (const Group& group : groups) {
        for (const std::string& name : group.names) all[name] = group.suggestions;
      }
    }
    return all;
  }();
  return names;
}

}  // namespace mg
