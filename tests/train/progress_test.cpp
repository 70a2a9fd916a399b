#include "train/progress.h"

#include <doctest/doctest.h>

namespace mg {

TEST_CASE("a line of progress leaves out what there is no room for, and is cut at last") {
  const std::vector<ProgressPart> parts{{"contrastive"},         {" 45 %"},
                                        {"epoch 12/60", 2},      {"loss 0.1234", 3},
                                        {"val top-1 45.0 %", 4}, {"12345/28980 clips", 5},
                                        {"37.2 clips/s", 6},     {"12 min 3 s left", 1}};
  CHECK(fitted_line(parts, 200) ==
        "contrastive   45 %  epoch 12/60  loss 0.1234  val top-1 45.0 %  12345/28980 clips  37.2 clips/s  "
        "12 min 3 s left");
  CHECK(fitted_line(parts, 79) ==
        "contrastive   45 %  epoch 12/60  loss 0.1234  val top-1 45.0 %  12 min 3 s left");
  CHECK(fitted_line(parts, 78) == "contrastive   45 %  epoch 12/60  loss 0.1234  12 min 3 s left");
  CHECK(fitted_line(parts, 39) == "contrastive   45 %  12 min 3 s left");
  CHECK(fitted_line(parts, 34) == "contrastive   45 %");
  CHECK(fitted_line(parts, 7) == "contras");
  CHECK(fitted_line(parts, 0).empty());
  CHECK(fitted_line({}, 5).empty());
  // Characters of two columns, and of none: an accent by itself.
  CHECK(fitted_line({{"\u624b\u52bf\u8bc6\u522b"}}, 8) == "\u624b\u52bf\u8bc6\u522b");
  CHECK(fitted_line({{"\u624b\u52bf\u8bc6\u522b"}}, 7) == "\u624b\u52bf\u8bc6");
  CHECK(fitted_line({{"e\u0301e\u0301"}}, 2) == "e\u0301e\u0301");
  CHECK(fitted_line({{"\xff\xfe"}}, 1) == "\xff");
}

}  // namespace mg
