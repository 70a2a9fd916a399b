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

// The same, but "" when even that one is too far to be what was meant: more than a third of the characters
// are others, or more than two of a short name, or in a very short one more than one or the first. The one
// candidate that name begins is near.
std::string likely_name(const std::string& name, const std::vector<std::string>& candidates);
// ", did you mean 'train'?", or "".
std::string did_you_mean(const std::string& name, const std::vector<std::string>& candidates);

}  // namespace mg
