#pragma once
// Gradients of operands that broadcasting repeats: sums over the repeated dimensions. The order of every sum follows
// from the shapes alone (64 fixed columns or the operand's own, rows in trees of eight, segments in order), so that the
// result has the same bits for any vector width and any number of threads.
#include <lamina/core/storage.hpp>
#include <lamina/kernels/pointwise.hpp>
#include <lamina/simd/load_store.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// acc[c] += the sum over rows of g[r * columns + c], eight rows at a time as ((0+1)+(2+3))+((4+5)+(6+7)). `g` has room
/// for a multiple of eight rows. `columns` is a multiple of 64.
template <class Arch = simd::native, class T>
void fold_rows(T* acc, T* g, Index rows, Index columns);

/// ((0+32)+(16+48))… halves of 64 partial sums, one fixed order.
template <class T>
T fold_columns(const T* acc);

/// dst[i] (+)= the sum over `segments` of partial[s * n + i], in order.
template <class T>
void combine_segments(T* dst, bool accumulate, const double* partial, Index segments, Index n);

/// Runs `function` over all elements of `plan`, whose output `target` is repeated and is summed into its (dense)
/// destination. The other outputs are written as they are met; those that are repeated must be null.
template <class Arch = simd::native, class T>
void pointwise_reduce(const PointwisePlan& plan, const void* f, PointwiseRowFunction function, int target);

/// Runs a gradient row function: outputs that are not repeated are written, repeated ones summed.
template <class Arch = simd::native, class T>
void pointwise_gradient(const PointwisePlan& plan, const void* f, PointwiseRowFunction function);

template <class Arch, class T>
void fold_rows(T* acc, T* g, Index rows, Index columns) {
    using V = simd::Vec<T, Arch>;
    const Index padded = (rows + 7) / 8 * 8;
    std::memset(static_cast<void*>(g + rows * columns), 0, std::size_t((padded - rows) * columns) * sizeof(T));
    for (Index r = 0; r < padded; r += 8)
        for (Index c = 0; c < columns; c += V::width) {
            const T* p = g + r * columns + c;
            const auto at = [&](Index k) LAMINA_INLINE_LAMBDA { return simd::load<Arch>(p + k * columns); };
            const V low = (at(0) + at(1)) + (at(2) + at(3)), high = (at(4) + at(5)) + (at(6) + at(7));
            simd::store(acc + c, simd::load<Arch>(acc + c) + (low + high));
        }
}

template <class T>
T fold_columns(const T* acc) {
    T t[32];
    for (int i = 0; i < 32; ++i) t[i] = acc[i] + acc[i + 32];
    for (int half = 16; half > 0; half /= 2)
        for (int i = 0; i < half; ++i) t[i] += t[i + half];
    return t[0];
}

template <class T>
void combine_segments(T* dst, bool accumulate, const double* partial, Index segments, Index n) {
    parallel::for_range(n, 4096, [=](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) {
            double sum = partial[i];
            for (Index s = 1; s < segments; ++s) sum += partial[s * n + i];
            dst[i] = accumulate ? dst[i] + T(sum) : T(sum);
        }
    });
}

namespace detail {

/// The dimensions of a plan split into those an operand keeps and those it repeats, each with its own linear index.
struct ReduceAxes {
    int kept[pointwise_max_rank], repeated[pointwise_max_rank];
    int kept_count = 0, repeated_count = 0;
    Index kept_size = 1, repeated_size = 1;

    /// Splits the first `rank` dimensions.
    ReduceAxes(const PointwisePlan& plan, int target, int rank) {
        for (int d = 0; d < rank; ++d)
            if (plan.operand[target].stride[d] == 0) {
                repeated[repeated_count++] = d;
                repeated_size *= plan.extent[d];
            } else {
                kept[kept_count++] = d;
                kept_size *= plan.extent[d];
            }
    }
    static void move(const PointwisePlan& plan, const int* axes, int count, Index linear, Index* offset) {
        for (int a = count - 1; a >= 0; --a) {
            const Index at = linear % plan.extent[axes[a]];
            linear /= plan.extent[axes[a]];
            for (int k = 0; k < plan.operands(); ++k) offset[k] += at * plan.operand[k].stride[axes[a]];
        }
    }
    /// Offsets of all operands at a kept and a repeated index.
    void seek(const PointwisePlan& plan, Index kept_index, Index repeated_index, Index* offset) const {
        for (int k = 0; k < plan.operands(); ++k) offset[k] = 0;
        move(plan, kept, kept_count, kept_index, offset);
        move(plan, repeated, repeated_count, repeated_index, offset);
    }
};

/// Calls the row function on one run of the last dimension, the target's share going to `g`.
inline void reduce_row(const PointwisePlan& plan, const void* f, PointwiseRowFunction function, int target,
                       const bool* stream, const Index* offset, Index column, Index count, void* g,
                       std::byte (*splats)[64]) {
    PointwiseRow row;
    row.count = count;
    const int last = plan.rank - 1;
    for (int k = 0; k < plan.inputs; ++k) {
        const PointwiseOperand& o = plan.operand[k];
        row.step[k] = o.stride[last];
        const std::byte* from = o.data + (offset[k] + column * o.stride[last]) * o.element_size;
        row.in[k] = from;
        if (row.step[k] == 0) {
            splat(from, o.element_size, splats[k]);
            row.in[k] = splats[k];
        }
    }
    for (int j = 0; j < plan.outputs; ++j) {
        const int k = plan.inputs + j;
        const PointwiseOperand& o = plan.operand[k];
        row.out[j] = k == target ? g
                     : o.data    ? o.data + (offset[k] + column * o.stride[last]) * o.element_size
                                 : nullptr;
        row.accumulate[j] = k != target && plan.accumulate[j];
        row.stream[j] = k != target && stream[j] && is_line_aligned(row.out[j]);
    }
    function(f, row);
}

/// Doubles that partial sums wait in: the recycled storage of tensors.
struct PartialSums {
    Ref<Storage> storage;
    double* data;
    explicit PartialSums(Index count)
        : storage(Storage::allocate(std::size_t(count) * sizeof(double))),
          data(reinterpret_cast<double*>(storage->data())) {}
};

inline constexpr Index reduce_tile = 2048;

/// The target keeps the last dimension (a bias): tiles of up to 2048 columns, segments of 256
/// rows.
template <class Arch, class T>
void reduce_keeping_rows(const PointwisePlan& plan, const void* f, PointwiseRowFunction function, int target) {
    constexpr Index segment = 256;
    const int last = plan.rank - 1;
    const ReduceAxes axes(plan, target, last);
    const Index columns = plan.extent[last], tiles = (columns + reduce_tile - 1) / reduce_tile;
    const Index tile = ((columns + tiles - 1) / tiles + 63) / 64 * 64;
    const Index segments = (axes.repeated_size + segment - 1) / segment, n = axes.kept_size * columns;
    T* dst = reinterpret_cast<T*>(plan.operand[target].data);
    const bool accumulate = plan.accumulate[target - plan.inputs];
    const PartialSums partial(segments > 1 ? segments * n : 0);
    const Index rows_per_task = segments > 1 ? segment : axes.repeated_size;
    bool stream[pointwise_max_operands];
    kernels::streamed_outputs(plan, stream);
    const Index grain = pointwise_grain / (rows_per_task * (columns < tile ? columns : tile));
    parallel::for_range(axes.kept_size * tiles * segments, grain > 0 ? grain : 1, [&](Index begin, Index end) {
        alignas(64) std::byte splats[pointwise_max_operands][64];
        alignas(64) T g[8 * reduce_tile], acc[reduce_tile];
        for (Index task = begin; task < end; ++task) {
            const Index s = task % segments, c0 = task / segments % tiles * tile, kept = task / segments / tiles;
            const Index count = columns - c0 < tile ? columns - c0 : tile, padded = (count + 63) / 64 * 64;
            const Index r1 = (s + 1) * segment < axes.repeated_size ? (s + 1) * segment : axes.repeated_size;
            std::memset(static_cast<void*>(acc), 0, std::size_t(padded) * sizeof(T));
            if (padded != count) std::memset(static_cast<void*>(g), 0, std::size_t(8 * padded) * sizeof(T));
            Index offset[pointwise_max_operands];
            for (Index r = s * segment; r < r1;) {
                const Index rows = r1 - r < 8 ? r1 - r : 8;
                for (Index i = 0; i < rows; ++i, ++r) {
                    axes.seek(plan, kept, r, offset);
                    reduce_row(plan, f, function, target, stream, offset, c0, count, g + i * padded, splats);
                }
                fold_rows<Arch>(acc, g, rows, padded);
            }
            axes.seek(plan, kept, 0, offset);
            const Index at = offset[target] + c0;
            for (Index c = 0; c < count; ++c) {
                if (segments > 1) partial.data[s * n + at + c] = double(acc[c]);
                else dst[at + c] = accumulate ? dst[at + c] + acc[c] : acc[c];
            }
        }
    });
    if (segments > 1) combine_segments(dst, accumulate, partial.data, segments, n);
}

/// The target repeats over the last dimension (a scalar, a channel): runs of up to 4096 elements fold into 64 columns,
/// segments of about 64 K elements.
template <class Arch, class T>
void reduce_across_rows(const PointwisePlan& plan, const void* f, PointwiseRowFunction function, int target) {
    constexpr Index run = 4096, segment = 65536;
    const int last = plan.rank - 1;
    const ReduceAxes axes(plan, target, last);
    const Index columns = plan.extent[last], runs = (columns + run - 1) / run, units = axes.repeated_size * runs;
    const Index longest = columns < run ? columns : run, per_segment = (segment + longest - 1) / longest;
    const Index segments = (units + per_segment - 1) / per_segment, n = axes.kept_size;
    const PartialSums partial(segments * n);
    const Index task_elements = (units < per_segment ? units : per_segment) * longest;
    const Index grain = pointwise_grain / task_elements;
    bool stream[pointwise_max_operands];
    kernels::streamed_outputs(plan, stream);
    parallel::for_range(n * segments, grain > 0 ? grain : 1, [&](Index begin, Index end) {
        alignas(64) std::byte splats[pointwise_max_operands][64];
        alignas(64) T g[run + 512], acc[64];
        for (Index task = begin; task < end; ++task) {
            const Index s = task % segments, kept = task / segments;
            const Index last_unit = (s + 1) * per_segment < units ? (s + 1) * per_segment : units;
            std::memset(static_cast<void*>(acc), 0, sizeof acc);
            Index offset[pointwise_max_operands];
            for (Index u = s * per_segment; u < last_unit; ++u) {
                const Index c0 = u % runs * run, count = columns - c0 < run ? columns - c0 : run;
                const Index rows = (count + 63) / 64;
                axes.seek(plan, kept, u / runs, offset);
                reduce_row(plan, f, function, target, stream, offset, c0, count, g, splats);
                std::memset(static_cast<void*>(g + count), 0, std::size_t(rows * 64 - count) * sizeof(T));
                fold_rows<Arch>(acc, g, rows, 64);
            }
            axes.seek(plan, kept, 0, offset);
            partial.data[s * n + offset[target]] = double(fold_columns(acc));
        }
    });
    combine_segments(reinterpret_cast<T*>(plan.operand[target].data), plan.accumulate[target - plan.inputs],
                     partial.data, segments, n);
}

/// Any other layout: gathers runs of elements and adds them one by one, in doubles.
template <class T>
void reduce_gathered(const PointwisePlan& plan, const void* f, PointwiseRowFunction function, int target) {
    const Index total = plan.numel(), n = plan.kept(target), last = plan.rank - 1;
    const bool split_is_disjoint = plan.operand[target].stride[0] != 0;
    const Index per_outer = total / plan.extent[0];
    Index segments = total / (pointwise_grain + 4 * n) + 1;
    segments = segments < 16 ? segments : 16;
    segments = segments < plan.extent[0] ? segments : plan.extent[0];
    const Index copies = split_is_disjoint ? 1 : segments;
    const PartialSums partial(copies * n);
    std::memset(static_cast<void*>(partial.data), 0, std::size_t(copies * n) * sizeof(double));
    parallel::for_each(segments, [&](Index s) {
        alignas(64) std::byte in[pointwise_max_operands][pointwise_gather * 8];
        alignas(64) T g[pointwise_gather];
        double* sum = partial.data + (split_is_disjoint ? 0 : s * n);
        const Index end = plan.extent[0] * (s + 1) / segments * per_outer;
        PointwiseRow row;
        for (bool& stream : row.stream) stream = false;
        for (Index begin = plan.extent[0] * s / segments * per_outer, count; begin < end; begin += count) {
            count = end - begin < pointwise_gather ? end - begin : pointwise_gather;
            PointwiseCursor cursor;
            cursor.seek(plan, begin);
            pointwise_gather_inputs(plan, cursor, count, in, row);
            for (int j = 0; j < plan.outputs; ++j) {
                const int k = plan.inputs + j;
                const PointwiseOperand& o = plan.operand[k];
                row.out[j] = k == target ? static_cast<void*>(g)
                             : o.data    ? o.data + cursor.offset[k] * o.element_size
                                         : nullptr;
                row.accumulate[j] = k != target && plan.accumulate[j];
            }
            function(f, row);
            const Index step = plan.operand[target].stride[last];
            for (Index done = 0; done < count;) {
                const Index left = plan.extent[last] - cursor.at[last], run = left < count - done ? left : count - done;
                double* to = sum + cursor.offset[target];
                for (Index i = 0; i < run; ++i) to[i * step] += double(g[done + i]);
                done += run;
                if (done < count) cursor.advance(plan, run);
            }
        }
    });
    combine_segments(reinterpret_cast<T*>(plan.operand[target].data), plan.accumulate[target - plan.inputs],
                     partial.data, copies, n);
}

/// As PointwisePlan::has_rows, for a target that is summed.
inline bool has_reducible_rows(const PointwisePlan& plan) {
    bool dense = plan.rank > 0 && plan.extent[plan.rank - 1] >= 32;
    for (int k = 0; dense && k < plan.operands(); ++k) {
        const Index s = plan.operand[k].stride[plan.rank - 1];
        dense = s == 1 || s == 0;
    }
    return dense;
}

}  // namespace detail

template <class Arch, class T>
void pointwise_reduce(const PointwisePlan& plan, const void* f, PointwiseRowFunction function, int target) {
    if (!detail::has_reducible_rows(plan)) detail::reduce_gathered<T>(plan, f, function, target);
    else if (plan.operand[target].stride[plan.rank - 1] == 0)
        detail::reduce_across_rows<Arch, T>(plan, f, function, target);
    else detail::reduce_keeping_rows<Arch, T>(plan, f, function, target);
}

template <class Arch, class T>
void pointwise_gradient(const PointwisePlan& plan, const void* f, PointwiseRowFunction function) {
    bool dense_left = false;
    int sums = 0, targets[pointwise_max_operands];
    for (int k = plan.inputs; k < plan.operands(); ++k) {
        if (!plan.operand[k].data) continue;
        if (plan.is_repeated(k)) targets[sums++] = k;
        else dense_left = true;
    }
    if (plan.numel() == 0) {
        for (int k = plan.inputs; k < plan.operands(); ++k) {
            const Index n = plan.kept(k);
            if (plan.operand[k].data && n > 0 && !plan.accumulate[k - plan.inputs])
                std::memset(plan.operand[k].data, 0, std::size_t(n) * sizeof(T));
        }
        return;
    }
    for (int pass = 0; pass < sums || (dense_left && pass == 0); ++pass) {
        PointwisePlan one = plan;
        for (int k = plan.inputs; k < plan.operands(); ++k)
            if (plan.is_repeated(k) ? sums == 0 || k != targets[pass] : pass > 0) one.operand[k].data = nullptr;
        if (sums == 0) pointwise_run(one, f, function);
        else pointwise_reduce<Arch, T>(one, f, function, targets[pass]);
    }
}

}  // namespace lamina::inline LAMINA_ABI::kernels
