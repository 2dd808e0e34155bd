#include <lamina/autograd/gradcheck.hpp>
#include <lamina/models/centernet_loss.hpp>
#include <tests/models/centernet_scenes.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using models::CenterNetSizeLoss;
using test::on_map, test::perfect, test::centernet_scenes;

TEST_CASE("CenterNet loss: parts, weights, and nothing to find") {
    const auto t = models::centernet_targets(centernet_scenes(), on_map);
    const auto best = perfect(t);
    for (const auto kind : {CenterNetSizeLoss::l1, CenterNetSizeLoss::iou, CenterNetSizeLoss::giou,
                            CenterNetSizeLoss::diou, CenterNetSizeLoss::ciou}) {
        // Sides of a cell and more count as they are, so that the best maps lose nothing; the smallest is 0.75.
        const auto l = models::centernet_loss(best, t, {.size_loss = kind});
        CHECK(l.offset.item() < 1e-6F);
        CHECK(l.size.item() < (kind == CenterNetSizeLoss::l1 ? 1e-6F : 0.02F));
        const float weight = kind == CenterNetSizeLoss::l1 ? 0.1F : 1.F;
        CHECK(l.total.item() == doctest::Approx(l.heat.item() + weight * l.size.item() + l.offset.item()));
        const auto heavy =
            models::centernet_loss(best, t, {.heat = 2, .offset = 3, .size = 5, .overlap = 7, .size_loss = kind});
        CHECK(heavy.total.item() == doctest::Approx(2 * l.heat.item() + 3 * l.offset.item() +
                                                    (kind == CenterNetSizeLoss::l1 ? 5 : 7) * l.size.item()));
    }
    // Sizes off by half a cell in width: L1 divides by two numbers an object.
    auto wide = best;
    wide.size = best.size.clone();
    for (Index i = 0; i < 2; ++i)
        for (Index p = 0; p < 12 * 16; ++p) wide.size.mutable_data()[i * 2 * 192 + p] += 0.5F;
    CHECK(models::centernet_loss(wide, t).size.item() == doctest::Approx(0.25).epsilon(1e-3));

    const std::vector<vision::Objects<float>> empty_images(2,
                                                           {zeros<float>(Shape{0, 4}), zeros<std::int64_t>(Shape{0})});
    const auto nothing = models::centernet_targets(empty_images, on_map);
    for (const auto kind : {CenterNetSizeLoss::l1, CenterNetSizeLoss::giou}) {
        const auto l = models::centernet_loss(best, nothing, {.size_loss = kind});
        CHECK(l.size.item() == 0);
        CHECK(l.offset.item() == 0);
        CHECK(l.heat.item() > 1);
    }
}

TEST_CASE("CenterNet loss: every map learns, also from sizes at and below nothing") {
    const auto t = models::centernet_targets(centernet_scenes(), on_map);
    for (const auto kind : {CenterNetSizeLoss::l1, CenterNetSizeLoss::iou, CenterNetSizeLoss::giou,
                            CenterNetSizeLoss::diou, CenterNetSizeLoss::ciou}) {
        const auto start = perfect(t);
        const models::CenterNetOutput y{autograd::leaf(start.heat),
                                        autograd::leaf(full<float>(start.size.shape(), -0.25F)),
                                        autograd::leaf(full<float>(start.offset.shape(), 0.5F))};
        {
            autograd::Tape tape;
            tape.backward(models::centernet_loss(y, t, {.size_loss = kind}).total);
        }
        for (Index i = 0; i < 2; ++i)
            for (Index k = 0; k < 5; ++k) {
                if (t.mask(i, k) == 0) continue;
                const Index v = t.places(i, k) / 16, u = t.places(i, k) % 16;
                for (Index d = 0; d < 2; ++d) CHECK(autograd::grad(y.size)(i, d, v, u) < 0);
            }
        CHECK(autograd::grad(y.size)(0, 0, 11, 0) == 0);
        CHECK(autograd::grad(y.offset).defined());
        CHECK(autograd::grad(y.heat)(0, 0, 0, 15) > 0);
    }
}

TEST_CASE("CenterNet: sides stay positive, without a kink") {
    const Tensor<double, 1> sides{-3, -0.5, 0, 0.5, 1, 1.5, 40};
    const auto f = [](const auto& x) { return map(models::detail::PositiveSide{}, x); };
    const auto y = f(sides);
    for (Index i = 0; i < 7; ++i)
        CHECK(y(i) == doctest::Approx(sides(i) < 1 ? std::exp(sides(i) - 1) : sides(i)).epsilon(1e-12));
    CHECK(autograd::gradcheck(f, sides) < 1e-6);  // the second derivative jumps at 1
}
