#pragma once
// Overlap measures of two boxes (x1, y1, x2, y2) as functors over lanes: intersection over union and its relatives
// with terms for the enclosing box, the centres and the sides. One formula serves values, losses and gradients.
#include <lamina/kernels/box_columns.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// The measures, in the order of their papers.
enum class BoxMetric { iou, giou, diou, ciou, eiou, iof };

/// What may be chosen about a measure.
struct BoxMetricOptions {
    double eps = 1e-7;                 ///< added to every denominator
    double overlap_eps = 1e-7;         ///< the same in IoU itself
    double ciou_alpha_threshold = -1;  ///< CIoU: no aspect term where IoU is not above this
    bool ciou_stable = false;  ///< CIoU: 1 / (w² + h²) left out of the gradient, for boxes normalised to [0, 1]
};

namespace detail {

/// max and min that split the gradient of a tie between both, also where one side is a constant.
template <class P, class G>
LAMINA_INLINE auto upper(const P& p, const G& g) {
    using R = decltype(p + g);
    return max(R(p), R(g));
}
template <class P, class G>
LAMINA_INLINE auto lower(const P& p, const G& g) {
    using R = decltype(p + g);
    return min(R(p), R(g));
}

/// Intersection and union of two boxes; what belongs to disjoint boxes has no gradient, touching ones included.
template <class P, class G>
struct Overlap {
    using R = decltype(P() + G());
    using V = simd::lanes_of_t<R>;
    P w, h;
    G gw, gh;
    R intersection, united;
    decltype(V() > V()) apart;

    LAMINA_INLINE Overlap(const Columns<P, 4>& p, const Columns<G, 4>& g)
        : w(p.c[2] - p.c[0]),
          h(p.c[3] - p.c[1]),
          gw(g.c[2] - g.c[0]),
          gh(g.c[3] - g.c[1]) {
        const R iw = lower(p.c[2], g.c[2]) - upper(p.c[0], g.c[0]);
        const R ih = lower(p.c[3], g.c[3]) - upper(p.c[1], g.c[1]);
        const R inner = iw * ih;
        apart = (iw <= V(0)) | (ih <= V(0)) | (inner <= V(0));  // the product of tiny sides is 0
        intersection = select(apart, V(0), inner);
        united = w * h + gw * gh - intersection;
    }
    LAMINA_INLINE R iou(V eps) const { return select(apart, V(0), intersection / (united + eps)); }
};

/// The value where its denominator is positive, else 0: nothing is measured against a box without extent.
template <class R, class D>
LAMINA_INLINE R ratio(const R& x, const D& y) {
    using V = simd::lanes_of_t<R>;
    return select(y <= V(0), V(0), x / y);
}

/// Slope of atan(w / h) along the lanes of w and h, times w² + h².
template <class V, int N>
LAMINA_INLINE V turn(const simd::Dual<V, N>& w, const simd::Dual<V, N>& h, int i) {
    return h.value * w.grad[i] - w.value * h.grad[i];
}
template <class V>
LAMINA_INLINE V turn(V, V, int) {
    return V(0);
}
template <class V, int N>
LAMINA_INLINE V value_of(const simd::Dual<V, N>& x) {
    return x.value;
}
template <class V>
LAMINA_INLINE V value_of(V x) {
    return x;
}

/// (2 / pi)² (atan(W / H) - atan(w / h))²: by one arctangent of the quotient's difference, which keeps its digits for
/// boxes of nearly one aspect. 0 where a box has no sides.
template <class P, class G>
LAMINA_INLINE auto aspect_term(const Overlap<P, G>& o, bool stable) {
    using R = typename Overlap<P, G>::R;
    using V = typename Overlap<P, G>::V;
    const V w = value_of(o.w), h = value_of(o.h), gw = value_of(o.gw), gh = value_of(o.gh);
    const V across = gw * h - w * gh, along = fma(gw, w, gh * h);
    const V angle = atan(select(across == V(0), V(0), across / along));
    const V scale(0.40528473456935109);
    if constexpr (std::is_same_v<R, V>) return scale * angle * angle;
    else {
        const auto inverse = [&](V a, V b) LAMINA_INLINE_LAMBDA {
            const V square = fma(a, a, b * b);
            return stable ? V(1) : select(square > V(0), V(1) / square, V(0));
        };
        const V p = inverse(w, h), g = inverse(gw, gh), slope = V(2) * scale * angle;
        return R::make(scale * angle * angle, [&](auto i) LAMINA_INLINE_LAMBDA {
            if constexpr (std::is_same_v<P, R>) return -slope * p * turn(o.w, o.h, i);
            else return slope * g * turn(o.gw, o.gh, i);
        });
    }
}

}  // namespace detail

/// `metric` of two boxes. Boxes that are apart, touch or have a side of at most 0 do not overlap: IoU 0.
template <BoxMetric metric, class T>
struct BoxMetricOf {
    T eps, overlap_eps, alpha_threshold;
    bool stable;

    explicit BoxMetricOf(const BoxMetricOptions& o)
        : eps(T(o.eps)),
          overlap_eps(T(o.overlap_eps)),
          alpha_threshold(T(o.ciou_alpha_threshold)),
          stable(o.ciou_stable) {}

    template <class P, class G>
    LAMINA_INLINE auto measure(const Columns<P, 4>& p, const Columns<G, 4>& g) const {
        using O = detail::Overlap<P, G>;
        using R = typename O::R;
        using V = typename O::V;
        const O o(p, g);
        const V e(eps), overlap_e(overlap_eps);
        if constexpr (metric == BoxMetric::iof) {
            return R(select(o.apart, V(0), o.intersection / (o.w * o.h + overlap_e)));
        } else if constexpr (metric == BoxMetric::iou) {
            return R(o.iou(overlap_e));
        } else {
            const R cw = detail::upper(p.c[2], g.c[2]) - detail::lower(p.c[0], g.c[0]);
            const R ch = detail::upper(p.c[3], g.c[3]) - detail::lower(p.c[1], g.c[1]);
            if constexpr (metric == BoxMetric::giou) {
                const R hull = cw * ch;
                return R(o.iou(overlap_e) - detail::ratio(hull - o.united, hull + e));
            } else {
                const R dx = (p.c[0] + p.c[2]) - (g.c[0] + g.c[2]), dy = (p.c[1] + p.c[3]) - (g.c[1] + g.c[3]);
                const R cw2 = cw * cw, ch2 = ch * ch;
                const R iou = o.iou(overlap_e);
                const R diou = iou - detail::ratio((dx * dx + dy * dy) * V(0.25), cw2 + ch2 + e);
                if constexpr (metric == BoxMetric::ciou) {
                    const R v = detail::aspect_term(o, stable);
                    const V level = detail::value_of(v), overlap = detail::value_of(iou);
                    // A constant by definition: the trade-off has no gradient.
                    const V alpha =
                        select(overlap > V(alpha_threshold), detail::ratio(level, V(1) - overlap + level + e), V(0));
                    return R(diou - v * alpha);
                } else if constexpr (metric == BoxMetric::eiou) {
                    const R wide = o.w - o.gw, high = o.h - o.gh;
                    return R(diou - detail::ratio(wide * wide, cw2 + e) - detail::ratio(high * high, ch2 + e));
                } else return diou;
            }
        }
    }
    template <class P, class G>
    LAMINA_INLINE auto operator()(const Columns<P, 4>& p, const Columns<G, 4>& g) const {
        const auto m = measure(p, g);
        return Columns<std::decay_t<decltype(m)>, 1>{{m}};
    }
};

/// 1 - metric, or -log(max(metric, 1e-6)).
template <BoxMetric metric, class T, bool logarithm = false>
struct BoxLossOf {
    BoxMetricOf<metric, T> of;

    template <class P, class G>
    LAMINA_INLINE auto operator()(const Columns<P, 4>& p, const Columns<G, 4>& g) const {
        const auto m = of.measure(p, g);
        using R = std::decay_t<decltype(m)>;
        using V = simd::lanes_of_t<R>;
        if constexpr (logarithm) return Columns<R, 1>{{-log(max(V(T(1e-6)), m))}};
        else return Columns<R, 1>{{V(1) - m}};
    }
};

}  // namespace lamina::inline LAMINA_ABI::kernels
