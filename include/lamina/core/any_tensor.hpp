#pragma once
// A tensor whose element type and rank are known at run time only: what a state dict and a file hold.
#include <lamina/core/tensor.hpp>

#include <vector>

namespace lamina::inline LAMINA_ABI {

/// A dense tensor of any element type and rank. Shares the elements and the gradient link of the tensor it was made
/// from when that is contiguous; otherwise holds a copy.
class AnyTensor {
public:
    AnyTensor() = default;
    template <Element T, int R>
    AnyTensor(const Tensor<T, R>& tensor) : dtype_(dtype_of<T>),
                                            shape_(tensor.shape().begin(), tensor.shape().end()) {
        const Tensor<T, R> dense = tensor.is_contiguous() ? tensor : tensor.clone();
        storage_ = dense.storage();
        data_ = const_cast<T*>(dense.data());
        grad_ = dense.grad_link();
    }
    /// Dense elements of run-time type inside `storage`, starting at `data`. Throws ShapeError for a bad shape.
    AnyTensor(DType dtype, std::vector<Index> shape, Ref<Storage> storage, void* data)
        : dtype_(dtype),
          shape_(std::move(shape)),
          storage_(std::move(storage)),
          data_(data) {
        checked_numel(shape_.data(), rank(), size_of(dtype_));
    }
    /// Zero-filled.
    static AnyTensor zeros(DType dtype, std::vector<Index> shape) {
        const Index count = checked_numel(shape.data(), int(shape.size()), size_of(dtype));
        auto storage = Storage::allocate(std::size_t(count) * size_of(dtype));
        std::memset(storage->data(), 0, std::size_t(count) * size_of(dtype));
        void* data = storage->data();
        return AnyTensor(dtype, std::move(shape), std::move(storage), data);
    }

    bool defined() const { return bool(storage_); }
    DType dtype() const { return dtype_; }
    const std::vector<Index>& shape() const { return shape_; }
    int rank() const { return int(shape_.size()); }
    Index numel() const { return defined() ? checked_numel(shape_.data(), rank()) : 0; }
    std::size_t bytes() const { return std::size_t(numel()) * size_of(dtype_); }
    const std::byte* data() const { return static_cast<const std::byte*>(data_); }
    /// For writing; saved tensors notice.
    std::byte* mutable_data() {
        if (storage_) storage_->bump_version();
        return static_cast<std::byte*>(data_);
    }
    const Ref<Storage>& storage() const { return storage_; }
    const GradLink& grad_link() const { return grad_; }
    void set_grad_link(GradLink link) { grad_ = std::move(link); }

    /// The typed view of the same elements. Throws ValueError for another element type, ShapeError for another rank.
    template <Element T, int R>
    Tensor<T, R> as() const {
        require<ValueError>(dtype_ == dtype_of<T>, "as: tensor ", shape_text(), " holds ", name_of(dtype_), ", not ",
                            name_of(dtype_of<T>));
        require(rank() == R, "as: tensor of shape ", shape_text(), " has rank ", rank(), ", not ", R);
        Shape<R> shape;
        for (int d = 0; d < R; ++d) shape[d] = shape_[std::size_t(d)];
        Tensor<T, R> out(storage_, static_cast<T*>(data_), shape, contiguous_strides(shape));
        out.set_grad_link(grad_);
        return out;
    }
    /// "[2, 3]", for messages.
    std::string shape_text() const {
        std::string out;
        Shape<0>::append_extents(out, shape_.data(), rank());
        return out;
    }
    /// Copies the elements of `source`, converting between floating types. Throws ShapeError for another shape and
    /// ValueError between a floating and another type.
    void assign(const AnyTensor& source);

private:
    DType dtype_ = DType::f32;
    std::vector<Index> shape_;
    Ref<Storage> storage_;
    void* data_ = nullptr;
    GradLink grad_;
};

inline void AnyTensor::assign(const AnyTensor& source) {
    require(shape_ == source.shape_, "assign: shapes must be equal (", shape_text(), " and ", source.shape_text(), ")");
    std::byte* to = mutable_data();
    if (dtype_ == source.dtype_) {
        if (numel()) std::memmove(to, source.data(), bytes());
        return;
    }
    const auto floating = [](DType type) {
        return visit_dtype(type, []<class T>(T) { return !std::is_integral_v<T>; });
    };
    require<ValueError>(floating(dtype_) && floating(source.dtype_), "assign: ", name_of(source.dtype_),
                        " elements cannot become ", name_of(dtype_));
    // By way of doubles, which hold them all: a loop for each type, not for each pair of types.
    constexpr Index room = 256;
    double held[room];
    for (Index at = 0, n = numel(); at < n; at += room) {
        const Index count = n - at < room ? n - at : room;
        visit_dtype(source.dtype_, [&]<class From>(From) {
            if constexpr (!std::is_integral_v<From>)
                for (Index i = 0; i < count; ++i)
                    held[i] = double(reinterpret_cast<const From*>(source.data())[at + i]);
        });
        visit_dtype(dtype_, [&]<class To>(To) {
            auto* y = reinterpret_cast<To*>(to) + at;
            for (Index i = 0; i < count; ++i) {
                if constexpr (Real<To>) y[i] = To(held[i]);
                else if constexpr (!std::is_integral_v<To>) y[i] = To(float(held[i]));
            }
        });
    }
}

/// One named tensor of a state dict.
struct NamedTensor {
    std::string name;
    AnyTensor tensor;
};

/// Tensors by name, in order of insertion, as in a checkpoint.
class StateDict {
public:
    StateDict() = default;
    /// Tensors whose names the caller knows to differ; `insert` looks for each name among those before it.
    static StateDict of_distinct(std::vector<NamedTensor> items) {
        StateDict state;
        state.items_ = std::move(items);
        return state;
    }

    /// Adds a tensor. Throws ValueError when the name is taken.
    void insert(std::string name, AnyTensor tensor) {
        require<ValueError>(!find(name), "state dict: the name ", name, " must be unique");
        items_.push_back({std::move(name), std::move(tensor)});
    }
    /// Null when there is no such name.
    const AnyTensor* find(std::string_view name) const {
        for (const auto& item : items_)
            if (item.name == name) return &item.tensor;
        return nullptr;
    }
    /// Throws ValueError when there is no such name.
    const AnyTensor& operator[](std::string_view name) const {
        const AnyTensor* found = find(name);
        require<ValueError>(found, "state dict: there must be a tensor ", name, " among the ", Index(size()), " given");
        return *found;
    }
    std::size_t size() const { return items_.size(); }
    auto begin() const { return items_.begin(); }
    auto end() const { return items_.end(); }

private:
    std::vector<NamedTensor> items_;
};

}  // namespace lamina::inline LAMINA_ABI
