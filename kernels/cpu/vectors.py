"""The innermost loops on a CPU, as LLVM's vector code: compilers do not keep a tile of a product in registers.

`product(vectors)` is a tile of a matrix product: ROWS rows by `vectors` registers of columns, held in registers
while it runs down the depth; a step loads one row of B and multiplies it by ROWS numbers of A (Goto & van de Geijn,
"Anatomy of high-performance matrix multiplication", 2008; the loops round it are the caller's). Every number is summed
in the order of the depth alone, so it has the same bits wherever in a tile, a block or a batch it stands.
`dots` is the same for two matrices whose rows both run along the depth. `sandwich(T)` computes T X T^t for small
constant T and pixels of many channels: the transforms of Winograd's convolutions.

All take flat arrays (one-dimensional, C order, float32 or float64) and where in them to begin, as indices.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_features = llvm.get_host_cpu_features()
# Bytes of a vector register, and how many registers of columns a tile has: its sums fill three quarters of them.
if _features.get("avx512f"):
    BYTES, WIDEST = 64, 4
elif _features.get("avx2"):
    BYTES, WIDEST = 32, 2
else:
    BYTES, WIDEST = 16, 2
ROWS = 6
MOST_ROWS = 12  # of any tile: as many pointers as there are registers for


def lanes(dtype: Any) -> int:
    """Numbers in a register."""
    return BYTES // np.dtype(dtype).itemsize


_index = ir.IntType(64)
_i = types.int64


class _Code:
    """Writes vector instructions for numbers of one dtype."""

    def __init__(self, context: Any, builder: Any, dtype: Any) -> None:
        self.context, self.builder = context, builder
        self.size = dtype.bitwidth // 8
        self.lanes = BYTES // self.size
        self.vector = ir.VectorType(context.get_value_type(dtype), self.lanes)
        name = f"llvm.fmuladd.v{self.lanes}f{dtype.bitwidth}"
        self._fused = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(self.vector, [self.vector] * 3), name
        )

    def data(self, kind: Any, array: Any, first: Any) -> Any:
        """A pointer to the number `first` of a flat array."""
        return self.at(self.context.make_array(kind)(self.context, self.builder, array).data, first)

    def at(self, pointer: Any, *numbers: Any) -> Any:
        for number in numbers:
            pointer = self.builder.gep(pointer, [_index(number) if isinstance(number, int) else number])
        return pointer

    def times(self, a: Any, b: int | Any) -> Any:
        return self.builder.mul(a, _index(b) if isinstance(b, int) else b)

    def load(self, pointer: Any) -> Any:
        loaded = self.builder.load(self.builder.bitcast(pointer, self.vector.as_pointer()))
        loaded.align = self.size
        return loaded

    def store(self, value: Any, pointer: Any, past: bool = False) -> None:
        """Into memory; `past` the caches, where the pointer is that of a whole register's place."""
        stored = self.builder.store(value, self.builder.bitcast(pointer, self.vector.as_pointer()))
        stored.align = BYTES if past else self.size
        if past:
            stored.set_metadata("nontemporal", self.builder.module.add_metadata([ir.IntType(32)(1)]))

    def load_first(self, pointer: Any, count: Any) -> Any:
        """The first `count` lanes; 0 in the others, whose memory is not touched."""
        numbers = ir.Constant(ir.VectorType(_index, self.lanes), list(range(self.lanes)))
        none = ir.Constant(ir.VectorType(_index, self.lanes), ir.Undefined)
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        limit = self.builder.shuffle_vector(self.builder.insert_element(none, count, ir.IntType(32)(0)), none, zeros)
        mask = self.builder.icmp_signed("<", numbers, limit)
        kind = ir.FunctionType(self.vector, [self.vector.as_pointer(), ir.IntType(32), mask.type, self.vector])
        name = f"llvm.masked.load.v{self.lanes}f{self.size * 8}.p0"
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        where = self.builder.bitcast(pointer, self.vector.as_pointer())
        return self.builder.call(function, [where, ir.IntType(32)(self.size), mask, self.constant(0)])

    def lanes_added(self, value: Any) -> Any:
        """The sum of all lanes: those of the upper half onto those of the lower, down to one."""
        lanes = self.lanes
        while lanes > 1:
            lanes //= 2
            half = ir.VectorType(ir.IntType(32), lanes)
            low, high = (ir.Constant(half, list(range(first, first + lanes))) for first in (0, lanes))
            value = self.builder.fadd(*(self.builder.shuffle_vector(value, value, part) for part in (low, high)))
        return self.builder.extract_element(value, ir.IntType(32)(0))

    def constant(self, number: float) -> Any:
        return ir.Constant(self.vector, [float(number)] * self.lanes)

    def spread(self, number: Any) -> Any:
        """One number in every lane."""
        none = ir.Constant(self.vector, ir.Undefined)
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        one = self.builder.insert_element(none, number, ir.IntType(32)(0))
        return self.builder.shuffle_vector(one, none, lanes)

    def fused(self, a: Any, b: Any, c: Any) -> Any:
        """a * b + c."""
        return self.builder.call(self._fused, [a, b, c])

    def rectified(self, value: Any, wanted: Any) -> Any:
        """max(value, 0) if wanted; NaN stays."""
        zero = self.constant(0)
        negative = self.builder.and_(self.builder.fcmp_ordered("<", value, zero), self.spread_flag(wanted))
        return self.builder.select(negative, zero, value)

    def spread_flag(self, flag: Any) -> Any:
        kind = ir.VectorType(ir.IntType(1), self.lanes)
        none = ir.Constant(kind, ir.Undefined)
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(self.builder.insert_element(none, flag, ir.IntType(32)(0)), none, lanes)

    def clamped(self, rows: Any, most: int = ROWS) -> list[Any]:
        """0 … most - 1, none above the last of `rows`: what a tile has too much repeats its last row."""
        last = self.builder.sub(rows, _index(1))
        numbers = [_index(m) for m in range(most)]
        return [self.builder.select(self.builder.icmp_signed("<", m, last), m, last) for m in numbers]


def product(vectors: int) -> Callable[..., None]:
    """A tile of a product, `vectors` registers wide, for compiled functions:

    y[m, j] = start[m, j] + sum over run, k of a[offsets[run] + m a_row + k a_step] * b[(run depth + k) b_step + j]

    for m < rows <= ROWS; y and start advance by y_row and start_row a row (start_row 0: one bias for all). Negative
    results become 0 if `relu`. `b_ahead`: where in b the numbers stand that are wanted next; they are fetched to cache.
    """

    @intrinsic
    def tile(typing, y, y_at, y_row, start, start_at, start_row, a, a_at, a_row, a_step, offsets, runs,
             b, b_at, b_step, b_ahead, depth, rows, relu):  # fmt: skip
        signature = types.void(
            y, _i, _i, start, _i, _i, a, _i, _i, _i, offsets, _i, b, _i, _i, _i, _i, _i, types.boolean
        )  # fmt: skip

        def generate(context, builder, signature, arguments):
            (y, y_at, y_row, start, start_at, start_row, a, a_at, a_row, a_step, offsets, runs,
             b, b_at, b_step, b_ahead, depth, rows, relu) = arguments  # fmt: skip
            kinds = signature.args
            code = _Code(context, builder, kinds[0].dtype)
            y, start = code.data(kinds[0], y, y_at), code.data(kinds[3], start, start_at)
            a, offsets = code.data(kinds[6], a, a_at), code.data(kinds[10], offsets, 0)
            ahead, b = code.data(kinds[12], b, b_ahead), code.data(kinds[12], b, b_at)
            row = code.clamped(rows)
            places = [[code.at(at, code.times(step, m)) for m in row] for at, step in
                      ((y, y_row), (start, start_row), (a, a_row))]  # fmt: skip
            _summed(code, vectors, *places, a_step, offsets, runs, b, b_step, ahead, b_step, depth, relu)
            return context.get_dummy_value()

        return signature, generate

    return tile


def height(vectors: int) -> int:
    """Rows of a tile of `gathered`: narrow tiles are higher, so that they too have enough sums to be busy with."""
    return min(MOST_ROWS, ROWS * WIDEST // vectors)


def gathered(vectors: int, past: bool = False) -> Callable[..., None]:
    """The same for rows that stand anywhere, row m at y_at + y_places[place + m] and a_at + a_places[place + m].

    A tile has `height(vectors)` rows, all of which count. The row of start is at start_at + start_step * y_places[place
    + m] (start_step 0: one bias for all). The offsets of the runs are those from offsets[first_run] on. `past`: y is
    written past the caches, which spares reading it first; each register's place begins at a multiple of its bytes.
    """

    @intrinsic
    def tile(typing, y, y_at, y_places, start, start_at, start_step, a, a_at, a_places, place, a_step, offsets,
             first_run, runs, b, b_at, b_step, ahead, ahead_at, ahead_step, depth, relu):  # fmt: skip
        signature = types.void(
            y, _i, y_places, start, _i, _i, a, _i, a_places, _i, _i, offsets, _i, _i, b, _i, _i,
            ahead, _i, _i, _i, types.boolean,
        )  # fmt: skip

        def generate(context, builder, signature, arguments):
            (y, y_at, y_places, start, start_at, start_step, a, a_at, a_places, place, a_step, offsets,
             first_run, runs, b, b_at, b_step, ahead, ahead_at, ahead_step, depth, relu) = arguments  # fmt: skip
            kinds = signature.args
            code = _Code(context, builder, kinds[0].dtype)
            y, start = code.data(kinds[0], y, y_at), code.data(kinds[3], start, start_at)
            a, offsets = code.data(kinds[6], a, a_at), code.data(kinds[11], offsets, first_run)
            b, ahead = code.data(kinds[14], b, b_at), code.data(kinds[17], ahead, ahead_at)
            tables = (code.data(kinds[2], y_places, place), code.data(kinds[8], a_places, place))
            y_rows, a_rows = ([builder.load(code.at(table, m)) for m in range(height(vectors))] for table in tables)
            _summed(
                code, vectors, [code.at(y, row) for row in y_rows],
                [code.at(start, code.times(start_step, row)) for row in y_rows], [code.at(a, row) for row in a_rows],
                a_step, offsets, runs, b, b_step, ahead, ahead_step, depth, relu, past,
            )  # fmt: skip
            return context.get_dummy_value()

        return signature, generate

    return tile


def _summed(code, vectors, y, start, a, a_step, offsets, runs, b, b_step, ahead, ahead_step, depth, relu, past=False):
    """The code of a tile whose rows stand at the pointers of y, start and a."""
    builder = code.builder
    sums = [[cgutils.alloca_once(builder, code.vector) for _ in range(vectors)] for _ in y]
    for pointer, line in zip(start, sums, strict=True):
        for j, total in enumerate(line):
            builder.store(code.load(code.at(pointer, j * code.lanes)), total)
    with cgutils.for_range(builder, runs) as run:
        offset = builder.load(code.at(offsets, run.index))
        begins = [code.at(pointer, offset) for pointer in a]
        skipped = code.times(run.index, depth)
        with cgutils.for_range(builder, depth) as step:
            done = builder.add(skipped, step.index)
            down, further = code.times(done, b_step), code.times(done, ahead_step)
            along = code.times(step.index, a_step)
            wide = [code.load(code.at(b, down, j * code.lanes)) for j in range(vectors)]
            for j in range(vectors):
                _prefetch(builder, code.at(ahead, further, j * code.lanes))
            for begin, line in zip(begins, sums, strict=True):
                number = code.spread(builder.load(code.at(begin, along)))
                for factor, total in zip(wide, line, strict=True):
                    builder.store(code.fused(number, factor, builder.load(total)), total)
    for pointer, line in zip(y, sums, strict=True):
        for j, total in enumerate(line):
            code.store(code.rectified(builder.load(total), relu), code.at(pointer, j * code.lanes), past)


def dots(rows: int, columns: int) -> Callable[..., None]:
    """A tile of the product of two matrices whose rows both run along the depth, for compiled functions:

    y[m y_row + j] = bias[j] + sum over k of a[m, k] b[j, k]

    for m < a_rows <= rows and j < b_rows <= columns; the matrices' rows stand a_row and b_row numbers apart. Each lane
    of a register adds up its share of the depth, and the lanes are added pairwise when all of it has passed. A depth in
    pieces, all but the last of whole registers, gives the same bits: unless a piece `ends` the sums, they wait in
    `sums` (rows * columns registers), and the next piece has `begun`. `ahead`: where in b the rows begin that are
    wanted next.
    """

    @intrinsic
    def tile(typing, y, y_at, y_row, bias, bias_at, a, a_at, a_row, a_rows, b, b_at, b_row, b_rows, ahead, depth,
             sums, sums_at, begun, ends):  # fmt: skip
        flag = types.boolean
        signature = types.void(
            y, _i, _i, bias, _i, a, _i, _i, _i, b, _i, _i, _i, _i, _i, sums, _i, flag, flag
        )  # fmt: skip

        def generate(context, builder, signature, arguments):
            (y, y_at, y_row, bias, bias_at, a, a_at, a_row, a_rows, b, b_at, b_row, b_rows, ahead, depth,
             sums, sums_at, begun, ends) = arguments  # fmt: skip
            kinds = signature.args
            code = _Code(context, builder, kinds[0].dtype)
            y, bias = code.data(kinds[0], y, y_at), code.data(kinds[3], bias, bias_at)
            a, ahead, b = code.data(kinds[5], a, a_at), code.data(kinds[9], b, ahead), code.data(kinds[9], b, b_at)
            sums = code.data(kinds[15], sums, sums_at)
            row, column = code.clamped(a_rows, rows), code.clamped(b_rows, columns)
            lines = [[code.at(at, code.times(step, m)) for m in numbers] for at, step, numbers in
                     ((a, a_row, row), (b, b_row, column), (ahead, b_row, column))]  # fmt: skip
            totals = [[cgutils.alloca_once(builder, code.vector) for _ in column] for _ in row]
            kept = [code.at(sums, e * code.lanes) for e in range(rows * columns)]
            with builder.if_else(begun) as (goes_on, starts):
                with goes_on:
                    for total, place in zip(itertools.chain(*totals), kept, strict=True):
                        builder.store(code.load(place), total)
                with starts:
                    for total in itertools.chain(*totals):
                        builder.store(code.constant(0), total)
            whole = builder.and_(depth, _index(-code.lanes))
            with cgutils.for_range_slice(builder, _index(0), whole, _index(code.lanes), inc=True) as (k, _):
                for pointer in lines[2]:
                    _prefetch(builder, code.at(pointer, k), 2)
                _dotted(code, totals, *([code.load(code.at(at, k)) for at in pointers] for pointers in lines[:2]))
            left = builder.sub(depth, whole)
            with builder.if_then(builder.icmp_signed(">", left, _index(0))):
                _dotted(code, totals, *([code.load_first(code.at(at, whole), left) for at in pointers]
                                        for pointers in lines[:2]))  # fmt: skip
            with builder.if_else(ends) as (finishes, waits):
                with finishes:
                    for m, line in zip(row, totals, strict=True):
                        for j, total in zip(column, line, strict=True):
                            value = code.lanes_added(builder.load(total))
                            value = builder.fadd(value, builder.load(code.at(bias, j)))
                            builder.store(value, code.at(y, code.times(y_row, m), j))
                with waits:
                    for total, place in zip(itertools.chain(*totals), kept, strict=True):
                        code.store(builder.load(total), place)
            return context.get_dummy_value()

        return signature, generate

    return tile


def _dotted(code: _Code, totals: Sequence[Sequence[Any]], a: Sequence[Any], b: Sequence[Any]) -> None:
    """totals[m][j] += a[m] * b[j]."""
    for factor, line in zip(a, totals, strict=True):
        for other, total in zip(b, line, strict=True):
            code.builder.store(code.fused(factor, other, code.builder.load(total)), total)


def _prefetch(builder: Any, pointer: Any, closeness: int = 3) -> None:
    """Asks for the cache line of `pointer`, to be read; an address that is none does no harm.

    closeness: 3 for the first cache, 2 for the second.
    """
    byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    builder.call(function, [builder.bitcast(pointer, byte), flag(0), flag(closeness), flag(1)])


def _combined(code: _Code, matrix: Sequence[Sequence[float]], values: Sequence[Any]) -> list[Any]:
    """matrix times values; two rows that are equal but for some signs share their sums: even + odd, even - odd."""
    done: list[Any] = [None] * len(matrix)
    for i, row in enumerate(matrix):
        if done[i] is not None:
            continue
        twin = next((j for j in range(i + 1, len(matrix)) if _are_twins(row, matrix[j])), None)
        if twin is None:
            done[i] = _total(code, zip(row, values, strict=True))
            continue
        pairs = list(zip(row, matrix[twin], values, strict=True))
        even = _total(code, [(p, value) for p, q, value in pairs if p == q])
        odd = _total(code, [(p, value) for p, q, value in pairs if p != q])
        done[i], done[twin] = code.builder.fadd(even, odd), code.builder.fsub(even, odd)
    return done


def _are_twins(a: Sequence[float], b: Sequence[float]) -> bool:
    same, opposite = ([p for p, q in zip(a, b, strict=True) if p == sign * q != 0] for sign in (1, -1))
    return bool(same) and bool(opposite) and all(abs(p) == abs(q) for p, q in zip(a, b, strict=True))


def _total(code: _Code, terms: Any) -> Any:
    """The sum of factor * value, without the factors that are 0, those of 1 first."""
    total = None
    for factor, value in sorted((t for t in terms if t[0]), key=lambda t: t[0] != 1):
        if total is None:
            total = value if factor == 1 else code.builder.fmul(code.constant(factor), value)
        elif factor in (1, -1):
            total = (code.builder.fadd if factor == 1 else code.builder.fsub)(total, value)
        else:
            total = code.fused(code.constant(factor), value, total)
    return total


def sandwich(matrix: Sequence[Sequence[float]], finish: bool = False, ahead: int = 0) -> Callable[..., None]:
    """Y = T X T^t for each of `count` channels, T the matrix, for compiled functions.

    Pixel (u, v) of X stands at x_at + u x_row + v x_column, its channels side by side; Y likewise. `count` is a
    multiple of the lanes of a register. The `ahead` columns of pixels behind X are fetched to cache. With `finish`,
    only the first `rows` by `columns` pixels of Y are written, after `bias` has been added and, if `relu`, what is
    negative has become 0.
    """
    high, low = len(matrix), len(matrix[0])

    def generate(context, builder, signature, arguments):
        y, y_at, y_row, y_column, x, x_at, x_row, x_column, count, *last = arguments
        kinds = signature.args
        code = _Code(context, builder, kinds[0].dtype)
        y, x = code.data(kinds[0], y, y_at), code.data(kinds[4], x, x_at)
        bias = code.data(kinds[9], last[0], 0) if finish else None
        with cgutils.for_range_slice(builder, _index(0), count, _index(code.lanes), inc=True) as (channel, _):
            half = []
            for v in range(low):
                pixels = [code.at(x, code.times(x_row, u), code.times(x_column, v), channel) for u in range(low)]
                half.append(_combined(code, matrix, [code.load(pixel) for pixel in pixels]))
                if v < ahead:
                    for pixel in pixels:
                        _prefetch(builder, code.at(pixel, code.times(x_column, low)))
            add = code.load(code.at(bias, channel)) if finish else None
            for u in range(high):
                with _where(builder, u, last[2] if finish else None):
                    line = _combined(code, matrix, [column[u] for column in half])
                    for v, value in enumerate(line):
                        with _where(builder, v, last[3] if finish else None):
                            if finish:
                                value = code.rectified(builder.fadd(value, add), last[1])
                            code.store(value, code.at(y, code.times(y_row, u), code.times(y_column, v), channel))
        return context.get_dummy_value()

    if finish:

        @intrinsic
        def transform(typing, y, y_at, y_row, y_column, x, x_at, x_row, x_column, count, bias, relu, rows, columns):
            return types.void(y, _i, _i, _i, x, _i, _i, _i, _i, bias, types.boolean, _i, _i), generate

    else:

        @intrinsic
        def transform(typing, y, y_at, y_row, y_column, x, x_at, x_row, x_column, count):
            return types.void(y, _i, _i, _i, x, _i, _i, _i, _i), generate

    return transform


def _where(builder: Any, number: int, below: Any | None) -> Any:
    """A block that runs where number < below; always, if there is no such limit."""
    from contextlib import nullcontext

    return nullcontext() if below is None else builder.if_then(builder.icmp_signed("<", _index(number), below))
