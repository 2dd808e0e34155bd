#pragma once
// Parallel loops. Where a chunk begins and ends depends on the sizes alone, never on the number of threads: this is
// what makes results equal bit for bit on any machine.
#include <lamina/parallel/pool.hpp>

namespace lamina::inline LAMINA_ABI::parallel {

/// Grain for items of `work` element steps each (a load, a few operations, a store): chunks of some 32 K steps take
/// 5 to 30 microseconds, well above the price of handing them out, and fit the second-level cache.
constexpr Index grain_for(Index work) {
    constexpr Index chunk_work = 32768;
    return work >= chunk_work ? 1 : chunk_work / (work > 0 ? work : 1);
}

/// Calls `f(i)` once for each i in [0, count), each as a task of its own; the caller runs a single one itself.
template <class F>
void for_each(Index count, F&& f);

/// Calls `f(begin, end)` for the chunks [0, grain), [grain, 2 grain), … of [0, n). Up to `grain` items (at least 1) are
/// one plain call on this thread, which may itself run parallel loops.
template <class F>
void for_range(Index n, Index grain, F&& f);

namespace detail {

// The loop body behind a pointer: it is compiled once, whether it runs here or in the pool.
struct Range {
    void (*call)(void* body, Index begin, Index end);
    void* body;
    Index n, grain;
};
[[gnu::noinline]] inline void run_range(Range range) {
    if (range.n <= range.grain) {
        if (range.n > 0) range.call(range.body, 0, range.n);
        return;
    }
    const auto chunk = [](void* context, Index i) {
        const Range& r = *static_cast<const Range*>(context);
        const Index begin = i * r.grain;
        r.call(r.body, begin, r.n - begin < r.grain ? r.n : begin + r.grain);
    };
    run((range.n - 1) / range.grain + 1, chunk, &range);
}

template <class F>
LAMINA_INLINE void* erased(F& f) {
    return const_cast<void*>(static_cast<const void*>(&f));
}

}  // namespace detail

template <class F>
void for_each(Index count, F&& f) {
    using Function = std::remove_reference_t<F>;
    run(
        count, [](void* body, Index i) { (*static_cast<Function*>(body))(i); }, detail::erased(f));
}

template <class F>
void for_range(Index n, Index grain, F&& f) {
    using Function = std::remove_reference_t<F>;
    const auto call = [](void* body, Index begin, Index end) { (*static_cast<Function*>(body))(begin, end); };
    detail::run_range({call, detail::erased(f), n, grain});
}

}  // namespace lamina::inline LAMINA_ABI::parallel
