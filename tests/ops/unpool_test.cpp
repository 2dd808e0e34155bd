#include <lamina/autograd/gradcheck.hpp>
#include <lamina/nn/unpool.hpp>
#include <lamina/ops/permute.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

TEST_CASE("max_unpool2d: values return to where they were") {
    const Tensor<float, 4> x{{{{1, 2, 6, 3}, {3, 5, 2, 1}, {1, 2, 2, 1}, {7, 3, 4, 8}}}};
    const auto [y, indices] = max_pool2d_with_indices(x, {.kernel = 2});
    CHECK(test::bitwise_equal(y, Tensor<float, 4>{{{{5, 6}, {7, 8}}}}));
    CHECK(test::bitwise_equal(indices, Tensor<std::int64_t, 4>{{{{5, 2}, {12, 15}}}}));
    const Tensor<float, 4> back{{{{0, 0, 6, 0}, {0, 5, 0, 0}, {0, 0, 0, 0}, {7, 0, 0, 8}}}};
    CHECK(test::bitwise_equal(nn::MaxUnpool2d{{.kernel = 2}}(y, indices), back));
    const Tensor<float, 3> line{{{1, 3, 2, 4, 0}}};
    const auto [top, at] = max_pool1d_with_indices(line, {.kernel = 2});
    CHECK(test::bitwise_equal(nn::MaxUnpool1d{{.kernel = 2, .output_size = 5}}(top, at),
                              Tensor<float, 3>{{{0, 3, 0, 4, 0}}}));
}

TEST_CASE("max_unpool2d: the last of repeated positions stays") {
    const Tensor<float, 4> x{{{{1, 2}}}};
    const Tensor<std::int64_t, 4> indices{{{{3, 3}}}};
    CHECK(
        test::bitwise_equal(max_unpool2d(x, indices, {.kernel = 2}), Tensor<float, 4>{{{{0, 0, 0, 2}, {0, 0, 0, 0}}}}));
}

TEST_CASE("bed of nails and nearest un-pooling") {
    const Tensor<double, 4> x{{{{1, 2}, {3, 4}}}};
    CHECK(test::bitwise_equal(
        nn::BedOfNailsUnpool2d{{2, 3}}(x),
        Tensor<double, 4>{{{{1, 0, 0, 2, 0, 0}, {0, 0, 0, 0, 0, 0}, {3, 0, 0, 4, 0, 0}, {0, 0, 0, 0, 0, 0}}}}));
    CHECK(test::bitwise_equal(nn::NearestUnpool2d{{1, 2}}(x), Tensor<double, 4>{{{{1, 1, 2, 2}, {3, 3, 4, 4}}}}));
}

TEST_CASE("un-pooling: gradients match finite differences, also of strided input") {
    const auto source = test::wave<double>(Shape{2, 3, 6, 8});
    const auto indices = max_pool2d_with_indices(source, {.kernel = 2}).second;
    const auto x = permute(test::wave<double>(Shape{4, 3, 3, 2}), {3, 2, 1, 0});
    CHECK(autograd::gradcheck([&](const auto& t) { return max_unpool2d(t, indices, {.kernel = 2}); }, x) < 1e-8);
    CHECK(autograd::gradcheck([](const auto& t) { return bed_of_nails_unpool2d(t, {2, 3}); }, x) < 1e-8);
    CHECK(autograd::gradcheck([](const auto& t) { return nearest_unpool2d(t, {2, 3}); }, x) < 1e-8);
    const auto leaf = autograd::leaf(ones<float>(Shape{1, 1, 2, 3}));
    for (int pass = 0; pass < 2; ++pass) {  // the second adds to the first
        autograd::Tape tape;
        const auto y = bed_of_nails_unpool2d(leaf, 2);
        tape.backward(y, ones_like(y));
    }
    CHECK(test::bitwise_equal(autograd::grad(leaf), full_like(leaf, 2.f)));
}

TEST_CASE("un-pooling: nothing in gives nothing out, bad options are named") {
    const auto none =
        max_unpool2d(zeros<float>(Shape{0, 2, 3, 4}), zeros<std::int64_t>(Shape{0, 2, 3, 4}), {.kernel = 2});
    CHECK(none.shape() == Shape{0, 2, 6, 8});
    CHECK(bed_of_nails_unpool2d(zeros<float>(Shape{0, 2, 3, 4}), 2).shape() == Shape{0, 2, 6, 8});
    const auto x = zeros<float>(Shape{1, 1, 2, 2});
    auto indices = zeros<std::int64_t>(x.shape());
    CHECK(test::message_of<ShapeError>([&] {
              max_unpool2d(x, zeros<std::int64_t>(Shape{1, 1, 2, 3}), {.kernel = 2});
          }) == "max_unpool2d: indices must have the shape of the input ([1, 1, 2, 2] and [1, 1, 2, 3])");
    CHECK(test::message_of<ShapeError>([&] { max_unpool2d(x, indices, {.kernel = 2, .output_size = 6}); }) ==
          "max_unpool2d: output_size must be within a stride of 4x4 but is 6x6 (input [1, 1, 2, 2], stride 2x2)");
    indices.mutable_at(0, 0, 1, 1) = 16;
    CHECK(test::message_of<ValueError>([&] { max_unpool2d(x, indices, {.kernel = 2}); }) ==
          "max_unpool2d: index 16 is outside a plane of 4x4");
    CHECK(test::message_of<ValueError>([&] { max_unpool2d(x, indices, {.kernel = 0}); }) ==
          "max_unpool2d: kernel and stride must be positive and padding not negative (kernel 0x0, stride 0x0, padding "
          "0x0)");
    CHECK(test::message_of<ValueError>([&] {
              bed_of_nails_unpool2d(x, {0, 1});
          }) == "bed_of_nails_unpool2d: factor must be positive but is 0x1");
    CHECK(test::message_of<ValueError>([&] {
              nearest_unpool2d(x, {1, -1});
          }) == "nearest_unpool2d: factor must be positive but is 1x-1");
}

TEST_CASE("max_unpool2d: golden values and gradients") {
    for (const auto& c : test::golden_cases("ops/max_unpool2d")) {
        const auto pair = [&](const char* key) {
            const auto v = c.integers(key);
            return v.empty() ? Size2(0) : v.size() == 1 ? Size2(v[0]) : Size2(v[0], v[1]);
        };
        const auto x = autograd::leaf(c.tensor<float, 4>("in.x"));
        autograd::Tape tape;
        const auto y = max_unpool2d(x, c.tensor<std::int64_t, 4>("in.indices"),
                                    {.kernel = pair("kernel"),
                                     .stride = pair("stride"),
                                     .padding = pair("padding"),
                                     .output_size = pair("output_size")});
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, 4>("r.y"));
        test::check_golden_grad(c, "in.x", autograd::grad(x));
    }
}
