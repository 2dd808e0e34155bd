#pragma once
// What changes the scores of a block before they become weights: hidden keys, added biases, and the dropout of weights.
// Blocks are S^T: a row for each key, lanes of queries.
#include <lamina/kernels/attention/problem.hpp>
#include <lamina/kernels/gemm/pack.hpp>
#include <lamina/kernels/random_words.hpp>
#include <lamina/random/distributions.hpp>

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// The scores of keys [keys.begin, keys.end) and queries [queries.begin, queries.end) of one head: score (key, query)
/// at data[(key - keys.begin) * stride + query - queries.begin].
template <class T>
struct ScoreBlock {
    T* data;
    Index stride, batch, head;
    Piece queries, keys;
    Index lanes;  ///< queries rounded up to whole vectors

    T* row(Index j) const { return data + j * stride; }
};

/// Most elements that the biases of a block need: of transposed rows and of the rows themselves.
constexpr Index mask_scratch(Index keys, Index lanes) { return 2 * keys * lanes; }

/// What one query adds to its scores.
template <class T>
void mask_row(const AttentionRule<T>& rule, const ScoreBlock<T>& s, Index query, T* row) {
    using L = ScoreLimits<T>;
    const Index n = s.keys.size();
    if (rule.add.data) {
        const T* add = rule.add.at(s.batch, s.head, query, s.keys.begin);
        const Index step = rule.add.key_stride;
        for (Index j = 0; j < n; ++j) {
            const T x = add[j * step] * rule.unit();
            row[j] = x < L::hidden ? L::hidden : x;
        }
    } else {
        for (Index j = 0; j < n; ++j) row[j] = 0;
    }
    if (rule.keep.data) {
        const bool* keep = rule.keep.at(s.batch, s.head, query, s.keys.begin);
        const Index step = rule.keep.key_stride;
        for (Index j = 0; j < n; ++j) row[j] = keep[j * step] ? row[j] : L::hidden;
    }
}

/// Adds biases that depend on the distance of query and key alone: one row of them, read backwards, slides along.
template <class Arch, class T>
void add_distance_bias(const AttentionProblem<T>& p, const ScoreBlock<T>& s, T* scratch) {
    using V = simd::Vec<T, Arch>;
    const T hidden = ScoreLimits<T>::hidden, unit = p.rule.unit();
    const Index n = s.keys.size(), queries = s.queries.size();
    const T* bias = p.rule.add.at(s.batch, s.head, s.queries.begin, s.keys.begin);
    T* const at = scratch + n - 1;  // at[i - j] belongs to query i and key j
    for (Index d = 1 - n; d < s.lanes; ++d) {
        const T x = bias[-smaller(d, queries - 1)] * unit;
        at[d] = x < hidden ? hidden : x;
    }
    for (Index j = 0; j < n; ++j)
        for (Index i = 0; i < s.lanes; i += V::width) {
            const V x = simd::load<Arch>(at + i - j);
            T* to = s.row(j) + i;
            simd::store(to, select(x <= V(hidden), V(hidden), simd::load<Arch>(to) + x));
        }
}

/// Adds biases, hides keys. `scratch` holds mask_scratch(keys, lanes) elements.
template <class Arch, class T>
void mask_scores(const AttentionProblem<T>& p, const ScoreBlock<T>& s, T* scratch) {
    using V = simd::Vec<T, Arch>;
    using L = ScoreLimits<T>;
    using I = simd::signed_of_size<sizeof(T)>;
    AttentionRule<T> rule = p.rule;
    const V hidden = L::hidden;
    const Index n = s.keys.size(), queries = s.queries.size();
    if (rule.add.data && rule.add.by_distance()) {
        add_distance_bias<Arch>(p, s, scratch);
        rule.add.data = nullptr;
    }
    if (rule.add.data || rule.keep.data) {
        const bool one_row = (!rule.add.data || rule.add.query_stride == 0) &&
                             (!rule.keep.data || rule.keep.query_stride == 0);  // all queries have the same mask
        T* rows = scratch + n * s.lanes;
        for (Index i = 0; i < (one_row ? 1 : queries); ++i) mask_row(rule, s, s.queries.begin + i, rows + i * n);
        if (!one_row) pack_columns<Arch>(rows, n, scratch, n, queries, s.lanes);
        for (Index j = 0; j < n; ++j)
            for (Index i = 0; i < s.lanes; i += V::width) {
                const V bias = one_row ? V(rows[j]) : simd::load<Arch>(scratch + j * s.lanes + i);
                T* to = s.row(j) + i;
                simd::store(to, select(bias <= hidden, hidden, simd::load<Arch>(to) + bias));
            }
    }
    // Lane i of query begin + i sees keys up to begin + i + diagonal.
    const Index first_end = p.keys_up_to(s.batch, s.queries.begin);
    if (!rule.causal || s.keys.end <= first_end) return;
    for (Index j = larger(0, first_end - s.keys.begin); j < n; ++j)
        for (Index i = 0; i < s.lanes; i += V::width) {
            const Index first_seeing = s.keys.begin + j - rule.diagonal - s.queries.begin - i;
            const auto number = simd::lane_numbers<I, Arch>();
            const I from = I(larger(-1, smaller(first_seeing, V::width)));
            T* to = s.row(j) + i;
            const V x = simd::load<Arch>(to);
            simd::store(to, select(simd::mask_cast<T>(number < simd::Vec<I, Arch>(from)), hidden, x));
        }
}

/// Queries whose dropout comes in one piece: of the two words (batch * heads + head) * ceil(queries / 16) + query / 16
/// and key, element query % 16; the numbering is the same on any instruction set.
inline constexpr Index dropout_queries = 16;

/// factor(key, query) = 0 where the weight is lost, else 1 / (1 - p); stored like the scores.
template <class Arch, class T>
void dropout_factors(const AttentionProblem<T>& p, const ScoreBlock<T>& s) {
    using Source = RandomLanes<Arch, 4>;
    using U = simd::Vec<std::uint32_t, Arch>;
    constexpr Index group_keys = Source::group < dropout_queries ? 1 : Source::group / dropout_queries;
    constexpr Index part = Source::group < dropout_queries ? Source::group : dropout_queries;
    const Source source(p.rule.key);
    const std::uint64_t limit = random::success_limit(1 - p.rule.dropout);
    const T keep = p.rule.dropout < 1 ? T(1 / (1 - p.rule.dropout)) : T(0);
    const Index keys = round_up(p.sizes.keys, 4), blocks = ceil_div(p.sizes.queries, dropout_queries);
    const Index head = s.batch * p.sizes.heads + s.head;
    for (Index q = s.queries.begin / dropout_queries * dropout_queries; q < s.queries.end; q += dropout_queries) {
        const Index base = (head * blocks + q / dropout_queries) * keys;
        for (Index j = s.keys.begin / group_keys * group_keys; j < s.keys.end; j += group_keys)
            for (Index at = 0; at < dropout_queries; at += part) {
                alignas(64) std::uint32_t words[Source::group];
                typename Source::Values lanes;
                source((base + j) * dropout_queries + at, lanes);
                simd::transpose_groups(lanes);
                for (int k = 0; k < Source::per_block; ++k) simd::store(words + k * U::width, lanes[k]);
                for (Index k = 0; k < Source::group; ++k) {
                    const Index key = j + k / part, query = q + at + k % part;
                    if (key >= s.keys.begin && key < s.keys.end && query >= s.queries.begin &&
                        query - s.queries.begin < s.lanes)
                        s.row(key - s.keys.begin)[query - s.queries.begin] = words[k] < limit ? keep : T(0);
                }
            }
    }
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
