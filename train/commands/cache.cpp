// mgtrain cache
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "train/commands/commands.h"
#include "train/commands/options.h"

namespace mg {

void add_cache_command(CLI::App& app, Action& action) {
  struct CacheCommand {
    DataOptions data;
    ConfigOptions config;
  };
  CLI::App* command = app.add_subcommand("cache", "Decode a manifest's clips into a frame cache (HDF5)");
  auto options = std::make_shared<CacheCommand>();
  add_data_options(*command, options->data);
  options->config.add_to(*command);
  command->footer(
      "`train` and `eval` build the cache by themselves; this does it ahead, or on another machine.\n"
      "Example: mgtrain cache --preset mini --manifest data/manifest.csv --cache frames.h5 --on-bad skip");
  command->callback([options, &action] {
    action = [options] {
      const GestureData data(options->data, options->config.make());
      std::int64_t frames = 0;
      for (std::int64_t i = 0; i < data.frames().clips(); ++i) frames += data.frames().frame_count(i);
      const auto bad = data.frames().bad_clips().size();
      std::printf("%lld clips, %lld frames, %zu bad clips; %s\n",
                  static_cast<long long>(data.frames().clips()) - static_cast<long long>(bad),
                  static_cast<long long>(frames), bad, data.frames().built() ? "built" : "nothing to do");
    };
  });
}

}  // namespace mg
