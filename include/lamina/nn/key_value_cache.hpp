#pragma once
// Keys and values of the tokens seen so far, for decoding step by step.
#include <lamina/kernels/copy.hpp>
#include <lamina/ops/attention.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Grows along the sequence; the capacity doubles when it is used up. Takes no part in gradients.
template <Real T = float>
class KeyValueCache {
public:
    KeyValueCache() = default;
    /// Room for `capacity` tokens from the beginning.
    explicit KeyValueCache(Index capacity) : reserved_(capacity) {}

    Index size() const { return size_; }  ///< tokens held
    Index capacity() const { return keys_.defined() ? keys_.dim(2) : reserved_; }
    /// [B, h, size, d], views.
    Tensor<T, 4> keys() const { return view::slice(keys_, 2, 0, size_); }
    Tensor<T, 4> values() const { return view::slice(values_, 2, 0, size_); }

    /// Puts keys [B, n, h * d] and values [B, n, h * e] of `heads` heads behind those held. Throws ShapeError when
    /// batch or widths differ from those held.
    void append(const Tensor<T, 3>& keys, const Tensor<T, 3>& values, Index heads) {
        require(heads > 0 && keys.dim(0) == values.dim(0) && keys.dim(1) == values.dim(1) && keys.dim(2) % heads == 0 &&
                    values.dim(2) % heads == 0,
                "KeyValueCache: batch, rows and heads must fit (keys ", keys.shape(), ", values ", values.shape(), ", ",
                heads, " heads)");
        put(keys_, keys, heads);
        put(values_, values, heads);
        size_ += keys.dim(1);
    }
    /// Member b of the batch becomes what member order[b] was, as a beam search wants it; the batch may change its
    /// size. Throws ValueError for a number out of range.
    void reorder(const Tensor<std::int64_t, 1>& order) {
        for (auto* held : {&keys_, &values_}) {
            if (!held->defined()) continue;
            Shape<4> shape = held->shape();
            const Index batch = shape[0];
            shape[0] = order.numel();
            auto next = empty<T>(shape);
            for (Index b = 0; b < order.numel(); ++b) {
                const Index from = order(b);
                require<ValueError>(from >= 0 && from < batch, "KeyValueCache: order must lie in [0, ", batch - 1,
                                    "] but is ", from);
                view::slice(view::select(next, 0, b), 1, 0, size_)
                    .assign(view::slice(view::select(*held, 0, from), 1, 0, size_));
            }
            *held = next;
        }
    }
    /// Forgets the tokens behind the first `count`; keeps the room. Throws ValueError for a negative number.
    void truncate(Index count) {
        require<ValueError>(count >= 0, "KeyValueCache: the number of tokens must not be negative but is ", count);
        size_ = count < size_ ? count : size_;
    }

private:
    void put(Tensor<T, 4>& held, const Tensor<T, 3>& rows, Index heads) {
        const Index batch = rows.dim(0), count = rows.dim(1), width = rows.dim(2) / heads;
        if (held.defined())
            require(held.dim(0) == batch && held.dim(1) == heads && held.dim(3) == width,
                    "KeyValueCache: batch, heads and width must be those held (", held.shape(), ") but are ", batch,
                    ", ", heads, ", ", width);
        const Index needed = size_ + count, now = held.defined() ? held.dim(2) : 0;
        if (needed > now) {
            const Index doubled = now > 0 ? 2 * now : reserved_ > 64 ? reserved_ : 64;
            auto larger = empty<T>(Shape{batch, heads, needed > doubled ? needed : doubled, width});
            if (size_ > 0) view::slice(larger, 2, 0, size_).assign(view::slice(held, 2, 0, size_));
            held = larger;
        }
        const auto dense = contiguous(rows.detach());
        const auto apart = view::permute(view::reshape(dense, Shape{batch, count, heads, width}), {0, 2, 1, 3});
        view::slice(held, 2, size_, needed).assign(apart);
    }

    Tensor<T, 4> keys_, values_;
    Index size_ = 0, reserved_ = 0;
};

}  // namespace lamina::inline LAMINA_ABI::nn
