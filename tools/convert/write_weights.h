// The folder of one model, as train/import_folder.h describes it: what import makes, and what export makes
// for torchvision and transformers, whose names these are.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tools/convert/converted_model.h"

namespace mg {

// Writes all but the certificate. Returns the files' names.
std::vector<std::string> write_weights(const std::filesystem::path& folder, const ConvertedModel& model);

// The same with the certificate, made whole or not at all.
void write_model_folder(const std::filesystem::path& folder, const ConvertedModel& model,
                        const Source& source);

// vocab.txt
std::string vocabulary_lines(const std::vector<std::string>& tokens);

}  // namespace mg
