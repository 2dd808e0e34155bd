#pragma once
// Pointwise ops: one generic lambda gives the value and, by dual numbers, the gradient, each as one fused loop.
// Everything per call is untyped in rank, so that only two small row functions are compiled for a lambda.
#include <lamina/autograd/tape.hpp>
#include <lamina/core/create.hpp>
#include <lamina/kernels/compare.hpp>
#include <lamina/kernels/map.hpp>

namespace lamina::inline LAMINA_ABI {

namespace detail {

/// Shape of the broadcast of all arguments.
template <int A>
Shape<A> broadcast_all(const char*, const Shape<A>& a) {
    return a;
}
template <int A, int B, int... R>
auto broadcast_all(const char* op, const Shape<A>& a, const Shape<B>& b, const Shape<R>&... rest) {
    if constexpr (A == B && sizeof...(R) == 0) {
        if (a == b) return a;
    }
    return broadcast_all(op, broadcast_shape(op, a, b), rest...);
}

/// A shape of any rank.
struct AnyShape {
    int rank;
    Index extent[kernels::pointwise_max_rank]{};
    Index stride[kernels::pointwise_max_rank]{};

    template <int R>
    AnyShape(const Shape<R>& shape, const Strides<R>& strides) : rank(R) {
        static_assert(R <= kernels::pointwise_max_rank, "pointwise ops take tensors of rank 8 and less");
        for (int d = 0; d < R; ++d) extent[d] = shape[d], stride[d] = strides[std::size_t(d)];
    }
    template <int R>
    explicit AnyShape(const Shape<R>& shape) : AnyShape(shape, contiguous_strides(shape)) {}
    AnyShape dense() const {
        AnyShape out = *this;
        Index step = 1;
        for (int d = rank - 1; d >= 0; --d) {
            out.stride[d] = step;
            step *= extent[d] > 0 ? extent[d] : 1;
        }
        return out;
    }
};

/// An operand kept for the backward pass, whatever its rank. Without `values` only its shape and gradient are kept.
class SavedOperand {
public:
    template <class T, int R>
    SavedOperand(const Tensor<T, R>& x, bool values) : shape(x.shape(), x.strides()),
                                                       link(x.grad_link()) {
        if (!values) return;
        storage_ = x.storage();
        data_ = x.data();
        version_ = storage_ ? storage_->version() : 0;
    }
    /// Null when values were not kept. Throws GradError when they have changed.
    const void* data() const {
        if (storage_ && storage_->version() != version_) {
            std::string text;
            Shape<0>::append_extents(text, shape.extent, shape.rank);
            fail<GradError>("backward: a saved tensor of shape ", text, " was changed in place (version ", version_,
                            " when recorded, now ", storage_->version(), ")");
        }
        return data_;
    }
    AnyShape shape;
    GradLink link;

private:
    Ref<Storage> storage_;
    const void* data_ = nullptr;
    std::uint64_t version_ = 0;
};

inline void add_input(kernels::PointwisePlan& plan, const void* data, std::size_t size, const AnyShape& s) {
    plan.add_input(data, Index(size), s.extent, s.stride, s.rank);
}
inline void add_output(kernels::PointwisePlan& plan, void* data, std::size_t size, const AnyShape& s, bool add) {
    plan.add_output(data, Index(size), s.extent, s.stride, s.rank, add);
}

/// Backward of a pointwise op: runs the gradient row over the operands, dy and the wanted gradients.
template <class T, int Operands, int Active>
struct MapBackwardPlan {
    AnyShape shape;
    SavedOperand x[Operands];

    void run(const T* dy, bool dy_is_scalar, const void* f, kernels::PointwiseRowFunction row) const {
        kernels::PointwisePlan plan;
        plan.set_shape(shape.extent, shape.rank);
        for (const SavedOperand& o : x) {
            // A function whose derivatives are constant keeps no values: any readable numbers do.
            const void* values = o.data();
            if (values) add_input(plan, values, sizeof(T), o.shape);
            else if (dy_is_scalar) plan.add_input(dy, Index(sizeof(T)), nullptr, nullptr, 0);
            else add_input(plan, dy, sizeof(T), shape);
        }
        if (dy_is_scalar) plan.add_input(dy, Index(sizeof(T)), nullptr, nullptr, 0);
        else add_input(plan, dy, sizeof(T), shape);
        bool wanted = false;
        for (int k = 0; k < Active; ++k) {
            const auto target = autograd::grad_target<T>(x[k].link);
            add_output(plan, target.data, sizeof(T), x[k].shape.dense(), target.accumulate);
            wanted = wanted || target;
        }
        if (!wanted) return;
        plan.collapse();
        // One operand has the shape of the result: nothing is repeated that would have to be summed.
        if constexpr (Operands == 1) kernels::pointwise_run(plan, f, row);
        else kernels::pointwise_gradient<simd::native, T>(plan, f, row);
    }
};
template <class T, class F, int Operands, int Active>
struct MapBackward {
    F f;
    MapBackwardPlan<T, Operands, Active> plan;
    void operator()(const T* dy) const {
        plan.run(dy, false, &f, kernels::map_gradient_row<simd::native, T, F, Operands, Active>);
    }
};

template <class F>
inline constexpr bool is_linear = requires {
    requires F::linear;
};
template <class F>
constexpr const char* name_of_map() {
    if constexpr (requires { F::name; }) return F::name;
    else return "map";
}

/// Fills `y` (of the broadcast shape) with row results over `x`.
template <class U, int Y, class... T, int... R>
void run_pointwise(const void* f, kernels::PointwiseRowFunction row, Tensor<U, Y>& y, const Tensor<T, R>&... x) {
    kernels::PointwisePlan plan;
    plan.set_shape(y.shape().begin(), Y);
    (add_input(plan, x.data(), sizeof(T), AnyShape(x.shape(), x.strides())), ...);
    add_output(plan, y.mutable_data(), sizeof(U), AnyShape(y.shape(), y.strides()), false);
    plan.collapse();
    kernels::pointwise_run(plan, f, row);
}

/// y = f(x…), differentiated in the first Active operands as `g` is.
template <int Active, class F, class G, class T, int... R>
auto map_as(const char* op, const F& f, const G& g, const Tensor<T, R>&... x) {
    constexpr int operands = int(sizeof...(R));
    static_assert(operands <= 8 && Active <= operands, "map takes up to eight tensors");
    auto y = empty<T>(broadcast_all(op, x.shape()...));
    run_pointwise(&f, kernels::map_row<simd::native, T, F, operands>, y, x...);
    if (auto* tape = autograd::recording(x...)) {
        MapBackward<T, G, operands, Active> backward{g, {AnyShape(y.shape()), {SavedOperand(x, !is_linear<G>)...}}};
        tape->record(op, y, std::move(backward));
    }
    return y;
}

/// x itself, or a copy of its elements when writing to `target` would change them before they are read.
template <class T, int R, class U, int Y>
Tensor<T, R> apart_from(const Tensor<T, R>& x, const Tensor<U, Y>& target) {
    if (!x.storage() || !(x.storage() == target.storage())) return x;
    if constexpr (std::is_same_v<T, U> && R == Y) {
        if (x.data() == target.data() && x.strides() == target.strides()) return x;
    }
    return x.clone();
}

}  // namespace detail

/// y[…] = f(a[…], b[…], …) over the broadcast of up to eight tensors of one real type, in one fused loop and with the
/// exact gradient of every operand. `f` is generic: it gets lanes (simd::Vec) or dual numbers of lanes and uses their
/// operators and functions, `[](auto x, auto y) { return max(x, y) * exp(-x); }`; it must not depend on the position.
/// Throws ShapeError when the shapes do not broadcast.
template <class F, Real T, int... R>
auto map(const F& f, const Tensor<T, R>&... x) {
    return detail::map_as<int(sizeof...(R))>(detail::name_of_map<F>(), f, f, x...);
}
/// The same where only the first `Active` operands have gradients and the others are constants.
template <int Active, class F, Real T, int... R>
auto map(const F& f, const Tensor<T, R>&... x) {
    return detail::map_as<Active>(detail::name_of_map<F>(), f, f, x...);
}

/// y[…] = f(a[…], b[…], …) one element at a time, for any element types; the type of y is what f returns. Without
/// gradient: throws GradError where a result of real numbers would have to be recorded, ShapeError as `map`.
template <class F, Element... T, int... R>
auto map_elements(const F& f, const Tensor<T, R>&... x) {
    using U = decltype(f(T()...));
    constexpr const char* op = detail::name_of_map<F>();
    if constexpr (Real<U>) require<GradError>(!autograd::recording(x...), op, ": has no gradient");
    auto y = empty<U>(detail::broadcast_all(op, x.shape()...));
    detail::run_pointwise(&f, kernels::element_row<U, F, T...>, y, x...);
    return y;
}

/// x[…] = f(x[…], others[…]…) in place; returns x. Throws GradError while a tape would have to record it, ShapeError
/// when the others do not broadcast to the shape of x.
template <class F, Element T, int R, int... N>
Tensor<T, R> map_(const F& f, Tensor<T, R> x, const Tensor<T, N>&... others) {
    constexpr const char* op = detail::name_of_map<F>();
    require<GradError>(!autograd::recording(x, others...), op,
                       "_: a tensor cannot be changed in place while a tape records it or an operand (shape ",
                       x.shape(), ")");
    const auto shape = detail::broadcast_all(op, x.shape(), others.shape()...);
    bool fits = false;
    if constexpr (decltype(shape)::rank() == R) fits = shape == x.shape();
    require(fits, op, "_: operands must broadcast to the shape of the tensor (", x.shape(), ", broadcast ", shape, ")");
    kernels::PointwiseRowFunction row;
    if constexpr (Real<T>) row = kernels::map_row<simd::native, T, F, 1 + int(sizeof...(N))>;
    else row = kernels::element_row<T, F, T, std::conditional_t<(N >= 0), T, T>...>;
    detail::run_pointwise(&f, row, x, Tensor<T, R>(x), detail::apart_from(others, x)...);
    return x;
}

}  // namespace lamina::inline LAMINA_ABI
