#include "train/data_summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "train/printable.h"
#include "train/report/markup.h"

namespace mg {

namespace {

constexpr std::size_t kNamed = 5;      // names that a line lists
constexpr std::int64_t kFewClips = 5;  // of a class in training

struct SplitCounts {
  std::int64_t clips = 0, bad = 0;
  std::map<std::string, std::int64_t> labels;
  std::set<std::string> subjects, recordings;
};

// Of a file that anyone may have made, for a terminal.
std::string shown(const std::string& name, std::size_t most) { return shortened(printable(name), most); }

template <class Names>
std::string listed(const Names& names) {
  std::string text;
  std::size_t count = 0;
  for (const std::string& name : names) {
    if (++count > kNamed) return text + fmt::format(" and {} more", names.size() - kNamed);
    text += (text.empty() ? "" : ", ") + shown(name, 40);
  }
  return text;
}

std::string counted(std::size_t count, const char* one, const char* several) {
  return fmt::format("{} {}", count, count == 1 ? one : several);
}

// A paragraph that begins at the left and goes on indented, at most 80 columns.
std::string wrapped(const std::string& text) {
  std::string result, line;
  std::size_t begin = 0;
  while (begin < text.size()) {
    std::size_t end = text.find(' ', begin);
    if (end == std::string::npos) end = text.size();
    const std::string word = text.substr(begin, end - begin);
    if (!line.empty() && line.size() + 1 + word.size() > 80) {
      result += line + "\n";
      line = "  " + word;
    } else {
      line += (line.empty() ? "" : " ") + word;
    }
    begin = end + 1;
  }
  return result + line + "\n";
}

std::set<std::string> in_both(const std::set<std::string>& a, const std::set<std::string>& b) {
  std::set<std::string> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::inserter(both, both.end()));
  return both;
}

class Summary {
 public:
  Summary(const Manifest& manifest, const std::vector<BadClip>& bad) : manifest_(manifest), bad_(bad) {
    std::set<std::int64_t> bad_lines;
    for (const BadClip& clip : bad) bad_lines.insert(clip.line);
    const bool no_splits = std::all_of(manifest.clips.begin(), manifest.clips.end(),
                                       [](const Clip& clip) { return clip.split.empty(); });
    for (const Clip& clip : manifest.clips) {
      SplitCounts& counts = splits_[no_splits ? "train" : clip.split];
      const bool is_bad = bad_lines.contains(clip.line);
      counts.clips += is_bad ? 0 : 1;
      counts.bad += is_bad ? 1 : 0;
      if (!is_bad) ++counts.labels[clip.label];
      if (!clip.subject.empty()) counts.subjects.insert(clip.subject);
      counts.recordings.insert(clip.video);
    }
  }

  nlohmann::ordered_json counts() const {
    nlohmann::ordered_json json = nlohmann::ordered_json::object();
    for (const auto& [name, c] : splits_) {
      json[name] = {{"clips", c.clips},
                    {"classes", c.labels.size()},
                    {"people", c.subjects.size()},
                    {"recordings", c.recordings.size()}};
    }
    return json;
  }

  std::string text() const { return table() + left_out() + classes() + shared_parts(); }

 private:
  std::string table() const {
    std::string text = fmt::format("{:<40}{:>8}{:>9}{:>8}{:>12}\n", shown(manifest_.path.string(), 40),
                                   "clips", "classes", "people", "recordings");
    for (const auto& [name, use] : {std::pair("train", "to learn from"), std::pair("val", "to watch it"),
                                    std::pair("test", "not used in training")}) {
      const auto found = splits_.find(name);
      if (found != splits_.end()) text += row(fmt::format("{:<6}{}", name, use), found->second);
    }
    for (const auto& [name, counts] : splits_) {
      if (is_standard(name)) continue;
      text += row(name.empty() ? "(no split) not used" : shown(name, 20) + " not used", counts);
    }
    return text;
  }

  static std::string row(const std::string& name, const SplitCounts& c) {
    return fmt::format("  {:<38}{:>8}{:>9}{:>8}{:>12}\n", name, c.clips, c.labels.size(),
                       c.subjects.empty() ? "-" : fmt::format("{}", c.subjects.size()), c.recordings.size());
  }
  static bool is_standard(const std::string& split) {
    return split == "train" || split == "val" || split == "test";
  }

  std::string left_out() const {
    std::string text;
    std::map<std::string, std::int64_t> reasons;
    for (const BadClip& clip : bad_) {
      const auto colon = clip.reason.find(": ");  // behind the path
      ++reasons[colon == std::string::npos ? clip.reason : clip.reason.substr(colon + 2)];
    }
    if (!bad_.empty()) {
      text += fmt::format("left out: {} that cannot be decoded\n", counted(bad_.size(), "clip", "clips"));
    }
    std::size_t shown = 0;
    for (const auto& [reason, count] : reasons) {
      if (++shown > kNamed) return text + fmt::format("  and {} more reasons\n", reasons.size() - kNamed);
      text += wrapped(fmt::format("- {}: {}", count, printable(reason)));
    }
    return text;
  }

  std::string classes() const {
    const auto train = splits_.find("train");
    if (train == splits_.end()) return "";
    std::string text;
    std::vector<std::string> few;
    for (const auto& [label, count] : train->second.labels) {
      if (count < kFewClips) few.push_back(fmt::format("{} ({})", label, count));
    }
    if (!few.empty()) {
      text +=
          wrapped(fmt::format("few clips: {} fewer than {} clips in train: {}",
                              few.size() == 1 ? "1 class has" : fmt::format("{} classes have", few.size()),
                              kFewClips, listed(few)));
    }
    for (const auto& [name, counts] : splits_) {
      if (name == "train" || name.empty()) continue;
      std::vector<std::string> unseen;
      for (const auto& [label, count] : counts.labels) {
        if (!train->second.labels.contains(label)) unseen.push_back(label);
      }
      if (unseen.empty()) continue;
      text += wrapped(
          fmt::format("{}: {} that train lacks: {}; eval --split {} --labels manifest measures them", name,
                      counted(unseen.size(), "label", "labels"), listed(unseen), shell_line({name})));
    }
    return text;
  }

  // What is in training and in a test as well makes the test's figures too good.
  std::string shared_parts() const {
    const auto train = splits_.find("train");
    if (train == splits_.end()) return "";
    std::string text;
    for (const auto& [name, counts] : splits_) {
      if (name == "train" || name.empty()) continue;
      const auto people = in_both(train->second.subjects, counts.subjects),
                 recordings = in_both(train->second.recordings, counts.recordings);
      if (!people.empty()) {
        text += wrapped(
            fmt::format("warning: {} in train and in {}, whose figures will be too good: {}",
                        people.size() == 1 ? "1 person is" : fmt::format("{} people are", people.size()),
                        name, listed(people)));
      }
      if (!recordings.empty()) {
        text += wrapped(fmt::format(
            "warning: {} in train and in {}, whose figures will be too good: {}",
            recordings.size() == 1 ? "1 recording is" : fmt::format("{} recordings are", recordings.size()),
            name, listed(recordings)));
      }
    }
    return text;
  }

  const Manifest& manifest_;
  const std::vector<BadClip>& bad_;
  std::map<std::string, SplitCounts> splits_;
};

}  // namespace

std::string data_summary(const Manifest& manifest, const std::vector<BadClip>& bad) {
  return Summary(manifest, bad).text();
}

nlohmann::ordered_json data_counts(const Manifest& manifest, const std::vector<BadClip>& bad) {
  return Summary(manifest, bad).counts();
}

std::string key_lines(const std::vector<std::pair<std::string, std::string>>& lines) {
  std::string text;
  for (const auto& [name, value] : lines) text += fmt::format("{:<10}{}\n", name, printable(value, "\n"));
  return text;
}

std::string shell_line(const std::vector<std::string>& words) {
  constexpr const char* kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%";
  std::string line;
  for (const std::string& word : words) {
    if (!line.empty()) line += ' ';
    if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
      line += word;
      continue;
    }
    line += '\'';
    for (const char c : word) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += '\'';
  }
  return line;
}

}  // namespace mg
