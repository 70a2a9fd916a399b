// Convolutions by cuDNN, those of (2+1)D networks as 2D ones on channels-last tensors: (1, k, k) on the
// frames N T, (k, 1, 1) on images of T by H W. Never executed: this project was written where no GPU and no
// stand-in for cuDNN were at hand; it is tested as far as the descriptors, which cuDNN checks without a
// device. The library is opened when it is first asked for.
#include <cudnn.h>
#include <dlfcn.h>

#include <array>
#include <map>
#include <optional>

#include "kernels/batch_norm.h"
#include "kernels/cuda/pack.cuh"
#include "kernels/cuda/vendor.h"

namespace mg::cuda {

namespace {

constexpr std::size_t kMostWorkspace = std::size_t{256} << 20;

// A 2D convolution on [n][h][w][channels] at a pitch.
struct Plane {
  int n, h, w, out_h, out_w;
  int kernel[2], stride[2], padding[2];
  int c, k;  // channels with the padding that is written
  int x_pitch, y_pitch;
  int taps() const { return kernel[0] * kernel[1]; }
};

int columns(const ConstView& view) {
  return static_cast<int>(std::min(view.pitch, round_up(view.channels(), kChannelAlign)));
}

std::optional<Plane> as_plane(const ConstView& x, const ConstView& y, const Conv3dGeometry& g) {
  const bool spatial = g.kernel[0] == 1 && g.stride[0] == 1 && g.padding[0] == 0;
  const bool temporal = g.kernel[1] == 1 && g.kernel[2] == 1 && g.stride[1] == 1 && g.stride[2] == 1 &&
                        g.padding[1] == 0 && g.padding[2] == 0;
  if (!spatial && !temporal) return std::nullopt;
  auto extent = [](const ConstView& v, int i) { return static_cast<int>(v.shape[i]); };
  Plane p{};
  p.c = columns(x);
  p.k = columns(y);
  p.x_pitch = static_cast<int>(x.pitch);
  p.y_pitch = static_cast<int>(y.pitch);
  if (spatial) {
    p.n = extent(x, 0) * extent(x, 1);
    p.h = extent(x, 2), p.w = extent(x, 3), p.out_h = extent(y, 2), p.out_w = extent(y, 3);
    for (std::size_t a = 0; a < 2; ++a) {
      p.kernel[a] = g.kernel[a + 1], p.stride[a] = g.stride[a + 1], p.padding[a] = g.padding[a + 1];
    }
  } else {
    p.n = extent(x, 0);
    p.h = extent(x, 1), p.out_h = extent(y, 1);
    p.w = p.out_w = extent(x, 2) * extent(x, 3);
    p.kernel[0] = g.kernel[0], p.stride[0] = g.stride[0], p.padding[0] = g.padding[0];
    p.kernel[1] = p.stride[1] = 1;
  }
  return p;
}

// The functions of the library and its handle.
struct Dnn {
  void* library = nullptr;
  cudnnHandle_t handle = nullptr;
#define MG_CUDNN_FUNCTION(name) decltype(&::name) name = nullptr
  MG_CUDNN_FUNCTION(cudnnCreate);
  MG_CUDNN_FUNCTION(cudnnDestroy);
  MG_CUDNN_FUNCTION(cudnnSetStream);
  MG_CUDNN_FUNCTION(cudnnCreateTensorDescriptor);
  MG_CUDNN_FUNCTION(cudnnDestroyTensorDescriptor);
  MG_CUDNN_FUNCTION(cudnnSetTensor4dDescriptorEx);
  MG_CUDNN_FUNCTION(cudnnCreateFilterDescriptor);
  MG_CUDNN_FUNCTION(cudnnDestroyFilterDescriptor);
  MG_CUDNN_FUNCTION(cudnnSetFilter4dDescriptor);
  MG_CUDNN_FUNCTION(cudnnCreateConvolutionDescriptor);
  MG_CUDNN_FUNCTION(cudnnDestroyConvolutionDescriptor);
  MG_CUDNN_FUNCTION(cudnnSetConvolution2dDescriptor);
  MG_CUDNN_FUNCTION(cudnnSetConvolutionMathType);
  MG_CUDNN_FUNCTION(cudnnGetConvolution2dForwardOutputDim);
  MG_CUDNN_FUNCTION(cudnnGetConvolutionForwardAlgorithm_v7);
  MG_CUDNN_FUNCTION(cudnnGetConvolutionBackwardDataAlgorithm_v7);
  MG_CUDNN_FUNCTION(cudnnGetConvolutionBackwardFilterAlgorithm_v7);
  MG_CUDNN_FUNCTION(cudnnConvolutionForward);
  MG_CUDNN_FUNCTION(cudnnConvolutionBackwardData);
  MG_CUDNN_FUNCTION(cudnnConvolutionBackwardFilter);
#undef MG_CUDNN_FUNCTION

  Dnn() {
    library = dlopen(("libcudnn.so." + std::to_string(CUDNN_MAJOR)).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return;
#define MG_CUDNN_FIND(name) find(name, #name)
    found = MG_CUDNN_FIND(cudnnCreate) && MG_CUDNN_FIND(cudnnDestroy) && MG_CUDNN_FIND(cudnnSetStream) &&
            MG_CUDNN_FIND(cudnnCreateTensorDescriptor) && MG_CUDNN_FIND(cudnnDestroyTensorDescriptor) &&
            MG_CUDNN_FIND(cudnnSetTensor4dDescriptorEx) && MG_CUDNN_FIND(cudnnCreateFilterDescriptor) &&
            MG_CUDNN_FIND(cudnnDestroyFilterDescriptor) && MG_CUDNN_FIND(cudnnSetFilter4dDescriptor) &&
            MG_CUDNN_FIND(cudnnCreateConvolutionDescriptor) &&
            MG_CUDNN_FIND(cudnnDestroyConvolutionDescriptor) &&
            MG_CUDNN_FIND(cudnnSetConvolution2dDescriptor) && MG_CUDNN_FIND(cudnnSetConvolutionMathType) &&
            MG_CUDNN_FIND(cudnnGetConvolution2dForwardOutputDim) &&
            MG_CUDNN_FIND(cudnnGetConvolutionForwardAlgorithm_v7) &&
            MG_CUDNN_FIND(cudnnGetConvolutionBackwardDataAlgorithm_v7) &&
            MG_CUDNN_FIND(cudnnGetConvolutionBackwardFilterAlgorithm_v7) &&
            MG_CUDNN_FIND(cudnnConvolutionForward) && MG_CUDNN_FIND(cudnnConvolutionBackwardData) &&
            MG_CUDNN_FIND(cudnnConvolutionBackwardFilter);
#undef MG_CUDNN_FIND
  }
  ~Dnn() {
    if (handle != nullptr) cudnnDestroy(handle);
    if (library != nullptr) dlclose(library);
  }
  Dnn(const Dnn&) = delete;
  Dnn& operator=(const Dnn&) = delete;
  template <class F>
  bool find(F& function, const char* name) {
    function = reinterpret_cast<F>(dlsym(library, name));
    return function != nullptr;
  }
  // The one of this stream; null: the library is not there, or finds no device it knows.
  static Dnn* of(CudaStream& stream) {
    std::shared_ptr<void>& kept = stream.library(1);
    const bool first = !kept;
    if (first) kept = std::make_shared<Dnn>();
    auto* dnn = static_cast<Dnn*>(kept.get());
    if (first && dnn->found &&
        (dnn->cudnnCreate(&dnn->handle) != CUDNN_STATUS_SUCCESS ||
         dnn->cudnnSetStream(dnn->handle, static_cast<cudaStream_t>(stream.handle())) !=
             CUDNN_STATUS_SUCCESS)) {
      dnn->found = false;
    }
    return dnn->found ? dnn : nullptr;
  }
  bool found = false;
};

// A convolution as cuDNN describes it. ok: it took the description, and finds the same output.
class Description {
 public:
  Description(const Dnn& dnn, const Plane& p, DType type, bool tf32) : dnn_(dnn) {
    const cudnnDataType_t data = type == DType::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
    int n = 0, k = 0, h = 0, w = 0;
    ok = good(dnn.cudnnCreateTensorDescriptor(&x)) && good(dnn.cudnnCreateTensorDescriptor(&y)) &&
         good(dnn.cudnnCreateFilterDescriptor(&filter)) &&
         good(dnn.cudnnCreateConvolutionDescriptor(&convolution)) &&
         describe_tensor(x, data, p.n, p.c, p.h, p.w, p.x_pitch) &&
         describe_tensor(y, data, p.n, p.k, p.out_h, p.out_w, p.y_pitch) &&
         good(dnn.cudnnSetFilter4dDescriptor(filter, data, CUDNN_TENSOR_NHWC, p.k, p.c, p.kernel[0],
                                             p.kernel[1])) &&
         good(dnn.cudnnSetConvolution2dDescriptor(convolution, p.padding[0], p.padding[1], p.stride[0],
                                                  p.stride[1], 1, 1, CUDNN_CROSS_CORRELATION,
                                                  CUDNN_DATA_FLOAT)) &&
         good(dnn.cudnnSetConvolutionMathType(
             convolution,
             type == DType::bf16 ? CUDNN_TENSOR_OP_MATH : (tf32 ? CUDNN_DEFAULT_MATH : CUDNN_FMA_MATH))) &&
         good(dnn.cudnnGetConvolution2dForwardOutputDim(convolution, x, filter, &n, &k, &h, &w)) &&
         n == p.n && k == p.k && h == p.out_h && w == p.out_w;
  }
  ~Description() {
    if (x != nullptr) dnn_.cudnnDestroyTensorDescriptor(x);
    if (y != nullptr) dnn_.cudnnDestroyTensorDescriptor(y);
    if (filter != nullptr) dnn_.cudnnDestroyFilterDescriptor(filter);
    if (convolution != nullptr) dnn_.cudnnDestroyConvolutionDescriptor(convolution);
  }
  Description(const Description&) = delete;
  Description& operator=(const Description&) = delete;

  bool ok = false;
  cudnnTensorDescriptor_t x = nullptr, y = nullptr;
  cudnnFilterDescriptor_t filter = nullptr;
  cudnnConvolutionDescriptor_t convolution = nullptr;

 private:
  static bool good(cudnnStatus_t status) { return status == CUDNN_STATUS_SUCCESS; }
  bool describe_tensor(cudnnTensorDescriptor_t to, cudnnDataType_t data, int n, int c, int h, int w,
                       int pitch) const {
    return good(dnn_.cudnnSetTensor4dDescriptorEx(to, data, n, c, h, w, h * w * pitch, 1, w * pitch, pitch));
  }
  const Dnn& dnn_;
};

// The first algorithm that gives the same bits each time, within the workspace. find(count, returned,
// results) asks the library.
template <class Performance, class Find>
std::optional<Performance> choose(Find find) {
  std::array<Performance, 8> results{};
  int count = 0;
  if (find(static_cast<int>(results.size()), &count, results.data()) != CUDNN_STATUS_SUCCESS)
    return std::nullopt;
  for (int i = 0; i < count; ++i) {
    const Performance& r = results[static_cast<std::size_t>(i)];
    if (r.status == CUDNN_STATUS_SUCCESS && r.determinism == CUDNN_DETERMINISTIC &&
        r.memory <= kMostWorkspace)
      return r;
  }
  return std::nullopt;
}

void expect(cudnnStatus_t status, const char* what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  throw CudaError(CudaError::Kind::failed,
                  std::string("CUDA: ") + what + ": status " + std::to_string(static_cast<int>(status)));
}

// A thread an element of the filter [k][taps][c], zeros in the padding, from or to dense weights
// [K][C][taps].
template <class From, class To, bool kToDense>
__global__ void __launch_bounds__(256)
    vendor_filter_kernel(const From* __restrict__ from, To* __restrict__ to, int outputs, int channels,
                         int taps, int c_count, std::int64_t count) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * 256 + threadIdx.x;
  if (i >= count) return;
  const int c = static_cast<int>(i % c_count), tap = static_cast<int>(i / c_count % taps);
  const std::int64_t k = i / c_count / taps;
  const bool inside = k < outputs && c < channels;
  const std::int64_t dense = (k * channels + c) * taps + tap;
  if constexpr (kToDense) {
    if (inside) to[dense] = from_f32<To>(to_f32(from[i]));
  } else {
    to[i] = from_f32<To>(inside ? to_f32(from[dense]) : 0.0f);
  }
}

std::int64_t filter_count(const Plane& p) { return std::int64_t{p.k} * p.taps() * p.c; }

void* filter_memory(CudaStream& stream, const Plane& p, DType type) {
  return stream.workspace(kWeights, static_cast<std::size_t>(filter_count(p) * size_of(type)));
}

template <bool kToDense, class From, class To>
void launch_filter(CudaStream& stream, const Plane& p, const Shape& w, const From* from, To* to) {
  launch(stream, "vendor_filter_kernel", vendor_filter_kernel<From, To, kToDense>,
         dim3(static_cast<unsigned>(ceil_div(filter_count(p), 256))), 256, 0, from, to, w[0], w[1], p.taps(),
         p.c, filter_count(p));
}

const void* pack_filter(CudaStream& stream, const Plane& p, const ConstView& w, DType type) {
  void* filter = filter_memory(stream, p, type);
  with_elem(w.dtype, [&](auto from) {
    with_elem(type, [&](auto to) {
      launch_filter<false>(stream, p, w.shape, data<decltype(from)>(w), static_cast<decltype(to)*>(filter));
    });
  });
  return filter;
}

bool is_plain(const Conv3dForward& args) {
  const Epilogue& e = args.epilogue;
  return args.input.scale == nullptr && e.bias == nullptr && e.activation == Activation::none &&
         e.dropout.p == 0 && !e.residual && !e.relu;
}

constexpr float kOne = 1, kZero = 0;

}  // namespace

bool vendor_conv3d_forward(const Conv3dForward& args, CudaStream& stream) {
  const std::optional<Plane> p = as_plane(args.x, args.y, args.geometry);
  Dnn* dnn = p && is_plain(args) ? Dnn::of(stream) : nullptr;
  if (dnn == nullptr) return false;
  const Description d(*dnn, *p, args.x.dtype, stream.tf32());
  if (!d.ok) return false;
  const auto algorithm = choose<cudnnConvolutionFwdAlgoPerf_t>([&](int most, int* count, auto* results) {
    return dnn->cudnnGetConvolutionForwardAlgorithm_v7(dnn->handle, d.x, d.filter, d.convolution, d.y, most,
                                                       count, results);
  });
  if (!algorithm) return false;
  const void* w = pack_filter(stream, *p, args.w, args.x.dtype);
  expect(dnn->cudnnConvolutionForward(dnn->handle, &kOne, d.x, args.x.data, d.filter, w, d.convolution,
                                      algorithm->algo, stream.workspace(kPartial, algorithm->memory),
                                      algorithm->memory, &kZero, d.y, args.y.data),
         "cudnnConvolutionForward");
  stream.launched("cudnnConvolutionForward");
  if (args.statistics.mean != nullptr) batch_norm_statistics({args.y, args.statistics}, stream);
  return true;
}

bool vendor_conv3d_backward_data(const Conv3dBackwardData& args, CudaStream& stream) {
  const std::optional<Plane> p = as_plane(args.dx, args.dy, args.geometry);
  Dnn* dnn = p ? Dnn::of(stream) : nullptr;
  if (dnn == nullptr) return false;
  const Description d(*dnn, *p, args.dy.dtype, stream.tf32());
  if (!d.ok) return false;
  const auto algorithm = choose<cudnnConvolutionBwdDataAlgoPerf_t>([&](int most, int* count, auto* results) {
    return dnn->cudnnGetConvolutionBackwardDataAlgorithm_v7(dnn->handle, d.filter, d.y, d.convolution, d.x,
                                                            most, count, results);
  });
  if (!algorithm) return false;
  const void* w = pack_filter(stream, *p, args.w, args.dy.dtype);
  expect(dnn->cudnnConvolutionBackwardData(dnn->handle, &kOne, d.filter, w, d.y, args.dy.data, d.convolution,
                                           algorithm->algo, stream.workspace(kPartial, algorithm->memory),
                                           algorithm->memory, &kZero, d.x, args.dx.data),
         "cudnnConvolutionBackwardData");
  stream.launched("cudnnConvolutionBackwardData");
  return true;
}

bool vendor_conv3d_backward_weight(const Conv3dBackwardWeight& args, CudaStream& stream) {
  const std::optional<Plane> p = as_plane(args.x, args.dy, args.geometry);
  Dnn* dnn = p ? Dnn::of(stream) : nullptr;
  if (dnn == nullptr) return false;
  const DType type = args.x.dtype;
  const Description d(*dnn, *p, type, stream.tf32());
  if (!d.ok) return false;
  const auto algorithm =
      choose<cudnnConvolutionBwdFilterAlgoPerf_t>([&](int most, int* count, auto* results) {
        return dnn->cudnnGetConvolutionBackwardFilterAlgorithm_v7(dnn->handle, d.x, d.y, d.convolution,
                                                                  d.filter, most, count, results);
      });
  if (!algorithm) return false;
  // With bf16 tensors cuDNN gives the filter's gradient in bf16: rounded once more than ours.
  void* filter = filter_memory(stream, *p, type);
  expect(dnn->cudnnConvolutionBackwardFilter(
             dnn->handle, &kOne, d.x, args.x.data, d.y, args.dy.data, d.convolution, algorithm->algo,
             stream.workspace(kPartial, algorithm->memory), algorithm->memory, &kZero, d.filter, filter),
         "cudnnConvolutionBackwardFilter");
  stream.launched("cudnnConvolutionBackwardFilter");
  with_elem(type, [&](auto elem) {
    launch_filter<true>(stream, *p, args.dw.shape, static_cast<const decltype(elem)*>(filter), args.dw.f32());
  });
  return true;
}

std::optional<bool> vendor_describes(const ConstView& x, const ConstView& y, const Conv3dGeometry& geometry) {
  const std::optional<Plane> p = as_plane(x, y, geometry);
  const Dnn dnn;
  if (!p || !dnn.found) return std::nullopt;
  return Description(dnn, *p, x.dtype, false).ok;
}

}  // namespace mg::cuda
