#pragma once
// Classification losses: cross entropy of logits, fused with the softmax, and the negative log likelihood.
#include <lamina/autograd/saved.hpp>
#include <lamina/kernels/cross_entropy.hpp>
#include <lamina/losses/reduction.hpp>
#include <lamina/ops/contiguous.hpp>

namespace lamina::inline LAMINA_ABI::losses {

template <class T>
struct CrossEntropyOptions {
    OptionalTensor<T, 1> weight = {};  ///< of each class [C]
    Index ignore_index = -100;         ///< targets of this value count for nothing
    double label_smoothing = 0;        ///< share of the target that is spread over all classes, in [0, 1]
};

namespace detail {

/// Classes lie along dimension 1, or 0 where there is no other.
template <int R>
kernels::CrossEntropyGeometry class_geometry(const Shape<R>& s) {
    static_assert(R >= 1, "classes need a dimension");
    if constexpr (R == 1) return {1, s[0], 1};
    else return {s[0], s[1], s.product(2, R)};
}
template <int R>
Shape<R - 1> without_classes(const Shape<R>& s) {
    Shape<R - 1> out;
    for (int d = 0, to = 0; d < R; ++d)
        if (d != (R == 1 ? 0 : 1)) out[to++] = s[d];
    return out;
}
template <class T, int R>
void check_class_weight(const char* op, const Tensor<T, R>& input, const OptionalTensor<T, 1>& weight) {
    const Index classes = class_geometry(input.shape()).classes;
    require(!weight || weight->numel() == classes, op, ": weight must have ", classes, " elements but has ",
            weight ? weight->numel() : 0, " (input ", input.shape(), ")");
}
/// Sum of the weights of the targets that are not ignored. Throws ValueError for a target that is no class.
template <class T>
double total_weight(const char* op, Index rows, Index classes, const kernels::CrossEntropyTarget<T>& t) {
    double total = 0;
    for (Index r = 0; r < rows; ++r) {
        if (t.ignored(r)) continue;
        require<ValueError>(t.index[r] >= 0 && t.index[r] < classes, op, ": targets must lie in [0, ", classes - 1,
                            "] but element ", r, " is ", t.index[r]);
        total += double(t.weight_of(t.index[r]));
    }
    return total;
}
template <class T>
T ordered_sum(const T* x, Index n) {
    double total = 0;
    for (Index i = 0; i < n; ++i) total += double(x[i]);
    return T(total);
}

/// Keeps what a target points to alive and unchanged.
template <class T, class Target, int R>
struct KeptTarget {
    autograd::Saved<Target, R> values;
    autograd::Saved<T, 1> weight;
    Index ignore_index;
    T smoothing;
    kernels::CrossEntropyTarget<T> get() const {
        const T* const w = weight ? weight.data() : nullptr;
        if constexpr (std::is_same_v<Target, T>) return {nullptr, values.data(), w, ignore_index, smoothing};
        else return {values.data(), nullptr, w, ignore_index, smoothing};
    }
};

template <Reduction reduction, class T, int R, class Target, int N>
auto cross_entropy(const Tensor<T, R>& input, const Tensor<Target, N>& target, const CrossEntropyOptions<T>& o) {
    static_assert(reduction != Reduction::batch_mean, "cross_entropy: mean already counts rows");
    constexpr bool by_index = !std::is_same_v<Target, T>;
    constexpr const char* op = "cross_entropy";
    const auto g = class_geometry(input.shape());
    check_class_weight(op, input, o.weight);
    require<ValueError>(o.label_smoothing >= 0 && o.label_smoothing <= 1, op,
                        ": label_smoothing must lie in [0, 1] but is ", o.label_smoothing);
    const auto x = contiguous(input);
    using Kept = KeptTarget<T, Target, N>;
    const Kept kept{autograd::saved(contiguous(target)),
                    o.weight ? autograd::saved(contiguous(*o.weight)) : autograd::saved(Tensor<T, 1>()), o.ignore_index,
                    T(o.label_smoothing)};
    const auto t = kept.get();
    const Index rows = g.rows();
    double divisor = double(rows);
    if constexpr (by_index) divisor = total_weight(op, rows, g.classes, t);
    auto terms = empty<T>(without_classes(input.shape()));
    const auto kept_rows = empty<T>(Shape{Index(3), rows});
    T* const numbers = const_cast<T*>(kept_rows.data());
    const kernels::CrossEntropyRows<T> of_rows{numbers, numbers + rows, numbers + 2 * rows};
    kernels::cross_entropy_forward(g, t, x.data(), terms.mutable_data(), of_rows);
    const T scale = reduction == Reduction::mean ? T(1 / divisor) : T(1);
    const auto record = [&](auto& y) {
        if (auto* tape = autograd::recording(input))
            tape->record(op, y, [g, kept, kept_rows, of_rows, scale, x = autograd::saved(x)](const T* dy) {
                if (const auto dx = autograd::grad_target(x))
                    kernels::cross_entropy_grad_input(g, kept.get(), x.data(), of_rows, dy,
                                                      Index(reduction == Reduction::none), scale, dx.data,
                                                      dx.accumulate);
            });
    };
    if constexpr (reduction == Reduction::none) {
        record(terms);
        return terms;
    } else {
        const T total = ordered_sum(terms.data(), rows);
        Tensor<T, 0> y(reduction == Reduction::mean ? T(double(total) / divisor) : total);
        record(y);
        return y;
    }
}

}  // namespace detail

/// -log softmax(input) at the target class: logits `input` [N, C, …] or [C], class indices `target` [N, …]. With
/// label smoothing e the target is (1 - e) of the class and e / C of each. The mean divides by the sum of the targets'
/// weights. Throws ShapeError, and ValueError for a target that is neither a class nor ignored.
template <Reduction reduction = Reduction::mean, Real T, int R>
auto cross_entropy(const Tensor<T, R>& input, const std::type_identity_t<Tensor<std::int64_t, R - 1>>& target,
                   const std::type_identity_t<CrossEntropyOptions<T>>& options = {}) {
    require(target.shape() == detail::without_classes(input.shape()), "cross_entropy: target must have shape ",
            detail::without_classes(input.shape()), " but has ", target.shape(), " (input ", input.shape(), ")");
    return detail::cross_entropy<reduction>(input, target, options);
}

/// The same with the probability of each class as `target` [N, C, …], a constant. The mean divides by the number of
/// rows. Throws ShapeError.
template <Reduction reduction = Reduction::mean, Real T, int R>
auto cross_entropy(const Tensor<T, R>& input, const std::type_identity_t<Tensor<T, R>>& target,
                   const std::type_identity_t<CrossEntropyOptions<T>>& options = {}) {
    detail::require_same_shape("cross_entropy", input.shape(), target.shape());
    return detail::cross_entropy<reduction>(input, target, options);
}

/// -weight[t] * input[t] for log-probabilities `input` [N, C, …] or [C] and class indices `target` [N, …]; options and
/// errors as cross_entropy, without label smoothing.
template <Reduction reduction = Reduction::mean, Real T, int R>
auto nll(const Tensor<T, R>& input, const std::type_identity_t<Tensor<std::int64_t, R - 1>>& target,
         const std::type_identity_t<CrossEntropyOptions<T>>& options = {}) {
    static_assert(reduction != Reduction::batch_mean, "nll: mean already counts rows");
    require(target.shape() == detail::without_classes(input.shape()), "nll: target must have shape ",
            detail::without_classes(input.shape()), " but has ", target.shape(), " (input ", input.shape(), ")");
    require<ValueError>(options.label_smoothing == 0, "nll: label_smoothing must be 0 but is ",
                        options.label_smoothing);
    detail::check_class_weight("nll", input, options.weight);
    const auto g = detail::class_geometry(input.shape());
    const auto x = contiguous(input);
    const detail::KeptTarget<T, std::int64_t, R - 1> kept{
        autograd::saved(contiguous(target)),
        options.weight ? autograd::saved(contiguous(*options.weight)) : autograd::saved(Tensor<T, 1>()),
        options.ignore_index, T(0)};
    const auto t = kept.get();
    const Index rows = g.rows();
    const double divisor = detail::total_weight("nll", rows, g.classes, t);
    const T scale = reduction == Reduction::mean ? T(1 / divisor) : T(1);
    const auto place = [g](const auto& target_of, Index r) {
        return (r / g.inner * g.classes + target_of.index[r]) * g.inner + r % g.inner;
    };
    auto terms = empty<T>(detail::without_classes(input.shape()));
    T* const to = terms.mutable_data();
    for (Index r = 0; r < rows; ++r) to[r] = t.ignored(r) ? T(0) : -t.hard(r) * x.data()[place(t, r)];
    const auto record = [&](auto& y) {
        if (auto* tape = autograd::recording(input))
            tape->record("nll", y, [kept, scale, place, rows, link = input.grad_link()](const T* dy) {
                T* const dx = autograd::grad_ptr<T>(link);
                if (!dx) return;
                const auto kept_target = kept.get();
                for (Index r = 0; r < rows; ++r)
                    if (!kept_target.ignored(r))
                        dx[place(kept_target, r)] -=
                            scale * dy[reduction == Reduction::none ? r : 0] * kept_target.hard(r);
            });
    };
    if constexpr (reduction == Reduction::none) {
        record(terms);
        return terms;
    } else {
        const T total = detail::ordered_sum(terms.data(), rows);
        Tensor<T, 0> y(reduction == Reduction::mean ? T(double(total) / divisor) : total);
        record(y);
        return y;
    }
}

}  // namespace lamina::inline LAMINA_ABI::losses
