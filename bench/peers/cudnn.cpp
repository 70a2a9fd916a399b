// cuDNN: convolutions by the fastest algorithm that it finds itself, BatchNorm in training. A spatial
// convolution is one in two dimensions over all frames, a temporal one over (frames, pixels): these are its
// fastest paths. Its descriptors are checked against ours without a GPU; the calls that compute have never
// run.
#include <cudnn.h>

#include "bench/peers/libraries.h"

namespace mg {

namespace {

void check(cudnnStatus_t status, const char* what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  throw CudaError(CudaError::Kind::failed,
                  std::string("cuDNN: ") + what + ": " + cudnnGetErrorString(status));
}

// A handle or descriptor that goes with its owner.
template <class T, cudnnStatus_t (*create)(T*), cudnnStatus_t (*destroy)(T)>
class Owned {
 public:
  Owned() { check(create(&value_), "create"); }
  ~Owned() { destroy(value_); }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  operator T() const { return value_; }

 private:
  T value_ = nullptr;
};
using Handle = Owned<cudnnHandle_t, cudnnCreate, cudnnDestroy>;
using TensorDescriptor =
    Owned<cudnnTensorDescriptor_t, cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor>;
using FilterDescriptor =
    Owned<cudnnFilterDescriptor_t, cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor>;
using ConvDescriptor =
    Owned<cudnnConvolutionDescriptor_t, cudnnCreateConvolutionDescriptor, cudnnDestroyConvolutionDescriptor>;

// A convolution as cuDNN sees it: N C and two or three extents.
struct Problem {
  std::vector<int> x, w, y, padding, stride;
};

Problem problem_of(const ConvLayer& layer) {
  const Conv3dGeometry& g = layer.geometry;
  const Shape y = layer.y();
  const auto at = [](const Shape& s, int i) { return static_cast<int>(s[i]); };
  const int k = static_cast<int>(layer.outputs), c = at(layer.x, 4);
  if (g.kernel[0] == 1 && g.stride[0] == 1) {
    const int frames = at(layer.x, 0) * at(layer.x, 1);
    return {{frames, c, at(layer.x, 2), at(layer.x, 3)},
            {k, c, g.kernel[1], g.kernel[2]},
            {frames, k, at(y, 2), at(y, 3)},
            {g.padding[1], g.padding[2]},
            {g.stride[1], g.stride[2]}};
  }
  if (g.kernel[1] == 1 && g.kernel[2] == 1 && g.stride[1] == 1 && g.stride[2] == 1) {
    return {{at(layer.x, 0), c, at(layer.x, 1), at(layer.x, 2) * at(layer.x, 3)},
            {k, c, g.kernel[0], 1},
            {at(y, 0), k, at(y, 1), at(y, 2) * at(y, 3)},
            {g.padding[0], 0},
            {g.stride[0], 1}};
  }
  return {{at(layer.x, 0), c, at(layer.x, 1), at(layer.x, 2), at(layer.x, 3)},
          {k, c, g.kernel[0], g.kernel[1], g.kernel[2]},
          {at(y, 0), k, at(y, 1), at(y, 2), at(y, 3)},
          {g.padding[0], g.padding[1], g.padding[2]},
          {g.stride[0], g.stride[1], g.stride[2]}};
}

cudnnDataType_t type_of(const Bench& bench) {
  return bench.dtype == DType::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
}

// Channels last, without padding between rows.
void describe(const TensorDescriptor& descriptor, cudnnDataType_t type, const std::vector<int>& dims) {
  std::vector<int> strides(dims.size());
  strides[1] = 1;
  int stride = dims[1];
  for (std::size_t i = dims.size() - 1; i >= 2; --i) {
    strides[i] = stride;
    stride *= dims[i];
  }
  strides[0] = stride;
  check(cudnnSetTensorNdDescriptor(descriptor, type, static_cast<int>(dims.size()), dims.data(),
                                   strides.data()),
        "tensor");
}

struct ConvDescriptors {
  TensorDescriptor x, y;
  FilterDescriptor w;
  ConvDescriptor convolution;

  ConvDescriptors(const Problem& p, cudnnDataType_t type, bool tensor_cores) {
    describe(x, type, p.x);
    describe(y, type, p.y);
    check(cudnnSetFilterNdDescriptor(w, type, CUDNN_TENSOR_NHWC, static_cast<int>(p.w.size()), p.w.data()),
          "filter");
    const std::vector<int> dilation(p.padding.size(), 1);
    check(cudnnSetConvolutionNdDescriptor(convolution, static_cast<int>(p.padding.size()), p.padding.data(),
                                          p.stride.data(), dilation.data(), CUDNN_CROSS_CORRELATION,
                                          CUDNN_DATA_FLOAT),
          "convolution");
    check(cudnnSetConvolutionMathType(convolution, tensor_cores ? CUDNN_TENSOR_OP_MATH : CUDNN_FMA_MATH),
          "math type");
    std::vector<int> found(p.y.size());
    check(cudnnGetConvolutionNdForwardOutputDim(convolution, x, w, static_cast<int>(found.size()),
                                                found.data()),
          "output shape");
    if (found != p.y) throw CudaError(CudaError::Kind::failed, "cuDNN: another output shape than ours");
  }
};

std::int64_t product(const std::vector<int>& dims) {
  std::int64_t count = 1;
  for (int d : dims) count *= d;
  return count;
}

class Convolution {
 public:
  Convolution(Bench& bench, const ConvLayer& layer, Direction direction)
      : direction_(direction),
        problem_(problem_of(layer)),
        d_(problem_, type_of(bench), bench.dtype == DType::bf16 || std::get<CudaStream>(bench.stream).tf32()),
        x_(array(bench, problem_.x)),
        w_(array(bench, problem_.w)),
        y_(array(bench, problem_.y)) {
    check(cudnnSetStream(handle_, static_cast<cudaStream_t>(std::get<CudaStream>(bench.stream).handle())),
          "stream");
    int found = 0;
    std::size_t bytes = 0;
    if (direction_ == Direction::forward) {
      cudnnConvolutionFwdAlgoPerf_t best{};
      check(cudnnFindConvolutionForwardAlgorithm(handle_, d_.x, d_.w, d_.convolution, d_.y, 1, &found, &best),
            "find");
      check(best.status, "best algorithm");
      algorithm_ = best.algo, bytes = best.memory;
    } else if (direction_ == Direction::backward_data) {
      cudnnConvolutionBwdDataAlgoPerf_t best{};
      check(cudnnFindConvolutionBackwardDataAlgorithm(handle_, d_.w, d_.y, d_.convolution, d_.x, 1, &found,
                                                      &best),
            "find");
      check(best.status, "best algorithm");
      algorithm_ = best.algo, bytes = best.memory;
    } else {
      cudnnConvolutionBwdFilterAlgoPerf_t best{};
      check(cudnnFindConvolutionBackwardFilterAlgorithm(handle_, d_.x, d_.y, d_.convolution, d_.w, 1, &found,
                                                        &best),
            "find");
      check(best.status, "best algorithm");
      algorithm_ = best.algo, bytes = best.memory;
    }
    workspace_bytes_ = bytes;
    workspace_.push_back(parameter(bench, {static_cast<std::int64_t>(bytes / 4 + 1)}, Array::Fill::zeros));
  }

  void run() {
    const float one = 1, zero = 0;
    void *x = x_.as<void>(), *w = w_.as<void>(), *y = y_.as<void>(), *workspace = workspace_[0].as<void>();
    if (direction_ == Direction::forward) {
      check(cudnnConvolutionForward(handle_, &one, d_.x, x, d_.w, w, d_.convolution,
                                    static_cast<cudnnConvolutionFwdAlgo_t>(algorithm_), workspace,
                                    workspace_bytes_, &zero, d_.y, y),
            "forward");
    } else if (direction_ == Direction::backward_data) {
      check(cudnnConvolutionBackwardData(handle_, &one, d_.w, w, d_.y, y, d_.convolution,
                                         static_cast<cudnnConvolutionBwdDataAlgo_t>(algorithm_), workspace,
                                         workspace_bytes_, &zero, d_.x, x),
            "backward data");
    } else {
      check(cudnnConvolutionBackwardFilter(handle_, &one, d_.x, x, d_.y, y, d_.convolution,
                                           static_cast<cudnnConvolutionBwdFilterAlgo_t>(algorithm_),
                                           workspace, workspace_bytes_, &zero, d_.w, w),
            "backward filter");
    }
  }

 private:
  static Array array(Bench& bench, const std::vector<int>& dims) {
    const std::int64_t count = product(dims);
    return {bench, {count / dims[1], dims[1]}, bench.dtype, dims[1], Array::Fill::random};
  }

  Direction direction_;
  Problem problem_;
  Handle handle_;
  ConvDescriptors d_;
  Array x_, w_, y_;
  std::vector<Array> workspace_;
  std::size_t workspace_bytes_ = 0;
  int algorithm_ = 0;
};

class BatchNorm {
 public:
  BatchNorm(Bench& bench, std::int64_t rows, std::int64_t channels)
      : x_(array(bench, rows, channels)),
        y_(array(bench, rows, channels)),
        dx_(array(bench, rows, channels)) {
    const std::vector<int> dims{1, static_cast<int>(channels), static_cast<int>(rows), 1};
    describe(rows_, type_of(bench), dims);
    check(cudnnDeriveBNTensorDescriptor(vector_, rows_, kMode), "vector");
    check(cudnnSetStream(handle_, static_cast<cudaStream_t>(std::get<CudaStream>(bench.stream).handle())),
          "stream");
    for (int i = 0; i < 8; ++i) vectors_.push_back(parameter(bench, {channels}, Array::Fill::ones));
  }
  void forward() {
    const float one = 1, zero = 0;
    check(cudnnBatchNormalizationForwardTraining(handle_, kMode, &one, &zero, rows_, x_.as<void>(), rows_,
                                                 y_.as<void>(), vector_, v(0), v(1), 0.1, v(2), v(3), 1e-5,
                                                 v(4), v(5)),
          "BatchNorm");
  }
  void backward() {
    const float one = 1, zero = 0;
    check(cudnnBatchNormalizationBackward(handle_, kMode, &one, &zero, &one, &zero, rows_, x_.as<void>(),
                                          rows_, y_.as<void>(), rows_, dx_.as<void>(), vector_, v(0), v(6),
                                          v(7), 1e-5, v(4), v(5)),
          "BatchNorm backward");
  }

 private:
  static constexpr auto kMode = CUDNN_BATCHNORM_SPATIAL_PERSISTENT;
  static Array array(Bench& bench, std::int64_t rows, std::int64_t channels) {
    return {bench, {rows, channels}, bench.dtype, channels, Array::Fill::random};
  }
  void* v(std::size_t i) const { return vectors_[i].f32(); }

  Handle handle_;
  TensorDescriptor rows_, vector_;
  Array x_, y_, dx_;
  std::vector<Array> vectors_;
};

}  // namespace

static Peer cudnn_conv(Bench& bench, const ConvLayer& layer, Direction direction) {
  if (bench.counting) {  // no GPU that cuDNN could use: see that it takes our shapes
    const ConvDescriptors checked(problem_of(layer), type_of(bench), true);
    return {};
  }
  auto convolution = std::make_shared<Convolution>(bench, layer, direction);
  return {"cuDNN", [convolution] { convolution->run(); }};
}

static Peer cudnn_batch_norm(Bench& bench, std::int64_t rows, std::int64_t channels, Direction direction) {
  if (bench.counting) return {};
  auto norm = std::make_shared<BatchNorm>(bench, rows, channels);
  if (direction == Direction::forward) return {"cuDNN with statistics", [norm] { norm->forward(); }};
  return {"cuDNN", [norm] { norm->backward(); }};
}

extern "C" void mg_add_peers(CudaPeers& peers) {
  peers.conv = cudnn_conv;
  peers.attention = cudnn_attention;
  peers.batch_norm = cudnn_batch_norm;
}

}  // namespace mg
