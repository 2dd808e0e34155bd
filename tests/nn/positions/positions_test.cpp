// Positions: golden vectors, what they promise (distances, norms, buckets), gradients, errors.
#include <lamina/autograd/gradcheck.hpp>
#include <lamina/nn/module.hpp>
#include <lamina/nn/positions/alibi.hpp>
#include <lamina/nn/positions/image.hpp>
#include <lamina/nn/positions/learned.hpp>
#include <lamina/nn/positions/log_length.hpp>
#include <lamina/nn/positions/relative_bias.hpp>
#include <lamina/nn/positions/sinusoidal.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

TEST_CASE("positions: golden sinusoids with a learned scale") {
    for (const auto& c : test::golden_cases("gau/scaled_sinusoid")) {
        nn::ScaledSinusoid<float> layer;
        nn::load_state_dict(layer, c.tensors(), {.strict = false, .prefix = "param."});
        const auto r = c.tensor<float, 2>("r.y");
        autograd::Tape tape;
        const auto y = layer.positions(r.dim(0), r.dim(1));
        test::check_golden(c, "y", y);
        tape.backward(y, r);
        test::check_golden_grad(c, "param.scale", autograd::grad(layer.scale));
    }
    const auto p = nn::sinusoidal_positions<double>(3, 6, {.offset = 2});
    CHECK(std::abs(p(1, 2) - std::sin(3 / std::pow(10000, 2.0 / 6))) < 1e-15);
    CHECK(std::abs(p(1, 3) - std::cos(3 / std::pow(10000, 2.0 / 6))) < 1e-15);
    nn::ScaledSinusoid<float> layer;
    const auto x = test::wave<float>(Shape{2, 3, 4});
    CHECK(layer(x)(1, 0, 2) == x(1, 0, 2) + 1);
    CHECK(test::message_of<ValueError>([] { nn::sinusoidal_positions(2, 5); }) ==
          "sinusoidal_positions: width must be even but is 5");
}

TEST_CASE("positions: golden buckets of T5") {
    for (const auto& c : test::golden_cases("gau/t5_buckets")) {
        const nn::RelativeBiasConfig config{.causal = c.flag("causal", false),
                                            .buckets = c.integer("num_buckets", 32),
                                            .max_distance = c.integer("max_distance", 128)};
        const Index n = c.integer("length", 0);
        const auto row = [&](Index query) {
            auto out = empty<std::int64_t>(Shape{n});
            for (Index j = 0; j < n; ++j) out.mutable_data()[j] = nn::relative_bucket(j - query, config);
            return out;
        };
        test::check_golden(c, "bucket_row0", row(0));
        test::check_golden(c, "bucket_middle_row", row(n / 2));
        test::check_golden(c, "bucket_last_row", row(n - 1));
    }
    CHECK(nn::relative_bucket(-1000, {.causal = true}) == 31);
    CHECK(nn::relative_bucket(1000) == 31);
    CHECK(test::message_of<ValueError>([] { nn::RelativeBias<float>(2, {.buckets = 3}); }) ==
          "RelativeBias: buckets must be at least 4 and max_distance above 0 but are 3 and 128");
    CHECK(test::message_of<ValueError>([] { nn::RelativeBias<float>(2, {.causal = true, .max_distance = 16}); }) ==
          "RelativeBias: buckets must be at least 2 and max_distance above 16 but are 32 and 16");
    CHECK(test::message_of<ShapeError>([] { nn::RelativeBias<float>(2)(-1, 3); }) ==
          "RelativeBias: numbers of queries and keys must not be negative but are -1 and 3");
    nn::RelativeBias<double> bias(2, {.buckets = 8, .max_distance = 16, .scale = 3});
    for (Index i = 0; i < 16; ++i) bias.weight.mutable_data()[i] = double(i);
    const auto y = bias(5, 9, 4);  // queries at 4 … 8
    CHECK(y.shape() == Shape{2, 5, 9});
    test::for_each_index(y.shape(), [&](const auto& at) {
        const Index bucket = nn::relative_bucket(at[2] - at[1] - 4, bias.options);
        CHECK(y(at[0], at[1], at[2]) == 3.0 * double(bucket * 2 + at[0]));
    });
    autograd::Tape tape;
    const auto z = bias(3, 3);
    tape.backward(z, full<double>(z.shape(), 1.0));
    CHECK(autograd::grad(bias.weight)(0, 0) == 3 * 3.0);  // three pairs at distance 0
}

TEST_CASE("positions: relative bias, whose rows overlap") {
    nn::RelativeBias<double> bias(2, {.buckets = 8, .max_distance = 16});
    for (Index i = 0; i < 16; ++i) bias.weight.mutable_data()[i] = 0.5 * double(i);
    for (const auto& [n, m] : {std::pair<Index, Index>{4, 7}, {7, 4}, {1, 5}, {5, 1}, {0, 3}, {3, 0}}) {
        const auto dy = test::wave<double>(Shape{2, n, m});
        autograd::zero_grad(bias.weight);
        autograd::Tape tape;
        const auto y = bias(n, m, 2, -3.0), dense = contiguous(y), twice = y + y;
        tape.backward(twice, dy);
        auto expected = zeros<double>(Shape{8, 2});
        test::for_each_index(y.shape(), [&](const auto& at) {
            const Index bucket = nn::relative_bucket(at[2] - at[1] - 2, bias.options);
            CHECK(y(at[0], at[1], at[2]) == -1.5 * double(bucket * 2 + at[0]));
            CHECK(dense(at[0], at[1], at[2]) == y(at[0], at[1], at[2]));
            CHECK(twice(at[0], at[1], at[2]) == 2 * y(at[0], at[1], at[2]));
            expected.mutable_at(bucket, at[0]) += -6 * dy(at[0], at[1], at[2]);
        });
        const auto found = autograd::grad(bias.weight);
        for (Index i = 0; n * m > 0 && i < 16; ++i) CHECK(std::abs(found.data()[i] - expected.data()[i]) < 1e-12);
    }
}

TEST_CASE("positions: golden positions of pixels") {
    for (const auto& c : test::golden_cases("detr/position_sine"))
        test::check_golden(c, "y",
                           nn::image_positions<float>(c.tensor<bool, 3>("in.mask"), c.integer("num_pos_feats", 0),
                                                      {.normalize = c.flag("normalize", false)}));
    for (const auto& c : test::golden_cases("detr/position_learned")) {
        nn::LearnedImagePositions<float> layer(c.integer("num_pos_feats", 0));
        nn::load_state_dict(layer, c.tensors(), {.strict = false, .prefix = "param."});
        autograd::Tape tape;
        const auto r = c.tensor<float, 4>("r.y");
        const auto y = layer(r.dim(0), c.integer("height", 0), c.integer("width", 0));
        test::check_golden(c, "y", y);
        tape.backward(y, r);
        test::check_golden_grad(c, "param.row_embed.weight", autograd::grad(layer.row_embed));
        test::check_golden_grad(c, "param.col_embed.weight", autograd::grad(layer.col_embed));
    }
    CHECK(test::message_of<ValueError>([] { nn::LearnedImagePositions<float>(4)(1, 51, 3); }) ==
          "LearnedImagePositions: height and width must be at most 50 but are 51 and 3");
    CHECK(test::message_of<ValueError>([] {
              nn::image_positions(zeros<bool>(Shape{1, 2, 2}), 3);
          }) == "image_positions: the number of features must be even but is 3");
}

TEST_CASE("positions: learned table, ALiBi, scale by the logarithm of the length") {
    nn::LearnedPositions<double> learned(6, 3);
    for (Index i = 0; i < 18; ++i) learned.weight.mutable_data()[i] = double(i);
    const auto x = zeros<double>(Shape{2, 4, 3});
    CHECK(learned(x, 2)(1, 3, 1) == 16);
    CHECK(test::message_of<ValueError>([&] { learned(x, 3); }) ==
          "LearnedPositions: positions must lie in [0, 6) but end at 7");
    {
        autograd::Tape tape;
        const auto y = learned(x);
        tape.backward(y, full<double>(y.shape(), 1.0));
        CHECK(autograd::grad(learned.weight)(3, 0) == 2);
        CHECK(autograd::grad(learned.weight)(4, 0) == 0);
    }
    const auto slopes = nn::alibi_slopes(8);
    CHECK(slopes(0) == 0.5f);
    CHECK(slopes(7) == 0.00390625f);
    const auto bias = nn::alibi_bias(8, 2, 4, 2);
    CHECK(bias(0, 0, 0) == -1);
    CHECK(bias(0, 1, 3) == 0);
    CHECK(bias(1, 0, 3) == -0.25f);
    CHECK(nn::log_length_scale(512) == 1);
    CHECK(nn::log_length_scale(3) == std::log(16.0) / std::log(512.0));
    CHECK(nn::log_length_scales<double>(40)(39, 0) == nn::log_length_scale(40));
}
