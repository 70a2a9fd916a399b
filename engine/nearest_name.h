// Suggestions for names that are not there.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace mg {

// Levenshtein's distance: insertions, deletions and replacements of characters.
std::size_t edit_distance(const std::string& a, const std::string& b);

// The candidate with the smallest edit distance to name, the first of equals; "" when there is none.
std::string nearest_name(const std::string& name, const std::vector<std::string>& candidates);

}  // namespace mg
