// A roofline (Williams, Waterman and Patterson 2009) as SVG: GFLOP/s over FLOP per byte, the machine's peaks
// as lines and each result as a dot.
#pragma once

#include <string>
#include <vector>

#include "bench/measure.h"

namespace mg {

std::string roofline_svg(const std::string& title, const std::vector<Result>& results, const Peaks& peaks);

}  // namespace mg
