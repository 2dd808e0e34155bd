#pragma once
// The workloads as data: sizes and inputs, no library. Each peer overloads `contestants(problem)` for what it can do.
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "harness.hpp"

namespace peers {

/// Shared array on cache-line boundaries, in huge pages where it is large; copies refer to the same elements.
template <class T>
class Array {
public:
    Array() = default;
    explicit Array(Index count) : count_(count) {
        const std::size_t bytes = std::size_t(count) * sizeof(T), page = bytes < huge_page ? 64 : huge_page;
        const std::size_t rounded = (bytes + page - 1) / page * page;
        auto* p = static_cast<T*>(std::aligned_alloc(page, rounded));
        if (!p) throw std::bad_alloc();
        if (page == huge_page) ::madvise(p, rounded, MADV_HUGEPAGE);
        data_.reset(p, [](T* q) { std::free(q); });
        std::fill(p, p + count, T(0));  // its pages exist before anyone is timed
    }
    T* data() const { return data_.get(); }
    T& operator[](Index i) const { return data_.get()[i]; }
    Index size() const { return count_; }

private:
    static constexpr std::size_t huge_page = 2 << 20;
    std::shared_ptr<T> data_;
    Index count_ = 0;
};

/// Values in [-1, 1] that are cheap to make and do not repeat.
template <class T = float>
Array<T> noise(Index count, std::uint64_t seed) {
    Array<T> a(count);
    for (Index i = 0; i < count; ++i) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        a[i] = T(std::int32_t(seed >> 32)) * T(0x1p-31);
    }
    return a;
}

/// C[m, n] = A[m, k] B[k, n], `batch` times. A `weight` B is known ahead and may be packed before the clock starts.
template <class T>
struct Product {
    Index m, n, k, batch = 1;
    bool weight = false;
    Array<T> a = noise<T>(batch * m * k, 1), b = noise<T>(batch * k * n, 2);

    double flops() const { return 2.0 * double(batch) * double(m) * double(n) * double(k); }
};

/// gelu(x[rows, in] weight[out, in]^T + bias[out]), erf form; the weight may be packed before the clock starts.
struct LinearGelu {
    Index rows, in, out;
    Array<float> x = noise(rows * in, 1), weight = noise(out * in, 2), bias = noise(out, 3);
};

/// softmax or log_softmax over the columns of x[rows, cols].
struct Softmax {
    Index rows, cols;
    bool log;
    Array<float> x = noise(rows * cols, 1);
};

/// layer_norm over the columns of x[rows, cols] with scale and shift.
struct LayerNorm {
    Index rows, cols;
    Array<float> x = noise(rows * cols, 1), scale = noise(cols, 2), shift = noise(cols, 3);
};

/// gelu(x), erf form.
struct Gelu {
    Index rows, cols;
    Array<float> x = noise(rows * cols, 1);
};

/// relu(x + y).
struct AddRelu {
    Index count;
    Array<float> x = noise(count, 1), y = noise(count, 2);
};

/// Sum of x over one axis.
struct Sum {
    std::array<Index, 4> shape;
    int axis;
    Array<float> x = noise(shape[0] * shape[1] * shape[2] * shape[3], 1);

    Index outputs() const { return x.size() / shape[std::size_t(axis)]; }
};

/// x with its axes in another order, made contiguous.
struct Permute {
    std::array<Index, 4> shape, order;
    Array<float> x = noise(shape[0] * shape[1] * shape[2] * shape[3], 1);
};

/// Mean cross entropy of logits[rows, classes] against labels[rows], and its gradient with respect to the logits.
struct CrossEntropy {
    Index rows, classes;
    Array<float> logits = noise(rows * classes, 1);
    Array<Index> labels = make_labels(rows, classes);

    static Array<Index> make_labels(Index rows, Index classes) {
        Array<Index> labels(rows);
        for (Index i = 0; i < rows; ++i) labels[i] = i * 7919 % classes;
        return labels;
    }
};

/// One step of an optimizer, or one clipping of all gradients by their norm (`method` "AdamW", "Adam", "SGD", "Lion",
/// "clip"), on parameters of these sizes; gradients are given and stay.
struct OptimizerStep {
    std::string method;
    std::vector<Index> sizes;
    double learning_rate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 1e-2, momentum = 0.9;
    Array<float> gradient = noise(*std::max_element(sizes.begin(), sizes.end()), 2);  // all begin with the same numbers

    /// The bound of clipping number `call`, just under the norm that the one before left.
    static double max_norm(int call) { return 10 * std::pow(0.99, call); }
    /// Element i of all arrays, one after the other.
    template <class At>
    double element(Index i, At&& at) const {
        std::size_t array = 0;
        for (; i >= sizes[array]; ++array) i -= sizes[array];
        return at(array, i);
    }
};

/// `tensors` weights of rows x cols floats, read from a file in the page cache into memory of the process.
struct LoadWeights {
    Index tensors, rows, cols;
    std::string folder;
    Index bytes() const { return 4 * tensors * rows * cols; }
};

}  // namespace peers
