#include <lamina/kernels/gemm/gemm.hpp>

#include "../../support/archs.hpp"
#include "reference.hpp"

#include <doctest/doctest.h>

using namespace lamina;
using kernels::GemmShape;
using test::Layout;
using test::Operand;
using test::Result;

namespace {

/// Runs one product in all layouts of both operands and returns the largest error as a part of what is allowed.
template <class Arch, class T>
double worst_of_layouts(Index m, Index n, Index k, bool accumulate) {
    double worst = 0;
    for (const Layout la : test::layouts)
        for (const Layout lb : test::layouts) {
            const Operand<T> a(m, k, la, 0.0), b(k, n, lb, 1.0);
            Result<T> c(m, n);
            kernels::gemm<Arch>(GemmShape{m, n, k}, a.view, b.view, c.buffer.data(), c.stride, accumulate);
            const double error = c.error([&](Index i, Index j) {
                return test::dot(a, b, k, i, j) + (accumulate ? double(Result<T>::garbage) : 0.0);
            });
            worst = std::max(worst, error / (test::tolerance<T>(k) * (accumulate ? 800 : 1)));
            if (!c.guards_stand()) return std::numeric_limits<double>::infinity();
        }
    return worst;
}

}  // namespace

TEST_CASE_TEMPLATE("gemm: every layout, sizes around the edges of tiles, every instruction set", Arch,
                   LAMINA_TEST_ARCHS) {
    constexpr Index rows = kernels::detail::tile_rows<Arch>, width = simd::Vec<float, Arch>::width;
    for (const Index m : {Index(1), Index(2), rows - 1, rows, rows + 1, 3 * rows + 1})
        for (const Index n : {Index(1), width - 1, width, width + 1, 2 * width, 2 * width + 1, 5 * width - 1})
            for (const Index k : {1, 2, 17, 40}) {
                CAPTURE(m);
                CAPTURE(n);
                CAPTURE(k);
                CHECK(worst_of_layouts<Arch, float>(m, n, k, false) < 1);
                if (k == 17) CHECK(worst_of_layouts<Arch, double>(m, n, k, true) < 1);
            }
}

TEST_CASE_TEMPLATE("gemm: several passes over k and blocks of columns (large)", T, float, double) {
    for (const GemmShape& shape :
         {GemmShape{150, 70, 700}, GemmShape{113, 33, 1500}, GemmShape{30, 100, 701}, GemmShape{120, 600, 1300},
          GemmShape{16, 96, 1024}, GemmShape{130, 128, 1024}, GemmShape{200, 3, 50}, GemmShape{3, 200, 2600}}) {
        const Index m = shape.m, n = shape.n, k = shape.k;
        CAPTURE(m);
        CAPTURE(n);
        CAPTURE(k);
        CHECK(worst_of_layouts<simd::native, T>(m, n, k, false) < 1);
        CHECK(worst_of_layouts<simd::native, T>(m, n, k, true) < 1);
    }
}

TEST_CASE("gemm: empty extents write nothing, k = 0 gives zeros and the epilogue") {
    const Operand<float> none(40, 40, Layout::rows, 0);
    for (const auto& [m, n] : {std::pair<Index, Index>{0, 5}, {5, 0}, {0, 0}}) {
        Result<float> c(5, 5);
        kernels::gemm(GemmShape{m, n, 7}, none.view, none.view, c.buffer.data(), c.stride);
        CHECK(c.error([](Index, Index) { return -777.0; }) == 0);
    }
    for (const Index m : {1, 20, 130}) {
        Result<float> c(m, 37);
        const std::vector<float> bias(37, 2.5f);
        kernels::gemm(GemmShape{m, 37, 0}, none.view, none.view, c.buffer.data(), c.stride, false,
                      kernels::BiasColumns{bias.data()});
        CHECK(c.error([](Index, Index) { return 2.5; }) == 0);
        kernels::gemm(GemmShape{m, 37, 0}, none.view, none.view, c.buffer.data(), c.stride, true);
        CHECK(c.error([](Index, Index) { return 2.5; }) == 0);
    }
}

TEST_CASE_TEMPLATE("gemm: epilogues see rows, columns and the finished sum", Arch, LAMINA_TEST_ARCHS) {
    for (const GemmShape& shape : {GemmShape{1, 45, 20}, GemmShape{45, 1, 20}, GemmShape{29, 45, 700},
                                   GemmShape{130, 77, 1400}, GemmShape{7, 7, 7}}) {
        const Index m = shape.m, n = shape.n, k = shape.k;
        const Operand<float> a(m, k, Layout::rows, 0), b(k, n, Layout::rows, 1), residual(m, n, Layout::rows, 2);
        std::vector<float> columns, rows;
        for (Index j = 0; j < n; ++j) columns.push_back(float(j));
        for (Index i = 0; i < m; ++i) rows.push_back(float(3 * i));
        const kernels::Then epilogue{
            kernels::Then{kernels::Then{kernels::BiasColumns{columns.data()}, kernels::BiasRows{rows.data()}},
                          kernels::AddMatrix{residual.view.data, residual.view.row_stride}},
            kernels::Apply{[](auto x) LAMINA_INLINE_LAMBDA { return x * x; }}};
        Result<float> c(m, n);
        kernels::gemm<Arch>(GemmShape{m, n, k}, a.view, b.view, c.buffer.data(), c.stride, false, epilogue);
        const double error = c.error([&](Index i, Index j) {
            const double x = test::dot(a, b, k, i, j) + double(j) + double(3 * i) + residual.at(i, j);
            return x * x;
        });
        CHECK(error < 1e-6 * 600 * 600);
        CHECK(c.guards_stand());
    }
    Result<float> c(20, 20);
    const Operand<float> a(20, 20, Layout::rows, 0);
    const kernels::Then nothing{kernels::BiasColumns<float>{nullptr}, kernels::BiasRows<float>{nullptr}};
    kernels::gemm<Arch>(GemmShape{20, 20, 20}, a.view, a.view, c.buffer.data(), c.stride, false, nothing);
    CHECK(c.error([&](Index i, Index j) { return test::dot(a, a, 20, i, j); }) < test::tolerance<float>(20));
}

TEST_CASE("gemm: infinities and NaN stay in their row and column") {
    for (const Index m : {5, 140}) {
        const Index n = 39, k = 50;
        Operand<float> a(m, k, Layout::rows, 0);
        const Operand<float> b(k, n, Layout::columns, 1);
        a.buffer[std::size_t(2 * a.view.row_stride + 7)] = std::numeric_limits<float>::infinity();
        a.buffer[std::size_t(3 * a.view.row_stride + 8)] = std::numeric_limits<float>::quiet_NaN();
        Result<float> c(m, n);
        kernels::gemm(GemmShape{m, n, k}, a.view, b.view, c.buffer.data(), c.stride);
        CHECK(c.error([&](Index i, Index j) { return test::dot(a, b, k, i, j); }) < test::tolerance<float>(k));
        CHECK(std::isinf(c(2, 5)));
        CHECK(std::isnan(c(3, 5)));
    }
}

TEST_CASE("gemm: 1, 2 and 3 threads give the same bits (large)") {
    for (const GemmShape& shape : {GemmShape{1, 3000, 500}, GemmShape{3000, 1, 500}, GemmShape{100, 700, 400},
                                   GemmShape{700, 100, 1500}, GemmShape{131, 333, 1301}, GemmShape{1, 500, 3001}})
        for (const Layout lb : test::layouts) {
            const Index m = shape.m, n = shape.n, k = shape.k;
            const Operand<float> a(m, k, Layout::rows, 0), b(k, n, lb, 1);
            Result<float> c[] = {{m, n}, {m, n}, {m, n}};
            const int before = parallel::num_threads();
            for (int t = 0; t < 3; ++t) {
                parallel::set_num_threads(t + 1);
                kernels::gemm(GemmShape{m, n, k}, a.view, b.view, c[t].buffer.data(), c[t].stride);
            }
            parallel::set_num_threads(before);
            CHECK(c[0].buffer == c[1].buffer);
            CHECK(c[0].buffer == c[2].buffer);
        }
}
