// The sub-commands of mgtrain. Each add_* describes one to the parser; parsing it leaves the work to do in
// action.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace mg {

using Action = std::function<void()>;

void add_demo_command(CLI::App& app, Action& action);
void add_synth_command(CLI::App& app, Action& action);
void add_cache_command(CLI::App& app, Action& action);
void add_train_command(CLI::App& app, Action& action);
void add_eval_command(CLI::App& app, Action& action);
void add_predict_command(CLI::App& app, Action& action);
void add_report_command(CLI::App& app, Action& action);
void add_info_command(CLI::App& app, Action& action);

}  // namespace mg
