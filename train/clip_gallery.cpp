#include "train/clip_gallery.h"

#include <fmt/core.h>

#include <map>
#include <set>

#include "engine/file.h"
#include "train/report/markup.h"
#include "train/report/style.h"

namespace mg {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kClipsOfLabel = 4;

constexpr const char* kStyle = R"css(
.clips { display: flex; flex-wrap: wrap; gap: .8rem; }
.clips video { width: 11rem; max-width: 100%; border-radius: .4rem; background: var(--faint); }
)css";

// Plays from data-start to data-end over and over.
constexpr const char* kScript = R"js(
for (const video of document.querySelectorAll("video")) {
  const start = Number(video.dataset.start), end = Number(video.dataset.end);
  const again = () => { if (video.currentTime < start || video.currentTime >= end) video.currentTime = start; };
  video.addEventListener("loadedmetadata", again);
  video.addEventListener("timeupdate", again);
}
)js";

// The first clips of each label, each from another file where there are enough.
std::map<std::string, std::vector<const Clip*>> chosen_clips(const Manifest& manifest) {
  std::map<std::string, std::vector<const Clip*>> chosen;
  std::map<std::string, std::set<std::string>> files;
  for (const Clip& clip : manifest.clips) {
    auto& clips = chosen[clip.label];
    if (clips.size() < kClipsOfLabel && files[clip.label].insert(clip.name).second) clips.push_back(&clip);
  }
  return chosen;
}

void add_clip(Markup& page, const Clip& clip, const fs::path& folder, double fps) {
  const double start = static_cast<double>(clip.frames->first) / fps,
               end = static_cast<double>(clip.frames->last + 1) / fps;
  page.add("video",
           {{"src", fs::proximate(clip.path, folder).string()},
            {"data-start", fmt::format("{:.3f}", start)},
            {"data-end", fmt::format("{:.3f}", end)},
            {"autoplay", "autoplay"},
            {"loop", "loop"},
            {"muted", "muted"},
            {"playsinline", "playsinline"}},
           "");
}

}  // namespace

void write_clip_gallery(const fs::path& path, const Manifest& manifest, double fps) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : ".";
  Markup page;
  page.raw("<!DOCTYPE html>\n");
  {
    const auto html = page.open("html", {{"lang", "en"}});
    {
      const auto head = page.open("head");
      page.add_empty("meta", {{"charset", "utf-8"}});
      page.add_empty("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}});
      page.add("title", "Gestures");
      const auto style = page.open("style");
      page.raw(kReportStyle);
      page.raw(kStyle);
    }
    const auto body = page.open("body");
    page.add("h1", "Gestures");
    const auto chosen = chosen_clips(manifest);
    page.add("p", {{"class", "lead"}},
             fmt::format("{} clips of {} gestures; a few of each, from different recordings.",
                         grouped(static_cast<std::int64_t>(manifest.clips.size())), chosen.size()));
    for (const auto& [label, clips] : chosen) {
      page.add("h3", label);
      const auto row = page.open("div", {{"class", "clips"}});
      for (const Clip* clip : clips) add_clip(page, *clip, folder, fps);
    }
    const auto script = page.open("script");
    page.raw(kScript);
  }
  write_whole_file(path, page.str());
}

}  // namespace mg
