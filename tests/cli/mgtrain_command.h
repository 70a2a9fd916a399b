// The built program as its users run it, and a small synthetic data set that the tests of one process share.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "run_program.h"

namespace mg::test {

// Runs mgtrain with these arguments and waits.
Output mgtrain(const std::vector<std::string>& arguments);

// Starts it, sends it a signal as soon as due() says so, unless it ends before; then waits.
Output mgtrain_signalled(const std::vector<std::string>& arguments, const std::function<bool()>& due,
                         int signal);

struct DataSet {
  TemporaryFolder folder;
  std::string manifest, emotions, truth;
};
// 96 synthetic clips, made once.
const DataSet& synthetic_data();

// `train --preset nano` on it, all stages, and what else is given.
std::vector<std::string> all_stages(const std::filesystem::path& run, std::vector<std::string> more = {});
// A run of these arguments that nothing interrupted, made once.
const std::filesystem::path& whole_run();

// The contents of every file of a run's last and best checkpoints, by name, for comparisons.
std::string final_weights(const std::filesystem::path& run);

}  // namespace mg::test
