// The folder of one model, as train/import_folder.h describes it: what import makes, and what export makes
// for torchvision and transformers, whose names these are.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tools/convert/converted_model.h"

namespace mg {

// Makes folder, whole or not at all: write(aside) fills it and returns the names of what it wrote, and the
// certificate of model is added.
void write_certified(const std::filesystem::path& folder, const ConvertedModel& model, const Source& source,
                     const std::function<std::vector<std::string>(const std::filesystem::path&)>& write);

// The folder of one model.
void write_model_folder(const std::filesystem::path& folder, const ConvertedModel& model,
                        const Source& source);

// vocab.txt
std::string vocabulary_lines(const std::vector<std::string>& tokens);

}  // namespace mg
