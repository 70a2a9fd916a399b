#include <fmt/core.h>

#include <algorithm>

#include "train/report/sections.h"

namespace mg {

namespace {

constexpr std::size_t kProblemsListed = 500;

void add_row(Markup& page, std::string_view key, std::string_view value) {
  const auto row = page.open("tr");
  page.add("th", {{"scope", "row"}}, key);
  page.add("td", {{"class", "text"}}, value);
}

}  // namespace

void add_configuration(Markup& page, const RunData& run) {
  const auto section = page.open("section", {{"id", "configuration"}});
  page.add("h2", "Configuration");
  if (run.config.empty()) {
    add_absence(page, run.has_config ? "config.toml sets nothing." : "The run has no config.toml.");
    return;
  }
  std::vector<std::string> sections;  // in order of their first key
  for (const ConfigEntry& entry : run.config) {
    if (std::find(sections.begin(), sections.end(), entry.section) == sections.end())
      sections.push_back(entry.section);
  }
  const auto columns = page.open("div", {{"class", "columns"}});
  for (const std::string& name : sections) {
    const auto table = page.open("table", {{"class", "keys"}});
    page.add("caption", name.empty() ? "general" : name);
    const auto body = page.open("tbody");
    for (const ConfigEntry& entry : run.config) {
      if (entry.section == name) add_row(page, entry.key, entry.value);
    }
  }
}

void add_environment(Markup& page, const RunData& run) {
  const auto section = page.open("section", {{"id", "environment"}});
  page.add("h2", "Environment");
  if (run.environment.empty()) {
    add_absence(page,
                run.has_environment ? "environment.json says nothing." : "The run has no environment.json.");
    return;
  }
  const auto table = page.open("table", {{"class", "keys"}});
  page.add("caption", "Where the run took place");
  const auto body = page.open("tbody");
  for (const auto& [key, value] : run.environment) add_row(page, key, value);
}

void add_problems(Markup& page, const RunData& run) {
  const auto section = page.open("section", {{"id", "problems"}});
  page.add("h2", "Decode problems");
  if (run.problems.empty()) {
    add_absence(page,
                run.has_problems ? "None: every clip could be decoded." : "The run has no problems.json.");
    return;
  }
  const std::size_t listed = std::min(run.problems.size(), kProblemsListed);
  const auto count = static_cast<std::int64_t>(run.problems.size());
  page.add("p", {{"class", "warning"}},
           fmt::format("{} clip{} could not be decoded and {} left out.{}", grouped(count),
                       count == 1 ? "" : "s", count == 1 ? "was" : "were",
                       listed < run.problems.size()
                           ? fmt::format(" The first {} follow; problems.json has all.", listed)
                           : ""));
  const auto scroll = page.open("div", {{"class", "wide"}});
  const auto table = page.open("table", {{"class", "problems"}});
  page.add("caption", "Clips that could not be decoded");
  {
    const auto head = page.open("thead");
    const auto row = page.open("tr");
    for (const char* name : {"line", "clip", "reason"}) page.add("th", {{"scope", "col"}}, name);
  }
  const auto body = page.open("tbody");
  for (std::size_t i = 0; i < listed; ++i) {
    const Problem& problem = run.problems[i];
    const auto row = page.open("tr");
    page.add("td", grouped(problem.line));
    page.add("td", {{"class", "text"}}, problem.clip);
    page.add("td", {{"class", "text"}}, problem.reason);
  }
}

}  // namespace mg
