#pragma once
// Values of feature maps at single places, with gradients: what detectors of objects as points are trained on.
#include <lamina/vision/boxes_columns.hpp>

namespace lamina::inline LAMINA_ABI::vision {

/// The channels of x [N, C, H, W] at `places` [N, K], each y W + x: [N, K, C]. Gradients add up where places are equal.
/// Throws ShapeError, and ValueError for a place outside the map.
template <Real T>
Tensor<T, 3> values_at(const Tensor<T, 4>& x, const Tensor<std::int64_t, 2>& places) {
    const Index images = x.dim(0), channels = x.dim(1), area = x.dim(2) * x.dim(3), count = places.dim(1);
    require(places.dim(0) == images, "values_at: there must be one row of places for each image (", places.shape(),
            " and ", x.shape(), ")");
    const auto input = detail::dense(x);
    const auto at = places.is_contiguous() ? places : places.clone();
    auto y = empty<T>(Shape{images, count, channels});
    T* to = y.mutable_data();
    for (Index i = 0; i < images * count; ++i) {
        const Index place = at.data()[i];
        require<ValueError>(place >= 0 && place < area, "values_at: place must lie in [0, ", area, ") but is ", place);
        for (Index c = 0; c < channels; ++c) *to++ = input.data()[(i / count * channels + c) * area + place];
    }
    if (auto* tape = autograd::recording(x))
        tape->record("values_at", y, [=, at = autograd::saved(at), x = x.grad_link()](const T* dy) {
            T* const dx = autograd::grad_ptr<T>(x);
            if (!dx) return;
            for (Index i = 0; i < images * count; ++i)
                for (Index c = 0; c < channels; ++c) dx[(i / count * channels + c) * area + at.data()[i]] += *dy++;
        });
    return y;
}

}  // namespace lamina::inline LAMINA_ABI::vision
