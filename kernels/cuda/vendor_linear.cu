// Linear layers by cuBLASLt. Our rows of channels at a pitch are its columns: y [R][K] row by row is y^T [K x
// R] column by column. The library is opened when it is first asked for, so that programs run without it.
#include <cublasLt.h>
#include <dlfcn.h>

#include <array>
#include <map>
#include <optional>

#include "kernels/cuda/gather_matmul.cuh"
#include "kernels/cuda/vendor.h"

namespace mg::cuda {

namespace {

constexpr std::size_t kLtWorkspace = std::size_t{32} << 20;

// One product: d [m x n] = op(a) * op(b), all column by column, fp32 sums.
struct Product {
  std::int64_t m, n, k;
  const void *a, *b;
  void* d;
  bool transpose_a = false, transpose_b = false;
  std::int64_t a_pitch, b_pitch, d_pitch;
  DType type, d_type;  // of a and b, and of d
};

cudaDataType_t data_type(DType type) { return type == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F; }

// The functions of the library, its handle, and the algorithms it chose for products it has seen.
class Lt {
 public:
  // The one of this stream, or null: the library is not there.
  static Lt* of(CudaStream& stream) {
    std::shared_ptr<void>& kept = stream.library(0);
    if (!kept) kept = std::make_shared<Lt>();
    auto* lt = static_cast<Lt*>(kept.get());
    return lt->handle_ != nullptr ? lt : nullptr;
  }
  Lt() {
    library_ = dlopen(("libcublasLt.so." + std::to_string(CUBLAS_VER_MAJOR)).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library_ == nullptr) return;
    const bool complete = find(create_, "cublasLtCreate") && find(destroy_, "cublasLtDestroy") &&
                          find(matmul_, "cublasLtMatmul") &&
                          find(heuristic_, "cublasLtMatmulAlgoGetHeuristic") &&
                          find(desc_init_, "cublasLtMatmulDescInit_internal") &&
                          find(desc_set_, "cublasLtMatmulDescSetAttribute") &&
                          find(layout_init_, "cublasLtMatrixLayoutInit_internal") &&
                          find(preference_init_, "cublasLtMatmulPreferenceInit_internal") &&
                          find(preference_set_, "cublasLtMatmulPreferenceSetAttribute");
    if (!complete || create_(&handle_) != CUBLAS_STATUS_SUCCESS) handle_ = nullptr;
  }
  ~Lt() {
    if (handle_ != nullptr) destroy_(handle_);
    if (library_ != nullptr) dlclose(library_);
  }
  Lt(const Lt&) = delete;
  Lt& operator=(const Lt&) = delete;

  // Whether the library could do it.
  bool multiply(CudaStream& stream, const Product& p) {
    cublasLtMatmulDescOpaque_t desc;
    cublasLtMatrixLayoutOpaque_t a, b, d;
    const bool tf32 = p.type == DType::f32 && stream.tf32();
    if (!describe(p, tf32, desc, a, b, d)) return false;
    const std::optional<cublasLtMatmulAlgo_t> algorithm = choose(p, tf32, desc, a, b, d);
    if (!algorithm) return false;
    const float one = 1, zero = 0;
    void* workspace = stream.workspace(kBiasPartial, kLtWorkspace);
    const cublasStatus_t status =
        matmul_(handle_, &desc, &one, p.a, &a, p.b, &b, &zero, p.d, &d, p.d, &d, &*algorithm, workspace,
                kLtWorkspace, static_cast<cudaStream_t>(stream.handle()));
    if (status != CUBLAS_STATUS_SUCCESS) {
      throw CudaError(CudaError::Kind::failed,
                      "CUDA: cublasLtMatmul: status " + std::to_string(static_cast<int>(status)));
    }
    stream.launched("cublasLtMatmul");
    return true;
  }

 private:
  template <class F>
  bool find(F& function, const char* name) {
    function = reinterpret_cast<F>(dlsym(library_, name));
    return function != nullptr;
  }
  bool describe(const Product& p, bool tf32, cublasLtMatmulDescOpaque_t& desc,
                cublasLtMatrixLayoutOpaque_t& a, cublasLtMatrixLayoutOpaque_t& b,
                cublasLtMatrixLayoutOpaque_t& d) const {
    auto layout = [this](cublasLtMatrixLayoutOpaque_t& to, DType type, std::int64_t rows,
                         std::int64_t columns, std::int64_t pitch) {
      return layout_init_(&to, sizeof to, data_type(type), static_cast<std::uint64_t>(rows),
                          static_cast<std::uint64_t>(columns), pitch) == CUBLAS_STATUS_SUCCESS;
    };
    const cublasOperation_t op_a = p.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasOperation_t op_b = p.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    return desc_init_(&desc, sizeof desc, tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F,
                      CUDA_R_32F) == CUBLAS_STATUS_SUCCESS &&
           desc_set_(&desc, CUBLASLT_MATMUL_DESC_TRANSA, &op_a, sizeof op_a) == CUBLAS_STATUS_SUCCESS &&
           desc_set_(&desc, CUBLASLT_MATMUL_DESC_TRANSB, &op_b, sizeof op_b) == CUBLAS_STATUS_SUCCESS &&
           layout(a, p.type, p.transpose_a ? p.k : p.m, p.transpose_a ? p.m : p.k, p.a_pitch) &&
           layout(b, p.type, p.transpose_b ? p.n : p.k, p.transpose_b ? p.k : p.n, p.b_pitch) &&
           layout(d, p.d_type, p.m, p.n, p.d_pitch);
  }
  std::optional<cublasLtMatmulAlgo_t> choose(const Product& p, bool tf32, cublasLtMatmulDescOpaque_t& desc,
                                             cublasLtMatrixLayoutOpaque_t& a, cublasLtMatrixLayoutOpaque_t& b,
                                             cublasLtMatrixLayoutOpaque_t& d) {
    // The algorithm may depend on how pointers are aligned.
    auto aligned = [](const void* q) {
      return static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(q) & 15);
    };
    const std::array<std::int64_t, 13> key{
        p.m,           p.n,           p.k,
        p.a_pitch,     p.b_pitch,     p.d_pitch,
        p.transpose_a, p.transpose_b, static_cast<int>(p.type) + 16 * static_cast<int>(p.d_type),
        tf32,          aligned(p.a),  aligned(p.b),
        aligned(p.d)};
    const auto known = algorithms_.find(key);
    if (known != algorithms_.end()) return known->second;
    cublasLtMatmulPreferenceOpaque_t preference;
    cublasLtMatmulHeuristicResult_t result{};
    int found = 0;
    std::optional<cublasLtMatmulAlgo_t> algorithm;
    if (preference_init_(&preference, sizeof preference) == CUBLAS_STATUS_SUCCESS &&
        preference_set_(&preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &kLtWorkspace,
                        sizeof kLtWorkspace) == CUBLAS_STATUS_SUCCESS &&
        set_alignments(preference, p) &&
        heuristic_(handle_, &desc, &a, &b, &d, &d, &preference, 1, &result, &found) ==
            CUBLAS_STATUS_SUCCESS &&
        found > 0 && result.state == CUBLAS_STATUS_SUCCESS) {
      algorithm = result.algo;
    }
    algorithms_.emplace(key, algorithm);
    return algorithm;
  }
  // What a heuristic takes for granted is 256 bytes.
  bool set_alignments(cublasLtMatmulPreferenceOpaque_t& preference, const Product& p) const {
    auto set = [&](cublasLtMatmulPreferenceAttributes_t which, const void* q) {
      std::uint32_t bytes = 256;
      while (reinterpret_cast<std::uintptr_t>(q) % bytes != 0) bytes /= 2;
      return preference_set_(&preference, which, &bytes, sizeof bytes) == CUBLAS_STATUS_SUCCESS;
    };
    return set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, p.a) &&
           set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, p.b) &&
           set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, p.d) &&
           set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, p.d);
  }

  void* library_ = nullptr;
  cublasLtHandle_t handle_ = nullptr;
  decltype(&cublasLtCreate) create_ = nullptr;
  decltype(&cublasLtDestroy) destroy_ = nullptr;
  decltype(&cublasLtMatmul) matmul_ = nullptr;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic_ = nullptr;
  decltype(&cublasLtMatmulDescInit_internal) desc_init_ = nullptr;
  decltype(&cublasLtMatmulDescSetAttribute) desc_set_ = nullptr;
  decltype(&cublasLtMatrixLayoutInit_internal) layout_init_ = nullptr;
  decltype(&cublasLtMatmulPreferenceInit_internal) preference_init_ = nullptr;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set_ = nullptr;
  std::map<std::array<std::int64_t, 13>, std::optional<cublasLtMatmulAlgo_t>> algorithms_;
};

// A thread finishes a quad of a row. results: [rows][pitch], fp32.
template <class Elem>
__global__ void __launch_bounds__(256)
    vendor_epilogue_kernel(const float* __restrict__ results, int pitch, std::int64_t quads,
                           const __grid_constant__ TileOutput<Elem> out) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * 256 + threadIdx.x;
  if (i >= quads) return;
  const auto row = static_cast<int>(i / (pitch / 4));
  const int n = static_cast<int>(i - static_cast<std::int64_t>(row) * (pitch / 4)) * 4;
  if (n >= out.columns) return;
  const int count = max(0, min(4, out.channels - n));
  const float4 raw = *reinterpret_cast<const float4*>(results + i * 4);
  float v[4] = {raw.x, raw.y, raw.z, raw.w}, bias[4];
#pragma unroll
  for (int j = 0; j < 4; ++j) bias[j] = out.bias != nullptr && j < count ? out.bias[n + j] : 0.0f;
  finish_quad(out, v, bias, row, n, count);
  store_quad(out.y + static_cast<std::int64_t>(row) * out.pitch + n, v, out.vectors, min(4, out.columns - n));
}

bool has_epilogue(const LinearForward& args) {
  const Epilogue& e = args.epilogue;
  return e.bias != nullptr || e.activation != Activation::none || e.dropout.p > 0 || e.residual || e.relu ||
         args.pre_activation;
}

// Channels and the padding that is written as zeros: the packed weights have zeros there.
std::int64_t padded_columns(const ConstView& view) {
  return std::min(view.pitch, round_up(view.channels(), kChannelAlign));
}

// [C padded][K padded], in the element type of the product.
PackedShape pack_shape(const ConstView& w) {
  PackedShape s = packed_shape(w.shape, static_cast<int>(round_up(w.shape[1], kChannelAlign)),
                               static_cast<int>(kChannelAlign));
  return s;
}

}  // namespace

bool vendor_linear_forward(const LinearForward& args, CudaStream& stream) {
  Lt* lt = Lt::of(stream);
  if (lt == nullptr || args.y.rows() == 0) return false;
  const DType type = args.x.dtype;
  const PackedShape shape = pack_shape(args.w);
  const void* w = pack_weights(stream, args.w, shape, type);
  Product p{.m = padded_columns(args.y),
            .n = args.x.rows(),
            .k = args.x.channels(),
            .a = w,
            .b = args.x.data,
            .d = args.y.data,
            .a_pitch = shape.output_pitch,
            .b_pitch = args.x.pitch,
            .d_pitch = args.y.pitch,
            .type = type,
            .d_type = type};
  if (!has_epilogue(args)) return lt->multiply(stream, p);
  p.m = p.d_pitch = shape.output_pitch;
  p.d_type = DType::f32;
  p.d = stream.workspace(kPartial, static_cast<std::size_t>(p.m * p.n) * sizeof(float));
  if (!lt->multiply(stream, p)) return false;
  with_elem(type, [&](auto elem) {
    using Elem = decltype(elem);
    const std::int64_t quads = p.m * p.n / 4;
    launch(stream, "vendor_epilogue_kernel", vendor_epilogue_kernel<Elem>,
           dim3(static_cast<unsigned>(ceil_div(quads, 256))), 256, 0, static_cast<const float*>(p.d),
           p.d_pitch, quads, tile_output<Elem>(args.y, args.epilogue, args.pre_activation));
  });
  return true;
}

bool vendor_linear_backward_data(const LinearBackwardData& args, CudaStream& stream) {
  Lt* lt = Lt::of(stream);
  if (lt == nullptr || args.dx.rows() == 0) return false;
  const PackedShape shape = pack_shape(args.w);
  const void* w = pack_weights(stream, args.w, shape, args.dy.dtype);
  return lt->multiply(stream, {.m = padded_columns(args.dx),
                               .n = args.dy.rows(),
                               .k = args.dy.channels(),
                               .a = w,
                               .b = args.dy.data,
                               .d = args.dx.data,
                               .transpose_a = true,
                               .a_pitch = shape.output_pitch,
                               .b_pitch = args.dy.pitch,
                               .d_pitch = args.dx.pitch,
                               .type = args.dy.dtype,
                               .d_type = args.dx.dtype});
}

bool vendor_linear_backward_weight(const LinearBackwardWeight& args, CudaStream& stream) {
  Lt* lt = Lt::of(stream);
  if (lt == nullptr || args.x.rows() == 0) return false;
  return lt->multiply(stream, {.m = args.x.channels(),
                               .n = args.dy.channels(),
                               .k = args.x.rows(),
                               .a = args.x.data,
                               .b = args.dy.data,
                               .d = args.dw.data,
                               .transpose_b = true,
                               .a_pitch = args.x.pitch,
                               .b_pitch = args.dy.pitch,
                               .d_pitch = args.dw.pitch,
                               .type = args.x.dtype,
                               .d_type = DType::f32});
}

}  // namespace mg::cuda
