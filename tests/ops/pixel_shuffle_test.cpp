#include <lamina/autograd/gradcheck.hpp>
#include <lamina/nn/pixel_shuffle.hpp>
#include <lamina/ops/permute.hpp>
#include <lamina/ops/reshape.hpp>
#include <tests/support/archs.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

Tensor<double, 4> naive_shuffle(const Tensor<double, 4>& x, Index r) {
    auto y = zeros<double>(Shape{x.dim(0), x.dim(1) / (r * r), x.dim(2) * r, x.dim(3) * r});
    double* out = y.mutable_data();
    test::for_each_index(y.shape(), [&](std::array<Index, 4> at) {
        *out++ = x(at[0], at[1] * r * r + at[2] % r * r + at[3] % r, at[2] / r, at[3] / r);
    });
    return y;
}

}  // namespace

TEST_CASE("pixel_shuffle: the published order of channels") {
    const auto x = reshape(arange<float>(16), Shape{1, 4, 2, 2});
    const Tensor<float, 4> expected{{{{0, 4, 1, 5}, {8, 12, 9, 13}, {2, 6, 3, 7}, {10, 14, 11, 15}}}};
    CHECK(test::bitwise_equal(pixel_shuffle(x, 2), expected));
    CHECK(test::bitwise_equal(nn::PixelUnshuffle{2}(nn::PixelShuffle{2}(x)), x));
}

TEST_CASE("pixel_shuffle: agrees with the definition for every factor and width, and returns") {
    for (Index r : {1, 2, 3, 4, 5, 8})
        for (Index width : {1, 3, 4, 8, 16, 17, 33}) {
            const auto x = test::wave<double>(Shape{2, 2 * r * r, 3, width});
            const auto y = pixel_shuffle(x, r);
            CHECK(test::bitwise_equal(y, naive_shuffle(x, r)));
            CHECK(test::bitwise_equal(pixel_unshuffle(y, r), x));
        }
}

TEST_CASE_TEMPLATE("pixel_shuffle kernels: every ISA moves and adds the same elements", Arch, LAMINA_TEST_ARCHS) {
    for (Index r : {2, 3, 4})
        for (Index width : {1, 2, 5, 8, 15, 16, 17, 35}) {
            const auto x = test::wave<float>(Shape{1, 2 * r * r, 2, width});
            const kernels::PixelShuffleGeometry g{2, r, 2, width};
            auto y = full<float>(Shape{1, 2, 2 * r, width * r}, 9), back = full_like(x, 9.f);
            kernels::pixel_shuffle<kernels::Write::assign, Arch>(g, x.data(), y.mutable_data());
            CHECK(test::bitwise_equal(y, pixel_shuffle(x, r)));
            kernels::pixel_unshuffle<kernels::Write::assign, Arch>(g, y.data(), back.mutable_data());
            CHECK(test::bitwise_equal(back, x));
            const auto once = y.clone();
            kernels::pixel_shuffle<kernels::Write::add, Arch>(g, x.data(), y.mutable_data());
            kernels::pixel_unshuffle<kernels::Write::add, Arch>(g, once.data(), back.mutable_data());
            for (Index i = 0; i < x.numel(); ++i) {
                CHECK(y.data()[i] == 2 * once.data()[i]);
                CHECK(back.data()[i] == 2 * x.data()[i]);
            }
        }
}

TEST_CASE("pixel_shuffle: streamed outputs are the same (large)") {
    for (Index r : {2, 3, 4}) {
        const auto x = test::wave<float>(Shape{1, 4 * r * r, 192, 128 / (r == 4 ? 2 : 1) * 4});
        const auto y = pixel_shuffle(x, r);
        CHECK(y(0, 3, 10 * r + 1, 20 * r + 1) == x(0, 3 * r * r + r + 1, 10, 20));
        CHECK(test::bitwise_equal(pixel_unshuffle(y, r), x));
    }
}

TEST_CASE("channel_shuffle: groups are dealt out, for any rank and type") {
    const auto x = reshape(arange<std::int64_t>(12), Shape{1, 6, 2});
    CHECK(test::bitwise_equal(channel_shuffle(x, 2),
                              Tensor<std::int64_t, 3>{{{0, 1}, {6, 7}, {2, 3}, {8, 9}, {4, 5}, {10, 11}}}));
    const auto flat = test::wave<float>(Shape{3, 12});
    CHECK(test::bitwise_equal(channel_shuffle(nn::ChannelShuffle{3}(flat), 4), flat));
}

TEST_CASE("pixel_shuffle: gradients match finite differences, also of strided input") {
    const auto x = permute(test::wave<double>(Shape{4, 6, 12, 2}), {3, 2, 0, 1});
    CHECK(autograd::gradcheck([](const auto& t) { return pixel_shuffle(t, 2); }, x) < 1e-8);
    CHECK(autograd::gradcheck([](const auto& t) { return pixel_unshuffle(t, 2); }, x) < 1e-8);
    CHECK(autograd::gradcheck([](const auto& t) { return channel_shuffle(t, 3); }, x) < 1e-8);
    const auto leaf = autograd::leaf(test::wave<float>(Shape{4, 3, 5}));
    for (int pass = 0; pass < 2; ++pass) {  // the second adds to the first
        autograd::Tape tape;
        const auto y = pixel_shuffle(leaf, 2);
        tape.backward(y, ones_like(y));
    }
    CHECK(test::bitwise_equal(autograd::grad(leaf), full_like(leaf, 2.f)));
}

TEST_CASE("pixel_shuffle: nothing in gives nothing out, bad factors are named") {
    CHECK(pixel_shuffle(zeros<float>(Shape{0, 8, 2, 3}), 2).shape() == Shape{0, 2, 4, 6});
    CHECK(pixel_unshuffle(zeros<float>(Shape{0, 2, 4, 6}), 2).shape() == Shape{0, 8, 2, 3});
    CHECK(channel_shuffle(zeros<float>(Shape{0, 4, 2}), 2).shape() == Shape{0, 4, 2});
    const auto x = zeros<float>(Shape{1, 6, 4, 3});
    CHECK(test::message_of<ShapeError>([&] { pixel_shuffle(x, 2); }) ==
          "pixel_shuffle: channels must divide by the factor squared but there are 6 and the factor is 2 (input [1, 6, "
          "4, 3])");
    CHECK(test::message_of<ValueError>([&] { pixel_shuffle(x, 0); }) ==
          "pixel_shuffle: factor must be positive but is 0");
    CHECK(test::message_of<ShapeError>([&] { pixel_unshuffle(x, 2); }) ==
          "pixel_unshuffle: height and width must divide by the factor but are 4 and 3 and the factor is 2 (input [1, "
          "6, 4, 3])");
    CHECK(test::message_of<ValueError>([&] { pixel_unshuffle(x, -1); }) ==
          "pixel_unshuffle: factor must be positive but is -1");
    CHECK(test::message_of<ShapeError>([&] { channel_shuffle(x, 4); }) ==
          "channel_shuffle: channels must divide into groups but there are 6 channels and 4 groups (input [1, 6, 4, "
          "3])");
    CHECK(test::message_of<ValueError>([&] { channel_shuffle(x, 0); }) ==
          "channel_shuffle: groups must be positive but are 0");
}

TEST_CASE("pixel_shuffle: golden values and gradients") {
    const auto run = [](const char* folder, const char* option, auto op) {
        for (const auto& c : test::golden_cases(folder)) {
            const auto x = autograd::leaf(c.tensor<float, 4>("in.x"));
            autograd::Tape tape;
            const auto y = op(x, c.integer(option, 0));
            test::check_golden(c, "y", y);
            tape.backward(y, c.tensor<float, 4>("r.y"));
            test::check_golden_grad(c, "in.x", autograd::grad(x));
        }
    };
    run("ops/pixel_shuffle", "factor", [](const auto& x, Index r) { return pixel_shuffle(x, r); });
    run("ops/pixel_unshuffle", "factor", [](const auto& x, Index r) { return pixel_unshuffle(x, r); });
    run("ops/channel_shuffle", "groups", [](const auto& x, Index g) { return channel_shuffle(x, g); });
}
