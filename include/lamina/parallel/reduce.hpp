#pragma once
// Parallel reduction whose partial results are combined in the order of the chunks: the same bits for any number of
// threads, for sums of floats too.
#include <lamina/parallel/for.hpp>

namespace lamina::inline LAMINA_ABI::parallel {

/// combine(… combine(combine(init, map(0, grain)), map(grain, 2 grain)) …) over [0, n); `init` for n = 0. `T` needs a
/// default constructor and assignment; `map(begin, end)` returns a T, `combine(T, T)` too.
template <class T, class Map, class Combine>
T reduce(Index n, Index grain, T init, Map&& map, Combine&& combine);

template <class T, class Map, class Combine>
T reduce(Index n, Index grain, T init, Map&& map, Combine&& combine) {
    if (n <= 0) return init;
    if (n <= grain) return combine(static_cast<T&&>(init), map(Index(0), n));
    const Index chunks = (n - 1) / grain + 1;
    struct Partials {
        T* values;
        explicit Partials(Index count) : values(new T[std::size_t(count)]) {}
        Partials(const Partials&) = delete;
        Partials& operator=(const Partials&) = delete;
        ~Partials() { delete[] values; }
    } partials(chunks);
    for_range(n, grain, [&](Index begin, Index end) { partials.values[begin / grain] = map(begin, end); });
    for (Index chunk = 0; chunk < chunks; ++chunk)
        init = combine(static_cast<T&&>(init), static_cast<T&&>(partials.values[chunk]));
    return init;
}

}  // namespace lamina::inline LAMINA_ABI::parallel
