#pragma once
// One parallel pass over many parameters: chunks of all of them are handed out together, so that a model of a thousand
// small tensors keeps every thread busy as one large tensor does.
#include <lamina/parallel/for.hpp>
#include <lamina/simd/row.hpp>

#include <vector>

namespace lamina::inline LAMINA_ABI::kernels {

/// A parameter to be updated: its elements, its gradient, up to three arrays of optimizer state (null where unused),
/// and the numbers of its rule.
template <class T, class Rule>
struct UpdateJob {
    T* parameter;
    const T* gradient;
    T* state[3];
    Index count;
    Rule rule;
};

/// Elements updated in one task.
inline constexpr Index update_chunk = 16384;

/// Calls `rule.template update<Arch>(n, p, g, states)` for every chunk of every job: n elements from the same place of
/// all its arrays.
template <class Arch = simd::native, class T, class Rule>
void update_all(const std::vector<UpdateJob<T, Rule>>& jobs);

template <class Arch, class T, class Rule>
void update_all(const std::vector<UpdateJob<T, Rule>>& jobs) {
    std::vector<Index> first_chunk(jobs.size() + 1, 0);
    for (std::size_t j = 0; j < jobs.size(); ++j)
        first_chunk[j + 1] = first_chunk[j] + (jobs[j].count + update_chunk - 1) / update_chunk;
    const auto run = [&](Index chunk) {
        std::size_t low = 0, high = jobs.size();  // the last job that begins at or before the chunk
        while (high - low > 1) {
            const std::size_t middle = (low + high) / 2;
            (first_chunk[middle] <= chunk ? low : high) = middle;
        }
        const UpdateJob<T, Rule>& job = jobs[low];
        const Index begin = (chunk - first_chunk[low]) * update_chunk, left = job.count - begin;
        T* states[3];
        for (int k = 0; k < 3; ++k) states[k] = job.state[k] ? job.state[k] + begin : nullptr;
        job.rule.template update<Arch>(left < update_chunk ? left : update_chunk, job.parameter + begin,
                                       job.gradient + begin, states);
    };
    parallel::for_each(first_chunk.back(), run);
}

}  // namespace lamina::inline LAMINA_ABI::kernels
