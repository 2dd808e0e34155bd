#pragma once
// What a detector's head says about a box and back, as functors over lanes: formats, deltas to an anchor, distances
// from a point to the four sides.
#include <lamina/kernels/box_columns.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// How four numbers describe a box: two corners, a corner and sides, or a centre and sides.
enum class BoxFormat { xyxy, xywh, cxcywh };

/// From one format to another, each axis on its own.
template <BoxFormat from, BoxFormat to>
struct ConvertBox {
    template <class P, class E>
    LAMINA_INLINE Columns<P, 4> operator()(const Columns<P, 4>& p, const E&) const {
        Columns<P, 4> r;
        simd::unroll<2>([&](auto k) LAMINA_INLINE_LAMBDA { axis(p.c[k], p.c[k + 2], r.c[k], r.c[k + 2]); });
        return r;
    }

private:
    template <class P>
    LAMINA_INLINE static void axis(const P& a, const P& b, P& first, P& second) {
        using V = simd::lanes_of_t<P>;
        const V half(0.5);
        if constexpr (from == to) {
            first = a, second = b;
        } else if constexpr (from == BoxFormat::xyxy) {
            first = to == BoxFormat::xywh ? a : (a + b) * half, second = b - a;
        } else if constexpr (to == BoxFormat::xyxy) {
            if constexpr (from == BoxFormat::xywh) first = a, second = a + b;
            else first = a - b * half, second = a + b * half;
        } else {
            first = from == BoxFormat::xywh ? a + b * half : a - b * half, second = b;
        }
    }
};

/// (x2 - x1) (y2 - y1).
struct BoxArea {
    template <class P, class E>
    LAMINA_INLINE Columns<P, 1> operator()(const Columns<P, 4>& p, const E&) const {
        return {{(p.c[2] - p.c[0]) * (p.c[3] - p.c[1])}};
    }
};

/// Coordinates held to [0, width] and [0, height].
template <class T>
struct ClipBox {
    T width, height;
    template <class P, class E>
    LAMINA_INLINE Columns<P, 4> operator()(const Columns<P, 4>& p, const E&) const {
        using V = simd::lanes_of_t<P>;
        const V zero(0), w(width), h(height);
        return {{clamp(p.c[0], zero, w), clamp(p.c[1], zero, h), clamp(p.c[2], zero, w), clamp(p.c[3], zero, h)}};
    }
};

/// (x - xa) / wa, (y - ya) / ha, log(w / wa), log(h / ha), less `mean`, divided by `std`.
template <class T>
struct EncodeBox {
    T mean[4], inverse_std[4];
    template <class P, class G>
    LAMINA_INLINE auto operator()(const Columns<P, 4>& box, const Columns<G, 4>& anchor) const {
        using R = decltype(P() + G());
        using V = simd::lanes_of_t<R>;
        Columns<R, 4> r;
        simd::unroll<2>([&](auto k) LAMINA_INLINE_LAMBDA {
            const P side = box.c[k + 2] - box.c[k], centre = box.c[k] + side * V(0.5);
            const G anchor_side = anchor.c[k + 2] - anchor.c[k], anchor_centre = anchor.c[k] + anchor_side * V(0.5);
            r.c[k] = ((centre - anchor_centre) / anchor_side - V(mean[k])) * V(inverse_std[k]);
            r.c[k + 2] = (log(side / anchor_side) - V(mean[k + 2])) * V(inverse_std[k + 2]);
        });
        return r;
    }
};

/// The inverse of EncodeBox; logarithms of sides are at most `largest_log`.
template <class T>
struct DecodeBox {
    T mean[4], std[4], largest_log;
    template <class P, class G>
    LAMINA_INLINE auto operator()(const Columns<P, 4>& delta, const Columns<G, 4>& anchor) const {
        using R = decltype(P() + G());
        using V = simd::lanes_of_t<R>;
        const V limit(largest_log);
        Columns<R, 4> r;
        simd::unroll<2>([&](auto k) LAMINA_INLINE_LAMBDA {
            const G anchor_side = anchor.c[k + 2] - anchor.c[k], anchor_centre = anchor.c[k] + anchor_side * V(0.5);
            const P shift = delta.c[k] * V(std[k]) + V(mean[k]);
            const P grow = delta.c[k + 2] * V(std[k + 2]) + V(mean[k + 2]);
            const R centre = shift * anchor_side + anchor_centre;
            const R half = exp(select(grow > limit, limit, grow)) * anchor_side * V(0.5);
            r.c[k] = centre - half;
            r.c[k + 2] = centre + half;
        });
        return r;
    }
};

/// Distances (left, top, right, bottom) of the sides of a box from a point, held to [0, largest].
template <class T>
struct EncodeDistances {
    T largest;
    bool limited;
    template <class P, class G>
    LAMINA_INLINE auto operator()(const Columns<P, 4>& box, const Columns<G, 2>& point) const {
        using R = decltype(P() + G());
        using V = simd::lanes_of_t<R>;
        Columns<R, 4> r{{point.c[0] - box.c[0], point.c[1] - box.c[1], box.c[2] - point.c[0], box.c[3] - point.c[1]}};
        if (limited) simd::unroll<4>([&](auto k) LAMINA_INLINE_LAMBDA { r.c[k] = clamp(r.c[k], V(0), V(largest)); });
        return r;
    }
};

/// The box whose sides lie at these distances from a point.
struct DecodeDistances {
    template <class P, class G>
    LAMINA_INLINE auto operator()(const Columns<P, 4>& d, const Columns<G, 2>& point) const {
        using R = decltype(P() + G());
        return Columns<R, 4>{{point.c[0] - d.c[0], point.c[1] - d.c[1], point.c[0] + d.c[2], point.c[1] + d.c[3]}};
    }
};

}  // namespace lamina::inline LAMINA_ABI::kernels
