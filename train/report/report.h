// report.html: what a run did and reached, in one self-contained file.
#pragma once

#include <filesystem>

namespace mg {

// Reads what is there of the run's folder, writes report.html into it (aside, then renamed) and returns its
// path. Files read: config.toml, environment.json, metrics.jsonl, problems.json, results/*.json. A missing
// file leaves its section out, saying so; a damaged one is an Error(ExitCode::data) that names it.
std::filesystem::path write_report(const std::filesystem::path& run);

}  // namespace mg
