#include "train/report/report.h"

#include "engine/file.h"
#include "train/report/sections.h"
#include "train/report/style.h"

namespace mg {

namespace {

void add_navigation(Markup& page, const RunData& run) {
  const auto nav = page.open("nav", {{"aria-label", "Sections"}});
  const auto list = page.open("ul");
  const auto link = [&](const char* id, const char* name) {
    const auto item = page.open("li");
    page.add("a", {{"href", std::string("#") + id}}, name);
  };
  link("training", "Training");
  link("gestures", "Gestures");
  link("emotion", "Emotion");
  for (const Result& result : run.results) {
    if (!result.shuffled) continue;
    link("shuffling", "Shuffled frames");
    break;
  }
  link("configuration", "Configuration");
  link("environment", "Environment");
  link("problems", "Decode problems");
}

std::string page_of(const RunData& run, bool going_on) {
  Markup page;
  page.raw("<!DOCTYPE html>\n");
  {
    const auto html = page.open("html", {{"lang", "en"}});
    {
      const auto head = page.open("head");
      page.add_empty("meta", {{"charset", "utf-8"}});
      page.add_empty("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}});
      page.add_empty("meta", {{"name", "color-scheme"}, {"content", "light dark"}});
      if (going_on) page.add_empty("meta", {{"http-equiv", "refresh"}, {"content", "15"}});
      page.add("title", run.name + ": report");
      const auto style = page.open("style");
      page.raw(kReportStyle);
    }
    const auto body = page.open("body");
    if (going_on) {
      page.add("p", {{"class", "going-on"}, {"role", "status"}},
               "This run is still being trained. The page loads itself again every 15 seconds.");
    }
    add_headline(page, run);
    add_navigation(page, run);
    const auto main = page.open("main");
    add_training(page, run);
    add_gestures(page, run);
    add_emotion(page, run);
    add_shuffling(page, run);
    add_configuration(page, run);
    add_environment(page, run);
    add_problems(page, run);
  }
  return page.str();
}

}  // namespace

std::filesystem::path write_report(const std::filesystem::path& run, bool going_on,
                                   const std::filesystem::path& out) {
  const std::string page = page_of(read_run_data(run), going_on);
  std::filesystem::path path = out.empty() ? run / "report.html" : out;
  FileWriter file(path);
  file.write(page);
  file.commit();
  return path;
}

}  // namespace mg
