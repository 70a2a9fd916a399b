// Linear layers and convolutions by the vendor's libraries, for streams that ask for it
// (CudaStream::set_vendor): each returns whether it could do the work; if not, our kernels do. Without a
// library's headers it can't.
#pragma once

#include <optional>

#include "kernels/conv3d.h"
#include "kernels/linear.h"

namespace mg::cuda {

#if defined(MG_CUBLASLT)
bool vendor_linear_forward(const LinearForward&, CudaStream&);
bool vendor_linear_backward_data(const LinearBackwardData&, CudaStream&);
bool vendor_linear_backward_weight(const LinearBackwardWeight&, CudaStream&);  // dw alone, not dbias
#else
inline bool vendor_linear_forward(const LinearForward&, CudaStream&) { return false; }
inline bool vendor_linear_backward_data(const LinearBackwardData&, CudaStream&) { return false; }
inline bool vendor_linear_backward_weight(const LinearBackwardWeight&, CudaStream&) { return false; }
#endif

#if defined(MG_CUDNN)
bool vendor_conv3d_forward(const Conv3dForward&, CudaStream&);
bool vendor_conv3d_backward_data(const Conv3dBackwardData&, CudaStream&);
bool vendor_conv3d_backward_weight(const Conv3dBackwardWeight&, CudaStream&);
// For tests: whether the library takes our description of a convolution; empty: it has none, or there is no
// library.
std::optional<bool> vendor_describes(const ConstView& x, const ConstView& y, const Conv3dGeometry& geometry);
#else
inline bool vendor_conv3d_forward(const Conv3dForward&, CudaStream&) { return false; }
inline bool vendor_conv3d_backward_data(const Conv3dBackwardData&, CudaStream&) { return false; }
inline bool vendor_conv3d_backward_weight(const Conv3dBackwardWeight&, CudaStream&) { return false; }
#endif

}  // namespace mg::cuda
