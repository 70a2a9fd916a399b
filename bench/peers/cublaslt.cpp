// cuBLASLt: the matrix products of a linear layer, in its row order, by its first heuristic.
#include <cublasLt.h>

#include "bench/peers/libraries.h"

namespace mg {

namespace {

void check(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw CudaError(CudaError::Kind::failed,
                  std::string("cuBLASLt: ") + what + ": status " + std::to_string(status));
}

struct Matrix {
  Array memory;
  std::int64_t rows, columns;
  cudaDataType_t type;
};

constexpr std::size_t kWorkspace = std::size_t{32} << 20;

// c = op(a) op(b); the library thinks in columns, so that it is given the transposed product.
class Product {
 public:
  Product(Bench& bench, Matrix a, bool transpose_a, Matrix b, bool transpose_b, Matrix c)
      : stream_(std::get<CudaStream>(bench.stream)),
        a_(std::move(a)),
        b_(std::move(b)),
        c_(std::move(c)),
        workspace_(parameter(bench, {static_cast<std::int64_t>(kWorkspace / 4)}, Array::Fill::zeros)) {
    check(cublasLtCreate(&handle_), "create");
    const auto compute =
        a_.type == CUDA_R_32F && stream_.tf32() ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    check(cublasLtMatmulDescCreate(&product_, compute, CUDA_R_32F), "describe");
    set(CUBLASLT_MATMUL_DESC_TRANSA, transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_TRANSB, transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
    describe(&left_, b_);
    describe(&right_, a_);
    describe(&out_, c_);
    cublasLtMatmulPreference_t preference = nullptr;
    check(cublasLtMatmulPreferenceCreate(&preference), "preference");
    const std::size_t most = kWorkspace;
    check(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most,
                                               sizeof most),
          "workspace");
    int found = 0;
    const auto status = cublasLtMatmulAlgoGetHeuristic(handle_, product_, left_, right_, out_, out_,
                                                       preference, 1, &heuristic_, &found);
    cublasLtMatmulPreferenceDestroy(preference);
    check(status, "heuristic");
    if (found == 0) throw CudaError(CudaError::Kind::failed, "cuBLASLt: no algorithm for this product");
  }
  ~Product() {
    for (cublasLtMatrixLayout_t layout : {left_, right_, out_}) cublasLtMatrixLayoutDestroy(layout);
    cublasLtMatmulDescDestroy(product_);
    cublasLtDestroy(handle_);
  }
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  void run() {
    const float one = 1, zero = 0;
    check(cublasLtMatmul(handle_, product_, &one, b_.memory.as<void>(), left_, a_.memory.as<void>(), right_,
                         &zero, c_.memory.as<void>(), out_, c_.memory.as<void>(), out_, &heuristic_.algo,
                         workspace_.as<void>(), kWorkspace, static_cast<cudaStream_t>(stream_.handle())),
          "matmul");
  }

 private:
  void set(cublasLtMatmulDescAttributes_t attribute, cublasOperation_t value) {
    check(cublasLtMatmulDescSetAttribute(product_, attribute, &value, sizeof value), "transposition");
  }
  static void describe(cublasLtMatrixLayout_t* layout, const Matrix& m) {
    check(cublasLtMatrixLayoutCreate(layout, m.type, static_cast<std::uint64_t>(m.columns),
                                     static_cast<std::uint64_t>(m.rows), m.columns),
          "layout");
  }

  CudaStream stream_;
  Matrix a_, b_, c_;
  Array workspace_;
  cublasLtHandle_t handle_ = nullptr;
  cublasLtMatmulDesc_t product_ = nullptr;
  cublasLtMatrixLayout_t left_ = nullptr, right_ = nullptr, out_ = nullptr;
  cublasLtMatmulHeuristicResult_t heuristic_{};
};

}  // namespace

static Peer cublaslt_linear(Bench& bench, std::int64_t rows, std::int64_t inputs, std::int64_t outputs,
                            Direction direction) {
  const auto matrix = [&](std::int64_t r, std::int64_t c, bool weight_gradient = false) {
    const bool f32 = bench.dtype == DType::f32 || weight_gradient;
    return Matrix{Array(bench, {r, c}, f32 ? DType::f32 : DType::bf16, c, Array::Fill::random), r, c,
                  f32 ? CUDA_R_32F : CUDA_R_16BF};
  };
  std::shared_ptr<Product> product;
  if (direction == Direction::forward) {  // y = x w^T
    product = std::make_shared<Product>(bench, matrix(rows, inputs), false, matrix(outputs, inputs), true,
                                        matrix(rows, outputs));
  } else if (direction == Direction::backward_data) {  // dx = dy w
    product = std::make_shared<Product>(bench, matrix(rows, outputs), false, matrix(outputs, inputs), false,
                                        matrix(rows, inputs));
  } else {  // dw = dy^T x
    product = std::make_shared<Product>(bench, matrix(rows, outputs), true, matrix(rows, inputs), false,
                                        matrix(outputs, inputs, true));
  }
  return {"cuBLASLt", [product] { product->run(); }};
}

extern "C" void mg_add_peers(CudaPeers& peers) { peers.linear = cublaslt_linear; }

}  // namespace mg
