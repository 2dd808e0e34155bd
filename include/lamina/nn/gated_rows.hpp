#pragma once
// What GAU and FLASH share where nothing records: a sequence goes through in pieces of rows, so that gates and mixed
// values, twice as wide as the input, stand for a piece alone; activation, gate and residual sum are epilogues.
#include <lamina/nn/linear.hpp>
#include <lamina/ops/concat.hpp>
#include <lamina/ops/slice.hpp>

namespace lamina::inline LAMINA_ABI::nn::detail {

/// The first half of the features of x [B, n, d] from one token before, zeros at the first.
template <Real T>
Tensor<T, 3> shift_tokens(const Tensor<T, 3>& x) {
    const Index half = (x.dim(2) + 1) / 2, n = x.dim(1);
    if (n == 0) return x;
    const auto first = slice(x, 2, 0, half);
    const auto zero = zeros<T>(Shape{x.dim(0), Index(1), half});
    return cat<T, 3>({cat<T, 3>({zero, slice(first, 1, 0, n - 1)}, 1), slice(x, 2, half, x.dim(2))}, 2);
}

/// Throws ShapeError unless `keep`, if given, has an element for each token of x [B, n, d].
template <Real T>
void check_keep(const char* op, const Tensor<T, 3>& x, const OptionalTensor<bool, 2>& keep) {
    const Shape tokens{x.dim(0), x.dim(1)};
    require(!keep || keep->shape() == tokens, op, ": keep must be ", tokens, " but is ", keep->shape());
}

/// Rows [begin, end) of norm(x), shifted or not.
template <Real T, class Norm>
Tensor<T, 3> normed_rows(const Norm& norm, bool shifted, const Tensor<T, 3>& x, Index begin, Index end) {
    const Index before = shifted && begin > 0 ? 1 : 0;
    const auto y = norm(end - begin == x.dim(1) ? x : slice(x, 1, begin - before, end));
    if (!shifted) return y;
    const auto moved = shift_tokens(y);
    return before == 0 ? moved : slice(moved, 1, before, moved.dim(1));
}

/// Rows of a piece; enough for the products around it to share them out.
inline constexpr Index gated_piece = 2048;

/// f(x, keep, y) writes the result y of x, for the whole batch, or for one member after another where they are long.
template <Real T, class F>
Tensor<T, 3> gated_members(const Tensor<T, 3>& x, const OptionalTensor<bool, 2>& keep, const F& f) {
    const auto rows = contiguous(x);
    auto y = empty<T>(x.shape());
    if (x.dim(0) == 1 || x.dim(1) <= gated_piece) {
        f(rows, keep, y.mutable_data());
        return y;
    }
    for (Index b = 0; b < x.dim(0); ++b)
        f(view::slice(rows, 0, b, b + 1), keep ? view::slice(*keep, 0, b, b + 1) : OptionalTensor<bool, 2>(),
          y.mutable_data() + b * x.dim(1) * x.dim(2));
    return y;
}

/// The wide products of a gated unit on rows [..., d]: values, gate, and the way back, packed apart.
template <Real T>
class GatedProducts {
public:
    /// For this call; made again after a change of the weights.
    auto of(const Linear<T>& to_hidden, const Linear<T>& to_out) const {
        const auto packed = packed_.get(
            [&] {
                const Index d = to_hidden.weight.dim(1), e = to_out.weight.dim(1);
                const T* hidden = to_hidden.weight.data();
                return Packed{kernels::pack_b(d, e, kernels::transposed(hidden, d)),
                              kernels::pack_b(d, e, kernels::transposed(hidden + e * d, d)),
                              kernels::pack_b(e, to_out.weight.dim(0), kernels::transposed(to_out.weight.data(), e))};
            },
            to_hidden.weight, to_out.weight);
        return Products{packed, to_hidden.bias ? to_hidden.bias->data() : nullptr,
                        to_out.bias ? to_out.bias->data() : nullptr};
    }

private:
    struct Packed {
        kernels::PackedMatrix<T> values, gate, out;
    };
    template <class Held>
    struct Products {
        Held packed;
        const T *hidden_bias, *out_bias;

        /// values = silu(y W + b).
        void values(const Tensor<T, 3>& y, T* values) const {
            const auto& w = packed->value.values;
            product(y.data(), y.numel(), w, values,
                    kernels::Then{kernels::BiasColumns{hidden_bias}, kernels::Apply{SiLU{}.function}});
        }
        /// to = (silu(y W + b) * mixed) W_o + b_o, plus `residual` where it is not null.
        void close(const Tensor<T, 3>& y, const Tensor<T, 3>& mixed, const T* residual, T* to) const {
            const auto &w = packed->value.gate, &out = packed->value.out;
            const kernels::BiasColumns<T> bias{hidden_bias ? hidden_bias + w.columns() : nullptr}, last{out_bias};
            auto gated = empty<T>(mixed.shape());
            product(y.data(), y.numel(), w, gated.mutable_data(),
                    kernels::Then{kernels::Then{bias, kernels::Apply{SiLU{}.function}},
                                  kernels::TimesMatrix{mixed.data(), w.columns()}});
            if (residual)
                product(gated.data(), gated.numel(), out, to,
                        kernels::Then{last, kernels::AddMatrix{residual, out.columns()}});
            else product(gated.data(), gated.numel(), out, to, last);
        }

    private:
        template <class Epilogue>
        static void product(const T* x, Index count, const kernels::PackedMatrix<T>& w, T* to, const Epilogue& last) {
            const Index rows = w.rows() > 0 ? count / w.rows() : 0;
            kernels::gemm_packed(rows, kernels::row_major(x, w.rows()), w, to, w.columns(), false, last);
        }
    };
    template <class Held>
    Products(Held, const T*, const T*) -> Products<Held>;

    Prepared<Packed> packed_;
};

}  // namespace lamina::inline LAMINA_ABI::nn::detail
