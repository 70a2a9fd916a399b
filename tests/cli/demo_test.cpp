// What `mgtrain demo` reached, where one was run: MG_DEMO_DIR names its folder.
#include <doctest/doctest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "cli/mgtrain_command.h"
#include "engine/file.h"

namespace mg::test {

TEST_CASE("the demo's models recognise gestures of people they never saw, by the order of the frames") {
  const char* folder = std::getenv("MG_DEMO_DIR");
  if (folder == nullptr) {
    MESSAGE("skipped: MG_DEMO_DIR is not set");
    return;
  }
  const std::filesystem::path run = std::filesystem::path(folder) / "run";
  const auto figure = [&](const char* result, const char* key) {
    const auto file = run / "results" / (std::string(result) + ".json");
    return nlohmann::json::parse(read_whole_file(file, ExitCode::failure)).at(key).get<double>();
  };
  const double classifier = figure("classifier-test", "top1");
  CHECK(figure("classifier-test", "n") == 240);
  CHECK(classifier >= 60);
  CHECK(figure("contrastive-test", "top1") >= 60);
  CHECK(figure("classifier-test-shuffled", "top1") <= classifier - 20);
  CHECK(figure("emotion-test", "top1") >= 60);
  CHECK(std::filesystem::file_size(run / "report.html") > 50000);
}

}  // namespace mg::test
