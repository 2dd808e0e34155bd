#pragma once
// A case for the attention kernels and its result by naive sums in double.
#include <lamina/core/view.hpp>
#include <lamina/kernels/attention/forward.hpp>
#include <tests/support/compare.hpp>

#include <vector>

namespace lamina::inline LAMINA_ABI::test {

template <class T>
struct AttentionCase {
    kernels::AttentionGeometry g;
    bool strided;  ///< [batch, rows, heads, width] instead of [batch, heads, rows, width]
    Tensor<T, 4> q, k, v;
    Tensor<bool, 4> keep;
    Tensor<T, 4> add;
    Tensor<std::int64_t, 1> lengths;
    bool causal = false;
    Index diagonal = 0;
    double dropout = 0;
    random::Key key{7, 3};

    AttentionCase(const kernels::AttentionGeometry& sizes, bool interleaved) : g(sizes), strided(interleaved) {
        q = wave<T>(shape(g.heads, g.queries, g.width), 0.1);
        k = wave<T>(shape(g.kv_heads, g.keys, g.width), 0.7);
        v = wave<T>(shape(g.kv_heads, g.keys, g.value_width), 1.9);
        for (Index i = 0; i < q.numel(); ++i) q.mutable_data()[i] *= 3;
    }
    /// 0 and 1: none; 2: boolean; 3: added, with -inf in it; 4: causal; 5: lengths, causal from the last key, keys
    /// hidden for all queries.
    void use_mask(int kind) {
        keep = Tensor<bool, 4>();
        add = Tensor<T, 4>();
        lengths = Tensor<std::int64_t, 1>();
        causal = kind >= 4;
        diagonal = kind == 5 ? g.keys - g.queries : 0;
        if (kind == 2) keep = wave<bool>(Shape{g.batch, Index(1), g.queries, g.keys});
        if (kind == 3) {
            add = wave<T>(Shape{Index(1), g.heads, g.queries, g.keys}, 2.5);
            for (Index i = 0; i < add.numel(); i += 3) add.mutable_data()[i] = -std::numeric_limits<T>::infinity();
        }
        if (kind == 5) {
            keep = wave<bool>(Shape{g.batch, Index(1), Index(1), g.keys});
            lengths = Tensor<std::int64_t, 1>(Shape{g.batch});
            for (Index b = 0; b < g.batch; ++b) lengths.mutable_at(b) = g.keys - b * 2 > 0 ? g.keys - b * 2 : 0;
        }
    }
    kernels::AttentionProblem<T> problem() const {
        kernels::AttentionRule<T> rule{T(1 / std::sqrt(double(g.width)))};
        rule.keep = mask_view(keep);
        rule.add = mask_view(add);
        rule.lengths = lengths.defined() ? lengths.data() : nullptr;
        rule.causal = causal;
        rule.diagonal = diagonal;
        rule.dropout = dropout;
        rule.key = key;
        return {g, rows(q, g.heads, g.queries, g.width), rows(k, g.kv_heads, g.keys, g.width),
                rows(v, g.kv_heads, g.keys, g.value_width), rule};
    }
    template <class Arch = simd::native>
    Tensor<T, 4> run(T* stats = nullptr) const {
        Tensor<T, 4> y = full<T>(shape(g.heads, g.queries, g.value_width), T(NAN));
        T* to = y.mutable_data();
        const auto o = rows(y, g.heads, g.queries, g.value_width);
        kernels::attention_forward<Arch>(problem(), {to, o.batch_stride, o.head_stride, o.row_stride}, stats);
        return by_head(y);
    }
    bool visible(Index b, Index h, Index i, Index j) const { return problem().visible(b, h, i, j); }
    /// Weights of all keys, after dropout.
    std::vector<double> weights(Index b, Index h, Index i, bool drop = true) const {
        const auto p = problem();
        std::vector<double> w(std::size_t(g.keys), -INFINITY);
        double top = -INFINITY, sum = 0;
        for (Index j = 0; j < g.keys; ++j) {
            if (!p.visible(b, h, i, j)) continue;
            double s = 0;
            for (Index f = 0; f < g.width; ++f) s += double(p.q.at(b, h, i)[f]) * double(p.k.at(b, p.kv_head(h), j)[f]);
            s = s * double(p.rule.scale) + (add.defined() ? double(*p.rule.add.at(b, h, i, j)) : 0);
            w[std::size_t(j)] = s;
            top = std::max(top, s);
        }
        for (auto& x : w) sum += x = x == -INFINITY ? 0 : std::exp(x - top);
        for (Index j = 0; j < g.keys; ++j) {
            auto& x = w[std::size_t(j)];
            x = sum > 0 ? x / sum : 0;
            if (drop && dropout > 0) x *= kept(b, h, i, j) ? 1 / (1 - dropout) : 0;
        }
        return w;
    }
    bool kept(Index b, Index h, Index i, Index j) const {
        const Index keys = (g.keys + 3) / 4 * 4, blocks = (g.queries + 15) / 16;
        return random::bernoulli(key, (((b * g.heads + h) * blocks + i / 16) * keys + j) * 16 + i % 16, 1 - dropout);
    }
    Tensor<double, 4> naive() const {
        const auto p = problem();
        auto y = zeros<double>(Shape{g.batch, g.heads, g.queries, g.value_width});
        for_each_index(Shape{g.batch, g.heads, g.queries}, [&](const auto& at) {
            const auto w = weights(at[0], at[1], at[2]);
            for (Index j = 0; j < g.keys; ++j)
                for (Index f = 0; w[std::size_t(j)] > 0 && f < g.value_width; ++f)
                    y.mutable_at(at[0], at[1], at[2], f) +=
                        w[std::size_t(j)] * double(p.v.at(at[0], p.kv_head(at[1]), j)[f]);
        });
        return y;
    }
    /// NaN and infinity into keys and values that no query of any head sees.
    void spoil_hidden_keys() {
        for (Index b = 0; b < g.batch; ++b)
            for (Index j = 0; j < g.keys; ++j) {
                bool seen = false;
                for (Index h = 0; h < g.heads; ++h)
                    for (Index i = 0; i < g.queries; ++i) seen = seen || visible(b, h, i, j);
                for (Index h = 0; !seen && h < g.kv_heads; ++h) {
                    const auto p = problem();
                    const_cast<T*>(p.k.at(b, h, j))[0] = T(NAN);
                    const_cast<T*>(p.v.at(b, h, j))[g.value_width - 1] = T(j % 2 ? NAN : INFINITY);
                }
            }
    }

    Shape<4> shape(Index heads, Index rows, Index width) const {
        return strided ? Shape{g.batch, rows, heads, width} : Shape{g.batch, heads, rows, width};
    }
    kernels::HeadRows<const T> rows(const Tensor<T, 4>& x, Index heads, Index count, Index width) const {
        if (strided) return {x.data(), count * heads * width, width, heads * width};
        return {x.data(), heads * count * width, count * width, width};
    }
    Tensor<T, 4> by_head(const Tensor<T, 4>& x) const { return strided ? view::transpose(x, 1, 2).clone() : x; }
    template <class X>
    static kernels::MaskView<const X> mask_view(const Tensor<X, 4>& x) {
        if (!x.defined()) return {};
        const auto step = [&](int d) { return x.shape()[d] == 1 ? 0 : x.strides()[std::size_t(d)]; };
        return {x.data(), step(0), step(1), step(2), step(3)};
    }
};

}  // namespace lamina::inline LAMINA_ABI::test
