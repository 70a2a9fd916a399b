// What an import or export leaves beside the weights: where they come from, what became of every tensor, the
// hashes of what was written, and the outputs of a probe. train/import_folder.h reads it.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/convert/converted_model.h"

namespace mg {

// {"schema", "tool", "kind", "source": [{"file", "bytes", "sha256"}], "format", "tensors": {ours: theirs, or
// {"name": theirs, "stored": type} where the type changed}, "dropped": [{"name", "reason"}], "random": [...],
// "notes": [...], "probe": {name: [...]}, "files": {name: sha256}}. Holds no time and no folder: equal
// imports are equal files. written: names within folder, whose hashes it takes.
nlohmann::ordered_json make_certificate(const ConvertedModel& model, const Source& source, const Probe& probe,
                                        const std::filesystem::path& folder,
                                        const std::vector<std::string>& written);

// The largest relative L2 distance of the stored outputs to these; NaN where a number is finite in one only.
// Error(ExitCode::checkpoint) where names or sizes differ.
double probe_distance(const nlohmann::json& certificate, const Probe& probe);

// Processors sum in different orders; anything else changes far more.
inline constexpr double kProbeTolerance = 1e-5;

}  // namespace mg
