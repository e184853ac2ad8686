"""Mutants that no check can find, since they compute the same; each with the reason."""

_SCALAR = "loads or stores the same numbers one by one instead of four at once"
_PADDING = "the column more keeps threads off each other's banks; nothing is kept in it"
_ONE_MORE = "what is fetched behind the last step goes into the buffer that is not multiplied any more"
_NEVER = "true of no number of groups and of channels in each: " + _SCALAR
_PAIR = "stores the same numbers one by one instead of two at once"
_EVEN = (
    "`to` begins at a multiple of 8 bytes wherever rows and columns are even, as arrays and their parts do: " + _PAIR
)
_ZEROS = "both tiles hold zeros behind the depth, and their products add nothing"
_ONE = "quotient() asks a divisor of 1 for no multiplier, and there is none of 0: no block runs where an axis is empty"
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
        "conv2d/cuda/tensor_cores.cu",
        "conv2d_grad_input",
        "int group = blockIdx.z / parts, channels = g.C / g.groups, depth = g.R * g.S * (g.O / g.groups);",
        "int group = blockIdx.z / parts, channels = g.C / g.groups, depth = g.R * g.S * (g.O * g.groups);",
    ): "both operands hold zeros behind the last tap, and the parts share out all of a depth, whatever it is",
    (
        "conv2d/cuda/tensor_cores.cu",
        "conv2d_grad_weight",
        "bool vector = g.O % 4 == 0 && filters % 4 == 0 && aligned16(of_group);",
        "bool vector = g.O / 4 == 0 && filters % 4 == 0 && aligned16(of_group);",
    ): _NEVER,
    (
        "conv2d/cuda/tensor_cores.cu",
        "conv2d_grad_weight",
        "bool vector = g.O % 4 == 0 && filters % 4 == 0 && aligned16(of_group);",
        "bool vector = g.O % 4 != 0 && filters % 4 == 0 && aligned16(of_group);",
    ): _NEVER,
    (
        "conv2d/cuda_numba.py",
        "conv2d_tiled",
        "for k in range(min(TILE, depth - start)):",
        "for k in range(min(TILE, depth + start)):",
    ): _ZEROS,
    (
        "conv2d/cuda_numba.py",
        "conv2d_grad_input_tiled",
        "for k in range(min(TILE, depth - start)):",
        "for k in range(min(TILE, depth + start)):",
    ): _ZEROS,
    (
        "conv2d/cuda_numba.py",
        "conv2d_grad_weight_tiled",
        "for k in range(min(TILE, depth - start)):",
        "for k in range(min(TILE, depth + start)):",
    ): _ZEROS,
    (
        "cuda/include/conv.cuh",
        "load_up_to_4",
        "if (vectors && left >= 4) return load4(to, from);",
        "if (false) return load4(to, from);",
    ): _SCALAR,
    (
        "cuda/include/conv.cuh",
        "store_up_to_4",
        "if (vectors && left >= 4) return store4(to, from);",
        "if (false) return store4(to, from);",
    ): _SCALAR,
    (
        "cuda/include/divide.cuh",
        "Divisor",
        "if (d <= 1) return;",
        "if (d < 1) return;",
    ): _ONE,
    (
        "cuda/include/divide.cuh",
        "Divisor",
        "if (d <= 1) return;",
        "if (false) return;",
    ): _ONE,
    (
        "cuda/include/divide.cuh",
        "Divisor",
        "multiplier = static_cast<unsigned>(((1ull << (32 + shift)) + d - 1) / d);",
        "multiplier = static_cast<unsigned>(((1ull << (32 + shift)) + d - 0) / d);",
    ): "m is one larger for powers of two alone; then e = d, and x e < 2^31 d = 2^p still",
    (
        "cuda/include/elementwise.cuh",
        "place",
        "if (shape.n * shape.c * shape.h == 1) return {0, 0, 0, i, true};",
        "if (shape.n + shape.c * shape.h == 1) return {0, 0, 0, i, true};",
    ): "never true of an array that holds something, and the divisions that follow find the same place",
    (
        "cuda/include/gemm.cuh",
        "Rows",
        "pairs = (columns | pitch) % 2 == 0 && reinterpret_cast<unsigned long long>(to) % 8 == 0;",
        "pairs = (columns | pitch) % 2 == 0 && reinterpret_cast<unsigned long long>(to) % 8 != 0;",
    ): _EVEN,
    (
        "cuda/include/gemm.cuh",
        "Rows",
        "pairs = (columns | pitch) % 2 == 0 && reinterpret_cast<unsigned long long>(to) % 8 == 0;",
        "pairs = (columns | pitch) % 2 == 0 && reinterpret_cast<unsigned long long>(to) / 8 == 0;",
    ): _PAIR,
    (
        "cuda/include/gemm.cuh",
        "Rows",
        "return relu && sum < 0 ? 0.0f : sum;  // NaN stays",
        "return relu && sum <= 0 ? 0.0f : sum;  // NaN stays",
    ): _ZERO,
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
        "cuda/include/vector.cuh",
        "load4",
        "if (vectors) return load4(to, from);",
        "if (false) return load4(to, from);",
    ): _SCALAR,
    (
        "cuda/include/windows.cuh",
        "Windows",
        "vector = g.C % 4 == 0 && g.C / g.groups % 4 == 0 && aligned16(base);",
        "vector = g.C / 4 == 0 && g.C / g.groups % 4 == 0 && aligned16(base);",
    ): _NEVER,
    (
        "cuda/include/windows.cuh",
        "Windows",
        "vector = g.C % 4 == 0 && g.C / g.groups % 4 == 0 && aligned16(base);",
        "vector = g.C % 4 != 0 && g.C / g.groups % 4 == 0 && aligned16(base);",
    ): _NEVER,
    (
        "cuda/include/windows.cuh",
        "Sightings",
        "vector = g.O % 4 == 0 && g.O / g.groups % 4 == 0 && aligned16(base);",
        "vector = g.O / 4 == 0 && g.O / g.groups % 4 == 0 && aligned16(base);",
    ): _NEVER,
    (
        "cuda/include/windows.cuh",
        "Sightings",
        "vector = g.O % 4 == 0 && g.O / g.groups % 4 == 0 && aligned16(base);",
        "vector = g.O % 4 != 0 && g.O / g.groups % 4 == 0 && aligned16(base);",
    ): _NEVER,
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
    (
        "binary_cross_entropy/binary_cross_entropy.cu",
        "at_least",
        "__device__ __forceinline__ real at_least(real x, real lowest) { return x < lowest ? lowest : x; }",
        "__device__ __forceinline__ real at_least(real x, real lowest) { return x <= lowest ? lowest : x; }",
    ): "the bound and a number that equals it are one and the same",
    (
        "conv2d/cuda/grad_input.cu",
        "sizeof",
        "const int UNROLLED = sizeof(real) == 4 ? DEPTH : 2;  // float64 leaves no registers for more",
        "const int UNROLLED = sizeof(real) != 4 ? DEPTH : 2;  // float64 leaves no registers for more",
    ): "so many steps of a loop are written out one after the other, which changes neither them nor their order",
    (
        "cuda/include/tiles.cuh",
        "AlongDepth",
        "static constexpr int CHUNKS = DEPTH / 4, ROWS_A_LINE = 8 / CHUNKS;  // a line: all 32 banks",
        "static constexpr int CHUNKS = DEPTH / 4, ROWS_A_LINE = 8 * CHUNKS;  // a line: all 32 banks",
    ): "within a row numbers change places in another way, the same for who writes and who reads; only banks collide",
    (
        "max_pool2d/cuda_numba.py",
        "max_pool_grad",
        "p_first = max(0, -(-(h + padding[0] - reach) // stride[0]))",
        "p_first = max(0, -(-(h - padding[0] - reach) // stride[0]))",
    ): "begins at earlier windows, which do not hold the pixel and so never name it as their largest",
    (
        "pad/pad.cu",
        "shown",
        "if (mode == CIRCULAR) return i < 0 ? i + size : i - size;",
        "if (mode == CIRCULAR) return i <= 0 ? i + size : i - size;",
    ): "0 is a pixel of the picture, and was returned above",
    (
        "conv2d/cuda/grad_weight.cu",
        "implicit_gemm",
        "bool more = step + 1 < steps;",
        "bool more = step + 1 <= steps;",
    ): _ONE_MORE,
    (
        "conv2d/cuda_numba.py",
        "conv2d_tiled",
        "if relu and total < 0:",
        "if relu and total <= 0:",
    ): _ZERO,
    (
        "cuda/include/elementwise.cuh",
        "by_fours",
        "if (i + 4 <= count) {",
        "if (i + 4 < count) {",
    ): _SCALAR,
    (
        "max_pool2d/max_pool2d.cu",
        "windows",
        "return {begin > 0 ? (begin + stride - 1) / stride : 0, min(end / stride + 1, count)};",
        "return {begin > 0 ? (begin + stride - 1) / stride : 0, min(end * stride + 1, count)};",
    ): "goes on to later windows, which do not hold the pixel and so never name it as their largest",
    (
        "softmax/cuda_numba.py",
        "warp_max",
        "for step in range(5):",
        "for step in range(5 + 1):",
    ): "the sixth exchange is of each lane with itself, and the larger of a number and itself is that number",
}
