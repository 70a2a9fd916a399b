#include "train/stages/contrastive_stage.h"

#include <algorithm>
#include <map>
#include <random>

#include "train/metrics.h"
#include "train/settings.h"

namespace mg {

namespace {

// Philox as the standard library's distributions want a generator.
class PhiloxBits {
 public:
  using result_type = std::uint32_t;
  PhiloxBits(RandomKey key, std::uint32_t sample) : key_(key), sample_(sample) {}
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return ~result_type{0}; }
  result_type operator()() {
    if (lane_ == 4) {
      bits_ = key_.draw(sample_, group_++);
      lane_ = 0;
    }
    return bits_.v[lane_++];
  }

 private:
  RandomKey key_;
  std::uint32_t sample_, group_ = 0;
  Philox4 bits_{};
  int lane_ = 4;
};

// Beta(alpha, alpha), the larger of the draw and its complement: a sample stays mostly itself.
float mix_share(double alpha, PhiloxBits bits) {
  std::gamma_distribution<double> gamma(alpha);
  const double a = gamma(bits), b = gamma(bits);
  const double share = a + b > 0 ? a / (a + b) : 1;
  return static_cast<float>(std::max(share, 1 - share));
}

std::vector<ParameterGroup> parameter_groups(ContrastiveModel& model, const Config& config) {
  const double decay = config.real("contrastive.weight_decay");
  ParameterGroup video{"video", {}, config.real("contrastive.lr_video"), decay};
  ParameterGroup text{"text", {}, config.real("contrastive.lr_text"), decay};
  ParameterGroup head{"head", {}, config.real("contrastive.lr_head"), decay};
  for (const NamedParameter& p : model.parameters()) {
    if (p.parameter->frozen) continue;
    if (p.name.starts_with("image_encoder.")) {
      video.parameters.push_back(p);
    } else if (p.name.starts_with("text_encoder.")) {
      text.parameters.push_back(p);
    } else {
      head.parameters.push_back(p);
    }
  }
  return {video, text, head};
}

}  // namespace

ContrastiveStage::ContrastiveStage(Context& ctx, ContrastiveModel& model, const WordPiece& tokenizer,
                                   const GestureData& data, const std::vector<GestureClass>& classes,
                                   const Config& config)
    : ctx_(ctx),
      model_(model),
      tokenizer_(tokenizer),
      data_(data),
      config_(config),
      train_(data.readable_of_split("train")),
      val_(data.readable_of_split("val")),
      labels_(class_numbers(data.manifest(), classes)),
      max_text_length_(static_cast<std::size_t>(config.integer("text.max_length"))),
      templates_(text_templates(config)),
      class_texts_(encode_templated(tokenizer, templates_, captions_of(classes), max_text_length_)),
      optimizer_(parameter_groups(model, config), {.max_norm = config.real("contrastive.max_norm")}),
      train_loader_(make_loader(ctx, data.frames(), config)),
      val_loader_(make_loader(ctx, data.frames(), config)),
      train_batches_(ctx, train_loader_, config) {}

StageOptions ContrastiveStage::options() const {
  StageOptions options{.samples = static_cast<std::int64_t>(train_.size()),
                       .batch = config_.integer("contrastive.batch"),
                       .epochs = config_.integer("contrastive.epochs"),
                       .schedule = schedule(config_, "contrastive"),
                       .warmup = config_.real("contrastive.warmup")};
  options.watch.val = !val_.empty() && config_.integer("contrastive.eval_every") > 0;
  options.watch.stop_after = config_.small("contrastive.early_stop");
  if (config_.text("contrastive.schedule") == "plateau") {
    options.watch.factor = config_.real("contrastive.plateau_factor");
    options.watch.patience = config_.small("contrastive.plateau_patience");
  }
  return options;
}

Mix ContrastiveStage::mix_of(const StepPlan& plan) const {
  const double alpha = config_.real("augment.mixup");
  if (alpha <= 0) return {};
  // The order of an epoch is random already: the neighbour in the batch is a random partner.
  Mix mix;
  const auto count = static_cast<std::int32_t>(plan.samples.size());
  const RandomKey key{ctx_.seed, static_cast<std::uint32_t>(plan.step), random_site("contrastive.mixup")};
  for (std::int32_t i = 0; i < count; ++i) {
    mix.partner.push_back((i + 1) % count);
    mix.share.push_back(mix_share(alpha, PhiloxBits(key, static_cast<std::uint32_t>(i))));
  }
  return mix;
}

void ContrastiveStage::prefetch(const StepPlan& plan) {
  BatchRequest request;
  for (std::int64_t sample : plan.samples) request.clips.push_back(train_[static_cast<std::size_t>(sample)]);
  request.key = {ctx_.seed, static_cast<std::uint32_t>(plan.step), random_site("contrastive.augment")};
  request.augment = true;
  Mix mix = mix_of(plan);
  request.partner = std::move(mix.partner);
  request.share = std::move(mix.share);
  train_loader_.request(std::move(request));
}

std::vector<CaptionedClip> ContrastiveStage::captioned(const std::vector<std::int64_t>& clips) const {
  std::vector<CaptionedClip> captioned;
  captioned.reserve(clips.size());
  for (std::int64_t clip : clips) {
    const auto i = static_cast<std::size_t>(clip);
    captioned.push_back({data_.manifest().clips[i].caption, labels_[i]});
  }
  return captioned;
}

BatchCaptions distinct_captions(const std::vector<CaptionedClip>& clips) {
  BatchCaptions captions;
  std::map<std::string, std::size_t> numbers;
  for (const CaptionedClip& clip : clips) {
    const auto [it, is_new] = numbers.emplace(clip.caption, captions.texts.size());
    if (is_new) {
      captions.texts.push_back(clip.caption);
      captions.labels.push_back(clip.label);
      captions.counts.push_back(0);
    }
    ++captions.counts[it->second];
    captions.of_clip.push_back(static_cast<std::int32_t>(it->second));
  }
  return captions;
}

BatchCaptions caption_of_each(const std::vector<CaptionedClip>& clips) {
  BatchCaptions captions;
  for (const CaptionedClip& clip : clips) {
    captions.of_clip.push_back(static_cast<std::int32_t>(captions.texts.size()));
    captions.texts.push_back(clip.caption);
    captions.labels.push_back(clip.label);
    captions.counts.push_back(1);
  }
  return captions;
}

Tensor positives(const std::vector<CaptionedClip>& clips, const BatchCaptions& captions, const Mix& mix) {
  const std::size_t texts = captions.texts.size();
  Tensor result = Tensor::zeros(heap_allocator(),
                                {static_cast<std::int64_t>(clips.size()), static_cast<std::int64_t>(texts)},
                                Layout::dense);
  const auto add_share = [&](std::size_t row, const CaptionedClip& clip, float share) {
    for (std::size_t k = 0; k < texts; ++k) {
      const bool belongs = captions.labels[k] == clip.label || captions.texts[k] == clip.caption;
      if (belongs) result.f32()[row * texts + k] += share;
    }
  };
  for (std::size_t i = 0; i < clips.size(); ++i) {
    const float share = mix.share.empty() ? 1 : mix.share[i];
    add_share(i, clips[i], share);
    if (share < 1) add_share(i, clips[static_cast<std::size_t>(mix.partner[i])], 1 - share);
  }
  return result;
}

// One template a text and step, drawn by the text's place in the batch.
TokenBatch ContrastiveStage::tokens_of(const BatchCaptions& captions) const {
  const RandomKey key = ctx_.random(random_site("contrastive.template"));
  std::vector<std::string> texts;
  texts.reserve(captions.texts.size());
  for (std::size_t k = 0; k < captions.texts.size(); ++k) {
    const std::size_t drawn = key.draw(static_cast<std::uint32_t>(k), 0).v[0] % templates_.size();
    texts.push_back(fill_template(templates_[drawn], captions.texts[k]));
  }
  return tokenizer_.encode(texts, max_text_length_);
}

Value contrastive_batch_loss(Context& ctx, ContrastiveModel& model, const EncodedVideo& video,
                             const TokenBatch& caption_tokens, const std::vector<CaptionedClip>& clips,
                             const Mix& mix, const Config& config) {
  const BatchCaptions captions = distinct_captions(clips);
  const Value encoded = model.encode_text(ctx, caption_tokens);
  const bool own = model.config().prompt.condition == PromptCondition::own;
  const Value text =
      own ? model.prompt_own(ctx, encoded, captions.of_clip, video) : model.prompt(ctx, encoded, video);
  const BatchCaptions compared = own ? caption_of_each(clips) : captions;
  const bool l1 = config.text("contrastive.target") == "l1";
  return contrastive_loss(ctx, model.comparable(ctx, video.embedding), model.comparable(ctx, text),
                          positives(clips, compared, mix), compared.counts,
                          {.temperature = config.single("contrastive.temperature"),
                           .label_scale = config.single("contrastive.label_scale"),
                           .target = l1 ? ContrastiveTarget::l1 : ContrastiveTarget::softmax});
}

Value ContrastiveStage::loss_of(const EncodedVideo& video, const std::vector<CaptionedClip>& clips,
                                const Mix& mix) {
  return contrastive_batch_loss(ctx_, model_, video, tokens_of(distinct_captions(clips)), clips, mix,
                                config_);
}

Late<float> ContrastiveStage::forward_backward(const StepPlan& plan) {
  const Batch batch = train_batches_.next();
  Tape tape;
  const Restore<Tape*> recording(ctx_.tape, &tape);
  const Restore<bool> training(ctx_.training, true);
  const EncodedVideo video = model_.encode_video(ctx_, Value(batch.frames));
  const Value loss = loss_of(video, captioned(batch.clips), mix_of(plan));
  tape.backward(ctx_, loss);
  train_batches_.copy_ahead();
  return ctx_.read_later<float>(loss.data);
}

std::optional<StageFigures> ContrastiveStage::evaluate(std::int64_t epoch, bool last) {
  const std::int64_t every = config_.integer("contrastive.eval_every");
  if (val_.empty() || !(last || (every > 0 && (epoch + 1) % every == 0))) return {};
  const ClipViews views{
      .loader = val_loader_, .config = config_, .batch = config_.integer("contrastive.batch")};
  const std::vector<std::int32_t> targets = select(labels_, val_);
  const Value class_texts = encode_text(ctx_, model_, class_texts_);
  std::vector<float> scores;
  double loss = 0;
  encode_clips(ctx_, model_, views, val_, [&](const EncodedVideo& video, std::int64_t first) {
    const auto logits =
        to_vector(model_.logits(ctx_, video.embedding, model_.prompt(ctx_, class_texts, video)));
    scores.insert(scores.end(), logits.begin(), logits.end());
    const std::int64_t count = video.embedding.shape()[0];
    const auto begin = val_.begin() + first;
    loss +=
        static_cast<double>(count) * to_vector(loss_of(video, captioned({begin, begin + count}), {}).data)[0];
  });
  refuse_unusable_scores(scores, scores.size() / val_.size(), [&](std::size_t row) {
    return data_.manifest().clips[static_cast<std::size_t>(val_[row])].name;
  });
  const Classification c = classify(
      scores, targets,
      std::vector<std::string>(static_cast<std::size_t>(class_texts_.tokens.count / class_texts_.templates)));
  return StageFigures{c.top1, c.top5, loss / static_cast<double>(val_.size())};
}

}  // namespace mg
