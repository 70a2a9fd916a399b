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
// The positions of each row that occurs, sorted: row rows[s] is wanted by the positions order[starts[s]] ..
// order[starts[s + 1] - 1] of the indices, in ascending order.
struct RowSegments {
  const std::int32_t* rows;    // [count], ascending
  const std::int32_t* starts;  // [count + 1]
  const std::int32_t* order;   // [number of indices]
  std::int64_t count;
};

// dx[j] = sum of dy[i] over all i with indices[i] == j, in order of i; zero for rows that do not occur.
struct GatherRowsBackward {
  View dx;
  ConstView dy;
  RowSegments segments;
};

void gather_rows_forward(const GatherRowsForward&, CpuStream&);
void gather_rows_forward(const GatherRowsForward&, CudaStream&);
void gather_rows_backward(const GatherRowsBackward&, CpuStream&);
void gather_rows_backward(const GatherRowsBackward&, CudaStream&);

}  // namespace mg
