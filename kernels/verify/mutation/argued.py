"""Mutants that no check can find, since they compute the same; each with the reason."""

_SCALAR = "loads or stores the same numbers one by one instead of four at once"
_PADDING = "the column more keeps threads off each other's banks; nothing is kept in it"
_ONE_MORE = "what is fetched behind the last step goes into the buffer that is not multiplied any more"
_ZERO = "differs in the sign of zero alone, and zeros of either sign are equal"

# (file, function, the line as it was, as it became): why nothing changes
EQUIVALENT: dict[tuple[str, str, str, str], str] = {
    (
        "conv2d/cuda/forward.cu",
        "filter4",
        "if (vectors && k < depth) return load4(to, filter + k);",
        "if (false) return load4(to, filter + k);",
    ): _SCALAR,
    (
        "conv2d/cuda/forward.cu",
        "store_finished",
        "if (vectors && left >= 4) return store4(out, sums);",
        "if (false) return store4(out, sums);",
    ): _SCALAR,
    (
        "conv2d/cuda/forward.cu",
        "implicit_gemm",
        "if (step + 1 < steps) fetch();",
        "if (step + 1 <= steps) fetch();",
    ): _ONE_MORE,
    (
        "conv2d/cuda/forward.cu",
        "implicit_gemm",
        "if (step + 1 < steps) {",
        "if (step + 1 <= steps) {",
    ): _ONE_MORE,
    (
        "conv2d/cuda/grad_weight.cu",
        "conv2d_grad_weight_tiled",
        "SHARED(real, windows, [TILED][TILED_STEP + 1]);",
        "SHARED(real, windows, [TILED][TILED_STEP + 0]);",
    ): _PADDING,
    (
        "conv2d/cuda/grad_weight.cu",
        "implicit_gemm",
        "bool grad_vectors = filters % 4 == 0 && aligned16(grad);",
        "bool grad_vectors = filters / 4 == 0 && aligned16(grad);",
    ): "true for fewer than 4 filters alone, of which no load takes four: " + _SCALAR,
    (
        "cuda/include/logistic.cuh",
        "logistic",
        "return (x < 0 ? e : 1) / (1 + e);",
        "return (x <= 0 ? e : 1) / (1 + e);",
    ): "at x = 0, where alone they differ, e is 1",
    (
        "cuda/include/update.cuh",
        "update_four",
        "if (i + 4 > count) {",
        "if (i + 4 >= count) {",
    ): _SCALAR,
    (
        "linear/linear.cu",
        "linear_tiled",
        "SHARED(real, a, [TILE][TILE + 1]);  // [m][k]",
        "SHARED(real, a, [TILE][TILE + 0]);  // [m][k]",
    ): _PADDING,
    (
        "relu/cuda_numba.py",
        "relu",
        "y[i] = x.dtype.type(0) if value < 0 else value",
        "y[i] = x.dtype.type(0) if value <= 0 else value",
    ): _ZERO,
    (
        "relu/relu.cu",
        "relu",
        "__device__ __forceinline__ real relu(real x) { return x <= 0 ? 0 : x; }  // a NaN is not <= 0",
        "__device__ __forceinline__ real relu(real x) { return x < 0 ? 0 : x; }  // a NaN is not <= 0",
    ): _ZERO,
}
