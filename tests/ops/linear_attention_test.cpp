// Linear attention: chunked, recurrent and quadratic forms agree; gradients; golden vectors; errors.
#include <lamina/autograd/gradcheck.hpp>
#include <lamina/ops/linear_attention_forms.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using autograd::gradcheck;

namespace {

struct Inputs {
    Tensor<float, 4> q, k, v;
    explicit Inputs(Index n, Index m, Index d, Index e, Index heads = 2)
        : q(test::wave<float>(Shape{2, heads, n, d})),
          k(test::wave<float>(Shape{2, heads, m, d}, 1)),
          v(test::wave<float>(Shape{2, heads, m, e}, 2)) {}
};

}  // namespace

TEST_CASE("linear attention: chunked equals quadratic") {
    for (Index n : {1, 2, 63, 64, 65, 130})
        for (Index e : {1, 5, 16})
            for (bool causal : {false, true})
                for (Index chunk : {1, 7, 64}) {
                    CAPTURE(n);
                    CAPTURE(e);
                    CAPTURE(causal);
                    CAPTURE(chunk);
                    const Inputs x(n, causal ? n : 40, 9, e);
                    const LinearAttentionOptions options{.causal = causal, .chunk = chunk};
                    const auto fq = elu_plus_one(x.q), fk = elu_plus_one(x.k);
                    CHECK(test::max_error(linear_attention(fq, fk, x.v, options),
                                          linear_attention_quadratic(fq, fk, x.v, options)) < 3e-6);
                }
    const Inputs x(30, 30, 4, 6);
    for (const auto& options :
         {LinearAttentionOptions{.causal = true, .chunk = 8, .own_chunk = false},
          LinearAttentionOptions{.causal = true, .normalize = false, .scale = 0.5},
          LinearAttentionOptions{.lengths = Tensor<std::int64_t, 1>{7, 0}},
          LinearAttentionOptions{.causal = true, .chunk = 8, .lengths = Tensor<std::int64_t, 1>{13, 30}}}) {
        const auto fq = relu_features(x.q, 1e-3), fk = relu_features(x.k, 1e-3);
        CHECK(test::max_error(linear_attention(fq, fk, x.v, options),
                              linear_attention_quadratic(fq, fk, x.v, options)) < 3e-6);
    }
}

TEST_CASE("linear attention: parts of long sequences, few heads and many (large)") {
    for (Index heads : {1, 6}) {  // 2 and 12 with the batch
        const Inputs x(2500, 2500, 6, 5, heads);
        for (bool causal : {false, true}) {
            const LinearAttentionOptions options{.causal = causal};
            const auto fq = elu_plus_one(x.q), fk = elu_plus_one(x.k);
            CHECK(test::max_error(linear_attention(fq, fk, x.v, options),
                                  linear_attention_quadratic(fq, fk, x.v, options)) < 1e-5);
        }
    }
}

TEST_CASE("linear attention: token by token equals the causal pass") {
    const Inputs x(50, 50, 5, 7);
    const LinearAttentionOptions causal{.causal = true, .chunk = 16};
    const auto check = [&](const Tensor<float, 4>& fq, const Tensor<float, 4>& fk) {
        const auto whole = linear_attention(fq, fk, x.v, causal);
        LinearAttentionState<float> state(2, 2, fq.dim(3), 7);
        for (Index i = 0; i < 50; ++i) {
            const auto row = [i](const auto& t) { return view::select(t, 2, i); };
            CHECK(test::max_error(state.step(row(fq), row(fk), row(x.v), causal), row(whole)) < 3e-6);
        }
    };
    check(elu_plus_one(x.q), elu_plus_one(x.k));
    check(cosine_features(x.q), cosine_features(x.k));
    check(softmax(x.q, 3), exp(x.k));
    CHECK(test::message_of<ShapeError>([] {
              LinearAttentionState<float> state(1, 1, 2, 3);
              const auto two = zeros<float>(Shape{1, 1, 2});
              state.step(two, two, two);
          }) ==
          "LinearAttentionState: the token must fit the state [1, 1, 2, 3] (query [1, 1, 2], key [1, 1, 2], value "
          "[1, 1, 2])");
}

TEST_CASE("linear attention: gradients match finite differences") {
    const auto q = test::wave<double>(Shape{1, 2, 11, 3}), k = test::wave<double>(Shape{1, 2, 11, 3}, 1),
               v = test::wave<double>(Shape{1, 2, 11, 4}, 2);
    for (const auto& options :
         {LinearAttentionOptions{}, LinearAttentionOptions{.causal = true, .chunk = 4},
          LinearAttentionOptions{.causal = true, .normalize = false, .scale = 0.3, .chunk = 4},
          LinearAttentionOptions{.causal = true, .normalize = false, .chunk = 3, .own_chunk = false},
          LinearAttentionOptions{.lengths = Tensor<std::int64_t, 1>{6}},
          LinearAttentionOptions{.causal = true, .chunk = 4, .lengths = Tensor<std::int64_t, 1>{6}}}) {
        CHECK(gradcheck([&](const auto& a, const auto& b, const auto& c) { return elu_attention(a, b, c, options); }, q,
                        k, v) < 1e-7);
        CHECK(gradcheck([&](const auto& a, const auto& b, const auto& c) { return taylor_attention(a, b, c, options); },
                        q, k, v) < 1e-7);
    }
    CHECK(gradcheck([&](const auto& a, const auto& b, const auto& c) { return efficient_attention(a, b, c); }, q, k,
                    v) < 1e-7);
    CHECK(gradcheck([&](const auto& a, const auto& b,
                        const auto& c) { return efficient_attention(a, b, c, {.causal = true, .chunk = 4}); },
                    q, k, v) < 1e-7);
    CHECK(gradcheck([&](const auto& a, const auto& b, const auto& c) { return plain_linear_attention(a, b, c); }, q, k,
                    v) < 1e-7);
    const LinearAttentionOptions inside{.causal = true, .chunk = 4, .heads = HeadLayout::inside};
    const auto swapped = [](const auto& x) { return view::transpose(x, 1, 2); };
    CHECK(gradcheck([&](const auto& a, const auto& b, const auto& c) { return elu_attention(a, b, c, inside); },
                    swapped(q), swapped(k).clone(), swapped(v)) < 1e-7);
    CHECK(test::max_error(elu_attention(swapped(q), swapped(k), swapped(v), inside),
                          swapped(elu_attention(q, k, v, {.causal = true, .chunk = 4}))) < 1e-15);
}

TEST_CASE("linear attention: gradients of long sequences in parts (large)") {
    const auto q = test::wave<double>(Shape{1, 1, 2100, 2}), k = test::wave<double>(Shape{1, 1, 2100, 2}, 1),
               v = test::wave<double>(Shape{1, 1, 2100, 2}, 2), r = test::wave<double>(Shape{1, 1, 2100, 2}, 3);
    for (bool causal : {false, true}) {
        const LinearAttentionOptions options{.causal = causal};
        auto gradients = [&](const auto& attend) {
            auto a = autograd::leaf(q.clone()), b = autograd::leaf(k.clone()), c = autograd::leaf(v.clone());
            autograd::Tape tape;
            tape.backward(attend(elu_plus_one(a), elu_plus_one(b), c, options), r);
            return cat<double, 4>({autograd::grad(a), autograd::grad(b), autograd::grad(c)});
        };
        const auto linear = gradients([](const auto&... x) { return linear_attention(x...); });
        CHECK(test::max_error(linear, gradients([](const auto&... x) { return linear_attention_quadratic(x...); })) <
              1e-12);
    }
}

TEST_CASE("linear attention: a later token changes nothing before it; the same bits on 1 and 3 threads; no NaN leaks") {
    Inputs x(200, 200, 8, 8, 3);
    const LinearAttentionOptions causal{.causal = true, .lengths = Tensor<std::int64_t, 1>{200, 150}};
    const int before = parallel::num_threads();
    parallel::set_num_threads(1);
    const auto one = elu_attention(x.q, x.k, x.v, causal);
    parallel::set_num_threads(3);
    x.v.mutable_at(1, 0, 160, 2) = NAN;  // padding
    x.k.mutable_at(1, 0, 199, 0) = NAN;
    CHECK(test::bitwise_equal(one, elu_attention(x.q, x.k, x.v, causal)));
    parallel::set_num_threads(before);
    x.v.mutable_at(0, 1, 100, 3) += 1;
    x.k.mutable_at(0, 1, 100, 3) += 1;
    const auto changed = elu_attention(x.q, x.k, x.v, causal);
    CHECK(test::bitwise_equal(view::slice(one, 2, 0, 100), view::slice(changed, 2, 0, 100)));
    CHECK(changed(0, 1, 100, 3) != one(0, 1, 100, 3));
}

TEST_CASE("linear attention: golden vectors") {
    const auto check = [](const test::GoldenCase& c, const auto& attend) {
        auto q = autograd::leaf(c.tensor<float, 4>("in.q")), k = autograd::leaf(c.tensor<float, 4>("in.k")),
             v = autograd::leaf(c.tensor<float, 4>("in.v"));
        autograd::Tape tape;
        const auto y = attend(q, k, v);
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, 4>("r.y"));
        test::check_golden_grad(c, "in.q", autograd::grad(q));
        test::check_golden_grad(c, "in.k", autograd::grad(k));
        test::check_golden_grad(c, "in.v", autograd::grad(v));
    };
    for (const auto& c : test::golden_cases("linear_attention/fast_transformers"))
        check(c, [&](const auto& q, const auto& k, const auto& v) {
            return elu_attention(q, k, v,
                                 {.causal = c.meta("op").starts_with("Causal"),
                                  .eps = c.number("eps", 1e-6),
                                  .heads = HeadLayout::inside,
                                  .lengths = c.tensor<std::int64_t, 1>("in.key_lengths")});
        });
    for (const auto& c : test::golden_cases("linear_attention/lucid_function"))
        check(c, [&](const auto& q, const auto& k, const auto& v) {
            const Index bucket = c.integer("bucket_size", 0);
            LinearAttentionOptions options{.causal = bucket > 0, .scale = 1 / std::sqrt(double(q.dim(3)))};
            if (bucket > 1) options.chunk = bucket, options.own_chunk = false;
            if (c.has("in.mask")) return efficient_attention(q, k, v, options, c.tensor<bool, 2>("in.mask"));
            return efficient_attention(q, k, v, options);
        });
    for (const auto& c : test::golden_cases("linear_attention/fast_recurrent")) {
        const auto q = elu_plus_one(c.tensor<float, 4>("in.q")), k = elu_plus_one(c.tensor<float, 4>("in.k")),
                   v = c.tensor<float, 4>("in.v");
        LinearAttentionState<float> state(q.dim(0), q.dim(2), q.dim(3), v.dim(3));
        auto y = empty<float>(v.shape());
        for (Index i = 0; i < q.dim(1); ++i) {
            const auto at = [i](const auto& x) { return view::select(x, 1, i); };
            at(y).assign(state.step(at(q), at(k), at(v)));
        }
        test::check_golden(c, "y", y);
        test::check_golden(c, "S", state.products);
        test::check_golden(c, "Z", state.sums);
    }
    for (const auto& c : test::golden_cases("linear_attention/fast_favor")) {
        auto x = autograd::leaf(c.tensor<float, 4>("in.x"));
        autograd::Tape tape;
        const auto y = favor_features(x, c.tensor<float, 2>("buffer.omega"), {.stabilize = c.flag("stabilize", false)});
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, 4>("r.y"));
        test::check_golden_grad(c, "in.x", autograd::grad(x));
    }
}

TEST_CASE("linear attention: worked example; random features approach softmax") {
    const Tensor<double, 4> q{{{{1, 0}, {0, 1}}}}, k{{{{1, 0}, {0.5, 0.5}}}}, v{{{{1, 2}, {3, 4}}}};
    const auto first = [](const auto& y) { return std::array{y(0, 0, 0, 0), y(0, 0, 1, 0)}; };
    const auto close = [](std::array<double, 2> a, double x, double y) {
        return std::abs(a[0] - x) < 6e-5 && std::abs(a[1] - y) < 6e-5;
    };
    CHECK(close(first(elu_attention(q, k, v)), 1.9474, 2.0588));
    CHECK(close(first(elu_attention(q, k, v, {.causal = true})), 1.0000, 2.0588));
    CHECK(close(first(efficient_attention(q, k, v)), 1.8868, 2.1132));
    CHECK(close(first(taylor_attention(q, k, v)), 1.9210, 2.2612));
    random::Rng rng(3);
    const auto w = favor_projection<double>(2, 4000, rng);
    CHECK(std::abs(w(0, 0) * w(0, 1) + w(1, 0) * w(1, 1)) < 1e-12);  // orthogonal in pairs
    const auto y = linear_attention(favor_features(q, w, {.stabilize = true}), favor_features(k, w), v);
    CHECK(std::abs(y(0, 0, 0, 0) - 1.8250) < 0.02);
    CHECK(std::abs(y(0, 0, 1, 0) - 2.1750) < 0.02);
}

TEST_CASE("linear attention: errors") {
    const auto x = zeros<float>(Shape{1, 2, 3, 4});
    CHECK(test::message_of<ShapeError>([&] {
              linear_attention(x, zeros<float>(Shape{1, 2, 3, 5}), x);
          }) ==
          "linear_attention: query and key must have the same number of features (query [1, 2, 3, 4], key [1, 2, 3, 5],"
          " value [1, 2, 3, 4])");
    const auto longer = zeros<float>(Shape{1, 2, 5, 4});
    CHECK(
        test::message_of<ShapeError>([&] { linear_attention(x, longer, longer, {.causal = true}); }) ==
        "linear_attention: causal needs as many queries as keys (query [1, 2, 3, 4], key [1, 2, 5, 4], value [1, 2, 5,"
        " 4])");
    CHECK(test::message_of<ValueError>([&] { linear_attention(x, x, x, {.chunk = 0}); }) ==
          "linear_attention: chunk must be at least 1 but is 0");
    CHECK(test::message_of<ValueError>([&] { efficient_attention(x, x, x, {.heads = HeadLayout::inside}); }) ==
          "efficient_attention: the heads must stand outside");
}
