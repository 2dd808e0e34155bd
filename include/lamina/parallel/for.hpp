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

template <class F>
void for_each(Index count, F&& f) {
    if (count <= 1) {
        if (count == 1) f(Index(0));
        return;
    }
    using Function = std::remove_reference_t<F>;
    run(
        count, [](void* context, Index i) { (*static_cast<Function*>(context))(i); },
        const_cast<void*>(static_cast<const void*>(&f)));
}

template <class F>
void for_range(Index n, Index grain, F&& f) {
    if (n <= grain) {
        if (n > 0) f(Index(0), n);
        return;
    }
    const auto chunk = [&f, n, grain](Index i) {
        const Index begin = i * grain;
        f(begin, n - begin < grain ? n : begin + grain);
    };
    for_each((n - 1) / grain + 1, chunk);
}

}  // namespace lamina::inline LAMINA_ABI::parallel
