#pragma once
// The tensor: a handle on shared storage with a shape, strides and perhaps a link to its gradient.
#include <lamina/core/grad_link.hpp>
#include <lamina/core/shape.hpp>

#include <algorithm>
#include <initializer_list>
#include <span>

namespace lamina::inline LAMINA_ABI {

namespace detail {

template <class T, int R>
struct NestedList {
    using type = std::initializer_list<typename NestedList<T, R - 1>::type>;
};
template <class T>
struct NestedList<T, 0> {
    using type = T;
};

/// Calls f(offset_a, offset_b, count, step_a, step_b) for each innermost run of two strided walks over `shape`.
template <int R, class F>
void walk(const Shape<R>& shape, const Strides<R>& a, const Strides<R>& b, F&& f) {
    if (shape.numel() == 0) return;
    if constexpr (R == 0) {
        f(Index(0), Index(0), Index(1), Index(1), Index(1));
    } else {
        constexpr auto last = std::size_t(R - 1);
        Shape<R> at;
        for (Index pa = 0, pb = 0;;) {
            f(pa, pb, shape[R - 1], a[last], b[last]);
            int d = R - 2;
            for (; d >= 0; --d) {
                const auto u = std::size_t(d);
                pa += a[u];
                pb += b[u];
                if (++at[d] < shape[d]) break;
                pa -= a[u] * shape[d];
                pb -= b[u] * shape[d];
                at[d] = 0;
            }
            if (d < 0) return;
        }
    }
}

}  // namespace detail

/// `R`-dimensional array of `T`. Copying a tensor shares its elements; `clone()` copies them. A default-constructed
/// tensor is undefined: it has no elements and no storage.
template <Element T, int R>
class Tensor {
public:
    using value_type = T;
    static constexpr int rank = R;

    Tensor() = default;
    /// Zeros. Throws ShapeError for a negative extent or more than 2^63-1 bytes.
    explicit Tensor(const Shape<R>& shape) : Tensor(uninitialized(shape)) {
        std::memset(static_cast<void*>(data_), 0, std::size_t(numel()) * sizeof(T));
    }
    /// A single number.
    explicit Tensor(T value) requires(R == 0) : Tensor(uninitialized(Shape<0>{})) { *data_ = value; }
    /// `Tensor<float, 2>{{1, 2}, {3, 4}}`. Throws ShapeError when rows differ in length.
    Tensor(typename detail::NestedList<T, R>::type values) requires(R > 0) {
        Shape<R> shape;
        measure(values, shape, 0);
        *this = uninitialized(shape);
        T* out = data_;
        flatten(values, shape, 0, out);
    }
    /// The low-level constructor that all others and every view end in. Strides are in elements.
    Tensor(Ref<Storage> storage, T* data, const Shape<R>& shape, const Strides<R>& strides)
        : storage_(std::move(storage)),
          data_(data),
          shape_(shape),
          strides_(strides) {}
    /// Dense tensor whose elements are not set. Throws ShapeError as the zero-filled constructor.
    static Tensor uninitialized(const Shape<R>& shape) {
        const Index count = checked_numel(shape.begin(), R, sizeof(T));
        auto storage = Storage::allocate(std::size_t(count) * sizeof(T));
        T* data = reinterpret_cast<T*>(storage->data());
        return Tensor(std::move(storage), data, shape, contiguous_strides(shape));
    }

    bool defined() const { return bool(storage_); }
    const Shape<R>& shape() const { return shape_; }
    const Strides<R>& strides() const { return strides_; }
    /// Extent of dimension `d`; negative counts from the back. Throws ValueError.
    Index dim(int d) const { return shape_[normalize_dim("dim", d, R)]; }
    Index numel() const { return defined() ? shape_.numel() : 0; }
    /// True when the elements lie dense in row-major order (strides of extents 1 do not matter).
    bool is_contiguous() const {
        Index step = 1;
        for (int d = R - 1; d >= 0; --d) {
            if (shape_[d] == 0) return true;
            if (shape_[d] != 1 && strides_[std::size_t(d)] != step) return false;
            step *= shape_[d];
        }
        return true;
    }

    /// First element, for reading. Other elements follow by the strides.
    const T* data() const { return data_; }
    /// First element, for writing; saved tensors notice. Throws ValueError where elements share memory (`expand`).
    T* mutable_data() {
        for (int d = 0; d < R; ++d)
            require<ValueError>(strides_[std::size_t(d)] != 0 || shape_[d] <= 1,
                                "tensor: a tensor whose elements share memory cannot be written (", shape_,
                                ", stride 0 in dimension ", d, ")");
        if (storage_) storage_->bump_version();
        return data_;
    }
    /// Elements of a contiguous tensor, for reading. Throws ShapeError when it is not contiguous.
    std::span<const T> span() const {
        require(is_contiguous(), "span: tensor of ", shape_, " must be contiguous");
        return {data_, std::size_t(numel())};
    }

    /// Element at these indices (negative ones count from the back). Throws ValueError naming index and shape.
    template <class... I>
        requires(sizeof...(I) == std::size_t(R) && (std::is_integral_v<I> && ...))
    const T& operator()(I... index) const { return data_[offset_of({Index(index)...})]; }
    /// The same for writing.
    template <class... I>
        requires(sizeof...(I) == std::size_t(R) && (std::is_integral_v<I> && ...))
    T& mutable_at(I... index) { return mutable_data()[offset_of({Index(index)...})]; }
    /// The only element. Throws ShapeError when there is another number of them.
    T item() const {
        require(numel() == 1, "item: tensor must have one element but has shape ", shape_);
        return *data_;
    }

    /// Dense copy without gradient.
    Tensor clone() const {
        Tensor copy = uninitialized(shape_);
        copy.assign(*this);
        return copy;
    }
    /// The same elements without gradient.
    Tensor detach() const { return Tensor(storage_, data_, shape_, strides_); }
    /// Copies the elements of `source` over this tensor's. Throws ShapeError when the shapes differ.
    void assign(const Tensor& source) {
        require(shape_ == source.shape_, "assign: shapes must be equal (", shape_, " and ", source.shape_, ")");
        T* to = mutable_data();
        if (is_contiguous() && source.is_contiguous()) {
            if (numel()) std::memmove(static_cast<void*>(to), source.data_, std::size_t(numel()) * sizeof(T));
            return;
        }
        if (storage_ == source.storage_) return assign(source.clone());
        detail::walk(shape_, strides_, source.strides_, [&](Index a, Index b, Index n, Index step_a, Index step_b) {
            for (Index i = 0; i < n; ++i) to[a + i * step_a] = source.data_[b + i * step_b];
        });
    }
    /// Sets every element to `value`.
    void fill(T value) {
        T* to = mutable_data();
        detail::walk(shape_, strides_, strides_, [&](Index a, Index, Index n, Index step, Index) {
            if (step == 1) std::fill_n(to + a, n, value);
            else
                for (Index i = 0; i < n; ++i) to[a + i * step] = value;
        });
    }

    const Ref<Storage>& storage() const { return storage_; }
    const GradLink& grad_link() const { return grad_; }
    void set_grad_link(GradLink link) { grad_ = std::move(link); }

    void append_to(std::string& out) const;

private:
    Index offset_of(const std::array<Index, std::size_t(R)>& index) const {
        Index offset = 0;
        for (int d = 0; d < R; ++d) {
            const auto u = std::size_t(d);
            const Index i = index[u] < 0 ? index[u] + shape_[d] : index[u];
            require<ValueError>(i >= 0 && i < shape_[d], "index: ", index[u], " is outside dimension ", d,
                                " of extent ", shape_[d], " (shape ", shape_, ")");
            offset += i * strides_[u];
        }
        require<ValueError>(defined(), "index: the tensor is undefined");
        return offset;
    }
    template <class List>
    static void measure(const List& list, Shape<R>& shape, int d) {
        if constexpr (!std::is_convertible_v<List, T>) {
            shape[d] = Index(list.size());
            if (list.size()) measure(*list.begin(), shape, d + 1);
        }
    }
    template <class List>
    static void flatten(const List& list, const Shape<R>& shape, int d, T*& out) {
        if constexpr (std::is_convertible_v<List, T>) {
            *out++ = list;
        } else {
            require(Index(list.size()) == shape[d], "tensor: rows of a nested list must have equal lengths (", shape[d],
                    " and ", Index(list.size()), " in dimension ", d, ")");
            for (const auto& item : list) flatten(item, shape, d + 1, out);
        }
    }

    Ref<Storage> storage_;
    T* data_ = nullptr;
    Shape<R> shape_{};
    Strides<R> strides_{};
    GradLink grad_;
};

/// An argument that may be left out, as the bias of a convolution; not deduced, so `{}` and a Parameter both fit.
template <class T, int R>
class OptionalTensor {
public:
    OptionalTensor() = default;
    OptionalTensor(const Tensor<T, R>& tensor) : tensor_(tensor) {}
    /// From std::optional<Tensor>, std::optional<Parameter> and the like.
    template <class O>
        requires requires(const O& o) {
            { *o } -> std::convertible_to<const Tensor<T, R>&>;
            o.has_value();
        }
    OptionalTensor(const O& maybe) {
        if (maybe.has_value()) tensor_ = *maybe;
    }
    explicit operator bool() const { return tensor_.defined(); }
    const Tensor<T, R>& operator*() const { return tensor_; }
    const Tensor<T, R>* operator->() const { return &tensor_; }

private:
    Tensor<T, R> tensor_;
};
/// Prevents deduction: `OptionalTensor` parameters of op templates are written `Optional<T, R>`.
template <class T, int R>
using Optional = std::type_identity_t<OptionalTensor<T, R>>;

}  // namespace lamina::inline LAMINA_ABI
