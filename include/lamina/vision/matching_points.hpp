#pragma once
// Which point of a feature pyramid answers for which object, as detectors without anchors have it; and the choice of
// examples in fixed proportions.
#include <lamina/random/permutation.hpp>
#include <lamina/random/rng.hpp>
#include <lamina/vision/matching.hpp>

namespace lamina::inline LAMINA_ABI::vision {

/// The points of one level, and the objects that belong to it: those whose farthest side from the point lies in
/// [least, most].
struct PointLevel {
    Index count;
    double stride, least = 0, most = __builtin_inf();
};

/// The object of each point [P] (x, y), level after level: Z. Tian et al., FCOS, 2019. Points answer for objects [G, 4]
/// (x1, y1, x2, y2) that they lie in, no farther than `radius` strides from the centre (0: anywhere inside); of several
/// for the smallest, then the first. `background` where there is none. Throws ShapeError unless the levels add up to P.
template <Real T>
Tensor<std::int64_t, 1> match_centres(const Tensor<T, 2>& points, std::span<const PointLevel> levels,
                                      const Tensor<T, 2>& objects, double radius = 1.5) {
    detail::require_columns("match_centres", "points", points, 2);
    detail::require_columns("match_centres", "objects", objects, 4);
    const auto p = detail::dense(points), g = detail::dense(objects);
    Index total = 0;
    for (const auto& level : levels) total += level.count;
    require(total == p.shape()[0], "match_centres: levels must add up to the points (", total, " and ", p.shape()[0],
            ")");
    auto out = full<std::int64_t>(Shape{total}, background);
    std::int64_t* match = out.mutable_data();
    const T* point = p.data();
    for (const auto& level : levels) {
        const T reach = T(radius * level.stride);
        for (Index i = 0; i < level.count; ++i, point += 2, ++match) {
            T smallest = T(__builtin_inf());
            for (Index k = 0; k < g.shape()[0]; ++k) {
                const T* const b = g.data() + 4 * k;
                const T left = point[0] - b[0], top = point[1] - b[1], right = b[2] - point[0],
                        bottom = b[3] - point[1];
                const T nearest = std::min(std::min(left, top), std::min(right, bottom));
                const double farthest = double(std::max(std::max(left, top), std::max(right, bottom)));
                const T off_x = std::abs(left - right) / 2, off_y = std::abs(top - bottom) / 2;
                const bool central = radius == 0 || (off_x < reach && off_y < reach);
                const T area = (b[2] - b[0]) * (b[3] - b[1]);
                if (nearest > T(0) && central && farthest >= level.least && farthest <= level.most && area < smallest)
                    smallest = area, *match = k;
            }
        }
    }
    return out;
}

/// Examples chosen for training, each in random order.
struct BalancedSample {
    Tensor<std::int64_t, 1> positive, negative;
};

/// Chooses up to `count` of the anchors of a match [A]: at most the part `positive_fraction` of them with an object,
/// the rest `background`. All orders are equally probable; anchors that are `ignored` are never chosen. Throws
/// ValueError for a negative count or a fraction outside [0, 1].
inline BalancedSample sample_balanced(const Tensor<std::int64_t, 1>& match, Index count, double positive_fraction,
                                      random::Rng& rng) {
    require<ValueError>(count >= 0 && positive_fraction >= 0 && positive_fraction <= 1,
                        "sample_balanced: count must not be negative and the fraction lie in [0, 1] but they are ",
                        count, " and ", positive_fraction);
    std::vector<std::int64_t> positive, negative;
    for (Index i = 0; i < match.dim(0); ++i) {
        const std::int64_t object = match(i);
        if (object >= 0) positive.push_back(i);
        else if (object == background) negative.push_back(i);
    }
    const auto choose = [&](std::vector<std::int64_t>& from, Index most) {
        random::shuffle(rng.next_stream(), from.data(), Index(from.size()));
        const Index n = std::min<Index>(Index(from.size()), most);
        return from_span<std::int64_t>(Shape{n}, std::span<const std::int64_t>(from.data(), std::size_t(n)));
    };
    BalancedSample out;
    out.positive = choose(positive, Index(double(count) * positive_fraction));
    out.negative = choose(negative, count - out.positive.dim(0));
    return out;
}

}  // namespace lamina::inline LAMINA_ABI::vision
