// Attention as an op: golden vectors, gradients, layouts, masks, options and errors.
#include <lamina/autograd/gradcheck.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/attention.hpp>
#include <lamina/ops/concat.hpp>
#include <lamina/ops/permute.hpp>
#include <lamina/ops/slice.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using autograd::gradcheck;

TEST_CASE("attention: golden vectors") {
    for (const auto& c : test::golden_cases("ops/sdpa")) {
        auto q = autograd::leaf(c.tensor<float, 4>("in.q")), k = autograd::leaf(c.tensor<float, 4>("in.k")),
             v = autograd::leaf(c.tensor<float, 4>("in.v"));
        AttentionMask<float> mask;
        const auto take = [&]<int R>(std::integral_constant<int, R>) {
            if (c.any("in.mask").dtype() == DType::boolean) mask = c.tensor<bool, R>("in.mask");
            else mask = c.tensor<float, R>("in.mask");
        };
        if (c.has("in.mask")) {
            if (c.rank("in.mask") == 4) take(std::integral_constant<int, 4>{});
            else if (c.rank("in.mask") == 3) take(std::integral_constant<int, 3>{});
            else take(std::integral_constant<int, 2>{});
        }
        const bool own_scale = c.meta("scale", "1").find_first_not_of("-+.e0123456789") == std::string::npos;
        const AttentionOptions options{.causal = c.flag("causal", false) ? Causal::top_left : Causal::none,
                                       .scale = own_scale ? c.number("scale", 0) : 0};
        autograd::Tape tape;
        const auto y = scaled_dot_product_attention(q, k, v, mask, options);
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, 4>("r.y"));
        test::check_golden_grad(c, "in.q", autograd::grad(q));
        test::check_golden_grad(c, "in.k", autograd::grad(k));
        test::check_golden_grad(c, "in.v", autograd::grad(v));
    }
}

TEST_CASE("attention: gradients match finite differences") {
    const auto q = test::wave<double>(Shape{2, 4, 5, 3}), k = test::wave<double>(Shape{2, 2, 7, 3}, 1),
               v = test::wave<double>(Shape{2, 2, 7, 4}, 2);
    const auto keep = test::wave<bool>(Shape{2, 1, 5, 7});
    const auto with = [](const AttentionMask<double>& mask, const AttentionOptions& options) {
        return [=](const auto& a, const auto& b, const auto& c) {
            return scaled_dot_product_attention(a, b, c, mask, options);
        };
    };
    CHECK(gradcheck(with({}, {}), q, k, v) < 1e-7);
    CHECK(gradcheck(with({}, {.causal = Causal::top_left}), q, k, v) < 1e-7);
    CHECK(gradcheck(with({}, {.causal = Causal::bottom_right, .scale = 0.7}), q, k, v) < 1e-7);
    CHECK(gradcheck(with(keep, {}), q, k, v) < 1e-7);
    CHECK(gradcheck(with({}, {.lengths = Tensor<std::int64_t, 1>{3, 0}}), q, k, v) < 1e-7);
    CHECK(gradcheck(with({}, {}), view::transpose(test::wave<double>(Shape{2, 5, 4, 3}), 1, 2), k, v) < 1e-7);
    // The gradient of a bias, with every way it broadcasts.
    for (const Shape<4>& shape :
         {Shape<4>{2, 4, 5, 7}, Shape<4>{1, 4, 5, 7}, Shape<4>{1, 1, 5, 7}, Shape<4>{2, 1, 1, 7}, Shape<4>{1, 4, 5, 1}})
        CHECK(gradcheck([&](const auto& a, const auto& bias) { return scaled_dot_product_attention(a, k, v, bias); }, q,
                        test::wave<double>(shape, 4)) < 1e-7);
    // One tensor as query, key and value.
    CHECK(gradcheck([](const auto& x) { return scaled_dot_product_attention(x, x, x); },
                    test::wave<double>(Shape{3, 6, 4})) < 1e-7);
    CHECK(gradcheck([](const auto& x) { return scaled_dot_product_attention(x, x, x); },
                    test::wave<double>(Shape{6, 4})) < 1e-7);
}

TEST_CASE("attention: heads inside the features equal heads of their own") {
    const auto x = test::wave<double>(Shape{2, 9, 3 * 12});
    const auto apart = [](const auto& t, Index heads) {
        return permute(reshape(t, Shape{t.dim(0), t.dim(1), heads, t.dim(2) / heads}), {0, 2, 1, 3});
    };
    const auto q = slice(x, 2, 0, 12), k = slice(x, 2, 12, 24), v = slice(x, 2, 24, 36);
    const AttentionOptions causal{.causal = Causal::top_left};
    const auto expected =
        reshape(permute(scaled_dot_product_attention(apart(q, 3), apart(k, 3), apart(v, 3), causal), {0, 2, 1, 3}),
                Shape{2, 9, 12});
    CHECK(test::max_error(multi_head_attention(x, 3, {}, causal), expected) < 1e-15);
    CHECK(test::max_error(multi_head_attention(q, k, v, 3, {}, causal), expected) < 1e-15);
    CHECK(gradcheck([](const auto& t) { return multi_head_attention(t, 3); }, x) < 1e-7);
    CHECK(gradcheck([](const auto& a, const auto& b, const auto& c) { return multi_head_attention(a, b, c, 3); }, q,
                    slice(k, 2, 0, 4), slice(v, 2, 0, 6)) < 1e-7);
}

TEST_CASE("attention: rows without keys, empty tensors, dropout only in training") {
    const auto q = test::wave<float>(Shape{1, 2, 6, 4});
    const auto none = scaled_dot_product_attention(q, q, q, {.lengths = Tensor<std::int64_t, 1>{0}});
    CHECK(test::max_error(none, zeros_like(none)) == 0);
    const auto no_keys = zeros<float>(Shape{1, 2, 0, 4});
    const auto empty_keys = scaled_dot_product_attention(q, no_keys, no_keys);
    CHECK(test::max_error(empty_keys, zeros_like(q)) == 0);
    CHECK(scaled_dot_product_attention(no_keys, q, q).shape() == Shape{1, 2, 0, 4});
    const auto plain = scaled_dot_product_attention(q, q, q);
    CHECK(test::bitwise_equal(plain, scaled_dot_product_attention(q, q, q, {.dropout = 0.5})));
    const auto k = test::wave<double>(Shape{1, 1, 64, 2}), ones = full<double>(Shape{1, 1, 64, 2}, 1.0);
    random::Rng rng(5);
    autograd::Tape tape;
    tape.generator = &rng;
    const auto y = scaled_dot_product_attention(k, k, ones, {.dropout = 0.5});
    double mean = 0;
    for (Index i = 0; i < 64; ++i) mean += y(0, 0, i, 0) / 64;
    CHECK(std::abs(mean - 1) < 0.1);  // weights kept are doubled
    CHECK(y(0, 0, 0, 0) != 1);
    const auto all = scaled_dot_product_attention(k, k, ones, {.dropout = 1});
    CHECK(test::max_error(all, zeros_like(all)) == 0);
}

TEST_CASE("attention: gradient under dropout is that of the weights kept") {
    const auto q = test::wave<double>(Shape{1, 2, 8, 3}), v = test::wave<double>(Shape{1, 2, 8, 3}, 2);
    const auto f = [&](const auto& a, const auto& b) {
        random::Rng rng(9);
        if (autograd::current_tape()) {
            autograd::current_tape()->generator = &rng;
            auto y = scaled_dot_product_attention(a, a, b, {.dropout = 0.4});
            autograd::current_tape()->generator = nullptr;
            return y;
        }
        autograd::Tape tape;
        tape.generator = &rng;
        return scaled_dot_product_attention(a, a, b, {.dropout = 0.4}).detach();
    };
    CHECK(gradcheck(f, q, v) < 1e-7);
}

TEST_CASE("attention: errors") {
    const auto x = zeros<float>(Shape{2, 2, 3, 4});
    const auto message = [](auto&& f) { return test::message_of<Error>(f); };
    CHECK(message([&] {
              scaled_dot_product_attention(x, zeros<float>(Shape{2, 2, 3, 5}), x);
          }) ==
          "scaled_dot_product_attention: query and key must have the same width (query [2, 2, 3, 4], key [2, 2, 3, 5], "
          "value [2, 2, 3, 4])");
    CHECK(message([&] {
              scaled_dot_product_attention(x, x, zeros<float>(Shape{2, 2, 5, 4}));
          }) ==
          "scaled_dot_product_attention: key and value must have the same number of rows (query [2, 2, 3, 4], key [2, "
          "2, 3, 4], value [2, 2, 5, 4])");
    const auto three = zeros<float>(Shape{2, 3, 3, 4});
    CHECK(message([&] { scaled_dot_product_attention(x, three, three); }) ==
          "scaled_dot_product_attention: heads of the query must be a multiple of those of the key (query [2, 2, 3, 4],"
          " key [2, 3, 3, 4], value [2, 3, 3, 4])");
    CHECK(message([&] {
              scaled_dot_product_attention(x, x, x, zeros<bool>(Shape{3, 2}));
          }) == "scaled_dot_product_attention: the mask must broadcast to [2, 2, 3, 3] but is [1, 1, 3, 2]");
    CHECK(message([&] {
              scaled_dot_product_attention(x, x, x, zeros<bool>(Shape{3, 3}), {.causal = Causal::top_left});
          }) == "scaled_dot_product_attention: causal and a mask exclude each other");
    CHECK(message([&] { scaled_dot_product_attention(x, x, x, {.dropout = 2}); }) ==
          "scaled_dot_product_attention: dropout must lie in [0, 1] but is 2");
    CHECK(message([&] { scaled_dot_product_attention(x, x, x, {.lengths = Tensor<std::int64_t, 1>{1}}); }) ==
          "scaled_dot_product_attention: lengths must have 2 elements but has 1");
    for (std::int64_t wrong : {-1, 4})
        CHECK(test::message_of<ValueError>([&] {
                  scaled_dot_product_attention(x, x, x, {.lengths = Tensor<std::int64_t, 1>{3, wrong}});
              }) ==
              "scaled_dot_product_attention: lengths must lie in [0, 3] but number 1 is " + std::to_string(wrong));
    const auto flat = zeros<float>(Shape{2, 3, 4});
    CHECK(message([&] { multi_head_attention(flat, flat, flat, 3); }) ==
          "multi_head_attention: the number of heads must divide the width (3 and 4)");
    CHECK(message([&] { multi_head_attention(flat, 2); }) ==
          "multi_head_attention: 3 times the number of heads must divide the width (2 and 4)");
    CHECK(message([&] {
              multi_head_attention(flat, zeros<float>(Shape{2, 3, 3}), flat, 2);
          }) ==
          "multi_head_attention: heads of key and value must divide 2 (head width 2, key [2, 3, 3], value [2, 3, 4])");
    CHECK(message([&] {
              multi_head_attention(flat, zeros<float>(Shape{1, 3, 4}), flat, 2);
          }) == "multi_head_attention: batch and rows must be equal (query [2, 3, 4], key [1, 3, 4], value [2, 3, 4])");
}

TEST_CASE("attention: biases by distance equal their matrix, in values and gradients") {
    const auto check = [](Index batch, Index heads, Index bias_heads, Index n, Index m, bool hides) {
        CAPTURE(heads);
        CAPTURE(n);
        CAPTURE(m);
        const auto q = test::wave<double>(Shape{batch, heads, n, 3}),
                   k = test::wave<double>(Shape{batch, heads, m, 3}, 1),
                   v = test::wave<double>(Shape{batch, heads, m, 2}, 2),
                   dy = test::wave<double>(Shape{batch, heads, n, 2}, 3);
        auto row = autograd::leaf(test::wave<double>(Shape{bias_heads, n + m - 1}, 4));
        auto matrix = empty<double>(Shape{Index(1), bias_heads, n, m});
        test::for_each_index(matrix.shape(), [&](const auto& at) {
            matrix.mutable_at(at[0], at[1], at[2], at[3]) = row(at[1], at[3] - at[2] + n - 1);
        });
        autograd::require_grad(matrix);
        AttentionMask<double> by_distance, plain(matrix);
        by_distance.distance = row;
        if (hides) plain.keep = by_distance.keep = test::wave<bool>(Shape{batch, Index(1), n, m});
        const auto run = [&](const AttentionMask<double>& mask) {
            auto a = autograd::leaf(q.clone());
            autograd::Tape tape;
            const auto y = scaled_dot_product_attention(a, k, v, mask);
            tape.backward(y, dy);
            return cat<double, 4>({y.detach(), autograd::grad(a)}, 3);
        };
        CHECK(test::max_error(run(by_distance), run(plain)) < 1e-12);
        auto sums = zeros<double>(row.shape());
        const auto each = autograd::grad(matrix);
        test::for_each_index(matrix.shape(), [&](const auto& at) {
            sums.mutable_at(at[1], at[3] - at[2] + n - 1) += each(at[0], at[1], at[2], at[3]);
        });
        CHECK(test::max_error(autograd::grad(row), sums) < 1e-11);
    };
    check(1, 2, 2, 7, 5, false);
    check(2, 2, 2, 3, 9, true);  // few queries
    check(2, 2, 1, 33, 40, true);
    check(1, 9, 9, 17, 20, false);
    check(2, 8, 1, 17, 20, true);
    check(1, 1, 1, 40, 600, true);  // keys in parts
    AttentionMask<float> mask;
    mask.distance = zeros<float>(Shape{2, 5});
    CHECK_THROWS_WITH_AS(
        scaled_dot_product_attention(zeros<float>(Shape{1, 2, 3, 4}), zeros<float>(Shape{1, 2, 4, 4}),
                                     zeros<float>(Shape{1, 2, 4, 4}), mask),
        "scaled_dot_product_attention: biases by distance must be the only ones and [2, 6] but are [2, 5]", ShapeError);
}
