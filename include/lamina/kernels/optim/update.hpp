#pragma once
// One parallel pass over many parameters: chunks of all of them are handed out together, so that a model of a thousand
// small tensors keeps every thread busy as one large tensor does. What a step does to an element is a rule on lanes.
#include <lamina/kernels/optim/chunks.hpp>
#include <lamina/kernels/optim/narrow.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// A parameter to be updated: its elements, its gradient, the arrays of its optimizer state (null where unused), and
/// the numbers of its rule.
///
/// A rule is a POD with the constants `states` and `masks`, the combinations of states that it can work with (bit k:
/// state k is there), and `template <unsigned Mask, class V> void step(V& p, V g, V* s) const` for lanes of each.
template <class T, class Rule>
struct UpdateJob {
    T* parameter;
    const void* gradient;
    T* state[Rule::states];
    Index count;
    Rule rule;
    DType gradient_type = dtype_of<T>;
    void* narrow = nullptr;  ///< 16-bit parameter of which `parameter` is the float master
    DType narrow_type = DType::f32;
};

/// Applies `rule` to n elements of a parameter, its gradient and its states.
template <class Arch = simd::native, class T, class Rule>
void update_elements(Index n, T* p, const T* g, T* const* state, const Rule& rule);

/// Applies the rule of every job to all its elements.
template <class Arch = simd::native, class T, class Rule>
void update_all(const std::vector<UpdateJob<T, Rule>>& jobs);

namespace detail {

template <class Arch, unsigned Mask, class T, class Rule>
LAMINA_INLINE void update_lanes(Index n, T* p, const T* g, T* const* state, const Rule& rule) {
    using V = simd::Vec<T, Arch>;
    const Rule r = rule;
    T* s[Rule::states];
    for (int k = 0; k < Rule::states; ++k) s[k] = state[k];
    simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
        V lanes[Rule::states];
        simd::unroll<Rule::states>([&](auto k) LAMINA_INLINE_LAMBDA {
            if constexpr (Mask >> k & 1) lanes[k] = simd::load_count<Arch>(s[k] + i, count);
        });
        V x = simd::load_count<Arch>(p + i, count);
        r.template step<Mask>(x, simd::load_count<Arch>(g + i, count), lanes);
        simd::store_count(p + i, x, count);
        simd::unroll<Rule::states>([&](auto k) LAMINA_INLINE_LAMBDA {
            if constexpr (Mask >> k & 1) simd::store_count(s[k] + i, lanes[k], count);
        });
    });
}

template <class Arch, class Rule>
void update_narrow(const UpdateJob<float, Rule>& job, Index begin, Index end) {
    alignas(64) float slope[narrow_block];
    with_floats(job.narrow_type, job.narrow, [&]<class N>(const N* narrow) {
        if constexpr (!std::is_same_v<N, float>)
            for (Index at = begin; at < end; at += narrow_block) {
                const Index n = end - at < narrow_block ? end - at : narrow_block;
                adopt_changes<Arch>(n, job.parameter + at, narrow + at);
                with_floats(job.gradient_type, job.gradient,
                            [&](const auto* g) { copy_floats<Arch>(n, slope, g + at); });
                float* state[Rule::states];
                for (int k = 0; k < Rule::states; ++k) state[k] = job.state[k] ? job.state[k] + at : nullptr;
                update_elements<Arch>(n, job.parameter + at, slope, state, job.rule);
                copy_floats<Arch>(n, const_cast<N*>(narrow) + at, job.parameter + at);
            }
    });
}

}  // namespace detail

template <class Arch, class T, class Rule>
void update_elements(Index n, T* p, const T* g, T* const* state, const Rule& rule) {
    unsigned mask = 0;
    for (int k = 0; k < Rule::states; ++k) mask |= unsigned(state[k] != nullptr) << k;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        (void)((mask == Rule::masks[I] && (detail::update_lanes<Arch, Rule::masks[I]>(n, p, g, state, rule), true)) ||
               ...);
    }
    (std::make_index_sequence<std::size(Rule::masks)>{});
}

template <class Arch, class T, class Rule>
void update_all(const std::vector<UpdateJob<T, Rule>>& jobs) {
    for_each_chunk(
        jobs.size(), [&](std::size_t j) { return jobs[j].count; },
        [&](std::size_t j, Index begin, Index end) {
            const UpdateJob<T, Rule>& job = jobs[j];
            if constexpr (std::is_same_v<T, float>)
                if (job.narrow) return detail::update_narrow<Arch>(job, begin, end);
            T* state[Rule::states];
            for (int k = 0; k < Rule::states; ++k) state[k] = job.state[k] ? job.state[k] + begin : nullptr;
            update_elements<Arch>(end - begin, job.parameter + begin, static_cast<const T*>(job.gradient) + begin,
                                  state, job.rule);
        });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
