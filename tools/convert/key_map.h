// From the names that tensors have in the wild to those of one model: prefixes of wrappers, old names, copies
// registered twice, and what is left aside.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/safetensors.h"

namespace mg {

struct KeyMap {
  std::map<std::string, std::string> source_of;  // our name -> the file's
  struct Dropped {
    std::string name, reason;
  };
  std::vector<Dropped> dropped;
};

// The names of a network alone, wherever it lies in the file (backbone., module., 0.auto_model., ...): by the
// tensor that every one of its kind has. Error(ExitCode::checkpoint) when it is not there, when it is there
// twice with other values, or when two names mean the same tensor. source names the file.
KeyMap video_encoder_keys(const TensorMap& tensors, const std::string& source);  // torchvision's r2plus1d_18
KeyMap text_encoder_keys(const TensorMap& tensors, const std::string& source);   // transformers' BERT family
KeyMap classifier_keys(const TensorMap& tensors, const std::string& source);
// The authors' whole model: image_encoder, text_encoder.model, image_projection, text_projection and, with
// prompting, prompt_generator under its present or older names.
KeyMap authors_keys(const TensorMap& tensors, const std::string& source, bool prompting);

// The tensors under our names.
TensorMap renamed(const TensorMap& tensors, const KeyMap& keys);

}  // namespace mg
