// One step of an LSTM (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000), gates in
// PyTorch's order i, f, g, o: c' = sigmoid(f) * c + sigmoid(i) * tanh(g), h' = sigmoid(o) * tanh(c').
#pragma once

#include "kernels/stream.h"
#include "kernels/view.h"

namespace mg {

struct LstmCellForward {
  View h, c;        // [R, H], the new ones; c is fp32
  ConstView gates;  // [R, 4H], before the activations: x W^T + h U^T + b
  ConstView c_before;
};

// dgates and dc_before are written whole. dc: the gradient of the new c, empty when nothing else reads it.
struct LstmCellBackward {
  View dgates, dc_before;
  ConstView dh, dc;
  ConstView gates, c_before, c;
};

void lstm_cell_forward(const LstmCellForward&, CpuStream&);
void lstm_cell_forward(const LstmCellForward&, CudaStream&);
void lstm_cell_backward(const LstmCellBackward&, CpuStream&);
void lstm_cell_backward(const LstmCellBackward&, CudaStream&);

}  // namespace mg
