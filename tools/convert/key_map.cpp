#include "tools/convert/key_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace mg {

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

// What a network's tensors are called in old files or by those who wrap it.
struct Rules {
  Pairs beginnings, endings;            // old -> new
  Pairs ignored;                        // beginning of a name -> the reason
  std::vector<std::string> parts = {};  // beginnings of all names of the network; empty: any
};

const Rules kVideo{{{"0.0.", "stem.0."},  // nn.Sequential of the network's children
                    {"0.1.", "stem.1."},
                    {"0.3.", "stem.3."},
                    {"0.4.", "stem.4."},
                    {"1.", "layer1."},
                    {"2.", "layer2."},
                    {"3.", "layer3."},
                    {"4.", "layer4."}},
                   {},
                   {},
                   {"stem.", "layer1.", "layer2.", "layer3.", "layer4.", "layer5.", "fc."}};
const Rules kText{{},
                  {{"LayerNorm.gamma", "LayerNorm.weight"},
                   {"LayerNorm.beta", "LayerNorm.bias"},
                   {"layer_norm.gamma", "layer_norm.weight"},
                   {"layer_norm.beta", "layer_norm.bias"}},
                  {{"embeddings.position_ids", "a buffer that older versions stored"},
                   {"embeddings.token_type_ids", "a buffer that older versions stored"},
                   {"pooler.", "the pooler, which reads a text for next-sentence prediction only"}}};
// X-CLIP's names, which the authors' code had before.
const Rules kPrompt{{{"norm.", "visual_feature_normalizer."},
                     {"decoder.", "refinement_blocks."},
                     {"alpha", "prompt_scaling_factor"}},
                    {},
                    {}};
const Pairs kPromptBlock{{".cross_attn.q_proj.", ".cross_attention.query_transform."},
                         {".cross_attn.k_proj.", ".cross_attention.key_transform."},
                         {".cross_attn.v_proj.", ".cross_attention.value_transform."},
                         {".cross_attn.proj.", ".cross_attention.output_projection."},
                         {".norm1.", ".norm_for_attention."},
                         {".norm3.", ".norm_for_ffn."},
                         {".mlp.", ".feed_forward_net."}};

std::string renamed_by(const Rules& rules, std::string name) {
  for (const auto& [from, to] : rules.beginnings) {
    if (name.starts_with(from)) {
      name.replace(0, from.size(), to);
      break;
    }
  }
  for (const auto& [from, to] : rules.endings) {
    if (name.ends_with(from)) name.replace(name.size() - from.size(), from.size(), to);
  }
  return name;
}

std::string prompt_name(const std::string& name) {
  std::string result = renamed_by(kPrompt, name);
  for (const auto& [from, to] : kPromptBlock) {
    const auto at = result.find(from);
    if (at != std::string::npos) result.replace(at, from.size(), to);
  }
  return result;
}

std::string some_names(const TensorMap& tensors) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors) {
    if (names.size() == 5) break;
    names.push_back(name);
  }
  return fmt::format("{}{}", fmt::join(names, ", "), tensors.size() > names.size() ? ", ..." : "");
}

// A name by which a network is known, and another that must lie beside it ("" for none).
struct Anchor {
  std::string name, beside;
};
const std::vector<Anchor> kVideoAnchors{{"stem.0.weight", ""}, {"0.0.weight", "1.0.conv1.0.0.weight"}};
const std::vector<Anchor> kTextAnchors{{"embeddings.word_embeddings.weight", ""}};

// Where anchors lie: what stands before one of them, within the names that begin with `within`.
std::vector<std::string> prefixes(const TensorMap& tensors, const std::string& within,
                                  const std::vector<Anchor>& anchors) {
  std::vector<std::string> found;
  for (const auto& [name, tensor] : tensors) {
    if (!name.starts_with(within)) continue;
    for (const Anchor& anchor : anchors) {
      if (!name.ends_with(anchor.name)) continue;
      const std::string prefix = name.substr(0, name.size() - anchor.name.size());
      const bool whole = prefix.empty() || prefix.back() == '.';
      if (whole && (anchor.beside.empty() || tensors.contains(prefix + anchor.beside)))
        found.push_back(prefix);
    }
  }
  return found;
}

bool equal(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::memcmp(a.as<char>(), b.as<char>(), a.bytes()) == 0;
}

class Mapping {
 public:
  Mapping(const TensorMap& tensors, std::string source) : tensors_(tensors), source_(std::move(source)) {}

  // Takes every name that begins with from as to + rule(rest).
  template <class Rename>
  void take(const std::string& from, const std::string& to, const Rules& rules, Rename rename) {
    for (const auto& [name, tensor] : tensors_) {
      if (!name.starts_with(from) || !seen_.insert({name, true}).second) continue;
      const std::string rest = name.substr(from.size());
      const auto reason = std::find_if(rules.ignored.begin(), rules.ignored.end(),
                                       [&](const auto& rule) { return rest.starts_with(rule.first); });
      if (reason != rules.ignored.end()) {
        map_.dropped.push_back({name, reason->second});
      } else {
        add(to + rename(rest), name);
      }
    }
  }
  void take(const std::string& from, const std::string& to, const Rules& rules) {
    take(from, to, rules, [&](const std::string& rest) { return renamed_by(rules, rest); });
  }

  // Leaves aside what begins with none of parts: layers that someone put behind the network under a name of
  // their own.
  void leave_heads(const std::vector<std::string>& parts) {
    std::erase_if(map_.source_of, [&](const auto& item) {
      const auto begins = [&](const std::string& part) { return item.first.starts_with(part); };
      if (std::any_of(parts.begin(), parts.end(), begins)) return false;
      map_.dropped.push_back(
          {item.second, "a layer that the network does not have, such as another classifier"});
      return true;
    });
  }

  KeyMap finish(const std::string& why_rest) {
    for (const auto& [name, tensor] : tensors_) {
      if (!seen_.contains(name)) map_.dropped.push_back({name, why_rest});
    }
    return std::move(map_);
  }

  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw Error(ExitCode::checkpoint, "{}: {}", source_, fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  void add(const std::string& ours, const std::string& theirs) {
    const auto [it, is_new] = map_.source_of.emplace(ours, theirs);
    if (is_new) return;
    if (!equal(tensors_.at(it->second), tensors_.at(theirs))) {
      fail("{} and {} are the same tensor of the model, but their values differ", it->second, theirs);
    }
    map_.dropped.push_back({theirs, "the same as " + it->second});
  }

  const TensorMap& tensors_;
  std::string source_;
  std::map<std::string, bool> seen_;
  KeyMap map_;
};

KeyMap part_keys(const TensorMap& tensors, const std::string& source, const std::vector<Anchor>& anchors,
                 const Rules& rules, const std::string& what) {
  Mapping mapping(tensors, source);
  const std::vector<std::string> found = prefixes(tensors, "", anchors);
  if (found.empty()) {
    mapping.fail("no tensor is called {}, with any prefix, as every {} has one; the file has {}",
                 anchors.front().name, what, some_names(tensors));
  }
  for (const std::string& prefix : found) mapping.take(prefix, "", rules);
  if (!rules.parts.empty()) mapping.leave_heads(rules.parts);
  return mapping.finish(fmt::format("lies outside the {} ({}*)", what, found.front()));
}

}  // namespace

KeyMap video_encoder_keys(const TensorMap& tensors, const std::string& source) {
  return part_keys(tensors, source, kVideoAnchors, kVideo, "R(2+1)D of torchvision");
}

KeyMap text_encoder_keys(const TensorMap& tensors, const std::string& source) {
  return part_keys(tensors, source, kTextAnchors, kText, "text encoder of BERT's family");
}

KeyMap classifier_keys(const TensorMap& tensors, const std::string& source) {
  Mapping mapping(tensors, source);
  // The longest common beginning that ends in a dot is a wrapper's.
  std::string prefix = tensors.empty() ? "" : tensors.begin()->first;
  for (const auto& [name, tensor] : tensors) {
    while (!name.starts_with(prefix)) prefix.pop_back();
  }
  const auto dot = prefix.rfind('.');
  prefix = dot == std::string::npos ? "" : prefix.substr(0, dot + 1);
  if (prefix.ends_with("fc.")) prefix.resize(prefix.size() - 3);  // all there is to a linear classifier
  mapping.take(prefix, "", {});
  return mapping.finish("");
}

KeyMap authors_keys(const TensorMap& tensors, const std::string& source, bool prompting) {
  Mapping mapping(tensors, source);
  const auto roots = prefixes(tensors, "", {{"image_projection.projection.weight", ""}});
  if (roots.size() != 1) {
    mapping.fail(
        "expected one image_projection.projection.weight, as the authors' model has, found {}; the "
        "file has {}",
        roots.size(), some_names(tensors));
  }
  const std::string& root = roots.front();
  const auto video = prefixes(tensors, root + "image_encoder.", kVideoAnchors),
             text = prefixes(tensors, root + "text_encoder.", kTextAnchors);
  if (video.empty()) mapping.fail("no {}image_encoder.*.stem.0.weight: no video encoder", root);
  if (text.size() != 1)
    mapping.fail("no {}text_encoder.*.{}: no text encoder", root, kTextAnchors.front().name);
  for (const std::string& prefix : video) mapping.take(prefix, "image_encoder.", kVideo);
  mapping.take(text.front(), "text_encoder.model.", kText);
  mapping.take(root + "image_projection.", "image_projection.", {});
  mapping.take(root + "text_projection.", "text_projection.", {});
  const Rules uncalled{
      {}, {}, {{"", "the released forward() does not call it (--set prompt.kind=xclip takes it)"}}};
  for (const char* name : {"prompt_generator.", "prompts_generator."}) {
    mapping.take(root + name, "prompt_generator.", prompting ? Rules{} : uncalled, prompt_name);
  }
  return mapping.finish("not a part of the model");
}

TensorMap renamed(const TensorMap& tensors, const KeyMap& keys) {
  TensorMap result;
  for (const auto& [ours, theirs] : keys.source_of) result.emplace(ours, tensors.at(theirs));
  return result;
}

}  // namespace mg
