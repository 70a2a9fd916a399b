// Linear layers by the vendor's library, for streams that ask for it (CudaStream::set_vendor): each returns
// whether it could do the work; if not, our kernels do. Without the library's headers there are none.
#pragma once

#include "kernels/linear.h"

namespace mg::cuda {

#if defined(MG_CUBLASLT)
bool vendor_linear_forward(const LinearForward&, CudaStream&);
bool vendor_linear_backward_data(const LinearBackwardData&, CudaStream&);
// dw alone, not dbias.
bool vendor_linear_backward_weight(const LinearBackwardWeight&, CudaStream&);
#else
inline bool vendor_linear_forward(const LinearForward&, CudaStream&) { return false; }
inline bool vendor_linear_backward_data(const LinearBackwardData&, CudaStream&) { return false; }
inline bool vendor_linear_backward_weight(const LinearBackwardWeight&, CudaStream&) { return false; }
#endif

}  // namespace mg::cuda
