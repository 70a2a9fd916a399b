// What was measured, as tables for people and JSON for programs.
#pragma once

#include <nlohmann/json.hpp>

#include "bench/measure.h"

namespace mg {

// A line for each result. Times, rates and shares are of the median run; the last share is of the best one,
// which tells most where others use the machine too.
void print_head(bool counting);
void print_result(const Result& result, const Peaks& peaks);  // of a time, or of counts
// All layers of an operation, as often as the network has them, by direction.
void print_totals(const std::vector<Result>& results, const Peaks& peaks);

nlohmann::ordered_json to_json(const Result& result, const Peaks& peaks);

}  // namespace mg
