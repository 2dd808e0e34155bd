#include <lamina/autograd/gradcheck.hpp>
#include <lamina/ops/conv3d.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

/// Cross-correlation by its definition.
Tensor<double, 5> naive_conv3d(const Tensor<double, 5>& x, const Tensor<double, 5>& w, const Tensor<double, 1>& b,
                               const Conv3dOptions& o) {
    const auto outputs = [](Index in, Index k, Index s, Index p, Index d) {
        return (in + 2 * p - d * (k - 1) - 1) / s + 1;
    };
    auto y = zeros<double>(Shape{x.dim(0), w.dim(0), outputs(x.dim(2), w.dim(2), o.stride.d, o.padding.d, o.dilation.d),
                                 outputs(x.dim(3), w.dim(3), o.stride.h, o.padding.h, o.dilation.h),
                                 outputs(x.dim(4), w.dim(4), o.stride.w, o.padding.w, o.dilation.w)});
    double* out = y.mutable_data();
    test::for_each_index(y.shape(), [&](std::array<Index, 5> at) {
        double sum = b.defined() ? b(at[1]) : 0;
        const Index first = at[1] / (w.dim(0) / o.groups) * w.dim(1);
        for (Index c = 0; c < w.dim(1); ++c)
            for (Index h = 0; h < w.dim(2); ++h)
                for (Index i = 0; i < w.dim(3); ++i)
                    for (Index j = 0; j < w.dim(4); ++j) {
                        const Index q = at[2] * o.stride.d - o.padding.d + h * o.dilation.d;
                        const Index r = at[3] * o.stride.h - o.padding.h + i * o.dilation.h;
                        const Index s = at[4] * o.stride.w - o.padding.w + j * o.dilation.w;
                        if (q >= 0 && r >= 0 && s >= 0 && q < x.dim(2) && r < x.dim(3) && s < x.dim(4))
                            sum += x(at[0], first + c, q, r, s) * w(at[1], c, h, i, j);
                    }
        *out++ = sum;
    });
    return y;
}

}  // namespace

TEST_CASE("conv3d: agrees with the definition, gradients with finite differences") {
    const auto b = test::wave<double>(Shape{4}, 2);
    const auto check = [&](const Shape<5>& shape, const Shape<5>& kernel, const Conv3dOptions& o) {
        const auto x = test::wave<double>(shape), w = test::wave<double>(kernel, 1);
        CHECK(test::max_error(conv3d(x, w, b, o), naive_conv3d(x, w, b, o)) < 1e-13);
        const auto f = [&](const auto& p, const auto& q, const auto& r) { return conv3d(p, q, r, o); };
        CHECK(autograd::gradcheck(f, x, w, b) < 1e-7);
    };
    check({2, 2, 4, 3, 5}, {4, 2, 3, 2, 3}, {.padding = 1});
    check({1, 4, 5, 4, 3}, {4, 2, 2, 3, 1},
          {.stride = {2, 1, 2}, .padding = {0, 1, 0}, .dilation = {2, 1, 1}, .groups = 2});
    CHECK(conv3d(zeros<float>(Shape{0, 1, 3, 3, 3}), zeros<float>(Shape{2, 1, 3, 3, 3})).shape() ==
          Shape{0, 2, 1, 1, 1});
}

TEST_CASE("conv3d: each error names the shapes") {
    const auto x = zeros<float>(Shape{1, 1, 2, 3, 3}), w = zeros<float>(Shape{1, 1, 3, 3, 3});
    CHECK(test::message_of<ShapeError>([&] { conv3d(x, w); }) ==
          "conv3d: padded input must be at least as deep as the kernel (input [1, 1, 2, 3, 3], weight [1, 1, 3, 3, 3], "
          "padding 0x0x0, dilation 1x1x1)");
    CHECK(test::message_of<ValueError>([&] {
              conv3d(x, w, {}, {.stride = {0, 1, 1}});
          }) == "conv3d: stride and dilation must be positive (stride 0x1x1, dilation 1x1x1)");
    CHECK(test::message_of<ValueError>([&] {
              conv3d(x, w, {}, {.padding = {-1, 0, 0}});
          }) == "conv3d: padding must not be negative but is -1x0x0");
}
