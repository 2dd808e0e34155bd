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
    Index repeat = 0;       ///< every input is this many neighbouring outputs; 0 when that is not so
    /// Away from the ends, outputs o + phases use the inputs `stride` further on with the same weights, for periods of
    /// `phases` outputs from first_period to end_period - 1. Empty unless one of the two divides the other.
    Index phases = 1, stride = 1, first_period = 0, end_period = 0;
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
        find_periods();
        repeat = in > 0 && taps == 1 && out % in == 0 ? out / in : 0;
        for (std::size_t o = 0; o < std::size_t(out) && repeat; ++o)
            if (index[o] != Index(o) / repeat || weight[o] != T(1)) repeat = 0;
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

private:
    void find_periods() {
        if (in == 0 || out == 0 || (out % in != 0 && in % out != 0)) return;
        phases = out > in ? out / in : 1;
        stride = in > out ? in / out : 1;
        const Index periods = out / phases, middle = periods / 2;
        first_period = middle;
        end_period = middle;
        while (first_period > 0 && repeats(middle, first_period - 1)) --first_period;
        while (end_period < periods && repeats(middle, end_period)) ++end_period;
    }
    /// Is period `b` period `a` moved, and does it leave room to read whole strides?
    bool repeats(Index a, Index b) const {
        for (Index p = 0; p < phases; ++p) {
            const auto oa = std::size_t(a * phases + p), ob = std::size_t(b * phases + p);
            const Index count = begin[oa + 1] - begin[oa];
            if (count == 0 || begin[ob + 1] - begin[ob] != count) return false;
            for (Index k = 0; k < count; ++k) {
                const auto ka = std::size_t(begin[oa] + k), kb = std::size_t(begin[ob] + k);
                if (weight[ka] != weight[kb] || index[kb] - index[ka] != (b - a) * stride) return false;
                if (stride > 1 && index[kb] != index[std::size_t(begin[ob])] + k) return false;
            }
            if (index[std::size_t(begin[ob])] + (count + stride - 1) / stride * stride > in) return false;
        }
        return true;
    }
};

}  // namespace lamina::inline LAMINA_ABI::kernels
