#pragma once
// What all forms of softmax attention share: the options, and one recorded call of the kernels.
#include <lamina/autograd/saved.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/kernels/attention/backward.hpp>
#include <lamina/ops/contiguous.hpp>
#include <lamina/ops/expand.hpp>
#include <lamina/ops/key_lengths.hpp>

#include <algorithm>
#include <cmath>

namespace lamina::inline LAMINA_ABI {

/// Which keys a query may see by its position.
enum class Causal {
    none,         ///< all
    top_left,     ///< query i sees keys up to i
    bottom_right  ///< the last query sees all keys, as decoding with a cache needs it
};

using kernels::Weighing;

/// Options of scaled_dot_product_attention and multi_head_attention.
struct AttentionOptions {
    Causal causal = Causal::none;
    double scale = 0;    ///< of the scores; 0: 1 / sqrt(width of a head)
    double dropout = 0;  ///< probability of losing a weight while a tape trains; the others are divided by 1 - dropout
    OptionalTensor<std::int64_t, 1> lengths = {};  ///< [B]: number of keys that count, 0 to m; the rest is padding
    Weighing weighing = Weighing::softmax;
    bool average = false;  ///< other than softmax: divide by the number of keys that a query sees
};

/// What hides keys from queries: a tensor that broadcasts to [B, h, n, m], boolean (true: may see) or added to the
/// scores (-inf: hidden); or one of each. Instead of the latter `distance` [h or 1, n + m - 1], whose element
/// (h, j - i + n - 1) is added to the score of query i and key j, and which needs no matrix of n m numbers.
template <Real T>
struct AttentionMask {
    OptionalTensor<bool, 4> keep;
    OptionalTensor<T, 4> add;
    OptionalTensor<T, 2> distance;

    AttentionMask() = default;
    template <int M>
        requires(M <= 4)
    AttentionMask(const Tensor<bool, M>& mask) : keep(four_dimensions(mask)) {}
    template <int M>
        requires(M <= 4)
    AttentionMask(const Tensor<T, M>& mask) : add(four_dimensions(mask)) {}

private:
    template <class X, int M>
    static Tensor<X, 4> four_dimensions(const Tensor<X, M>& x) {
        if constexpr (M == 4) return x;
        else return four_dimensions(unsqueeze(x, 0));
    }
};

namespace detail {

/// One of Q, K, V: rows [B, h, n, width] of any strides, and where their gradient lies in the buffer behind `link`.
template <Real T>
struct AttentionOperand {
    Tensor<T, 4> rows;
    GradLink link;
    Strides<4> grad_strides;
    Index grad_offset;
};

template <class T>
kernels::HeadRows<T> head_rows(T* data, const Strides<4>& s) {
    return {data, s[0], s[1], s[2]};
}
/// The kernels want dense rows, wherever they lie.
template <Real T>
Tensor<T, 4> dense_rows(const Tensor<T, 4>& x) {
    return x.strides()[3] == 1 || x.dim(3) <= 1 ? x.detach() : contiguous(x.detach());
}
template <class X>
kernels::MaskView<const X> mask_view(const char* op, const OptionalTensor<X, 4>& mask,
                                     const kernels::AttentionGeometry& g) {
    if (!mask) return {};
    const Shape<4>& s = mask->shape();
    const Shape<4> full{g.batch, g.heads, g.queries, g.keys};
    for (int d = 0; d < 4; ++d)
        require(s[d] == 1 || s[d] == full[d], op, ": the mask must broadcast to ", full, " but is ", s);
    const auto step = [&](int d) { return s[d] == 1 ? 0 : mask->strides()[std::size_t(d)]; };
    return {mask->data(), step(0), step(1), step(2), step(3)};
}

/// Everything that the gradient needs.
template <Real T>
struct RecordedAttention {
    kernels::AttentionGeometry sizes;
    kernels::AttentionRule<T> rule;
    autograd::Saved<T, 4> rows[3];
    AttentionOperand<T> operands[3];  ///< of which only the places of the gradients are used
    bool packed;                      ///< all three are parts of one tensor
    autograd::Saved<bool, 4> keep;
    autograd::Saved<T, 4> add;
    autograd::Saved<T, 2> distance;
    Tensor<std::int64_t, 1> lengths;
    Tensor<T, 3> stats;
    Strides<4> o_strides;

    kernels::AttentionProblem<T> problem() const {
        const auto in = [&](int i) { return head_rows(rows[i].data(), rows[i].tensor().strides()); };
        auto checked = rule;
        checked.keep.data = keep.data();
        checked.add.data = distance ? distance.data() + sizes.queries - 1 : add.data();
        return {sizes, in(0), in(1), in(2), checked};
    }
    void run(const T* o, const T* dy) const {
        kernels::AttentionGradients<T> grads{};
        kernels::HeadRows<T>* const to[] = {&grads.q, &grads.k, &grads.v};
        bool* const accumulate[] = {&grads.accumulate_q, &grads.accumulate_k, &grads.accumulate_v};
        Tensor<T, 1> own[3];  // where one tensor is two operands: its second gradient waits here
        autograd::GradTarget<T> target[3];
        for (int i = 0; i < 3; ++i) {
            const AttentionOperand<T>& x = operands[i];
            target[i] = packed && i > 0 ? target[0] : autograd::grad_target<T>(x.link);
            bool again = false;
            for (int j = 0; j < i; ++j) again = again || (!packed && target[i] && target[j].data == target[i].data);
            if (again) own[i] = empty<T>(Shape{x.link->numel});
            T* const data = again ? own[i].mutable_data() : target[i].data;
            *to[i] = head_rows(data ? data + x.grad_offset : nullptr, x.grad_strides);
            *accumulate[i] = !again && target[i].accumulate;
        }
        if (add)
            if (T* d = autograd::grad_ptr(add)) {
                const Strides<4> dense = contiguous_strides(add.shape());
                const auto step = [&](int i) { return add.shape()[i] == 1 ? 0 : dense[std::size_t(i)]; };
                grads.add = {d, step(0), step(1), step(2), 1};
            }
        if (distance)
            if (T* d = autograd::grad_ptr(distance))
                grads.add = {d + sizes.queries - 1, 0, rule.add.head_stride, -1, 1};
        kernels::attention_grad(problem(), head_rows(o, o_strides), stats.data(), head_rows(dy, o_strides), grads);
        for (int i = 0; i < 3; ++i)
            for (Index j = 0; j < own[i].numel(); ++j) target[i].data[j] += own[i].data()[j];
    }
};

/// Attention whose result, of `shape` to the user, has rows [B, h, n, e] at `o_strides`.
template <Real T, int R>
Tensor<T, R> attention(const char* op, const AttentionOperand<T> (&operands)[3], bool packed, AttentionMask<T> mask,
                       const AttentionOptions& options, const Shape<R>& shape, const Strides<4>& o_strides) {
    const auto q = dense_rows(operands[0].rows), k = dense_rows(operands[1].rows), v = dense_rows(operands[2].rows);
    const kernels::AttentionGeometry g{q.dim(0), q.dim(1), k.dim(1), q.dim(2), k.dim(2), q.dim(3), v.dim(3)};
    require<ValueError>(options.dropout >= 0 && options.dropout <= 1, op, ": dropout must lie in [0, 1] but is ",
                        options.dropout);
    const auto counts = key_lengths(op, options.lengths, g.batch, g.keys);
    if (mask.add && mask.add->dim(3) == 1 && g.keys != 1)
        mask.add = expand(*mask.add, Shape<4>{Index(-1), Index(-1), Index(-1), g.keys});
    kernels::AttentionRule<T> rule{T(options.scale != 0 ? options.scale : 1 / std::sqrt(double(g.width)))};
    rule.keep = mask_view(op, mask.keep, g);
    rule.add = mask_view(op, mask.add, g);
    if (mask.distance) {
        const Shape<2>& s = mask.distance->shape();
        const Index distances = std::max<Index>(g.queries + g.keys - 1, 0);
        require(!mask.add && (s[0] == g.heads || s[0] == 1) && s[1] == distances, op,
                ": biases by distance must be the only ones and [", g.heads, ", ", distances, "] but are ", s);
        mask.distance = contiguous(*mask.distance);
        rule.add = {mask.distance->data() + std::max<Index>(g.queries - 1, 0), 0, s[0] == 1 ? 0 : distances, -1, 1};
    }
    rule.lengths = counts.defined() ? counts.data() : nullptr;
    rule.causal = options.causal != Causal::none;
    rule.diagonal = options.causal == Causal::bottom_right ? g.keys - g.queries : 0;
    rule.weighing = options.weighing;
    rule.average = options.average;
    if (autograd::training() && options.dropout > 0) {
        rule.dropout = options.dropout;
        rule.key = autograd::current_tape()->rng().next_stream();
    }
    auto* const tape =
        autograd::recording(operands[0].rows, operands[1].rows, operands[2].rows, mask.add, mask.distance);
    auto y = empty<T>(shape);
    auto stats = tape ? empty<T>(Shape{g.batch, g.heads, g.queries}) : Tensor<T, 3>();
    const auto in = [](const Tensor<T, 4>& x) { return head_rows(x.data(), x.strides()); };
    kernels::attention_forward(kernels::AttentionProblem<T>{g, in(q), in(k), in(v), rule},
                               head_rows(y.mutable_data(), o_strides), tape ? stats.mutable_data() : nullptr);
    if (tape) {
        RecordedAttention<T> call{g,
                                  rule,
                                  {autograd::saved(q), autograd::saved(k), autograd::saved(v)},
                                  {operands[0], operands[1], operands[2]},
                                  packed,
                                  autograd::saved(mask.keep),
                                  autograd::saved(mask.add),
                                  autograd::saved(mask.distance),
                                  counts,
                                  stats,
                                  o_strides};
        for (auto& x : call.operands) x.rows = Tensor<T, 4>();
        tape->record(
            op, y, [call = std::move(call), o = autograd::saved(y.detach())](const T* dy) { call.run(o.data(), dy); });
    }
    return y;
}

}  // namespace detail

}  // namespace lamina::inline LAMINA_ABI
