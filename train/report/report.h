// report.html: what a run did and reached, in one self-contained file.
#pragma once

#include <filesystem>

namespace mg {

// Reads what is there of the run's folder, writes report.html into it, or the file out where one is given
// (aside, then renamed), and returns its path. Files read: config.toml, environment.json, data.json,
// metrics.jsonl, problems.json, results/*.json. A missing file leaves its section out, saying so; a damaged
// one is an Error(ExitCode::data) that names it. With going_on the page says that the run is still being
// trained, and a browser loads it again by itself.
std::filesystem::path write_report(const std::filesystem::path& run, bool going_on = false,
                                   const std::filesystem::path& out = {});

}  // namespace mg
