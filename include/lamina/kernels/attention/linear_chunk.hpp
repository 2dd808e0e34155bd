#pragma once
// What linear attention works with: its problem, the running sums, and the buffers and small products of one chunk of
// rows, whose features are made when they are needed and never stored for the whole sequence.
#include <lamina/core/storage.hpp>
#include <lamina/kernels/attention/few_queries.hpp>
#include <lamina/kernels/attention/panel.hpp>
#include <lamina/kernels/gemm/gemm.hpp>
#include <lamina/simd/dual.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Sizes and rule: phi(Q) [queries, features], phi(K) [keys, features], V [keys, value_width] for [batch, heads].
struct LinearAttentionGeometry {
    Index batch, heads, queries, keys, features, value_width;
    bool causal;        ///< wants queries == keys
    bool own_chunk;     ///< causal: false: query i sees only the chunks before its own
    bool normalize;     ///< divide by phi(q) z
    double eps, least;  ///< added to the denominator; its least value
    Index chunk;        ///< rows whose products are made at once, when causal
};

/// A feature map element by element, on `rows` rows of `width`; null functions: the operands are features already.
template <class T>
struct FeatureMap {
    void (*apply)(const T* x, Index stride, Index rows, Index width, T* to, Index to_stride) = nullptr;
    /// to (+)= d phi'(x).
    void (*pull_back)(const T* x, Index stride, Index rows, Index width, const T* d, T* to, Index to_stride,
                      bool accumulate) = nullptr;
};
/// The map of a pointwise functor without state.
template <class Arch, class T, class F>
FeatureMap<T> feature_map() {
    using V = simd::Vec<T, Arch>;
    return {[](const T* x, Index stride, Index rows, Index width, T* to, Index to_stride) {
                for (Index r = 0; r < rows; ++r)
                    simd::for_each_vec<Arch>(
                        width, [](V a) LAMINA_INLINE_LAMBDA { return F{}(a); }, to + r * to_stride, x + r * stride);
            },
            [](const T* x, Index stride, Index rows, Index width, const T* d, T* to, Index to_stride, bool accumulate) {
                const auto slope = [](V a)
                                       LAMINA_INLINE_LAMBDA { return F{}(simd::Dual<V, 1>::variable(a, 0)).grad[0]; };
                for (Index r = 0; r < rows; ++r) {
                    T* const out = to + r * to_stride;
                    const T *a = x + r * stride, *up = d + r * width;
                    if (accumulate)
                        simd::for_each_vec<Arch>(
                            width, [=](V s, V u, V y) LAMINA_INLINE_LAMBDA { return fma(slope(s), u, y); }, out, a, up,
                            out);
                    else
                        simd::for_each_vec<Arch>(
                            width, [=](V s, V u) LAMINA_INLINE_LAMBDA { return slope(s) * u; }, out, a, up);
                }
            }};
}

template <class T>
struct LinearAttentionProblem {
    LinearAttentionGeometry sizes;
    HeadRows<const T> q, k, v;
    const std::int64_t* lengths = nullptr;  ///< keys of each member of the batch; null: all
    FeatureMap<T> map = {};

    Index keys_of(Index b) const {
        return lengths ? detail::larger(0, detail::smaller(lengths[b], sizes.keys)) : sizes.keys;
    }
};

namespace detail {

/// Fewer heads than this share the sequence out in parts; a part's rows.
inline constexpr Index linear_attention_heads = 8, linear_attention_part = 1024;
inline constexpr Index linear_attention_block = 128;  ///< rows at once when not causal
inline constexpr int linear_attention_slot = 12;      // of parallel::scratch; gemm inside uses 8 and 9

/// Calls f(b, h, part, rows) in parallel for all heads and `parts` parts of n rows, cut at whole chunks.
template <class F>
void for_head_parts(const LinearAttentionGeometry& g, Index n, Index parts, F&& f) {
    const Index chunks = ceil_div(n, g.chunk), heads = g.batch * g.heads;
    const Index work = n / larger(1, parts) * g.features * g.value_width / 16;
    parallel::for_range(heads * parts, parallel::grain_for(work), [&](Index begin, Index end) {
        for (Index task = begin; task < end; ++task) {
            const Piece c = piece(chunks, parts, task % parts);
            const Piece rows{smaller(n, c.begin * g.chunk), smaller(n, c.end * g.chunk)};
            f(task / parts / g.heads, task / parts % g.heads, task % parts, rows);
        }
    });
}
inline Index linear_attention_parts(Index n, bool always) { return always ? larger(1, n / linear_attention_part) : 1; }

/// Running sums of outer products [rows, columns] and, behind them, of features [features]; of each head and part.
template <class T>
class LinearStates {
public:
    LinearStates(const LinearAttentionGeometry& g, Index parts)
        : heads_(g.batch * g.heads),
          parts_(parts),
          products_(g.features * g.value_width),
          size_(products_ + g.features),
          storage_(Storage::allocate(std::size_t(heads_ * parts * size_) * sizeof(T))) {}

    T* products(Index head, Index part) const { return data() + (head * parts_ + part) * size_; }
    T* sums(Index head, Index part) const { return products(head, part) + products_; }
    void clear(Index head, Index part) const {
        for (Index i = 0; i < size_; ++i) products(head, part)[i] = 0;
    }
    /// Each part's sums become those of the parts in front of it, or behind it when `backwards`.
    void sum_before(bool backwards) const {
        for (Index h = 0; h < heads_; ++h)
            for (Index i = 0; i < size_; ++i) {
                T sum = 0;
                for (Index p = 0; p < parts_; ++p) {
                    T& at = products(h, backwards ? parts_ - 1 - p : p)[i];
                    const T own = at;
                    at = sum;
                    sum += own;
                }
            }
    }
    /// The first part's become those of all.
    void sum_all() const {
        for (Index h = 0; h < heads_; ++h)
            for (Index p = 1; p < parts_; ++p)
                for (Index i = 0; i < size_; ++i) products(h, 0)[i] += products(h, p)[i];
    }

private:
    T* data() const { return reinterpret_cast<T*>(storage_->data()); }
    Index heads_, parts_, products_, size_;
    Ref<Storage> storage_;
};

/// Right side of small products: rows in place, or packed as panels of columns.
template <class T>
struct RightSide {
    MatrixView<T> rows;
    Index count, width;
    const T* packed;  ///< or null
};

/// Buffers and products of chunks of one head.
template <class Arch, class T>
class LinearChunk {
public:
    using V = simd::Vec<T, Arch>;
    static constexpr Index panel = panel_columns<Arch, T>, most_columns = 4 * panel;

    LinearChunk(const LinearAttentionProblem<T>& p, bool gradient)
        : p(p),
          g(p.sizes),
          most(g.causal ? g.chunk : linear_attention_block),
          row_stride_(copy_stride<T>(g.features)),
          score_stride(copy_stride<T>(round_up(most, panel))) {
        const Index wider = larger(g.features, g.value_width), deepest = larger(most, wider);
        const Index square = g.causal && g.own_chunk ? most * score_stride : 0;
        const Index narrow = round_up(smaller(deepest, most_columns), panel), lanes = narrow * deepest, side = lanes;
        Carver<T> carve{parallel::scratch<T>(2 * most * row_stride_ + 2 * square + lanes + 2 * side + 4 * most +
                                                 (gradient ? most * (wider + g.value_width) : 0) + 1024,
                                             linear_attention_slot)};
        for (T*& x : features_) x = carve.take(most * row_stride_);
        scores = carve.take(square);
        scores_grad = carve.take(square);
        lanes_ = carve.take(lanes);
        for (T*& x : sides_) x = carve.take(side);
        den = carve.take(most);
        part_ = carve.take(most);
        ones_ = carve.take(most);
        weight = carve.take(most);
        upstream = gradient ? carve.take(most * g.value_width) : nullptr;
        feature_grad = gradient ? carve.take(most * wider) : nullptr;
        for (Index i = 0; i < most; ++i) ones_[i] = 1;
    }

    /// phi of n rows, in buffer 0 or 1.
    MatrixView<T> features(const HeadRows<const T>& x, Index b, Index h, Index first, Index n, int buffer) const {
        const T* from = x.at(b, h, first);
        if (!p.map.apply) return row_major(from, x.row_stride);
        p.map.apply(from, x.row_stride, n, g.features, features_[buffer], row_stride_);
        return row_major<T>(features_[buffer], row_stride_);
    }
    static MatrixView<T> rows_of(const HeadRows<const T>& x, Index b, Index h, Index row) {
        return row_major(x.at(b, h, row), x.row_stride);
    }
    /// Fetches rows of the next chunk during the products of this one.
    template <class X>
    void fetch(const HeadRows<X>& x, Index b, Index h, Piece rows, Index width) {
        if (x.data) ahead.add(x.at(b, h, rows.begin), x.row_stride, rows.size(), width);
    }

    /// Rows as the right side: copied where tiles could not read them in place. Buffer 0 or 1.
    RightSide<T> right_side(MatrixView<T> rows, Index count, Index width, int buffer) const {
        RightSide<T> out{rows, count, width, nullptr};
        const bool whole = width % V::width == 0;
        if (wide(width) || (whole && !crowds_cache<T>(rows.row_stride))) return out;
        T* const to = sides_[buffer];
        for (Index c = 0; c < width; c += panel)
            pack_rows<Arch>(rows.at(0, c), rows.row_stride, to + c * count, count, smaller(width - c, panel),
                            panel_width<Arch, T>(width - c));
        out.packed = to;
        return out;
    }
    /// The transpose of `count` rows as the right side [width, count].
    RightSide<T> transposed_side(MatrixView<T> rows, Index count, Index width) const {
        if (wide(count)) return {rows.transposed(), width, count, nullptr};
        for (Index j = 0; j < count; j += panel) {
            const Index n = smaller(panel, count - j);
            rows_to_lanes<Arch>(rows.at(j, 0), rows.row_stride, n, width, lanes_ + j * width, round_up(n, V::width),
                                T(1));
        }
        return {rows.transposed(), width, count, lanes_};
    }

    /// c [m, columns] (+)= a [m, k] b, for rows [b_row, b_row + k) and `columns` of b.
    void multiply(MatrixView<T> a, Index m, Index k, const RightSide<T>& b, Index b_row, Piece columns, T* c,
                  Index c_stride, bool accumulate) {
        if (m == 0 || columns.size() <= 0) return;
        if (wide(b.width) || (m > 2 * most_columns && !b.packed)) {
            const MatrixView<T> part{b.rows.at(b_row, columns.begin), b.rows.row_stride, b.rows.column_stride};
            gemm<Arch>({m, columns.size(), k}, a, part, c, c_stride, accumulate);
            return;
        }
        for (Index j = columns.begin; j < columns.end; j += panel, c += panel) {
            const Index step = b.packed ? panel_width<Arch, T>(b.width - j) : b.rows.row_stride;
            const T* from = b.packed ? b.packed + j * b.count : b.rows.at(0, j);
            multiply_panel<Arch>(PanelProduct<T>{a, m, k, from + b_row * step, step, smaller(panel, columns.end - j), c,
                                                 c_stride, accumulate, &ahead});
        }
    }
    void multiply(MatrixView<T> a, Index m, Index k, const RightSide<T>& b, T* c, Index c_stride, bool accumulate) {
        multiply(a, m, k, b, 0, {0, b.width}, c, c_stride, accumulate);
    }
    /// Lower triangle of a [n, k] b, b [k, seen]; zeros above it up to the panel's end.
    void multiply_lower(MatrixView<T> a, Index n, Index k, const RightSide<T>& b, Index seen, T* c) {
        for (Index j = 0; j < seen; j += panel) {
            const Piece columns{j, smaller(seen, j + panel)};
            multiply({a.at(j, 0), a.row_stride, a.column_stride}, n - j, k, b, 0, columns, c + j * score_stride + j,
                     score_stride, false);
            for (Index i = j; i < smaller(n, columns.end); ++i)
                for (Index u = i + 1; u < columns.end; ++u) c[i * score_stride + u] = 0;
        }
    }
    /// Keys that rows [i, i + panel) of a lower triangle may see.
    static Index keys_up_to(Index i, Index seen) { return smaller(seen, i + panel); }

    /// sums += the features of n rows, each `weight` times; null: once.
    void add_features(MatrixView<T> x, Index n, const T* factors, T* sums) const {
        add_weighted_rows<Arch>(x.data, x.row_stride, n, factors ? factors : ones_, sums, g.features);
    }
    /// Sums of n rows of a triangle over its first `keys` columns, added to `to`.
    void add_row_sums(const T* rows, Index n, Index keys, T* to) const {
        row_products<Arch>(rows, score_stride, n, ones_, keys, part_);
        for (Index i = 0; i < n; ++i) to[i] += part_[i];
    }

    const LinearAttentionProblem<T>& p;
    const LinearAttentionGeometry& g;
    const Index most;  ///< rows of a chunk
    FetchAhead<T> ahead;
    T *scores, *scores_grad, *den, *weight, *upstream, *feature_grad;

private:
    /// More columns than panels are packed for: the general product is better at them.
    static bool wide(Index columns) { return columns > most_columns; }

    Index row_stride_;

public:
    const Index score_stride;

private:
    T *features_[2], *lanes_, *sides_[2], *part_, *ones_;
};

}  // namespace detail
}  // namespace lamina::inline LAMINA_ABI::kernels
