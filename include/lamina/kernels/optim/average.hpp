#pragma once
// Running averages of the parameters of a whole model in one parallel pass.
#include <lamina/kernels/optim/chunks.hpp>
#include <lamina/kernels/optim/narrow.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// An array and what flows into it: doubles into doubles, other floating types into floats.
struct AverageJob {
    void* average;
    const void* value;
    Index count;
    DType value_type;
};

/// average = keep average + (1 - keep) value for all elements; keep 0 copies.
template <class Arch = simd::native>
void average_all(const std::vector<AverageJob>& jobs, double keep) {
    for_each_chunk(
        jobs.size(), [&](std::size_t j) { return jobs[j].count; },
        [&](std::size_t j, Index begin, Index end) {
            const auto mix = [&]<class V>(V average, V value) LAMINA_INLINE_LAMBDA {
                using C = typename V::value_type;
                return keep == 0 ? value : fma(V(C(1 - keep)), value - average, average);
            };
            if (jobs[j].value_type == DType::f64) {
                auto* to = static_cast<double*>(jobs[j].average) + begin;
                simd::for_each_vec<Arch, double>(end - begin, mix, to, static_cast<const double*>(to),
                                                 static_cast<const double*>(jobs[j].value) + begin);
                return;
            }
            detail::with_floats(jobs[j].value_type, jobs[j].value, [&]<class N>(const N* value) {
                auto* to = static_cast<float*>(jobs[j].average) + begin;
                detail::map_floats<Arch>(end - begin, mix, to, static_cast<const float*>(to), value + begin);
            });
        });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
