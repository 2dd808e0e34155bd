// Softmax and log_softmax against sums in double, for every instruction set, shape and special value.
#include <lamina/autograd/gradcheck.hpp>
#include <lamina/ops/shape.hpp>
#include <lamina/ops/softmax.hpp>
#include <tests/support/archs.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using autograd::gradcheck;

namespace {

const float infinity = std::numeric_limits<float>::infinity();

/// Largest error of y against softmax, or its logarithm, computed in double.
template <class T>
double error_against_naive(const kernels::ReduceGeometry& g, const T* x, const T* y, bool logarithm) {
    double worst = 0;
    for (Index o = 0; o < g.outer; ++o)
        for (Index i = 0; i < g.inner; ++i) {
            const auto at = [&](Index c) { return (o * g.count + c) * g.inner + i; };
            double top = -INFINITY, sum = 0;
            for (Index c = 0; c < g.count; ++c) top = std::max(top, double(x[at(c)]));
            for (Index c = 0; c < g.count; ++c) sum += std::exp(double(x[at(c)]) - top);
            for (Index c = 0; c < g.count; ++c) {
                const double log_y = double(x[at(c)]) - top - std::log(sum);
                worst = std::max(worst, test::error_of(double(y[at(c)]), logarithm ? log_y : std::exp(log_y)));
            }
        }
    return worst;
}

}  // namespace

TEST_CASE_TEMPLATE("softmax kernels: every instruction set agrees with naive sums", Arch, LAMINA_TEST_ARCHS) {
    for (Index outer : {1, 3})
        for (Index inner : {1, 2, 15, 16, 17, 33, 64, 65, 130})
            for (Index count : {1, 2, 3, 4, 7, 8, 15, 16, 17, 33, 65, 200}) {
                CAPTURE(outer);
                CAPTURE(inner);
                CAPTURE(count);
                const kernels::ReduceGeometry g{outer, count, inner};
                auto x = test::wave<float>(Shape{g.inputs()}), y = empty_like(x);
                for (Index i = 0; i < x.numel(); ++i) x.mutable_data()[i] *= 10;
                kernels::softmax_forward<Arch>(g, x.data(), y.mutable_data());
                REQUIRE(error_against_naive(g, x.data(), y.data(), false) < 4e-7);
                kernels::log_softmax_forward<Arch>(g, x.data(), y.mutable_data());
                REQUIRE(error_against_naive(g, x.data(), y.data(), true) < 4e-6);
            }
}

TEST_CASE("softmax: outputs large enough for streaming stores, rows that are not whole lines (large)") {
    const auto x = test::wave<float>(Shape{1030, 1027});
    const auto y = softmax(x, 1), z = log_softmax(x, 1);
    const kernels::ReduceGeometry g{1030, 1027, 1};
    CHECK(error_against_naive(g, x.data(), y.data(), false) < 1e-8);
    CHECK(error_against_naive(g, x.data(), z.data(), true) < 3e-6);
}

TEST_CASE("softmax: special values") {
    const auto row = [](std::initializer_list<float> values) {
        auto x = empty<float>(Shape{Index(values.size())});
        std::copy(values.begin(), values.end(), x.mutable_data());
        return x;
    };
    for (const auto& x : {row({-infinity, -infinity}), row({0, infinity, 1}), row({0, NAN, 1})})
        for (Index i = 0; i < x.numel(); ++i) {
            CHECK(std::isnan(softmax(x, 0)(i)));
            CHECK(std::isnan(log_softmax(x, 0)(i)));
            CHECK(std::isnan(softmax(unsqueeze(x, 1), 0)(i, 0)));
        }
    const auto masked = softmax(row({-infinity, 0, 0}), 0);
    CHECK(masked(0) == 0);
    CHECK(masked(1) == 0.5f);
    CHECK(log_softmax(row({-infinity, 0}), 0)(0) == -infinity);
    CHECK(log_softmax(row({1e4f, 0}), 0)(1) == -1e4f);
    CHECK(softmax(row({1e4f, -1e4f}), 0)(0) == 1);
    CHECK(softmax(zeros<float>(Shape{0, 3}), 0).shape() == Shape{0, 3});
    CHECK(softmax(zeros<float>(Shape{3, 0}), -2).numel() == 0);
    CHECK(softmax(Tensor<float, 0>(5.0f), 0).item() == 1);
    CHECK(test::message_of<ValueError>([] {
              softmax(zeros<float>(Shape{2, 2}), 2);
          }) == "softmax: dim must lie in [-2, 1] but is 2");
    CHECK(test::message_of<ValueError>([] {
              log_softmax(zeros<float>(Shape{2, 2}), -3);
          }) == "log_softmax: dim must lie in [-2, 1] but is -3");
}

TEST_CASE("softmax: gradients match finite differences along every dimension") {
    for (Index dim : {0, 1, 2}) {
        const auto x = test::wave<double>(Shape{3, 5, 4});
        CHECK(gradcheck([=](const auto& t) { return softmax(t, dim); }, x) < 1e-7);
        CHECK(gradcheck([=](const auto& t) { return log_softmax(t, dim); }, x) < 1e-7);
        CHECK(gradcheck(
                  [=](const auto& t) {
                      return cat({softmax(t, dim), log_softmax(t, dim)});
                  },
                  view::transpose(x, 0, 2)) < 1e-7);
    }
}

TEST_CASE("softmax: the same bits on 1 and 3 threads; nothing recorded without a tape") {
    auto x = autograd::leaf(test::wave<float>(Shape{64, 40, 33}));
    for (Index dim : {0, 1, 2}) {
        const int before = parallel::num_threads();
        parallel::set_num_threads(1);
        const auto one = softmax(x, dim), log_one = log_softmax(x, dim);
        parallel::set_num_threads(3);
        CHECK(test::bitwise_equal(one, softmax(x, dim)));
        CHECK(test::bitwise_equal(log_one, log_softmax(x, dim)));
        parallel::set_num_threads(before);
        CHECK(!one.grad_link());
        CHECK(!log_one.grad_link());
    }
}

namespace {

template <int R, class F>
void check_case(const test::GoldenCase& c, F&& f) {
    const auto x = autograd::leaf(c.tensor<float, R>("in.x"));
    autograd::Tape tape;
    const auto y = f(x, c.integer("dim", -1));
    test::check_golden(c, "y", y);
    tape.backward(y, c.tensor<float, R>("r.y"));
    test::check_golden_grad(c, "in.x", autograd::grad(x));
}
template <class F>
void check_folder(const char* folder, F&& f) {
    for (const auto& c : test::golden_cases(folder)) {
        if (c.rank("in.x") == 2) check_case<2>(c, f);
        else if (c.rank("in.x") == 3) check_case<3>(c, f);
        else check_case<4>(c, f);
    }
}

}  // namespace

TEST_CASE("softmax, log_softmax: golden cases") {
    check_folder("ops/softmax", [](const auto& x, Index dim) { return softmax(x, dim); });
    check_folder("ops/log_softmax", [](const auto& x, Index dim) { return log_softmax(x, dim); });
}
