#pragma once
// A place for a result, as the last link of a chain: parts of a larger tensor are written where they belong.
#include <lamina/nn/observe.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Puts what arrives into `place`, a dense tensor of the same shape such as some channels of one image; nothing is
/// recorded. A convolution before it writes its result there.
template <Element T, int R>
struct Into {
    static constexpr std::string_view kind = "Into";
    Tensor<T, R> place;

    explicit Into(const Tensor<T, R>& tensor) : place(tensor) {
        require(place.is_contiguous(), "Into: the place must be dense (shape ", place.shape(), ")");
    }
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        check(x.shape());
        Tensor<T, R> y = place;
        y.assign(x);
        return observed(*this, y);
    }
    /// Throws ShapeError when a result of this shape does not fit.
    void check(const Shape<R>& x) const {
        require(x == place.shape(), "Into: the place must have the shape of the input (input ", x, ", place ",
                place.shape(), ")");
    }
};

/// A tensor of this shape: that of a link Into among `next`, or a new one.
template <Element T, int R, class... Next>
Tensor<T, R> result_for(const Shape<R>& shape, const Next&... next) {
    Tensor<T, R> y;
    [[maybe_unused]] const auto look = [&]<class L>(const L& link) {
        if constexpr (std::is_same_v<L, Into<T, R>>) link.check(shape), y = link.place;
    };
    (look(next), ...);
    return y.defined() ? y : empty<T>(shape);
}

}  // namespace lamina::inline LAMINA_ABI::nn
