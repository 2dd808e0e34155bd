#pragma once
// For rules that look at whole parameters before they move an element: all arrays in float for the time of a step.
#include <lamina/core/storage.hpp>
#include <lamina/kernels/optim/update.hpp>
#include <lamina/parallel/reduce.hpp>
#include <lamina/simd/reduce.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Calls f() while every job's gradient is of type T, and every master up to date with its 16-bit parameter, which
/// receives the result.
template <class Arch = simd::native, class T, class Rule, class F>
void with_wide_jobs(std::vector<UpdateJob<T, Rule>>& jobs, F&& f) {
    std::vector<Ref<Storage>> wide;
    const auto narrow_chunks = [&](auto&& on_chunk) {
        for_each_chunk(
            jobs.size(), [&](std::size_t j) { return jobs[j].narrow ? jobs[j].count : 0; }, on_chunk);
    };
    if constexpr (std::is_same_v<T, float>) {
        std::vector<float*> slopes(jobs.size(), nullptr);
        for (std::size_t j = 0; j < jobs.size(); ++j) {
            if (!jobs[j].narrow || jobs[j].gradient_type == DType::f32) continue;
            wide.push_back(Storage::allocate(std::size_t(jobs[j].count) * sizeof(float)));
            slopes[j] = reinterpret_cast<float*>(wide.back()->data());
        }
        narrow_chunks([&](std::size_t j, Index begin, Index end) {
            const auto& job = jobs[j];
            if (slopes[j])
                detail::with_floats(job.gradient_type, job.gradient, [&](const auto* g) {
                    detail::copy_floats<Arch>(end - begin, slopes[j] + begin, g + begin);
                });
            detail::with_floats(job.narrow_type, job.narrow, [&](const auto* narrow) {
                for (Index i = begin; i < end; i += narrow_block)
                    detail::adopt_changes<Arch>(end - i < narrow_block ? end - i : narrow_block, job.parameter + i,
                                                narrow + i);
            });
        });
        for (std::size_t j = 0; j < jobs.size(); ++j)
            if (slopes[j]) jobs[j].gradient = slopes[j];
    }
    f();
    if constexpr (std::is_same_v<T, float>)
        narrow_chunks([&](std::size_t j, Index begin, Index end) {
            detail::with_floats(jobs[j].narrow_type, jobs[j].narrow, [&]<class N>(const N* narrow) {
                detail::copy_floats<Arch>(end - begin, const_cast<N*>(narrow) + begin, jobs[j].parameter + begin);
            });
        });
}

/// Sum of f(first, count), a sum over some hundred elements in lanes, over [begin, end): in double from there on.
template <class F>
double sum_in_blocks(Index begin, Index end, F&& f) {
    double sum = 0;
    for (Index i = begin; i < end; i += narrow_block)
        sum += double(f(i, end - i < narrow_block ? end - i : narrow_block));
    return sum;
}

}  // namespace lamina::inline LAMINA_ABI::kernels
