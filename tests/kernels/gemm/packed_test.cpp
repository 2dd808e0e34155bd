#include <lamina/kernels/gemm/gemm.hpp>

#include "../../support/archs.hpp"
#include "reference.hpp"

#include <doctest/doctest.h>

using namespace lamina;
using kernels::GemmShape;
using test::Layout;
using test::Operand;
using test::Result;

TEST_CASE_TEMPLATE("gemm_packed: a matrix packed once equals the product in every layout", Arch, LAMINA_TEST_ARCHS) {
    constexpr Index width = simd::Vec<float, Arch>::width;
    for (const Index n : {Index(1), width, width + 1, 2 * width + 1, 7 * width - 1, 19 * width + 1})
        for (const Index k : {1, 33, 1400})
            for (const Layout layout : test::layouts) {
                const Operand<float> b(k, n, layout, 1);
                const auto packed = kernels::pack_b<Arch>(k, n, b.view);
                CHECK(packed.rows() == k);
                CHECK(packed.columns() == n);
                for (const Index m : {1, 3, 31}) {
                    const Operand<float> a(m, k, Layout::rows, 0);
                    Result<float> c(m, n);
                    kernels::gemm_packed<Arch>(m, a.view, packed, c.buffer.data(), c.stride);
                    CHECK(c.error([&](Index i, Index j) { return test::dot(a, b, k, i, j); }) <
                          test::tolerance<float>(k));
                    CHECK(c.guards_stand());
                }
            }
}

TEST_CASE("gemm_packed: accumulates, runs epilogues, gives the same bits on 1 and 3 threads; packed matrices move") {
    const Index m = 150, n = 205, k = 301;
    const Operand<double> a(m, k, Layout::columns, 0), b(k, n, Layout::columns, 1);
    auto packed = kernels::pack_b(k, n, b.view);
    const double* data = packed.data();
    kernels::PackedMatrix<double> moved = std::move(packed);
    CHECK(moved.data() == data);
    CHECK(packed.empty());
    const std::vector<double> bias(std::size_t(n), 3.0);
    Result<double> one(m, n), three(m, n);
    const int before = parallel::num_threads();
    for (auto* c : {&one, &three}) {
        parallel::set_num_threads(c == &one ? 1 : 3);
        kernels::gemm_packed(m, a.view, moved, c->buffer.data(), c->stride, true, kernels::BiasColumns{bias.data()});
    }
    parallel::set_num_threads(before);
    CHECK(one.error([&](Index i, Index j) { return test::dot(a, b, k, i, j) - 777 + 3; }) < 1e-12);
    CHECK(one.buffer == three.buffer);
}

TEST_CASE("gemm_packed: one row accumulates, runs epilogues, gives the same bits on 1 and 3 threads") {
    for (const auto layout : {Layout::rows, Layout::columns})
        for (const Index k : {0, 301}) {
            const Index n = 405;
            const Operand<double> a(1, k, layout, 0), b(k, n, Layout::columns, 1);
            const auto packed = kernels::pack_b(k, n, b.view);
            const std::vector<double> bias(std::size_t(n), 3.0);
            Result<double> one(1, n), three(1, n);
            const int before = parallel::num_threads();
            for (auto* c : {&one, &three}) {
                parallel::set_num_threads(c == &one ? 1 : 3);
                kernels::gemm_packed(1, a.view, packed, c->buffer.data(), c->stride, true,
                                     kernels::BiasColumns{bias.data()});
            }
            parallel::set_num_threads(before);
            CHECK(one.error([&](Index i, Index j) { return test::dot(a, b, k, i, j) - 777 + 3; }) < 1e-12);
            CHECK(one.guards_stand());
            CHECK(one.buffer == three.buffer);
        }
}

TEST_CASE_TEMPLATE("gemm_batched: steps, shared operands, the same bits on 1 and 3 threads", Arch, LAMINA_TEST_ARCHS) {
    for (const auto& [batch, m, n, k] :
         {std::array<Index, 4>{5, 20, 33, 9}, {2, 1, 40, 50}, {0, 4, 4, 4}, {40, 17, 31, 16}, {2, 150, 260, 600}})
        for (const bool shared : {false, true}) {
            const Index rows = batch * m, b_step = shared ? 0 : k;
            const Operand<float> a(rows, k, Layout::rows, 0), b(shared ? k : batch * k, n, Layout::rows, 1);
            Result<float> one(rows, n), three(rows, n);
            const int before = parallel::num_threads();
            for (auto* c : {&one, &three}) {
                parallel::set_num_threads(c == &one ? 1 : 3);
                kernels::gemm_batched<Arch>(batch, GemmShape{m, n, k}, a.view, m * a.view.row_stride, b.view,
                                            b_step * b.view.row_stride, c->buffer.data(), c->stride, m * c->stride);
            }
            parallel::set_num_threads(before);
            const Index per_product = m, depth = k;
            const double error = one.error([&](Index i, Index j) {
                double sum = 0;
                for (Index p = 0; p < depth; ++p) sum += a.at(i, p) * b.at(i / per_product * b_step + p, j);
                return sum;
            });
            CHECK(error < test::tolerance<float>(k));
            CHECK(one.buffer == three.buffer);
        }
}
