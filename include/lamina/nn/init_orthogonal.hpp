#pragma once
// Weights that keep lengths, and weights that are mostly zero. A. Saxe, J. McClelland, S. Ganguli, Exact solutions to
// the nonlinear dynamics of learning in deep linear neural networks, ICLR 2014; J. Martens, Deep learning via
// Hessian-free optimization, ICML 2010 (sparse).
#include <lamina/nn/init.hpp>
#include <lamina/parallel/for.hpp>
#include <lamina/random/permutation.hpp>

#include <vector>

namespace lamina::inline LAMINA_ABI::nn::init {

namespace detail {

/// Makes `count` rows of `width` >= count numbers orthonormal one after the other, which is the QR decomposition of
/// their transpose with a positive diagonal of R. Gram-Schmidt in double, in its stable form.
inline void orthonormalize_rows(double* rows, Index count, Index width) {
    const auto dot = [width](const double* a, const double* b) {
        double parts[8] = {};
        Index i = 0;
        for (; i + 8 <= width; i += 8)
            for (int k = 0; k < 8; ++k) parts[k] += a[i + k] * b[i + k];
        double sum = 0;
        for (; i < width; ++i) sum += a[i] * b[i];
        for (double part : parts) sum += part;
        return sum;
    };
    for (Index k = 0; k < count; ++k) {
        double* const unit = rows + k * width;
        const double length = std::sqrt(dot(unit, unit));
        for (Index i = 0; i < width; ++i) unit[i] /= length;
        parallel::for_range(count - k - 1, parallel::grain_for(2 * width), [&](Index begin, Index end) {
            for (Index j = begin; j < end; ++j) {
                double* const row = rows + (k + 1 + j) * width;
                const double along = dot(unit, row);
                for (Index i = 0; i < width; ++i) row[i] -= along * unit[i];
            }
        });
    }
}

}  // namespace detail

/// Replaces a weight, seen as a matrix [out, everything else], by the nearest of its QR decomposition: columns (or
/// rows, if it is wide) orthonormal, times `gain`; the diagonal of R is positive, which makes the result unique.
/// Throws ShapeError for fewer than two dimensions.
template <Real T, int R>
void orthogonalize_(Tensor<T, R>& x, double gain = 1) {
    require(R >= 2, "orthogonal: the weight must have at least two dimensions but has shape ", x.shape());
    const Index rows = x.shape()[0], columns = x.shape().product(1, R);
    if (rows == 0 || columns == 0) return;
    const bool wide = rows < columns;
    const Index count = wide ? rows : columns, width = wide ? columns : rows;
    std::vector<double> work(std::size_t(rows * columns));
    lamina::detail::write_in_order(x, [&](T* data) {
        const Index along = wide ? 1 : columns, across = wide ? columns : 1;
        for (Index r = 0; r < count; ++r)
            for (Index i = 0; i < width; ++i) work[std::size_t(r * width + i)] = double(data[r * across + i * along]);
        detail::orthonormalize_rows(work.data(), count, width);
        for (Index r = 0; r < count; ++r)
            for (Index i = 0; i < width; ++i) data[r * across + i * along] = T(gain * work[std::size_t(r * width + i)]);
    });
}

/// A random weight whose columns (or rows, if it is wide) are orthonormal, times `gain` (torch.nn.init.orthogonal_).
template <Real T, int R>
void orthogonal(Tensor<T, R>& x, random::Rng& rng, double gain = 1) {
    require(R >= 2, "orthogonal: the weight must have at least two dimensions but has shape ", x.shape());
    normal_(x, rng);
    orthogonalize_(x, gain);
}

/// N(0, std²) with ceil(sparsity * rows) zeros in every column (torch.nn.init.sparse_). Throws ValueError for a
/// sparsity outside [0, 1].
template <Real T>
void sparse(Tensor<T, 2>& x, random::Rng& rng, double sparsity, double std = 0.01) {
    require<ValueError>(sparsity >= 0 && sparsity <= 1, "sparse: sparsity must lie in [0, 1] but is ", sparsity);
    normal_(x, rng, 0, std);
    const Index rows = x.shape()[0], zeros = Index(std::ceil(sparsity * double(rows)));
    std::vector<Index> order(static_cast<std::size_t>(rows));
    for (Index column = 0; column < x.shape()[1]; ++column) {
        random::permutation(rng.next_stream(), order.data(), rows);
        for (Index i = 0; i < zeros; ++i) x.mutable_at(order[std::size_t(i)], column) = T(0);
    }
}

}  // namespace lamina::inline LAMINA_ABI::nn::init
