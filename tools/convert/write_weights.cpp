#include "tools/convert/write_weights.h"

#include "engine/checkpoint.h"
#include "engine/file.h"
#include "tools/convert/certificate.h"
#include "tools/convert/written_folder.h"
#include "train/import_folder.h"

namespace mg {

std::string vocabulary_lines(const std::vector<std::string>& tokens) {
  std::string text;
  for (const std::string& token : tokens) text += token + "\n";
  return text;
}

namespace {

// How PyTorch loads the folder.
constexpr const char* kLoadVideo =
    R"(# Loads this video encoder into torchvision's R(2+1)D: frames N x 3 x T x H x W -> features.
import pathlib

import torch
from safetensors.torch import load_file
from torchvision.models.video import resnet


def load(folder=pathlib.Path(__file__).parent):
    state = load_file(str(folder / "model.safetensors"))
    middle, width = len(state["stem.0.weight"]), len(state["stem.3.weight"])
    blocks = [len({name.split(".")[1] for name in state if name.startswith(f"layer{i}.")}) for i in range(1, 5)]

    class Stem(torch.nn.Sequential):  # torchvision's, at this width
        def __init__(self):
            super().__init__(
                torch.nn.Conv3d(3, middle, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False), torch.nn.BatchNorm3d(middle),
                torch.nn.ReLU(inplace=True),
                torch.nn.Conv3d(middle, width, (3, 1, 1), padding=(1, 0, 0), bias=False), torch.nn.BatchNorm3d(width),
                torch.nn.ReLU(inplace=True))

    class Network(resnet.VideoResNet):
        def __init__(self):
            torch.nn.Module.__init__(self)
            self.stem, self.inplanes = Stem(), width
            for i, count in enumerate(blocks):
                setattr(self, f"layer{i + 1}", self._make_layer(
                    resnet.BasicBlock, resnet.Conv2Plus1D, width << i, count, 1 if i == 0 else 2))
            self.avgpool = torch.nn.AdaptiveAvgPool3d(1)
            has_classes = "fc.weight" in state
            self.fc = torch.nn.Linear(8 * width, len(state["fc.weight"])) if has_classes else torch.nn.Identity()

    network = Network()
    network.load_state_dict(state, strict=True)
    return network.eval()
)";

constexpr const char* kLoadText = R"(# Loads this text encoder with transformers: texts -> hidden states.
import pathlib

from transformers import AutoTokenizer, BertModel, DistilBertModel


def load(folder=pathlib.Path(__file__).parent):
    import json
    bert = json.loads((folder / "config.json").read_text())["model_type"] == "bert"
    model = BertModel.from_pretrained(folder, add_pooling_layer=False) if bert else DistilBertModel.from_pretrained(folder)
    return model.eval(), AutoTokenizer.from_pretrained(folder)
)";

// Writes all but the certificate.
std::vector<std::string> write_weights(const std::filesystem::path& folder, const ConvertedModel& model) {
  std::vector<std::string> written;
  const auto write = [&](const std::string& name, const std::string& text) {
    write_whole_file(folder / name, text);
    written.push_back(name);
  };
  write_safetensors(folder / kWeightsFile, to_tensor_map(named_tensors(*model.module)), {{"format", "pt"}});
  written.emplace_back(kWeightsFile);
  write("config.toml", model.config.to_toml(model.decided));
  if (model.kind == "r2plus1d") write("load.py", kLoadVideo);
  if (model.vocabulary.empty()) return written;
  write("config.json", model.transformers.dump(2) + "\n");
  write("vocab.txt", vocabulary_lines(model.vocabulary));
  const nlohmann::json tokenizer{{"tokenizer_class", "BertTokenizer"},
                                 {"do_lower_case", model.config.flag("text.lowercase")},
                                 {"model_max_length", model.config.integer("text.max_positions")}};
  write("tokenizer_config.json", tokenizer.dump(2) + "\n");
  write("load.py", kLoadText);
  return written;
}

}  // namespace

void write_certified(const std::filesystem::path& folder, const ConvertedModel& model, const Source& source,
                     const std::function<std::vector<std::string>(const std::filesystem::path&)>& write) {
  WrittenFolder aside(folder);
  const std::vector<std::string> written = write(aside.path());
  Context ctx{CpuStream(0)};
  const auto certificate = make_certificate(model, source, model.probe(ctx), aside.path(), written);
  write_whole_file(aside.path() / kCertificateFile, certificate.dump(1) + "\n");
  aside.commit();
}

void write_model_folder(const std::filesystem::path& folder, const ConvertedModel& model,
                        const Source& source) {
  write_certified(folder, model, source, [&](const auto& aside) { return write_weights(aside, model); });
}

}  // namespace mg
