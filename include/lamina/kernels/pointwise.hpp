#pragma once
// Walks a pointwise plan in parallel and hands runs of elements to a row function. Compiled once for all operations:
// per operation there is only its row function.
#include <lamina/kernels/pointwise_plan.hpp>
#include <lamina/kernels/policy.hpp>
#include <lamina/parallel/for.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

namespace detail {

/// Elements handled at a time when operands must be gathered into dense buffers first.
inline constexpr Index pointwise_gather = 256;

inline bool is_line_aligned(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 64 == 0; }

/// Repeats the element at `from` over 64 bytes; by words, for a broadcast and whole stores.
template <class Word>
void splat_word(const std::byte* from, std::byte* to) {
    Word word, all[64 / sizeof(Word)];
    std::memcpy(&word, from, sizeof word);
    for (Word& each : all) each = word;
    std::memcpy(to, all, sizeof all);
}
inline void splat(const std::byte* from, Index element_size, std::byte* to) {
    if (element_size == 4) splat_word<std::uint32_t>(from, to);
    else if (element_size == 8) splat_word<std::uint64_t>(from, to);
    else if (element_size == 2) splat_word<std::uint16_t>(from, to);
    else splat_word<std::uint8_t>(from, to);
}

/// Copies `count` elements of Size bytes between places that are `from_step` and `to_step` elements apart.
template <std::size_t Size>
void copy_strided(std::byte* to, Index to_step, const std::byte* from, Index from_step, Index count) {
    for (Index i = 0; i < count; ++i)
        std::memcpy(to + i * to_step * Index(Size), from + i * from_step * Index(Size), Size);
}
inline void copy_strided(Index size, std::byte* to, Index to_step, const std::byte* from, Index from_step,
                         Index count) {
    if (size == 4) copy_strided<4>(to, to_step, from, from_step, count);
    else if (size == 8) copy_strided<8>(to, to_step, from, from_step, count);
    else if (size == 2) copy_strided<2>(to, to_step, from, from_step, count);
    else copy_strided<1>(to, to_step, from, from_step, count);
}

/// Elements [begin, end) of a plan whose last dimension can be read in place.
inline void pointwise_rows(const PointwisePlan& plan, const void* f, PointwiseRowFunction function, const bool* stream,
                           Index begin, Index end) {
    alignas(64) std::byte splats[pointwise_max_operands][64];
    Index splat_of[pointwise_max_operands];
    PointwiseRow row;
    PointwiseCursor cursor;
    cursor.seek(plan, begin);
    const int last = plan.rank - 1;
    for (int k = 0; k < plan.inputs; ++k) {
        row.step[k] = last < 0 ? 0 : plan.operand[k].stride[last];
        splat_of[k] = -1;
    }
    while (begin < end) {
        const Index left = last < 0 ? 1 : plan.extent[last] - cursor.at[last];
        row.count = left < end - begin ? left : end - begin;
        for (int k = 0; k < plan.inputs; ++k) {
            const PointwiseOperand& o = plan.operand[k];
            const std::byte* from = o.data + cursor.offset[k] * o.element_size;
            if (row.step[k] == 0) {
                if (splat_of[k] != cursor.offset[k]) splat(from, o.element_size, splats[k]);
                splat_of[k] = cursor.offset[k];
                from = splats[k];
            }
            row.in[k] = from;
        }
        for (int j = 0; j < plan.outputs; ++j) {
            const PointwiseOperand& o = plan.operand[plan.inputs + j];
            std::byte* to = o.data ? o.data + cursor.offset[plan.inputs + j] * o.element_size : nullptr;
            row.out[j] = to;
            row.accumulate[j] = plan.accumulate[j];
            row.stream[j] = stream[j] && is_line_aligned(to);
        }
        function(f, row);
        begin += row.count;
        if (begin < end) cursor.advance(plan, row.count);
    }
}

/// Points `row` at elements [begin, begin + count) of the plan's inputs, through `buffer` where they do not lie dense.
/// `cursor` stands at `begin`.
inline void pointwise_gather_inputs(const PointwisePlan& plan, const PointwiseCursor& cursor, Index count,
                                    std::byte (*buffer)[pointwise_gather * 8], PointwiseRow& row) {
    row.count = count;
    const int last = plan.rank - 1;
    for (int k = 0; k < plan.inputs; ++k) {
        const PointwiseOperand& o = plan.operand[k];
        const Index size = o.element_size;
        row.step[k] = 1;
        if (plan.is_linear(k)) {
            row.in[k] = o.data + cursor.offset[k] * size;
            continue;
        }
        row.in[k] = buffer[k];
        Index at[pointwise_max_rank], from = cursor.offset[k];
        for (int d = 0; d <= last; ++d) at[d] = cursor.at[d];
        for (Index done = 0; done < count;) {
            const Index left = plan.extent[last] - at[last], run = left < count - done ? left : count - done;
            copy_strided(size, buffer[k] + done * size, 1, o.data + from * size, o.stride[last], run);
            done += run;
            from += run * o.stride[last];
            at[last] += run;
            for (int d = last; d > 0 && at[d] == plan.extent[d]; --d) {
                at[d] = 0;
                ++at[d - 1];
                from += o.stride[d - 1] - plan.extent[d] * o.stride[d];
            }
        }
    }
}

/// Elements [begin, end) of any plan.
inline void pointwise_gathered(const PointwisePlan& plan, const void* f, PointwiseRowFunction function, Index begin,
                               Index end) {
    alignas(64) std::byte in[pointwise_max_operands][pointwise_gather * 8];
    alignas(64) std::byte out[pointwise_gather * 8];
    PointwiseRow row;
    for (bool& stream : row.stream) stream = false;
    for (Index n = 0; begin < end; begin += n) {
        n = end - begin < pointwise_gather ? end - begin : pointwise_gather;
        PointwiseCursor cursor;
        cursor.seek(plan, begin);
        pointwise_gather_inputs(plan, cursor, n, in, row);
        bool direct = true;
        for (int j = 0; j < plan.outputs; ++j) {
            const PointwiseOperand& o = plan.operand[plan.inputs + j];
            direct = direct && (!o.data || plan.is_linear(plan.inputs + j));
            row.out[j] = o.data ? o.data + cursor.offset[plan.inputs + j] * o.element_size : nullptr;
            row.accumulate[j] = plan.accumulate[j];
        }
        // Only forward passes write to views, and they have one output.
        if (!direct) row.out[0] = out;
        function(f, row);
        if (direct) continue;
        const PointwiseOperand& o = plan.operand[plan.inputs];
        const int last = plan.rank - 1;
        for (Index done = 0; done < n;) {
            const Index left = plan.extent[last] - cursor.at[last], run = left < n - done ? left : n - done;
            copy_strided(o.element_size, o.data + cursor.offset[plan.inputs] * o.element_size, o.stride[last],
                         out + done * o.element_size, 1, run);
            done += run;
            if (done < n) cursor.advance(plan, run);
        }
    }
}

}  // namespace detail

/// Which outputs are large, dense and written only: those go around the caches.
inline void streamed_outputs(const PointwisePlan& plan, bool* stream) {
    Index moved = 0;
    for (int k = 0; k < plan.operands(); ++k)
        if (plan.operand[k].data && plan.is_linear(k)) moved += plan.numel() * plan.operand[k].element_size;
    for (int j = 0; j < plan.outputs; ++j) {
        const int own = plan.inputs + j;
        const PointwiseOperand& o = plan.operand[own];
        stream[j] = o.data && !plan.accumulate[j] && moved / 2 >= dense_stream_threshold_bytes && plan.is_linear(own);
        for (int k = 0; k < plan.operands(); ++k) stream[j] = stream[j] && (k == own || plan.operand[k].data != o.data);
    }
}

/// Runs `function(f, row)` over all elements of `plan` (collapsed, outputs not repeated).
inline void pointwise_run(const PointwisePlan& plan, const void* f, PointwiseRowFunction function) {
    const Index n = plan.numel();
    if (n == 0) return;
    if (!plan.has_rows()) {
        parallel::for_range(n, pointwise_grain,
                            [&](Index b, Index e) { detail::pointwise_gathered(plan, f, function, b, e); });
        return;
    }
    bool stream[pointwise_max_operands];
    streamed_outputs(plan, stream);
    parallel::for_range(n, pointwise_grain,
                        [&](Index b, Index e) { detail::pointwise_rows(plan, f, function, stream, b, e); });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
