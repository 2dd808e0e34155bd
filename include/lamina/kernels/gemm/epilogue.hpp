#pragma once
// What happens to the elements of a matrix product on their way out: bias, residual, activation. An epilogue runs over
// each register tile right after its last store, in L1: as cheap as inside the tile, and the tiles, which take the
// compiler longest, exist once for all epilogues.
#include <lamina/kernels/gemm/matrix.hpp>
#include <lamina/simd/row.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Leaves the product as it is.
struct NoEpilogue {};

/// Adds `bias[column]`; nothing when `bias` is null.
template <class T>
struct BiasColumns {
    const T* bias;

    template <class Arch, class Count>
    LAMINA_INLINE simd::Vec<T, Arch> operator()(simd::Vec<T, Arch> x, Index, Index column, Count count) const {
        return bias ? x + simd::load_count<Arch>(bias + column, count) : x;
    }
};
template <class T>
BiasColumns(const T*) -> BiasColumns<T>;

/// Adds `bias[row]`, the channel of a convolution; nothing when `bias` is null.
template <class T>
struct BiasRows {
    const T* bias;

    template <class Arch, class Count>
    LAMINA_INLINE simd::Vec<T, Arch> operator()(simd::Vec<T, Arch> x, Index row, Index, Count) const {
        return bias ? x + simd::Vec<T, Arch>(bias[row]) : x;
    }
};
template <class T>
BiasRows(const T*) -> BiasRows<T>;

/// Adds element (row, column) of another matrix, `row_stride` elements from row to row.
template <class T>
struct AddMatrix {
    const T* data;
    Index row_stride;

    template <class Arch, class Count>
    LAMINA_INLINE simd::Vec<T, Arch> operator()(simd::Vec<T, Arch> x, Index row, Index column, Count count) const {
        return x + simd::load_count<Arch>(data + row * row_stride + column, count);
    }
};
template <class T>
AddMatrix(const T*, Index) -> AddMatrix<T>;

/// Multiplies by element (row, column) of another matrix, `row_stride` elements from row to row.
template <class T>
struct TimesMatrix {
    const T* data;
    Index row_stride;

    template <class Arch, class Count>
    LAMINA_INLINE simd::Vec<T, Arch> operator()(simd::Vec<T, Arch> x, Index row, Index column, Count count) const {
        return x * simd::load_count<Arch>(data + row * row_stride + column, count);
    }
};
template <class T>
TimesMatrix(const T*, Index) -> TimesMatrix<T>;

/// Applies a function of lanes, such as an activation.
template <class F>
struct Apply {
    F f;

    template <class V, class Count>
    LAMINA_INLINE V operator()(V x, Index, Index, Count) const {
        return f(x);
    }
};
template <class F>
Apply(F) -> Apply<F>;

/// `first`, then `second`.
template <class First, class Second>
struct Then {
    First first;
    Second second;

    template <class V, class Count>
    LAMINA_INLINE V operator()(V x, Index row, Index column, Count count) const {
        return second(first(x, row, column, count), row, column, count);
    }
};
template <class First, class Second>
Then(First, Second) -> Then<First, Second>;
template <class First>
struct Then<First, NoEpilogue> : First {};
template <class First>
Then(First, NoEpilogue) -> Then<First, NoEpilogue>;

/// Adds another batch of images of the shape of a convolution's result, `plane` elements a channel.
template <class T>
struct AddImages {
    const T* data;
    Index channels, plane;

    AddMatrix<T> image(Index n) const { return {data + n * channels * plane, plane}; }
};

/// Multiplies by `data[row]`.
template <class T>
struct ScaleRows {
    const T* data;

    template <class Arch, class Count>
    LAMINA_INLINE simd::Vec<T, Arch> operator()(simd::Vec<T, Arch> x, Index row, Index, Count) const {
        return x * simd::Vec<T, Arch>(data[row]);
    }
};
/// The same with factors of each image.
template <class T>
struct ScaleImages {
    const T* data;
    Index channels;

    ScaleRows<T> image(Index n) const { return {data + n * channels}; }
};

namespace detail {

/// The part of a convolution's epilogue that concerns image n. Only those that read images differ between them.
template <class Epilogue>
decltype(auto) epilogue_of_image(const Epilogue& epilogue, Index n) {
    if constexpr (requires { epilogue.image(n); }) return epilogue.image(n);
    else return (epilogue);
}
template <class First, class Second>
auto epilogue_of_image(const Then<First, Second>& both, Index n) {
    using A = std::decay_t<decltype(epilogue_of_image(both.first, n))>;
    using B = std::decay_t<decltype(epilogue_of_image(both.second, n))>;
    return Then<A, B>{epilogue_of_image(both.first, n), epilogue_of_image(both.second, n)};
}

/// An epilogue with its type erased: one indirect call a tile, and the driver is compiled once.
template <class T>
struct TileEpilogue {
    const void* self = nullptr;
    void (*apply)(const void* self, T* c, Index c_stride, Piece rows, Piece columns) = nullptr;
};

/// Runs over rows x columns of the matrix that `c` begins.
template <class Arch, class T, class Epilogue>
void apply_epilogue(const void* self, T* c, Index c_stride, Piece rows, Piece columns) {
    const auto& epilogue = *static_cast<const Epilogue*>(self);
    for (Index i = rows.begin; i < rows.end; ++i) {
        T* row = c + i * c_stride + columns.begin;
        simd::row<Arch, T>(columns.size(), [&](Index j, auto count) LAMINA_INLINE_LAMBDA {
            simd::store_count(row + j, epilogue(simd::load_count<Arch>(row + j, count), i, columns.begin + j, count),
                              count);
        });
    }
}

template <class Arch, class T, class Epilogue>
TileEpilogue<T> erase_epilogue(const Epilogue& epilogue) {
    return {&epilogue, &apply_epilogue<Arch, T, Epilogue>};
}
template <class Arch, class T>
TileEpilogue<T> erase_epilogue(const NoEpilogue&) {
    return {};
}

}  // namespace detail
}  // namespace lamina::inline LAMINA_ABI::kernels
