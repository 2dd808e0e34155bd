#pragma once
// Gradients of softmax attention, with the weights made again block by block from the saved logarithms of their sums:
// dV = P^T dO, dS = P (dO V^T - rowsum(dO O)), dQ = dS K, dK = dS^T Q. T. Dao, "FlashAttention-2", 2023.
#include <lamina/core/storage.hpp>
#include <lamina/kernels/attention/forward.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Where the gradients of an attention go, laid out like the operands; null data: not wanted. Those with `accumulate`
/// are added to.
template <class T>
struct AttentionGradients {
    HeadRows<T> q, k, v;
    MaskView<T> add;  ///< of the added mask, whose keys are dense; always added to
    bool accumulate_q = false, accumulate_k = false, accumulate_v = false;
};

/// Gradients for the result `o` and its gradient `d_o`; `stats` are those of attention_forward.
template <class Arch = simd::native, class T>
void attention_grad(const AttentionProblem<T>& p, HeadRows<const T> o, const T* stats, HeadRows<const T> d_o,
                    const AttentionGradients<T>& grads);

namespace detail {

/// The part of keys [keys) of one head of K and V, with all heads of Q that it serves.
template <class Arch, class T>
class AttentionGradTask {
    using V = simd::Vec<T, Arch>;
    using L = ScoreLimits<T>;
    static constexpr int W = V::width;
    static constexpr Index panel = panel_columns<Arch, T>, most_keys = AttentionPolicy::key_block;
    static constexpr Index most_panels = smaller(8, 128 / panel + (128 % panel > 0)), most = most_panels * panel;

public:
    AttentionGradTask(const AttentionProblem<T>& p, HeadRows<const T> o, const T* stats, HeadRows<const T> d_o,
                      const AttentionGradients<T>& grads, Index b, Index kv, Piece keys)
        : p_(p),
          o_(o),
          d_o_(d_o),
          grads_(grads),
          stats_(stats),
          b_(b),
          kv_(kv),
          keys_(keys),
          width_(p.sizes.width),
          value_width_(p.sizes.value_width),
          k_stride_(copy_stride<T>(width_)),
          v_stride_(copy_stride<T>(value_width_)) {
        const Index both = round_up(width_, W) + round_up(value_width_, W);
        const Index scores = most_keys * most;
        Carver<T> carve{parallel::scratch<T>(most * (2 * both + width_ + 4) + scores * 3 +
                                                 mask_scratch(most_keys, panel) + most_keys * (k_stride_ + v_stride_) +
                                                 512,
                                             AttentionPolicy::slot)};
        q_lanes_ = carve.take(most * width_);
        do_lanes_ = carve.take(most * value_width_);
        dq_lanes_ = carve.take(most * width_);
        q_rows_ = carve.take(most * round_up(width_, W));
        do_rows_ = carve.take(most * round_up(value_width_, W));
        log_sum_ = carve.take(most);
        delta_ = carve.take(most);
        factor_ = carve.take(most);
        weights_ = carve.take(scores);
        scores_grad_ = carve.take(scores);
        dropout_ = carve.take(scores);
        mask_ = carve.take(mask_scratch(most_keys, panel));
        k_copy_ = carve.take(most_keys * k_stride_);
        v_copy_ = carve.take(most_keys * v_stride_);
    }

    /// dq rows of head h go to `dq`, which this task alone writes. `more`: the next head comes after this one.
    void run(HeadRows<T> dq, bool accumulate_q, bool more = false) {
        const Index shared = p_.sizes.heads / p_.sizes.kv_heads, n = p_.sizes.queries, groups = ceil_div(n, most);
        const Index first_head = kv_ * shared, count = groups * shared;
        // The first group writes what the others add to, where it sees all keys.
        fresh_ = !p_.rule.causal && p_.keys_of(b_) >= keys_.end && count > 0;
        if (!fresh_) clear(grads_.k, grads_.accumulate_k, width_);
        if (!fresh_) clear(grads_.v, grads_.accumulate_v, value_width_);
        for (Index i = 0; i < count; ++i) {
            h_ = first_head + i / groups;
            queries_ = group(i % groups);
            load_group();
            const Index blocks = blocks_for(b_, queries_);
            for (Index j = 0; j < blocks; ++j) {
                ahead_.clear();
                if (j + 1 < blocks) fetch_keys(b_, kv_, block(b_, queries_, j + 1));
                else {
                    if (dq.data) ahead_.add(dq.at(b_, h_, queries_.begin), dq.row_stride, queries_.size(), width_);
                    if (i + 1 < count) fetch_group(b_, first_head + (i + 1) / groups, group((i + 1) % groups));
                    else if (more) fetch_next_head(group(0));
                }
                run_block(block(b_, queries_, j));
            }
            for (Index j = 0; dq.data && j < panels(); ++j)
                lanes_to_rows<Arch>(dq_lanes_ + j * panel * width_, lanes(j), width_, queries(j).size(), factor_,
                                    dq.at(b_, h_, queries(j).begin), dq.row_stride, accumulate_q);
            fresh_ = false;
        }
    }

private:
    Index panels() const { return ceil_div(queries_.size(), panel); }
    Piece queries(Index i) const {
        return {queries_.begin + i * panel, smaller(queries_.begin + (i + 1) * panel, queries_.end)};
    }
    Index lanes(Index i) const { return round_up(queries(i).size(), W); }
    /// Lanes of all panels: distance between the rows of the blocks of scores.
    Index stride() const { return round_up(queries_.size(), W); }

    Piece group(Index i) const { return {i * most, smaller((i + 1) * most, p_.sizes.queries)}; }
    /// Blocks of those of the task's keys that some of the queries see.
    Index blocks_for(Index b, Piece queries) const {
        const Index end = smaller(keys_.end, p_.keys_up_to(b, queries.end - 1));
        return ceil_div(larger(0, end - keys_.begin), most_keys);
    }
    Piece block(Index b, Piece queries, Index i) const {
        const Index end = smaller(keys_.end, p_.keys_up_to(b, queries.end - 1));
        const Piece part = piece(end - keys_.begin, blocks_for(b, queries), i);
        return {keys_.begin + part.begin, keys_.begin + part.end};
    }

    void fetch_keys(Index b, Index kv, Piece keys) {
        const auto add = [&](auto rows, Index width) {
            if (rows.data) ahead_.add(rows.at(b, kv, keys.begin), rows.row_stride, keys.size(), width);
        };
        add(p_.k, width_);
        add(p_.v, value_width_);
        add(grads_.k, width_);
        add(grads_.v, value_width_);
    }
    void fetch_group(Index b, Index h, Piece queries) {
        const auto add = [&](auto rows, Index width) {
            ahead_.add(rows.at(b, h, queries.begin), rows.row_stride, queries.size(), width);
        };
        add(p_.q, width_);
        add(d_o_, value_width_);
        add(o_, value_width_);
    }
    void fetch_next_head(Piece queries) {
        const bool same = kv_ + 1 < p_.sizes.kv_heads;
        const Index b = same ? b_ : b_ + 1, kv = same ? kv_ + 1 : 0;
        fetch_group(b, kv * (p_.sizes.heads / p_.sizes.kv_heads), queries);
        if (blocks_for(b, queries) > 0) fetch_keys(b, kv, block(b, queries, 0));
    }

    void clear(HeadRows<T> rows, bool accumulate, Index width) const {
        for (Index j = keys_.begin; rows.data && !accumulate && j < keys_.end; ++j)
            for (Index i = 0; i < width; ++i) rows.at(b_, kv_, j)[i] = 0;
    }

    void load_group() {
        const Index n = queries_.size();
        const T *q = p_.q.at(b_, h_, queries_.begin), *d_o = d_o_.at(b_, h_, queries_.begin);
        for (Index i = 0; i < panels(); ++i) {
            const Index at = i * panel, count = queries(i).size();
            rows_to_lanes<Arch>(q + at * p_.q.row_stride, p_.q.row_stride, count, width_, q_lanes_ + at * width_,
                                lanes(i), p_.rule.scale * p_.rule.unit());
            rows_to_lanes<Arch>(d_o + at * d_o_.row_stride, d_o_.row_stride, count, value_width_,
                                do_lanes_ + at * value_width_, lanes(i), T(1));
        }
        pack_panels(q, p_.q.row_stride, width_, q_rows_);
        for (Index i = 0; i < n * round_up(width_, W); i += W)
            simd::store(q_rows_ + i, simd::load<Arch>(q_rows_ + i) * V(p_.rule.scale));
        pack_panels(d_o, d_o_.row_stride, value_width_, do_rows_);
        const T* stats = stats_ + (b_ * p_.sizes.heads + h_) * p_.sizes.queries + queries_.begin;
        for (Index i = 0; i < stride(); ++i) {
            log_sum_[i] = i < n ? stats[i] : p_.rule.weighing == Weighing::softmax ? -L::unseen : T(0);
            delta_[i] = i < n ? dot(d_o + i * d_o_.row_stride, o_.at(b_, h_, queries_.begin + i)) : T(0);
            factor_[i] = p_.rule.scale;
        }
        for (Index i = 0; i < stride() * width_; ++i) dq_lanes_[i] = 0;
    }
    T dot(const T* a, const T* b) const {
        V sum = T(0);
        simd::row<Arch, T>(value_width_, [&](Index i, auto n) LAMINA_INLINE_LAMBDA {
            sum = fma(simd::load_count<Arch>(a + i, n), simd::load_count<Arch>(b + i, n), sum);
        });
        return simd::reduce_add(sum);
    }
    /// Rows of the group as panels of columns: the right side of dK and dV.
    void pack_panels(const T* from, Index row_stride, Index width, T* to) const {
        for (Index c = 0; c < width; c += panel)
            pack_rows<Arch>(from + c, row_stride, to + c * queries_.size(), queries_.size(), smaller(width - c, panel),
                            panel_width<Arch, T>(width - c));
    }

    void run_block(Piece keys) {
        const Index n = keys.size();
        const T *k = p_.k.at(b_, kv_, keys.begin), *v = p_.v.at(b_, kv_, keys.begin);
        MatrixView<T> ks = row_major(k, p_.k.row_stride), vs = row_major(v, p_.v.row_stride);
        if (p_.hides() || crowds_cache<T>(p_.k.row_stride) || crowds_cache<T>(p_.v.row_stride)) {
            // NaN in hidden keys must not meet a 0; where a NaN is seen, log_sum and delta carry it.
            bool bad[most_keys];
            copy_rows_clean<Arch>(k, p_.k.row_stride, n, width_, k_copy_, k_stride_, true, bad);
            copy_rows_clean<Arch>(v, p_.v.row_stride, n, value_width_, v_copy_, v_stride_, true, bad);
            ks = row_major<T>(k_copy_, k_stride_);
            vs = row_major<T>(v_copy_, v_stride_);
        }
        Index first = 0;  // panels in front of it see none of these keys
        while (p_.keys_up_to(b_, queries(first).end - 1) <= keys.begin) ++first;
        for (Index i = first; i < panels(); ++i) run_panel(i, keys, ks, vs);
        const Index from = first * panel, count = queries_.size() - from;
        if (grads_.v.data)
            add_rows(weights_ + from, count, n, do_rows_, from, value_width_, grads_.v, grads_.accumulate_v,
                     keys.begin);
        if (grads_.k.data)
            add_rows(scores_grad_ + from, count, n, q_rows_, from, width_, grads_.k, grads_.accumulate_k, keys.begin);
    }

    /// to[key] (+)= sum over queries of a(key, query) b[query].
    void add_rows(const T* a, Index count, Index keys, const T* b, Index from, Index width, HeadRows<T> to,
                  bool accumulate, Index first_key) {
        for (Index c = 0; c < width; c += panel) {
            const Index b_stride = panel_width<Arch, T>(width - c);
            multiply_panel<Arch>(PanelProduct<T>{
                row_major(a, stride()), keys, count, b + c * queries_.size() + from * b_stride, b_stride,
                smaller(width - c, panel), to.at(b_, kv_, first_key) + c, to.row_stride, accumulate || !fresh_});
        }
    }

    void run_panel(Index i, Piece keys, MatrixView<T> k, MatrixView<T> v) {
        const Index n = keys.size(), at = i * panel, columns = lanes(i), s = stride();
        T *w = weights_ + at, *ds = scores_grad_ + at;
        multiply_panel<Arch>(
            PanelProduct<T>{k, n, width_, q_lanes_ + at * width_, columns, columns, w, s, false, &ahead_});
        const ScoreBlock<T> block{w, s, b_, h_, queries(i), keys, columns};
        if (p_.hides()) mask_scores<Arch>(p_, block, mask_);
        multiply_panel<Arch>(PanelProduct<T>{v, n, value_width_, do_lanes_ + at * value_width_, columns, columns, ds, s,
                                             false, &ahead_});
        const bool drops = p_.rule.dropout > 0;
        if (drops) {
            ScoreBlock<T> kept = block;
            kept.data = dropout_ + at;
            dropout_factors<Arch>(p_, kept);
        }
        if (p_.rule.weighing == Weighing::softmax) softmax_gradient(w, ds, dropout_ + at, at, columns, n);
        else plain_gradient(w, ds, dropout_ + at, at, columns, n);
        if (grads_.add.data) add_mask_gradient(block, ds);
        if (grads_.q.data)
            multiply_panel<Arch>(PanelProduct<T>{k.transposed(), width_, n, ds, s, columns, dq_lanes_ + at * width_,
                                                 columns, true, &ahead_});
    }

    /// Scores to weights after dropout, and gradients of weights to those of scores.
    void softmax_gradient(T* w, T* ds, const T* dropped, Index at, Index columns, Index n) const {
        const Index s = stride();
        const bool drops = p_.rule.dropout > 0;
        for (Index c = 0; c < columns; c += W) {
            const V log_sum = simd::load<Arch>(log_sum_ + at + c), delta = simd::load<Arch>(delta_ + at + c);
            for (Index j = 0; j < n; ++j) {
                T *wj = w + j * s + c, *dj = ds + j * s + c;
                const V weight = weight_exp2(simd::load<Arch>(wj) - log_sum);
                V d = simd::load<Arch>(dj), kept = weight;
                if (drops) {
                    const V f = simd::load<Arch>(dropped + j * s + c);
                    d *= f;
                    kept *= f;
                }
                simd::store(wj, kept);
                simd::store(dj, weight * (d - delta));
            }
        }
    }
    void plain_gradient(T* w, T* ds, const T* dropped, Index at, Index columns, Index n) const {
        const Index s = stride();
        const bool drops = p_.rule.dropout > 0;
        const auto drop = [&](T* x) {
            for (Index j = 0; drops && j < n; ++j)
                for (Index c = 0; c < columns; c += W)
                    simd::store(x + j * s + c, simd::load<Arch>(x + j * s + c) * simd::load<Arch>(dropped + j * s + c));
        };
        drop(ds);
        for (Index c = 0; c < columns; c += W)
            weigh_apart_grad<Arch>(p_.rule.weighing, w + c, ds + c, s, n, log_sum_ + at + c);
        drop(w);
    }

    void add_mask_gradient(const ScoreBlock<T>& s, const T* ds) const {
        T* to = grads_.add.at(b_, h_, s.queries.begin, s.keys.begin);
        alignas(64) T ones[panel];
        for (T& one : ones) one = 1;
        if (grads_.add.query_stride != 0) {
            lanes_to_rows<Arch>(ds, s.stride, s.keys.size(), s.queries.size(), ones, to, grads_.add.query_stride, true);
            return;
        }
        for (Index j = 0; j < s.keys.size(); ++j)
            for (Index q = 0; q < s.queries.size(); ++q) to[j] += ds[j * s.stride + q];
    }

    const AttentionProblem<T>& p_;
    HeadRows<const T> o_, d_o_;
    const AttentionGradients<T>& grads_;
    const T* stats_;
    Index b_, kv_;
    Piece keys_;
    Index width_, value_width_, k_stride_, v_stride_;
    Index h_ = 0;
    Piece queries_{};
    bool fresh_ = false;
    FetchAhead<T> ahead_;
    T *q_lanes_, *do_lanes_, *dq_lanes_, *q_rows_, *do_rows_, *log_sum_, *delta_, *factor_;
    T *weights_, *scores_grad_, *dropout_, *mask_, *k_copy_, *v_copy_;
};

/// Heads that are worth cutting no further, and the parts of keys otherwise.
inline constexpr Index attention_grad_heads = 8, attention_grad_parts = 4;
/// Most elements of all copies of a mask's gradient.
inline constexpr Index attention_grad_copies = Index(1) << 22;

}  // namespace detail

template <class Arch, class T>
void attention_grad(const AttentionProblem<T>& p, HeadRows<const T> o, const T* stats, HeadRows<const T> d_o,
                    const AttentionGradients<T>& grads) {
    using Task = detail::AttentionGradTask<Arch, T>;
    const AttentionGeometry& g = p.sizes;
    const Index heads = g.batch * g.kv_heads, shared = g.heads / g.kv_heads;
    if (heads == 0) return;
    const auto whole_head = [&](Index i, const AttentionGradients<T>& to) {
        Task(p, o, stats, d_o, to, i / g.kv_heads, i % g.kv_heads, {0, g.keys})
            .run(to.q, to.accumulate_q, i + 1 < heads);
    };
    const MaskView<T>& add = grads.add;
    const bool together =
        add.data && ((g.batch > 1 && add.batch_stride == 0) || (g.kv_heads > 1 && add.head_stride == 0));
    if (heads >= detail::attention_grad_heads && !together) {
        parallel::for_each(heads, [&](Index i) { whole_head(i, grads); });
        return;
    }
    const Index low = add.by_distance() ? g.queries - 1 : 0;  // elements in front of `data`
    const Index mask_size = 1 + (g.batch - 1) * add.batch_stride + (g.heads - 1) * add.head_stride +
                            (add.by_distance() ? low : (g.queries - 1) * add.query_stride) + g.keys - 1;
    const auto copy_of = [&](T* copies, Index i) {  // the gradients with a zeroed mask of their own
        AttentionGradients<T> own = grads;
        own.add.data = copies + i * mask_size + low;
        for (Index j = 0; j < mask_size; ++j) copies[i * mask_size + j] = 0;
        return own;
    };
    const auto add_copies = [&](const T* copies, Index count) {
        for (Index i = 0; i < count; ++i)
            for (Index j = 0; j < mask_size; ++j) add.data[j - low] += copies[i * mask_size + j];
    };
    constexpr Index groups = detail::attention_grad_heads;
    if (heads >= groups && mask_size * groups <= detail::attention_grad_copies) {
        // A small mask that many heads share: groups of heads with a gradient of it each, added up in order.
        const Ref<Storage> storage = Storage::allocate(std::size_t(mask_size * groups) * sizeof(T));
        T* const copies = reinterpret_cast<T*>(storage->data());
        parallel::for_each(groups, [&](Index group) {
            const AttentionGradients<T> own = copy_of(copies, group);
            const detail::Piece part = detail::piece(heads, groups, group);
            for (Index i = part.begin; i < part.end; ++i) whole_head(i, own);
        });
        add_copies(copies, groups);
        return;
    }
    // Few heads, or a large mask that heads share: one head after another, its keys in parts with a dQ each.
    const Index parts = detail::larger(1, detail::smaller(detail::attention_grad_parts, g.keys / 256));
    const Index rows = shared * g.queries, size = rows * g.width;
    const bool shares = add.data && add.by_distance() && parts > 1;  // all keys meet all distances
    const Index others = grads.q.data ? parts - 1 : 0;               // the first part writes where all belongs
    const Ref<Storage> storage =
        Storage::allocate(std::size_t(others * size + (shares ? parts * mask_size : 0)) * sizeof(T));
    T *const partial = reinterpret_cast<T*>(storage->data()), *const copies = partial + others * size;
    for (Index i = 0; i < heads; ++i) {
        const Index b = i / g.kv_heads, kv = i % g.kv_heads;
        parallel::for_each(parts, [&](Index t) {
            const AttentionGradients<T> own = shares ? copy_of(copies, t) : grads;
            Task task(p, o, stats, d_o, own, b, kv, detail::piece(g.keys, parts, t));
            if (t == 0 || others == 0) return task.run(grads.q, grads.accumulate_q);
            T* const first = partial + (t - 1) * size - kv * size;  // so that head kv * shared begins the part
            task.run({first, 0, g.queries * g.width, g.width}, false);
        });
        if (shares) add_copies(copies, parts);
        if (others == 0) continue;
        parallel::for_range(rows, parallel::grain_for(others * g.width), [&](Index begin, Index end) {
            for (Index r = begin; r < end; ++r) {
                T* const to = grads.q.at(b, kv * shared + r / g.queries, r % g.queries);
                for (Index f = 0; f < g.width; ++f)
                    for (Index t = 0; t < others; ++t) to[f] += partial[t * size + r * g.width + f];
            }
        });
    }
}

}  // namespace lamina::inline LAMINA_ABI::kernels
