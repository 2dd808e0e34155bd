#pragma once
// Objects of two images, and the maps a CenterNet would have to give for them.
#include <lamina/models/centernet_heads.hpp>
#include <lamina/models/centernet_targets.hpp>

namespace lamina::inline LAMINA_ABI::test {

inline vision::Objects<float> objects_of(const Tensor<float, 2>& boxes, const Tensor<std::int64_t, 1>& classes) {
    vision::Objects<float> all;
    all.boxes = boxes, all.classes = classes;
    return all;
}
/// Objects in two images of 64 x 48 pixels: some beyond the border, one empty, one small, two alike.
inline std::vector<vision::Objects<float>> centernet_scenes() {
    std::vector<vision::Objects<float>> images;
    images.push_back(objects_of({{4, 6, 30, 41}, {-9, 3, 13, 22}, {10, 10, 10, 20}, {40, 20, 70, 60}}, {0, 2, 1, 1}));
    images.push_back(objects_of({{20, 17, 23, 21}, {4, 6, 30, 41}}, {2, 0}));
    return images;
}
/// For maps of 12 x 16 cells.
inline constexpr models::CenterNetTargetOptions on_map{.classes = 3, .map = {12, 16}, .most = 5};

/// The maps that a network would have to give for the targets.
inline models::CenterNetOutput perfect(const models::CenterNetTargets& t) {
    models::CenterNetOutput y{full<float>(t.heat.shape(), -9), zeros<float>(Shape{2, 2, 12, 16}),
                              zeros<float>(Shape{2, 2, 12, 16})};
    for (Index i = 0; i < t.heat.numel(); ++i)
        if (t.heat.data()[i] == 1) y.heat.mutable_data()[i] = 9;
    for (Index i = 0; i < 2; ++i)
        for (Index k = 0; k < t.mask.dim(1); ++k) {
            if (t.mask(i, k) == 0) continue;
            const Index v = t.places(i, k) / 16, u = t.places(i, k) % 16;
            for (Index d = 0; d < 2; ++d) {
                y.size.mutable_at(i, d, v, u) = t.size(i, k, d);
                y.offset.mutable_at(i, d, v, u) = t.offset(i, k, d);
            }
        }
    return y;
}

}  // namespace lamina::inline LAMINA_ABI::test
