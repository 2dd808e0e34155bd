// Attention with weights other than softmax, against matrices of them, and its gradients.
#include <lamina/autograd/gradcheck.hpp>
#include <lamina/ops/attention.hpp>
#include <lamina/ops/matmul.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using autograd::gradcheck;

namespace {

double weigh(Weighing how, double s) {
    if (how == Weighing::relu_squared) return s > 0 ? s * s : 0;
    return 0.5 * (1 + std::erf((s - std::sqrt(0.5)) / (std::sqrt(1 / (4 * 3.14159265358979323846)) * std::sqrt(2.0))));
}

template <class T>
Tensor<double, 4> naive(const Tensor<T, 4>& q, const Tensor<T, 4>& k, const Tensor<T, 4>& v, const Tensor<T, 4>& bias,
                        const AttentionOptions& options) {
    auto y = zeros<double>(Shape{q.dim(0), q.dim(1), q.dim(2), v.dim(3)});
    test::for_each_index(Shape{q.dim(0), q.dim(1), q.dim(2)}, [&](const auto& at) {
        const Index b = at[0], h = at[1], i = at[2];
        Index count = 0;
        for (Index j = 0; j < k.dim(2); ++j) {
            if (options.causal != Causal::none && j > i) continue;
            double s = 0;
            for (Index f = 0; f < q.dim(3); ++f) s += double(q(b, h, i, f)) * double(k(b, h, j, f));
            s *= options.scale;
            if (bias.defined()) s += double(bias(0, 0, i, j));
            if (std::isinf(s)) continue;
            ++count;
            for (Index f = 0; f < v.dim(3); ++f)
                y.mutable_at(b, h, i, f) += weigh(options.weighing, s) * double(v(b, h, j, f));
        }
        for (Index f = 0; options.average && count > 0 && f < v.dim(3); ++f) y.mutable_at(b, h, i, f) /= double(count);
    });
    return y;
}

}  // namespace

TEST_CASE("attention: squared ReLU and Laplace weights") {
    for (Weighing how : {Weighing::relu_squared, Weighing::laplace})
        for (Index n : {1, 3, 33, 130})
            for (bool average : {false, true})
                for (int kind = 0; kind < 3; ++kind) {
                    CAPTURE(n);
                    CAPTURE(kind);
                    const auto q = test::wave<float>(Shape{2, 1, n, 6}), k = test::wave<float>(Shape{2, 1, n, 6}, 1),
                               v = test::wave<float>(Shape{2, 1, n, 256}, 2);  // V is copied: its rows crowd the cache
                    Tensor<float, 4> bias;
                    if (kind == 1) {
                        bias = test::wave<float>(Shape{1, 1, n, n}, 3);
                        for (Index i = 0; i < bias.numel(); i += 3) bias.mutable_data()[i] = -INFINITY;
                    }
                    const AttentionOptions options{.causal = kind == 2 ? Causal::top_left : Causal::none,
                                                   .scale = 0.8,
                                                   .weighing = how,
                                                   .average = average};
                    const auto y = bias.defined() ? scaled_dot_product_attention(q, k, v, bias, options)
                                                  : scaled_dot_product_attention(q, k, v, options);
                    const auto expected = naive(q, k, v, bias, options);
                    CHECK(test::max_error(y, expected) <= 2e-6 * double(average ? 1 : n));
                }
}

TEST_CASE("attention: worked examples of squared ReLU and Laplace") {
    const Tensor<double, 4> q{{{{1, 0}, {0, 1}}}}, k{{{{1, 0}, {0.5, 0.5}}}}, v{{{{1, 2}, {3, 4}}}};
    const auto y = scaled_dot_product_attention(q, k, v, {.scale = 1, .weighing = Weighing::relu_squared});
    CHECK(std::abs(y(0, 0, 0, 0) / 4 - 0.4375) < 1e-15);
    CHECK(std::abs(y(0, 0, 0, 1) / 4 - 0.75) < 1e-15);
    CHECK(std::abs(y(0, 0, 1, 0) / 4 - 0.1875) < 1e-15);
    const Tensor<double, 4> one{{{{1}}}};
    const double x[] = {-0.5, 0, 0.5, 1}, expected[] = {9.38328e-06, 0.0060944411, 0.23142122, 0.85043001};
    for (int i = 0; i < 4; ++i) {
        const auto w = scaled_dot_product_attention(full<double>(one.shape(), x[i]), one, one,
                                                    {.scale = 1, .weighing = Weighing::laplace});
        CHECK(std::abs(w(0, 0, 0, 0) - expected[i]) < 6e-9);
    }
}

TEST_CASE("attention: gradients of squared ReLU and Laplace weights") {
    const auto q = test::wave<double>(Shape{1, 2, 9, 3}), k = test::wave<double>(Shape{1, 2, 9, 3}, 1),
               v = test::wave<double>(Shape{1, 2, 9, 4}, 2), bias = test::wave<double>(Shape{1, 1, 9, 9}, 3);
    for (Weighing how : {Weighing::relu_squared, Weighing::laplace}) {
        const AttentionOptions options{.causal = Causal::top_left, .weighing = how, .average = true};
        CHECK(gradcheck([&](const auto& a, const auto& b,
                            const auto& c) { return scaled_dot_product_attention(a, b, c, options); },
                        q, k, v) < 1e-7);
        const AttentionOptions biased{.weighing = how};
        CHECK(gradcheck([&](const auto& a, const auto& b, const auto& c,
                            const auto& d) { return scaled_dot_product_attention(a, b, c, d, biased); },
                        q, k, v, bias) < 1e-7);
    }
}

TEST_CASE("attention: the gradient of a bias that many heads share") {
    const auto q = test::wave<double>(Shape{5, 2, 6, 3}), k = test::wave<double>(Shape{5, 2, 4, 3}, 1),
               v = test::wave<double>(Shape{5, 2, 4, 2}, 2);
    for (const Shape<4>& shape :
         {Shape<4>{1, 1, 6, 4}, Shape<4>{1, 2, 1, 4}, Shape<4>{5, 1, 6, 4}, Shape<4>{5, 2, 6, 4}})
        CHECK(gradcheck([&](const auto& bias) { return scaled_dot_product_attention(q, k, v, bias); },
                        test::wave<double>(shape, 3)) < 1e-7);
}
