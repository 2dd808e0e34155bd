#pragma once
// Pointwise loops without types: strided operands over one broadcast shape, neighbouring dimensions merged wherever
// every operand allows. Only the row functions of map.hpp and compare.hpp know element types.
#include <lamina/core/index.hpp>

#include <cstring>

namespace lamina::inline LAMINA_ABI::kernels {

inline constexpr int pointwise_max_rank = 8;
/// Eight operands, the incoming gradient, and a gradient for each operand.
inline constexpr int pointwise_max_operands = 17;

/// What a row function gets: runs of elements, dense (step 1) or one element repeated over 64 bytes (step 0).
struct PointwiseRow {
    Index count;
    const void* in[pointwise_max_operands];
    Index step[pointwise_max_operands];
    void* out[pointwise_max_operands];        ///< dense; null when the result is not wanted
    bool accumulate[pointwise_max_operands];  ///< add to `out` instead of overwriting it
    bool stream[pointwise_max_operands];      ///< write `out` around the caches; it is then 64-byte aligned
};
using PointwiseRowFunction = void (*)(const void* f, const PointwiseRow& row);

/// An operand: its first element, its element size, and its stride in elements along each output dimension.
struct PointwiseOperand {
    std::byte* data;
    Index element_size;
    Index stride[pointwise_max_rank];
};

/// Operands over one shape. Inputs come first, outputs follow.
struct PointwisePlan {
    int rank = 0;
    int inputs = 0;
    int outputs = 0;
    Index extent[pointwise_max_rank];
    PointwiseOperand operand[pointwise_max_operands];
    bool accumulate[pointwise_max_operands] = {};  ///< of outputs, counted from the first output

    int operands() const { return inputs + outputs; }
    Index numel() const {
        Index n = 1;
        for (int d = 0; d < rank; ++d) n *= extent[d];
        return n;
    }
    /// Sets the shape all operands are stretched to.
    void set_shape(const Index* extents, int r) {
        rank = r;
        for (int d = 0; d < r; ++d) extent[d] = extents[d];
    }
    /// Adds an operand of `r` dimensions aligned at the right; dimensions of extent 1 are repeated (stride 0).
    void add(const void* data, Index element_size, const Index* extents, const Index* strides, int r) {
        PointwiseOperand& o = operand[operands()];
        o.data = static_cast<std::byte*>(const_cast<void*>(data));
        o.element_size = element_size;
        for (int d = 0; d < rank; ++d) {
            const int own = d - (rank - r);
            o.stride[d] = own < 0 || extents[own] == 1 ? 0 : strides[own];
        }
    }
    void add_input(const void* data, Index element_size, const Index* extents, const Index* strides, int r) {
        add(data, element_size, extents, strides, r);
        ++inputs;
    }
    /// Outputs are added after all inputs. A null `data` is a result nobody wants.
    void add_output(void* data, Index element_size, const Index* extents, const Index* strides, int r,
                    bool add_to = false) {
        add(data, element_size, extents, strides, r);
        accumulate[outputs++] = add_to;
    }
    /// An operand that lies dense over the whole shape.
    bool is_linear(int k) const {
        Index step = 1;
        for (int d = rank - 1; d >= 0; --d) {
            if (extent[d] != 1 && operand[k].stride[d] != step) return false;
            step *= extent[d];
        }
        return true;
    }
    /// Some element of the operand is used for several elements of the shape.
    bool is_repeated(int k) const {
        for (int d = 0; d < rank; ++d)
            if (operand[k].stride[d] == 0 && extent[d] > 1) return true;
        return false;
    }
    /// Distinct elements of an operand: the product of the extents it does not repeat.
    Index kept(int k) const {
        Index n = 1;
        for (int d = 0; d < rank; ++d)
            if (operand[k].stride[d] != 0) n *= extent[d];
        return n;
    }
    /// Drops dimensions of extent 1 and merges neighbours that every operand walks through with one stride.
    void collapse() {
        int top = 0;
        for (int d = 0; d < rank; ++d) {
            if (extent[d] == 1) continue;
            bool merges = top > 0;
            for (int k = 0; merges && k < operands(); ++k)
                merges = operand[k].stride[top - 1] == operand[k].stride[d] * extent[d];
            if (!merges) ++top;
            extent[top - 1] = merges ? extent[top - 1] * extent[d] : extent[d];
            for (int k = 0; k < operands(); ++k) operand[k].stride[top - 1] = operand[k].stride[d];
        }
        rank = top;
    }
    /// True when rows of the last dimension can go to a row function as they lie.
    bool has_rows() const {
        if (rank == 0) return true;
        bool dense = extent[rank - 1] >= 32;
        for (int k = 0; k < operands(); ++k) {
            const Index s = operand[k].stride[rank - 1];
            dense = dense && (s == 1 || (s == 0 && k < inputs));
        }
        return dense || (rank == 1 && all_linear());
    }
    bool all_linear() const {
        for (int k = 0; k < operands(); ++k)
            if (!is_linear(k)) return false;
        return true;
    }
};

/// A position in a plan: the index along each dimension and each operand's offset there.
struct PointwiseCursor {
    Index at[pointwise_max_rank];
    Index offset[pointwise_max_operands];

    void seek(const PointwisePlan& plan, Index linear) {
        for (int k = 0; k < plan.operands(); ++k) offset[k] = 0;
        for (int d = plan.rank - 1; d >= 0; --d) {
            at[d] = linear % plan.extent[d];
            linear /= plan.extent[d];
            for (int k = 0; k < plan.operands(); ++k) offset[k] += at[d] * plan.operand[k].stride[d];
        }
    }
    /// Moves `count` elements on; `count` never leaves the current row of the last dimension.
    void advance(const PointwisePlan& plan, Index count) {
        int d = plan.rank - 1;
        for (int k = 0; d >= 0 && k < plan.operands(); ++k) offset[k] += count * plan.operand[k].stride[d];
        for (Index by = count; d >= 0; by = 1) {
            if ((at[d] += by) < plan.extent[d]) return;
            at[d] = 0;
            for (int k = 0; k < plan.operands(); ++k) {
                offset[k] -= plan.extent[d] * plan.operand[k].stride[d];
                if (d > 0) offset[k] += plan.operand[k].stride[d - 1];
            }
            --d;
        }
    }
};

}  // namespace lamina::inline LAMINA_ABI::kernels
