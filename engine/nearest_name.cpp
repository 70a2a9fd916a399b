#include "engine/nearest_name.h"

#include <algorithm>
#include <iterator>
#include <numeric>

namespace mg {

std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
    }
  }
  return row[b.size()];
}

std::string nearest_name(const std::string& name, const std::vector<std::string>& candidates) {
  const std::string* best = nullptr;
  std::size_t best_distance = 0;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(name, candidate);
    if (best != nullptr && distance >= best_distance) continue;
    best = &candidate;
    best_distance = distance;
  }
  return best == nullptr ? "" : *best;
}

std::string likely_name(const std::string& name, const std::vector<std::string>& candidates) {
  std::string nearest = nearest_name(name, candidates);
  const std::size_t length = std::max(name.size(), nearest.size());
  const std::size_t allowed =
      length <= 3 ? (nearest[0] == name[0] ? 1 : 0) : std::max<std::size_t>(2, length / 3);
  if (!nearest.empty() && edit_distance(name, nearest) <= allowed) return nearest;
  std::vector<std::string> begun;
  std::copy_if(candidates.begin(), candidates.end(), std::back_inserter(begun),
               [&](const std::string& c) { return name.size() >= 2 && c.starts_with(name); });
  return begun.size() == 1 ? begun.front() : "";
}

std::string did_you_mean(const std::string& name, const std::vector<std::string>& candidates) {
  const std::string likely = likely_name(name, candidates);
  return likely.empty() ? "" : ", did you mean '" + likely + "'?";
}

}  // namespace mg
