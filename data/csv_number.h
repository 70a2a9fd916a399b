// Numbers as spreadsheets, pandas and annotation tools write them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mg {

// A number, or why it is none: "expected ..., got '...'".
template <class Number>
struct ReadNumber {
  Number value{};
  std::string fault;  // empty: it is one
};

// Whether a field means that there is nothing: it is empty, or NaN, NA, None, NULL, <NA>, #N/A, ... as pandas
// reads and writes them.
bool is_missing(std::string_view field);

// A whole number of frames: 3, 3.0, +5, 1e3. separator: of the table; a decimal comma is read where it cannot
// be one of thousands, and behind semicolons always.
ReadNumber<std::int64_t> read_frame_number(std::string_view field, char separator);

// Seconds (1.5, 1e-3, with a decimal comma as above) or a time: h:mm:ss with or without a fraction, m:ss with
// one.
ReadNumber<double> read_seconds(std::string_view field, char separator);

}  // namespace mg
