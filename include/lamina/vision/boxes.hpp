#pragma once
// Boxes as rows of [N, 4], in continuous coordinates (width = x2 - x1): formats, areas, clipping, coding against
// anchors and points. All with gradients.
#include <lamina/kernels/box_coding.hpp>
#include <lamina/vision/boxes_columns.hpp>

namespace lamina::inline LAMINA_ABI::vision {

using kernels::BoxFormat;

/// Boxes [N, 4] in another format: `convert_boxes<BoxFormat::cxcywh, BoxFormat::xyxy>(boxes)`. Throws ShapeError, as
/// all functions here.
template <BoxFormat from, BoxFormat to, Real T>
Tensor<T, 2> convert_boxes(const Tensor<T, 2>& boxes) {
    detail::require_columns("convert_boxes", "boxes", boxes, 4);
    return detail::column_map<4, 0, 4, 2>("convert_boxes", kernels::ConvertBox<from, to>{}, boxes);
}

/// (x2 - x1) (y2 - y1) of boxes [N, 4] (x1, y1, x2, y2): [N]. Negative where one side is inverted.
template <Real T>
Tensor<T, 1> box_area(const Tensor<T, 2>& boxes) {
    detail::require_columns("box_area", "boxes", boxes, 4);
    return detail::column_map<4, 0, 1, 1>("box_area", kernels::BoxArea{}, boxes);
}

/// Boxes [N, 4] (x1, y1, x2, y2) held to the image [0, width] x [0, height]; the gradient passes at the border.
template <Real T>
Tensor<T, 2> clip_boxes(const Tensor<T, 2>& boxes, double height, double width) {
    detail::require_columns("clip_boxes", "boxes", boxes, 4);
    return detail::column_map<4, 0, 4, 2>("clip_boxes", kernels::ClipBox<T>{T(width), T(height)}, boxes);
}

namespace detail {

/// Indices of the rows of [N, 4] for which `keep` holds.
template <class T, class F>
Tensor<std::int64_t, 1> rows_where(const Tensor<T, 2>& boxes, F&& keep) {
    const auto x = dense(boxes);
    const Index n = x.shape()[0];
    Index count = 0;
    for (Index i = 0; i < n; ++i) count += keep(x.data() + 4 * i);
    auto out = empty<std::int64_t>(Shape{count});
    std::int64_t* to = out.mutable_data();
    for (Index i = 0; i < n; ++i)
        if (keep(x.data() + 4 * i)) *to++ = i;
    return out;
}

}  // namespace detail

/// Indices of boxes [N, 4] (x1, y1, x2, y2) with both sides of at least `min_size`, in order.
template <Real T>
Tensor<std::int64_t, 1> remove_small_boxes(const Tensor<T, 2>& boxes, double min_size) {
    detail::require_columns("remove_small_boxes", "boxes", boxes, 4);
    const T least = T(min_size);
    return detail::rows_where(boxes, [&](const T* b) { return b[2] - b[0] >= least && b[3] - b[1] >= least; });
}

/// Indices of boxes [N, 4] that are finite with x2 >= x1 and y2 >= y1, in order.
template <Real T>
Tensor<std::int64_t, 1> valid_boxes(const Tensor<T, 2>& boxes) {
    detail::require_columns("valid_boxes", "boxes", boxes, 4);
    return detail::rows_where(boxes, [](const T* b) {
        // A difference of itself is 0 unless the number is infinite or NaN.
        return b[2] >= b[0] && b[3] >= b[1] && b[0] - b[0] == 0 && b[1] - b[1] == 0 && b[2] - b[2] == 0 &&
               b[3] - b[3] == 0;
    });
}

/// Deltas of boxes from anchors (S. Ren et al., Faster R-CNN, 2015): t = (encoded - mean) / std.
struct BoxCoding {
    double mean[4] = {0, 0, 0, 0};
    double std[4] = {1, 1, 1, 1};            ///< 1 / weights of other libraries
    double largest_log = 4.135166556742356;  ///< decoding: sides grow by at most 1000 / 16
};

/// ((x - xa) / wa, (y - ya) / ha, log(w / wa), log(h / ha)) by the centres of boxes and anchors, both [N, 4]
/// (x1, y1, x2, y2).
template <Real T>
Tensor<T, 2> encode_boxes(const Tensor<T, 2>& boxes, const Tensor<T, 2>& anchors, const BoxCoding& coding = {}) {
    detail::require_columns("encode_boxes", "boxes", boxes, 4);
    detail::require_columns("encode_boxes", "anchors", anchors, 4);
    detail::require_rows("encode_boxes", boxes, anchors);
    kernels::EncodeBox<T> f;
    for (int k = 0; k < 4; ++k) f.mean[k] = T(coding.mean[k]), f.inverse_std[k] = T(1 / coding.std[k]);
    return detail::column_map<4, 4, 4, 2>("encode_boxes", f, boxes, anchors);
}

/// Boxes [N, 4] (x1, y1, x2, y2) from deltas [N, 4] and anchors [N, 4]: the inverse of encode_boxes.
template <Real T>
Tensor<T, 2> decode_boxes(const Tensor<T, 2>& deltas, const Tensor<T, 2>& anchors, const BoxCoding& coding = {}) {
    detail::require_columns("decode_boxes", "deltas", deltas, 4);
    detail::require_columns("decode_boxes", "anchors", anchors, 4);
    detail::require_rows("decode_boxes", deltas, anchors);
    kernels::DecodeBox<T> f;
    for (int k = 0; k < 4; ++k) f.mean[k] = T(coding.mean[k]), f.std[k] = T(coding.std[k]);
    f.largest_log = T(coding.largest_log);
    return detail::column_map<4, 4, 4, 2>("decode_boxes", f, deltas, anchors);
}

/// Distances [N, 4] (left, top, right, bottom) of the sides of boxes [N, 4] from points [N, 2] (x, y): Z. Tian et al.,
/// FCOS, 2019. A positive `largest` holds them to [0, largest - margin].
template <Real T>
Tensor<T, 2> encode_distances(const Tensor<T, 2>& points, const Tensor<T, 2>& boxes, double largest = 0,
                              double margin = 0.1) {
    detail::require_columns("encode_distances", "points", points, 2);
    detail::require_columns("encode_distances", "boxes", boxes, 4);
    detail::require_rows("encode_distances", points, boxes);
    const kernels::EncodeDistances<T> f{T(largest - margin), largest > 0};
    return detail::column_map<4, 2, 4, 2>("encode_distances", f, boxes, points);
}

/// Boxes [N, 4] (x1, y1, x2, y2) whose sides lie at `distances` [N, 4] from `points` [N, 2].
template <Real T>
Tensor<T, 2> decode_distances(const Tensor<T, 2>& points, const Tensor<T, 2>& distances) {
    detail::require_columns("decode_distances", "points", points, 2);
    detail::require_columns("decode_distances", "distances", distances, 4);
    detail::require_rows("decode_distances", points, distances);
    return detail::column_map<4, 2, 4, 2>("decode_distances", kernels::DecodeDistances{}, distances, points);
}

}  // namespace lamina::inline LAMINA_ABI::vision
