#pragma once
// Margins around the last dimensions: constant, reflected, replicated or circular; negative ones crop.
#include <lamina/ops/index.hpp>

namespace lamina::inline LAMINA_ABI {

enum class PadMode { constant, reflect, replicate, circular };

struct PadOptions {
    PadMode mode = PadMode::constant;
    double value = 0;  ///< of constant margins
};

namespace detail {

/// Margins of all dimensions from a list that names the last dimension first. Throws ShapeError, ValueError.
template <int R>
struct Margins {
    std::array<Index, std::size_t(R)> before{}, after{};
    Shape<R> padded;

    Margins(const Shape<R>& shape, std::span<const Index> pads, PadMode mode) : padded(shape) {
        require<ValueError>(pads.size() % 2 == 0 && pads.size() <= std::size_t(2 * R),
                            "pad: there must be a pair of margins for each of at most ", R,
                            " dimensions but there are ", Index(pads.size()), " margins");
        for (std::size_t i = 0; i < pads.size(); i += 2) {
            const int d = R - 1 - int(i / 2);
            const Index left = pads[i], right = pads[i + 1], n = shape[d];
            before[std::size_t(d)] = left;
            after[std::size_t(d)] = right;
            padded[d] = n + left + right;
            require(padded[d] >= 0, "pad: margins ", left, " and ", right, " leave nothing of dimension ", d,
                    " of extent ", n, " (shape ", shape, ")");
            const Index limit = mode == PadMode::reflect ? n - 1 : n;
            const bool fits =
                mode == PadMode::constant || (mode == PadMode::replicate && n > 0) || (left <= limit && right <= limit);
            require(fits, "pad: margins ", left, " and ", right, " must be at most ", limit, " in dimension ", d,
                    " of extent ", n, " (shape ", shape, ")");
        }
    }
};

/// Where position `i` of the padded dimension comes from.
constexpr Index pad_source(Index i, Index n, PadMode mode) {
    if (mode == PadMode::replicate) return i < 0 ? 0 : i < n ? i : n - 1;
    if (mode == PadMode::circular) return (i % n + n) % n;
    return i < 0 ? -i : i < n ? i : 2 * (n - 1) - i;
}

template <class T, int R>
Tensor<T, R> pad_constant(const Tensor<T, R>& x, const Margins<R>& m, T value) {
    // The part of x that stays, and where it goes.
    Shape<R> kept = x.shape();
    Index from = 0, to = 0;
    const auto steps = contiguous_strides(m.padded), inside = contiguous_strides(x.shape());
    Index from_dense = 0;
    for (std::size_t d = 0; d < std::size_t(R); ++d) {
        const Index cut = m.before[d] < 0 ? -m.before[d] : 0, cut_after = m.after[d] < 0 ? -m.after[d] : 0;
        kept[int(d)] = std::max<Index>(0, kept[int(d)] - cut - cut_after);
        from += cut * x.strides()[d];
        from_dense += cut * inside[d];
        to += (m.before[d] > 0 ? m.before[d] : 0) * steps[d];
    }
    auto y = full<T>(m.padded, value);
    auto layout = kernels::to_dense(kept, x.strides());
    for (int d = 0; d < R; ++d) layout.to[d] = steps[std::size_t(d)];
    T* out = y.mutable_data();
    if (kept.numel()) kernels::copy(layout, x.data() + from, out + to);
    if constexpr (Real<T>) {
        if (auto* tape = autograd::recording(x))
            tape->record("pad", y, [link = x.grad_link(), kept, steps, inside, to, from_dense](const T* dy) {
                T* dx = autograd::grad_ptr<T>(link);
                if (!dx || kept.numel() == 0) return;
                auto back = kernels::to_dense(kept, steps);
                for (int d = 0; d < R; ++d) back.to[d] = inside[std::size_t(d)];
                kernels::copy<kernels::Write::add>(back, dy + to, dx + from_dense);
            });
    }
    return y;
}

/// Margins that repeat elements of x.
template <class T, int R>
Tensor<T, R> pad_by_index(const Tensor<T, R>& x, const Margins<R>& m, PadMode mode) {
    Tensor<T, R> y = x;
    for (int d = 0; d < R; ++d) {
        const Index before = m.before[std::size_t(d)], n = x.shape()[d];
        if (before == 0 && m.after[std::size_t(d)] == 0) continue;
        auto sources = empty<std::int64_t>(Shape{m.padded[d]});
        std::int64_t* at = sources.mutable_data();
        for (Index i = 0; i < m.padded[d]; ++i) at[i] = pad_source(i - before, n, mode);
        y = index_select(y, d, sources);
    }
    return y;
}

}  // namespace detail

/// `x` with margins: `pads` lists (before, after) pairs, the last dimension first, as in `pad(x, {left, right, top,
/// bottom})`; negative margins crop. Reflection leaves out the edge, so its margins are smaller than the extent;
/// circular ones are at most the extent. Throws ShapeError for margins that do not fit, ValueError for a wrong number
/// of them.
template <Element T, int R>
Tensor<T, R> pad(const Tensor<T, R>& x, std::span<const Index> pads, const PadOptions& o = {}) {
    const detail::Margins<R> m(x.shape(), pads, o.mode);
    if (o.mode == PadMode::constant) return detail::pad_constant(x, m, T(o.value));
    return detail::pad_by_index(x, m, o.mode);
}
template <Element T, int R>
Tensor<T, R> pad(const Tensor<T, R>& x, std::initializer_list<Index> pads, const PadOptions& o = {}) {
    return pad(x, std::span<const Index>(pads.begin(), pads.size()), o);
}

}  // namespace lamina::inline LAMINA_ABI
