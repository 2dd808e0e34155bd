#pragma once
// How many keys of each member of a batch count: what the attentions share of that option.
#include <lamina/ops/contiguous.hpp>

namespace lamina::inline LAMINA_ABI::detail {

/// `lengths` [batch], each from 0 to `keys`, as kernels read them; undefined where there are none. Throws ShapeError
/// and ValueError.
inline Tensor<std::int64_t, 1> key_lengths(const char* op, const OptionalTensor<std::int64_t, 1>& lengths, Index batch,
                                           Index keys) {
    if (!lengths) return {};
    require(lengths->dim(0) == batch, op, ": lengths must have ", batch, " elements but has ", lengths->dim(0));
    const auto counts = contiguous(*lengths);
    for (Index b = 0; b < batch; ++b) {
        const auto count = counts.data()[b];
        require<ValueError>(count >= 0 && count <= keys, op, ": lengths must lie in [0, ", keys, "] but number ", b,
                            " is ", count);
    }
    return counts;
}

}  // namespace lamina::inline LAMINA_ABI::detail
