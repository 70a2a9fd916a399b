#include "train/report/live_report.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "engine/file.h"
#include "temporary_folder.h"

namespace mg {

TEST_CASE("live report: a report that cannot be written does not end the training") {
  const test::TemporaryFolder folder;
  std::filesystem::create_directories(folder / "report.html.tmp");  // where it is written first
  LiveReport blocked(folder.path);
  CHECK_NOTHROW(blocked.refresh());
  CHECK_FALSE(std::filesystem::exists(folder / "report.html"));
  LiveReport gone(folder / "none");
  CHECK_NOTHROW(gone.refresh());
  std::filesystem::remove(folder / "report.html.tmp");
  LiveReport live(folder.path);
  live.refresh();
  CHECK(read_whole_file(folder / "report.html", ExitCode::failure).find("still being trained") !=
        std::string::npos);
}

}  // namespace mg
