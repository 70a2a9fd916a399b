// Rows by index: y[i] = x[indices[i]]. Embedding lookup, picking tokens, repeating rows. Indices must lie in
// [0, rows of x).
#pragma once

#include "kernels/stream.h"
#include "kernels/view.h"

namespace mg {

struct GatherRowsForward {
  View y;  // rows = number of indices
  ConstView x;
  const std::int32_t* indices;
};
// dx[j] = sum of dy[i] over all i with indices[i] == j, in order of i.
struct GatherRowsBackward {
  View dx;
  ConstView dy;
  const std::int32_t* indices;
};

void gather_rows_forward(const GatherRowsForward&, CpuStream&);
void gather_rows_backward(const GatherRowsBackward&, CpuStream&);

}  // namespace mg
