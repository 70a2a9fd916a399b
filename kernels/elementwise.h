// Element-by-element operations on rows of channels, any pitch. Outputs may not overlap inputs unless said
// so.
#pragma once

#include "kernels/epilogue.h"
#include "kernels/philox.h"
#include "kernels/stream.h"
#include "kernels/view.h"

namespace mg {

// y = a + b, all of one shape.
struct AddForward {
  View y;
  ConstView a, b;
};
void add_forward(const AddForward&, CpuStream&);

}  // namespace mg
