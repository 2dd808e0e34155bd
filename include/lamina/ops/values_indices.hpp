#pragma once
// The result of ops that pick elements along a dimension: max, min, sort, topk.
#include <lamina/core/tensor.hpp>

namespace lamina::inline LAMINA_ABI {

/// Picked elements and where along the dimension they were, both of one shape.
template <class T, int R>
struct ValuesIndices {
    Tensor<T, R> values;
    Tensor<std::int64_t, R> indices;
};

}  // namespace lamina::inline LAMINA_ABI
