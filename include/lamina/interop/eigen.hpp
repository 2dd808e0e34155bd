#pragma once
// Tensors seen as Eigen maps, without a copy, and Eigen matrices as tensors.
#include <lamina/core/create.hpp>

#include <Eigen/Core>

namespace lamina::inline LAMINA_ABI::interop {

/// A type that both libraries compute with.
template <class T>
concept EigenElement = Element<T> && std::is_arithmetic_v<T>;

template <class T>
using EigenVector = Eigen::Matrix<T, Eigen::Dynamic, 1>;
/// Rows lie one after another, as in a tensor.
template <class T>
using EigenMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using EigenStride = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;

/// A contiguous tensor [n] or [rows, columns] as a read-only map, which must not outlive the elements. Throws
/// ShapeError when the tensor is not contiguous.
template <EigenElement T>
Eigen::Map<const EigenVector<T>> as_eigen(const Tensor<T, 1>& x) {
    require(x.is_contiguous(), "as_eigen: tensor of ", x.shape(), " must be contiguous");
    return {x.data(), x.dim(0)};
}
template <EigenElement T>
Eigen::Map<const EigenMatrix<T>> as_eigen(const Tensor<T, 2>& x) {
    require(x.is_contiguous(), "as_eigen: tensor of ", x.shape(), " must be contiguous");
    return {x.data(), x.dim(0), x.dim(1)};
}

/// The same for writing; saved tensors notice, at the time of this call.
template <EigenElement T>
Eigen::Map<EigenVector<T>> as_eigen_mutable(Tensor<T, 1>& x) {
    require(x.is_contiguous(), "as_eigen_mutable: tensor of ", x.shape(), " must be contiguous");
    return {x.mutable_data(), x.dim(0)};
}
template <EigenElement T>
Eigen::Map<EigenMatrix<T>> as_eigen_mutable(Tensor<T, 2>& x) {
    require(x.is_contiguous(), "as_eigen_mutable: tensor of ", x.shape(), " must be contiguous");
    return {x.mutable_data(), x.dim(0), x.dim(1)};
}

/// A tensor [n] or [rows, columns] of any non-negative strides, such as a transposed or sliced one, as a read-only map;
/// Eigen computes slower on it. Throws ShapeError for a negative stride.
template <EigenElement T>
Eigen::Map<const EigenVector<T>, Eigen::Unaligned, Eigen::InnerStride<>> as_eigen_strided(const Tensor<T, 1>& x) {
    require(x.strides()[0] >= 0, "as_eigen_strided: strides must not be negative but are [", x.strides()[0], "]");
    return {x.data(), x.dim(0), Eigen::InnerStride<>(x.strides()[0])};
}
template <EigenElement T>
Eigen::Map<const EigenMatrix<T>, Eigen::Unaligned, EigenStride> as_eigen_strided(const Tensor<T, 2>& x) {
    const auto& s = x.strides();
    require(s[0] >= 0 && s[1] >= 0, "as_eigen_strided: strides must not be negative but are [", s[0], ", ", s[1], "]");
    return {x.data(), x.dim(0), x.dim(1), EigenStride(s[0], s[1])};
}

/// Copy of an Eigen vector as a tensor [n], of a matrix or any expression as a tensor [rows, columns].
template <class Derived>
    requires EigenElement<typename Derived::Scalar>
auto from_eigen(const Eigen::DenseBase<Derived>& expression) {
    using T = typename Derived::Scalar;
    if constexpr (Derived::ColsAtCompileTime == 1) {
        auto out = empty<T>(Shape{Index(expression.rows())});
        as_eigen_mutable(out) = expression.derived();
        return out;
    } else if constexpr (Derived::RowsAtCompileTime == 1) {
        auto out = empty<T>(Shape{Index(expression.cols())});
        as_eigen_mutable(out) = expression.derived().transpose();
        return out;
    } else {
        auto out = empty<T>(Shape{Index(expression.rows()), Index(expression.cols())});
        as_eigen_mutable(out) = expression.derived();
        return out;
    }
}

/// Tensor [rows, columns] over the elements of an Eigen matrix or map, of either storage order, which the caller keeps
/// alive and does not resize.
template <class Derived>
    requires(EigenElement<typename Derived::Scalar>&& bool(Derived::Flags& Eigen::DirectAccessBit) &&
             bool(Derived::Flags & Eigen::LvalueBit))
Tensor<typename Derived::Scalar, 2> borrow_eigen(Eigen::DenseBase<Derived>& matrix) {
    auto& m = matrix.derived();
    const Strides<2> strides{Index(m.rowStride()), Index(m.colStride())};
    return borrow(Shape{Index(m.rows()), Index(m.cols())}, m.data(), strides);
}

}  // namespace lamina::inline LAMINA_ABI::interop
