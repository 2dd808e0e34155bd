#include <lamina/nn/upsample.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;

TEST_CASE("upsampling layers: nearest, bilinear by pixels' areas, bilinear with aligned corners") {
    const Tensor<double, 4> x{{{{1, 2}, {3, 4}}}};
    const Tensor<double, 4> twice{{{{1, 1, 2, 2}, {1, 1, 2, 2}, {3, 3, 4, 4}, {3, 3, 4, 4}}}};
    CHECK(test::bitwise_equal(nn::UpsamplingNearest2d{.scale_factor = 2}(x), twice));
    CHECK(test::bitwise_equal(nn::Upsample{{.size = 4}}(x), twice));
    const Tensor<double, 4> areas{
        {{{1, 1.25, 1.75, 2}, {1.5, 1.75, 2.25, 2.5}, {2.5, 2.75, 3.25, 3.5}, {3, 3.25, 3.75, 4}}}};
    CHECK(test::max_error(nn::Upsample{{.scale_factor = 2, .mode = InterpolateMode::bilinear}}(x), areas) < 1e-15);
    const auto corners = nn::UpsamplingBilinear2d{.size = {4, 4}}(x);
    for (Index i = 0; i < 4; ++i)
        for (Index j = 0; j < 4; ++j)
            CHECK(std::abs(corners(0, 0, i, j) - (1 + 2 * double(i) / 3 + double(j) / 3)) < 1e-15);
}
