#include <lamina/autograd/gradcheck.hpp>
#include <lamina/core/view.hpp>
#include <lamina/ops/linear.hpp>
#include <lamina/ops/matmul.hpp>
#include <lamina/ops/permute.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

/// Naive product of matrices with broadcast batch dimensions.
template <int R>
Tensor<double, R> naive(const Tensor<double, R>& a, const Tensor<double, R>& b) {
    Shape<R> shape = a.shape();
    for (int d = 0; d < R - 2; ++d) shape[d] = std::max(a.dim(d), b.dim(d));
    shape[R - 1] = b.dim(R - 1);
    auto c = zeros<double>(shape);
    double* out = c.mutable_data();
    test::for_each_index(shape, [&](std::array<Index, std::size_t(R)> index) {
        double sum = 0;
        for (Index k = 0; k < a.dim(R - 1); ++k) {
            Index pa = k * a.strides()[R - 1] + index[R - 2] * a.strides()[R - 2];
            Index pb = k * b.strides()[R - 2] + index[R - 1] * b.strides()[R - 1];
            for (std::size_t d = 0; d + 2 < std::size_t(R); ++d) {
                pa += (a.shape()[int(d)] == 1 ? 0 : index[d]) * a.strides()[d];
                pb += (b.shape()[int(d)] == 1 ? 0 : index[d]) * b.strides()[d];
            }
            sum += a.data()[pa] * b.data()[pb];
        }
        *out++ = sum;
    });
    return c;
}

const auto product = [](const auto& a, const auto& b) { return matmul(a, b); };

}  // namespace

TEST_CASE("matmul: matrices, batches and broadcast batches agree with the naive loops") {
    for (Index n : {1, 3, 16, 17, 33}) {
        const auto a = test::wave<double>(Shape{5, n}), b = test::wave<double>(Shape{n, 7}, 1);
        CHECK(test::max_error(matmul(a, b), naive(a, b)) < 1e-13 * double(n));
        const auto batch_a = test::wave<double>(Shape{2, 1, 4, n}), batch_b = test::wave<double>(Shape{1, 3, n, 2}, 1);
        CHECK(test::max_error(matmul(batch_a, batch_b), naive(batch_a, batch_b)) < 1e-13 * double(n));
    }
}

TEST_CASE("matmul: strided views are read in place or copied, with equal results") {
    const auto a = view::transpose(test::wave<double>(Shape{6, 5}), 0, 1);
    const auto b = view::slice(test::wave<double>(Shape{6, 9}, 1), 1, 1, 9, 2);
    CHECK(test::max_error(matmul(a, b), naive(a, b)) < 1e-13);
    const auto heads = view::permute(test::wave<double>(Shape{2, 4, 3, 5}), {0, 2, 1, 3});
    const auto keys = view::permute(test::wave<double>(Shape{2, 4, 3, 5}, 1), {0, 2, 3, 1});
    CHECK(test::max_error(matmul(heads, keys), naive(heads, keys)) < 1e-13);
}

TEST_CASE("matmul: vectors are rows on the left and columns on the right") {
    const auto v = test::wave<double>(Shape{4});
    const auto m = test::wave<double>(Shape{4, 3}, 1);
    CHECK(matmul(v, v).shape() == Shape<0>{});
    CHECK(matmul(v, m).shape() == Shape{3});
    CHECK(matmul(view::transpose(m, 0, 1), v).shape() == Shape{3});
    CHECK(test::max_error(matmul(v, m), matmul(view::transpose(m, 0, 1), v)) < 1e-15);
    CHECK(matmul(test::wave<double>(Shape{2, 5, 4}), v).shape() == Shape{2, 5});
}

TEST_CASE("matmul: empty extents give zeros or nothing") {
    CHECK(test::bitwise_equal(matmul(zeros<float>(Shape{2, 0}), zeros<float>(Shape{0, 3})), zeros<float>(Shape{2, 3})));
    CHECK(matmul(zeros<float>(Shape{0, 2}), zeros<float>(Shape{2, 3})).shape() == Shape{0, 3});
    CHECK(matmul(zeros<float>(Shape{0, 2, 2}), zeros<float>(Shape{2, 3})).shape() == Shape{0, 2, 3});
    const auto x = autograd::leaf(ones<double>(Shape{1, 2, 2}));
    autograd::Tape tape;
    const auto y = matmul(x, zeros<double>(Shape{0, 2, 3}));
    tape.backward(y, zeros<double>(Shape{0, 2, 3}));
    CHECK(test::bitwise_equal(autograd::grad(x), zeros<double>(Shape{1, 2, 2})));
}

TEST_CASE("matmul: gradients match finite differences for every combination of ranks") {
    const auto w = [](auto shape, double phase) { return test::wave<double>(shape, phase); };
    CHECK(autograd::gradcheck(product, w(Shape{3, 4}, 0), w(Shape{4, 5}, 1)) < 1e-8);
    CHECK(autograd::gradcheck(product, w(Shape{2, 1, 3, 4}, 0), w(Shape{3, 4, 5}, 1)) < 1e-8);
    CHECK(autograd::gradcheck(product, w(Shape{2, 3, 4}, 0), w(Shape{4, 5}, 1)) < 1e-8);
    CHECK(autograd::gradcheck(product, w(Shape{4}, 0), w(Shape{2, 4, 5}, 1)) < 1e-8);
    CHECK(autograd::gradcheck(product, w(Shape{2, 3, 4}, 0), w(Shape{4}, 1)) < 1e-8);
    CHECK(autograd::gradcheck(product, w(Shape{4}, 0), w(Shape{4}, 1)) < 1e-8);
    CHECK(autograd::gradcheck(product, view::transpose(w(Shape{4, 3}, 0), 0, 1),
                              view::slice(w(Shape{4, 9}, 1), 1, 0, 9, 2)) < 1e-8);
    const auto turned = [](const auto& a, const auto& b) { return matmul(transpose(a, 0, 1), transpose(b, 0, 2)); };
    CHECK(autograd::gradcheck(turned, w(Shape{4, 3}, 0), w(Shape{5, 4, 2}, 1)) < 1e-8);
}

TEST_CASE("matmul: shapes that do not fit are named") {
    CHECK(test::message_of<ShapeError>([] {
              matmul(zeros<float>(Shape{2, 3}), zeros<float>(Shape{2, 3}));
          }) == "matmul: columns of the first must equal rows of the second but are 3 and 2 ([2, 3] and [2, 3])");
    CHECK(test::message_of<ShapeError>([] {
              matmul(zeros<float>(Shape{5, 2, 3}), zeros<float>(Shape{2, 3}));
          }) == "matmul: columns of the first must equal rows of the second but are 3 and 2 ([5, 2, 3] and [2, 3])");
    CHECK(test::message_of<ShapeError>([] {
              matmul(zeros<float>(Shape{2, 2, 3}), zeros<float>(Shape{3, 3, 1}));
          }) == "matmul: shapes must broadcast but dimension 0 is 2 and 3 ([2] and [3])");
}

TEST_CASE("linear: values, gradients and errors") {
    const auto x = test::wave<double>(Shape{2, 3, 4});
    const auto w = test::wave<double>(Shape{5, 4}, 1);
    const auto b = test::wave<double>(Shape{5}, 2);
    const auto y = linear(x, w, b);
    for (Index i = 0; i < 2; ++i)
        for (Index j = 0; j < 3; ++j)
            for (Index o = 0; o < 5; ++o) {
                double sum = b(o);
                for (Index k = 0; k < 4; ++k) sum += x(i, j, k) * w(o, k);
                CHECK(y(i, j, o) == doctest::Approx(sum).epsilon(1e-13));
            }
    const auto with_bias = [](const auto& a, const auto& c, const auto& d) { return linear(a, c, d); };
    const auto without = [](const auto& a, const auto& c) { return linear(a, c); };
    CHECK(autograd::gradcheck(with_bias, x, w, b) < 1e-8);
    CHECK(autograd::gradcheck(without, view::transpose(test::wave<double>(Shape{4, 3}), 0, 1),
                              view::transpose(test::wave<double>(Shape{4, 5}), 0, 1)) < 1e-8);
    CHECK(linear(zeros<float>(Shape{0, 4}), zeros<float>(Shape{5, 4})).shape() == Shape{0, 5});
    CHECK(test::message_of<ShapeError>([] {
              linear(zeros<float>(Shape{2, 3}), zeros<float>(Shape{2, 4}));
          }) == "linear: input must end in 4 features but ends in 3 (input [2, 3], weight [2, 4])");
    CHECK(test::message_of<ShapeError>([] {
              linear(zeros<float>(Shape{2, 4}), zeros<float>(Shape{2, 4}), zeros<float>(Shape{3}));
          }) == "linear: bias must have 2 elements but has 3 (weight [2, 4])");
}

TEST_CASE("column_sum: agrees with a sum in double at any number of threads") {
    const auto threads = parallel::num_threads();
    for (Index rows : {0, 1, 7, 8, 9, 1500})
        for (Index columns : {1, 15, 16, 17, 300}) {
            const auto x = test::wave<float>(Shape{rows, columns});
            auto sum = full<float>(Shape{columns}, 2), one = sum.clone();
            parallel::set_num_threads(3);
            kernels::column_sum(rows, columns, x.data(), sum.mutable_data(), true);
            parallel::set_num_threads(1);
            kernels::column_sum(rows, columns, x.data(), one.mutable_data(), true);
            parallel::set_num_threads(threads);
            CHECK(test::bitwise_equal(sum, one));
            for (Index j = 0; j < columns; ++j) {
                double expected = 2;
                for (Index i = 0; i < rows; ++i) expected += x(i, j);
                CHECK(sum(j) == doctest::Approx(expected).epsilon(1e-5));
            }
        }
}

namespace {

template <int A, int B>
void check_matmul(const test::GoldenCase& c) {
    const auto a = autograd::leaf(c.tensor<float, A>("in.a"));
    const auto b = autograd::leaf(c.tensor<float, B>("in.b"));
    autograd::Tape tape;
    const auto y = matmul(a, b);
    test::check_golden(c, "y", y);
    constexpr int R = std::decay_t<decltype(y)>::rank;
    tape.backward(y, c.tensor<float, R>("r.y"));
    test::check_golden_grad(c, "in.a", autograd::grad(a));
    test::check_golden_grad(c, "in.b", autograd::grad(b));
}

template <int R>
void check_linear(const test::GoldenCase& c) {
    const auto x = autograd::leaf(c.tensor<float, R>("in.x"));
    const auto w = autograd::leaf(c.tensor<float, 2>("in.weight"));
    Tensor<float, 1> b;
    if (c.has("in.bias")) b = autograd::leaf(c.tensor<float, 1>("in.bias"));
    autograd::Tape tape;
    const auto y = b.defined() ? linear(x, w, b) : linear(x, w);
    test::check_golden(c, "y", y);
    tape.backward(y, c.tensor<float, R>("r.y"));
    test::check_golden_grad(c, "in.x", autograd::grad(x));
    test::check_golden_grad(c, "in.weight", autograd::grad(w));
    if (b.defined()) test::check_golden_grad(c, "in.bias", autograd::grad(b));
}

}  // namespace

TEST_CASE("matmul, linear: golden values and gradients") {
    for (const auto& c : test::golden_cases("ops/matmul")) {
        CAPTURE(c.name());
        const int a = c.rank("in.a"), b = c.rank("in.b");
        if (a == 1 && b == 1) check_matmul<1, 1>(c);
        else if (a == 1 && b == 2) check_matmul<1, 2>(c);
        else if (a == 1 && b == 3) check_matmul<1, 3>(c);
        else if (a == 3 && b == 1) check_matmul<3, 1>(c);
        else if (a == 3 && b == 4) check_matmul<3, 4>(c);
        else if (a == 2 && b == 4) check_matmul<2, 4>(c);
        else if (a == 4 && b == 2) check_matmul<4, 2>(c);
        else if (a == 2 && b == 1) check_matmul<2, 1>(c);
        else if (a == 2 && b == 2) check_matmul<2, 2>(c);
        else if (a == 3 && b == 3) check_matmul<3, 3>(c);
        else if (a == 4 && b == 3) check_matmul<4, 3>(c);
        else if (a == 3 && b == 2) check_matmul<3, 2>(c);
        else if (a == 4 && b == 4) check_matmul<4, 4>(c);
        else if (a == 2 && b == 3) check_matmul<2, 3>(c);
        else FAIL("no test for these ranks");
    }
    for (const auto& c : test::golden_cases("ops/linear")) {
        CAPTURE(c.name());
        if (c.rank("in.x") == 1) check_linear<1>(c);
        else if (c.rank("in.x") == 2) check_linear<2>(c);
        else if (c.rank("in.x") == 4) check_linear<4>(c);
        else if (c.rank("in.x") == 3) check_linear<3>(c);
        else FAIL("no test for this rank");
    }
}
