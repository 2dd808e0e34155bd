#pragma once
// Exact softmax attention without the matrix of scores. A task holds a group of query panels of one head in the
// second-level cache and goes through the keys block by block, with a running maximum and sum: M. Milakov and
// N. Gimelshein, "Online normalizer calculation for softmax", 2018; T. Dao et al., "FlashAttention", 2022.
#include <lamina/kernels/attention/few_queries.hpp>
#include <lamina/kernels/attention/panel.hpp>
#include <lamina/kernels/attention/weighing.hpp>
#include <lamina/parallel/for.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// o [batch, heads, queries, value_width] = dropout(softmax(scale Q K^T + mask)) V, or with another weighing than
/// softmax; 0 for a query that sees no key.
/// `stats`, if not null, gets the logarithm (base 2) of each row's sum of exponentials, or what other weights were
/// multiplied by [batch, heads, queries]: from these the gradient makes the weights again.
template <class Arch = simd::native, class T>
void attention_forward(const AttentionProblem<T>& p, HeadRows<T> o, T* stats);

namespace detail {

struct AttentionPolicy {
    static constexpr int slot = 12;                  ///< of parallel::scratch
    static constexpr Index key_block = 112;          ///< keys whose weights for a panel stay in L1
    static constexpr Index group_bytes = 256 << 10;  ///< of a group's panels, unless
    static constexpr Index copy_panels = 8;          ///< they are so few; for more, K and V are always copied together
    static constexpr Index max_panels = 16;          ///< in a group
    static constexpr Index least_tasks = 8;          ///< that a second thread shares; groups are smaller otherwise
    static constexpr Index stale_maximum = 8;        ///< how far (log 2) scores may exceed the maximum in use
};

/// Queries of one head, the work of one task.
struct QueryGroup {
    Index b, h;
    Piece queries;
};

template <class Arch, class T>
class AttentionGroup {
    using V = simd::Vec<T, Arch>;
    using L = ScoreLimits<T>;
    static constexpr int W = V::width;
    static constexpr Index panel = panel_columns<Arch, T>, most = AttentionPolicy::key_block;

public:
    AttentionGroup(const AttentionProblem<T>& p, const QueryGroup& group)
        : p_(p),
          b_(group.b),
          h_(group.h),
          queries_(group.queries),
          width_(p.sizes.width),
          value_width_(p.sizes.value_width),
          k_stride_(copy_stride<T>(width_)),
          v_stride_(copy_stride<T>(value_width_)),
          panels_(ceil_div(queries_.size(), panel)),
          panel_size_(Carver<T>::rounded((width_ + value_width_ + 2) * panel)) {
        const Index copies = most * (k_stride_ + v_stride_);
        T* const work = parallel::scratch<T>(panels_ * panel_size_ + most * panel * 4 + 2 * panel + copies + 256,
                                             AttentionPolicy::slot);
        Carver<T> carve{work};
        state_ = carve.take(panels_ * panel_size_);
        weights_ = carve.take(most * panel);
        factors_ = carve.take(most * panel);
        mask_ = carve.take(mask_scratch(most, panel));
        k_copy_ = carve.take(most * k_stride_);
        v_copy_ = carve.take(most * v_stride_);
    }

    /// `next`, if not null, is what this thread does after this group.
    void run(HeadRows<T> o, T* stats, const QueryGroup* next) {
        for (Index i = 0; i < panels_; ++i) {
            const Piece q = queries_of(i);
            T* state = state_ + i * panel_size_;
            rows_to_lanes<Arch>(p_.q.at(b_, h_, q.begin), p_.q.row_stride, q.size(), width_, state, lanes_of(q),
                                p_.rule.scale * p_.rule.unit());
            for (Index j = 0; j < panel; ++j) maximum(i)[j] = L::unseen, sum(i)[j] = 0;
        }
        const Index keys = p_.keys_up_to(b_, queries_.end - 1), blocks = ceil_div(keys, most);
        for (Index block = 0; block < blocks; ++block) {
            ahead_.clear();
            if (block + 1 < blocks) fetch_keys(b_, h_, piece(keys, blocks, block + 1));
            else {
                ahead_.add(o.at(b_, h_, queries_.begin), o.row_stride, queries_.size(), value_width_);
                if (next) fetch_group(*next);
            }
            run_block(piece(keys, blocks, block));
        }
        for (Index i = 0; i < panels_; ++i) finish(i, o, stats);
    }

private:
    Piece queries_of(Index i) const {
        const Index begin = queries_.begin + i * panel;
        return {begin, smaller(begin + panel, queries_.end)};
    }
    static Index lanes_of(Piece queries) { return round_up(queries.size(), W); }
    T* out(Index i) const { return state_ + i * panel_size_ + width_ * panel; }
    T* maximum(Index i) const { return out(i) + value_width_ * panel; }
    T* sum(Index i) const { return maximum(i) + panel; }

    void fetch_keys(Index b, Index h, Piece keys) {
        const Index kv = p_.kv_head(h);
        ahead_.add(p_.k.at(b, kv, keys.begin), p_.k.row_stride, keys.size(), width_);
        ahead_.add(p_.v.at(b, kv, keys.begin), p_.v.row_stride, keys.size(), value_width_);
    }
    void fetch_group(const QueryGroup& g) {
        ahead_.add(p_.q.at(g.b, g.h, g.queries.begin), p_.q.row_stride, g.queries.size(), width_);
        const Index keys = p_.keys_up_to(g.b, g.queries.end - 1), blocks = ceil_div(keys, most);
        if (blocks > 0) fetch_keys(g.b, g.h, piece(keys, blocks, 0));
    }

    void run_block(Piece keys) {
        const Index kv = p_.kv_head(h_), n = keys.size();
        const T *k = p_.k.at(b_, kv, keys.begin), *v = p_.v.at(b_, kv, keys.begin);
        const bool many = panels_ > AttentionPolicy::copy_panels;
        const auto worth = [&](Index stride, Index width) {
            return (many && stride != width) || (panels_ > 1 && crowds_cache<T>(stride));
        };
        MatrixView<T> ks = row_major(k, p_.k.row_stride), vs = row_major(v, p_.v.row_stride);
        if (worth(p_.k.row_stride, width_)) {
            copy_rows_clean<Arch>(k, p_.k.row_stride, n, width_, k_copy_, k_stride_, false, bad_);
            ks = row_major<T>(k_copy_, k_stride_);
        }
        // A hidden key's weight is 0, and 0 times NaN would still be NaN.
        bool any_bad = false;
        if (p_.hides() || worth(p_.v.row_stride, value_width_)) {
            any_bad = copy_rows_clean<Arch>(v, p_.v.row_stride, n, value_width_, v_copy_, v_stride_, p_.hides(), bad_);
            vs = row_major<T>(v_copy_, v_stride_);
        }
        for (Index i = 0; i < panels_; ++i) {
            const Piece q = queries_of(i);
            const Index end = smaller(keys.end, p_.keys_up_to(b_, q.end - 1));
            if (end > keys.begin) run_panel(i, q, {keys.begin, end}, ks, vs, any_bad ? v : nullptr);
        }
    }

    void run_panel(Index i, Piece q, Piece keys, MatrixView<T> k, MatrixView<T> v, const T* bad_values) {
        const Index n = keys.size(), lanes = lanes_of(q);
        multiply_panel<Arch>(
            PanelProduct<T>{k, n, width_, state_ + i * panel_size_, lanes, lanes, weights_, lanes, false, &ahead_});
        const ScoreBlock<T> block{weights_, lanes, b_, h_, q, keys, lanes};
        if (p_.hides()) mask_scores<Arch>(p_, block, mask_);
        const bool fresh = keys.begin == 0;
        if (p_.rule.weighing == Weighing::softmax) {
            update_maximum(i, lanes, n, fresh);
            for (Index c = 0; c < lanes; c += W) weigh(weights_ + c, lanes, n, maximum(i) + c, sum(i) + c);
        } else {
            for (Index c = 0; c < lanes; c += W)
                weigh_apart<Arch>(p_.rule.weighing, weights_ + c, lanes, n, sum(i) + c);
        }
        if (p_.rule.dropout > 0) {
            dropout_factors<Arch>(p_, {factors_, lanes, b_, h_, q, keys, lanes});
            for (Index j = 0; j < n * lanes; j += W)
                simd::store(weights_ + j, simd::load<Arch>(weights_ + j) * simd::load<Arch>(factors_ + j));
        }
        multiply_panel<Arch>(
            PanelProduct<T>{v.transposed(), value_width_, n, weights_, lanes, lanes, out(i), lanes, !fresh, &ahead_});
        if (bad_values) add_bad_values(i, block, bad_values);
    }

    /// Raises the maximum where a score exceeds it by much, and shrinks what was summed with the old one.
    void update_maximum(Index i, Index lanes, Index n, bool fresh) {
        T *m = maximum(i), *s = sum(i);
        for (Index c = 0; c < lanes; c += W) {
            V top[2] = {V(L::hidden), V(L::hidden)};
            const T* w = weights_ + c;
            for (Index j = 0; j + 1 < n; j += 2, w += 2 * lanes) {
                top[0] = max(simd::load<Arch>(w), top[0]);
                top[1] = max(simd::load<Arch>(w + lanes), top[1]);
            }
            if (n % 2) top[0] = max(simd::load<Arch>(w), top[0]);
            const V highest = max(top[0], top[1]), old = simd::load<Arch>(m + c);
            if (!any(highest > old + V(T(AttentionPolicy::stale_maximum)))) continue;
            const V now = max(highest, old), shrink = weight_exp2(old - now);
            simd::store(m + c, now);
            simd::store(s + c, simd::load<Arch>(s + c) * shrink);
            if (fresh) continue;
            T* o = out(i) + c;
            for (Index f = 0; f < value_width_; ++f, o += lanes) simd::store(o, simd::load<Arch>(o) * shrink);
        }
    }

    /// Scores to weights, and their sum.
    static void weigh(T* w, Index stride, Index n, const T* maximum, T* sum) {
        const V m = simd::load<Arch>(maximum);
        V total[2] = {simd::load<Arch>(sum), V(T(0))};
        for (Index j = 0; j + 1 < n; j += 2, w += 2 * stride) {
            const V a = weight_exp2(simd::load<Arch>(w) - m), b = weight_exp2(simd::load<Arch>(w + stride) - m);
            simd::store(w, a);
            simd::store(w + stride, b);
            total[0] += a;
            total[1] += b;
        }
        if (n % 2) {
            const V a = weight_exp2(simd::load<Arch>(w) - m);
            simd::store(w, a);
            total[0] += a;
        }
        simd::store(sum, total[0] + total[1]);
    }

    /// The rows of V that were left out, for those queries that do see them.
    LAMINA_NOINLINE void add_bad_values(Index i, const ScoreBlock<T>& s, const T* values) {
        for (Index j = 0; j < s.keys.size(); ++j)
            for (Index q = 0; bad_[j] && q < s.queries.size(); ++q)
                if (p_.visible(b_, h_, s.queries.begin + q, s.keys.begin + j))
                    for (Index f = 0; f < value_width_; ++f)
                        out(i)[f * s.stride + q] += s.row(j)[q] * values[j * p_.v.row_stride + f];
    }

    void finish(Index i, HeadRows<T> o, T* stats) {
        const Piece q = queries_of(i);
        const Index lanes = lanes_of(q), first = (b_ * p_.sizes.heads + h_) * p_.sizes.queries + q.begin;
        T *m = maximum(i), *s = sum(i);
        const bool nothing = p_.keys_up_to(b_, q.end - 1) == 0;  // no block wrote the result
        for (Index f = 0; nothing && f < value_width_ * lanes; ++f) out(i)[f] = 0;
        for (Index c = 0; c < q.size(); ++c) {
            const bool seen = s[c] != 0, softmax = p_.rule.weighing == Weighing::softmax;
            if (stats && softmax) stats[first + c] = seen ? m[c] + simd::log2(s[c]) : -L::unseen;
            s[c] = !seen ? T(0) : softmax || p_.rule.average ? 1 / s[c] : T(1);
            if (stats && !softmax) stats[first + c] = s[c];
        }
        lanes_to_rows<Arch>(out(i), lanes, value_width_, q.size(), s, o.at(b_, h_, q.begin), o.row_stride);
    }

    const AttentionProblem<T>& p_;
    Index b_, h_;
    Piece queries_;
    Index width_, value_width_, k_stride_, v_stride_, panels_, panel_size_;
    T *state_, *weights_, *factors_, *mask_, *k_copy_, *v_copy_;
    bool bad_[most];
    FetchAhead<T> ahead_;
};

/// Parts that the queries of a head are cut into, by sizes alone.
template <class Arch, class T>
Index attention_parts(const AttentionGeometry& g) {
    constexpr Index panel = panel_columns<Arch, T>;
    const Index bytes = (g.width + g.value_width + 2) * panel * Index(sizeof(T));
    const Index fits = smaller(AttentionPolicy::max_panels, AttentionPolicy::group_bytes / bytes);
    const Index panels = ceil_div(g.queries, panel), fair = panels * g.batch * g.heads / AttentionPolicy::least_tasks;
    return ceil_div(panels, larger(3, smaller(larger(AttentionPolicy::copy_panels, fits), fair)));
}

}  // namespace detail

template <class Arch, class T>
void attention_forward(const AttentionProblem<T>& p, HeadRows<T> o, T* stats) {
    const AttentionGeometry& g = p.sizes;
    if (g.batch * g.heads * g.queries == 0) return;
    if (detail::takes_few_queries(p)) {
        detail::attention_few_queries<Arch>(p, o, stats);
        return;
    }
    constexpr Index panel = detail::panel_columns<Arch, T>;
    const Index parts = detail::attention_parts<Arch, T>(g), panels = detail::ceil_div(g.queries, panel);
    const Index work = g.queries / parts * g.keys * (g.width + g.value_width);
    const Index tasks = g.batch * g.heads * parts;
    const auto group = [&](Index task) {
        const detail::Piece part = detail::piece(panels, parts, task % parts);
        return detail::QueryGroup{task / parts / g.heads,
                                  task / parts % g.heads,
                                  {part.begin * panel, detail::smaller(part.end * panel, g.queries)}};
    };
    parallel::for_range(tasks, parallel::grain_for(work / 16), [&](Index begin, Index end) {
        for (Index task = begin; task < end; ++task) {
            const detail::QueryGroup next = group(task + 1);
            detail::AttentionGroup<Arch, T>(p, group(task)).run(o, stats, task + 1 < tasks ? &next : nullptr);
        }
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
