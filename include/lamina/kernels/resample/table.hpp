#pragma once
// A sparse matrix that resamples one axis: for each output the inputs it takes and their weights, computed once per
// call. Its transpose carries gradients back, so forward and backward are the same kernel.
#include <lamina/core/index.hpp>

#include <vector>

namespace lamina::inline LAMINA_ABI::kernels {

/// Output o of an axis is the sum of weight[k] * input[index[k]] for k from begin[o] to begin[o + 1] - 1.
template <class T>
struct ResampleTable {
    Index in = 0, out = 0;
    int taps = 0;           ///< terms of every output; 0 when they differ in number
    bool identity = false;  ///< outputs are inputs
    std::vector<Index> begin{0}, index;
    std::vector<T> weight;

    ResampleTable(Index inputs, Index outputs) : in(inputs), out(outputs) { begin.reserve(std::size_t(outputs) + 1); }

    /// Appends a term to the output under construction.
    void add(Index from, T factor) {
        index.push_back(from);
        weight.push_back(factor);
    }
    /// Completes the output under construction.
    void close() { begin.push_back(Index(index.size())); }
    /// Call after the last output.
    void finish() {
        const Index first = out > 0 ? begin[1] : 0;
        bool even = true, same = in == out;
        for (std::size_t o = 0; o < std::size_t(out); ++o) {
            even = even && begin[o + 1] - begin[o] == first;
            same = same && even && first == 1 && index[o] == Index(o) && weight[o] == T(1);
        }
        taps = even ? int(first) : 0;
        identity = same;
    }

    /// The matrix transposed; terms of an input keep the order of the outputs, repeated ones are added up.
    ResampleTable transposed() const {
        std::vector<Index> next(std::size_t(in) + 1, 0);
        for (const Index i : index) ++next[std::size_t(i) + 1];
        for (std::size_t i = 0; i < std::size_t(in); ++i) next[i + 1] += next[i];
        const std::vector<Index> first = next;
        std::vector<Index> from(index.size());
        std::vector<T> factor(index.size());
        for (Index o = 0; o < out; ++o)
            for (Index k = begin[std::size_t(o)]; k < begin[std::size_t(o) + 1]; ++k) {
                auto& at = next[std::size_t(index[std::size_t(k)])];
                const auto slot = std::size_t(at);
                if (at > first[std::size_t(index[std::size_t(k)])] && from[slot - 1] == o) {
                    factor[slot - 1] += weight[std::size_t(k)];
                } else {
                    from[slot] = o;
                    factor[slot] = weight[std::size_t(k)];
                    ++at;
                }
            }
        ResampleTable t(out, in);
        for (std::size_t i = 0; i < std::size_t(in); ++i) {
            for (Index k = first[i]; k < next[i]; ++k) t.add(from[std::size_t(k)], factor[std::size_t(k)]);
            t.close();
        }
        t.finish();
        return t;
    }
};

}  // namespace lamina::inline LAMINA_ABI::kernels
