// A confusion matrix as inline SVG: rows are true classes, columns predicted ones, the colour is a cell's
// share of its row, the text its count.
#pragma once

#include <string>

#include "train/metrics.h"
#include "train/report/markup.h"

namespace mg {

// id is unique in the page. Nothing where there are no classes.
void add_confusion(Markup& page, const std::string& id, const std::string& title, const Classification& c);

}  // namespace mg
