// Gradients of tiled attention against sums in double, for every instruction set.
#include <lamina/kernels/attention/backward.hpp>
#include <tests/kernels/attention/reference.hpp>
#include <tests/support/archs.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using test::AttentionCase;

namespace {

template <class T>
struct Gradients {
    Tensor<T, 4> q, k, v, add;
};

/// By the definition, from the weights of naive sums; [batch, heads, rows, width].
template <class T>
Gradients<double> naive(const AttentionCase<T>& c, const Tensor<T, 4>& d_o) {
    const auto& g = c.g;
    const auto p = c.problem();
    Gradients<double> out{zeros<double>(Shape{g.batch, g.heads, g.queries, g.width}),
                          zeros<double>(Shape{g.batch, g.kv_heads, g.keys, g.width}),
                          zeros<double>(Shape{g.batch, g.kv_heads, g.keys, g.value_width}),
                          zeros<double>(Shape{Index(1), g.heads, g.queries, g.keys})};
    test::for_each_index(Shape{g.batch, g.heads, g.queries}, [&](const auto& at) {
        const Index b = at[0], h = at[1], i = at[2], kv = p.kv_head(h);
        const auto w = c.weights(b, h, i, false), kept = c.weights(b, h, i);
        std::vector<double> dw(w.size());
        double delta = 0;
        for (Index j = 0; j < g.keys; ++j) {
            const auto u = std::size_t(j);
            if (w[u] == 0) continue;
            for (Index f = 0; f < g.value_width; ++f) {
                dw[u] += double(d_o(b, h, i, f)) * double(p.v.at(b, kv, j)[f]);
                out.v.mutable_at(b, kv, j, f) += kept[u] * double(d_o(b, h, i, f));
            }
            dw[u] *= kept[u] / w[u];
            delta += dw[u] * w[u];
        }
        for (Index j = 0; j < g.keys; ++j) {
            const auto u = std::size_t(j);
            const double ds = w[u] * (dw[u] - delta);
            if (w[u] == 0) continue;
            out.add.mutable_at(0, h, i, j) += ds;
            for (Index f = 0; f < g.width; ++f) {
                out.q.mutable_at(b, h, i, f) += ds * double(p.rule.scale) * double(p.k.at(b, kv, j)[f]);
                out.k.mutable_at(b, kv, j, f) += ds * double(p.rule.scale) * double(p.q.at(b, h, i)[f]);
            }
        }
    });
    return out;
}

template <class Arch, class T>
Gradients<T> run(const AttentionCase<T>& c, const Tensor<T, 4>& d_o, bool mask, T fill = T(NAN)) {
    const auto& g = c.g;
    auto stats = full<T>(Shape{g.batch, g.heads, g.queries}, T(NAN));
    const auto o = c.template run<Arch>(stats.mutable_data());
    Gradients<T> out{full<T>(c.shape(g.heads, g.queries, g.width), fill),
                     full<T>(c.shape(g.kv_heads, g.keys, g.width), fill),
                     full<T>(c.shape(g.kv_heads, g.keys, g.value_width), fill),
                     zeros<T>(Shape{Index(1), g.heads, g.queries, g.keys})};
    const auto to = [&](Tensor<T, 4>& x, Index heads, Index rows, Index width) {
        const auto at = c.rows(x, heads, rows, width);
        return kernels::HeadRows<T>{x.mutable_data(), at.batch_stride, at.head_stride, at.row_stride};
    };
    kernels::AttentionGradients<T> grads{to(out.q, g.heads, g.queries, g.width),
                                         to(out.k, g.kv_heads, g.keys, g.width),
                                         to(out.v, g.kv_heads, g.keys, g.value_width),
                                         {}};
    if (mask) grads.add = {out.add.mutable_data(), 0, g.queries * g.keys, g.keys, 1};
    grads.accumulate_q = grads.accumulate_k = grads.accumulate_v = fill == fill;
    const Index step = g.queries * g.value_width;
    kernels::attention_grad<Arch>(c.problem(), {o.data(), g.heads * step, step, g.value_width}, stats.data(),
                                  {d_o.data(), g.heads * step, step, g.value_width}, grads);
    out.q = c.by_head(out.q), out.k = c.by_head(out.k), out.v = c.by_head(out.v);
    return out;
}

}  // namespace

TEST_CASE_TEMPLATE("attention gradient: every instruction set agrees with naive sums", Arch, LAMINA_TEST_ARCHS) {
    for (Index n : {1, 5, 33, 150})
        for (Index m : {1, 3, 113, 130})
            for (Index d : {1, 16, 21})
                for (int kind = 0; kind < 6; ++kind) {
                    if (kind > 1 && (d == 16 || m == 3)) continue;
                    CAPTURE(n);
                    CAPTURE(m);
                    CAPTURE(d);
                    CAPTURE(kind);
                    AttentionCase<float> c({2, 2, kind == 1 ? 1 : 2, n, m, d, d == 21 ? 5 : d}, kind % 2 == 1);
                    c.use_mask(kind);
                    const auto d_o = test::wave<float>(Shape{c.g.batch, c.g.heads, n, c.g.value_width}, 3.3);
                    const auto got = run<Arch>(c, d_o, kind == 3);
                    const auto want = naive(c, d_o);
                    REQUIRE(test::max_error(got.q, want.q) < 2e-5);
                    REQUIRE(test::max_error(got.k, want.k) < 3e-5);
                    REQUIRE(test::max_error(got.v, want.v) < 3e-5);
                    if (kind == 3) REQUIRE(test::max_error(got.add, want.add) < 2e-5);
                }
}

TEST_CASE("attention gradient: double, keys in parts, sums into what is there, dropout (large)") {
    AttentionCase<double> c({1, 2, 2, 70, 1030, 9, 7}, true);
    const auto d_o = test::wave<double>(Shape{Index(1), Index(2), Index(70), Index(7)}, 3.3);
    for (int kind : {0, 3, 4, 5}) {
        c.use_mask(kind);
        c.dropout = kind == 0 ? 0.25 : 0;
        const auto want = naive(c, d_o);
        for (double fill : {double(NAN), 1.0}) {
            const auto got = run<simd::native>(c, d_o, kind == 3, fill);
            const double start = fill == fill ? fill : 0;
            const auto error = [&](const auto& a, const auto& b) {
                auto shifted = b.clone();
                for (Index i = 0; i < b.numel(); ++i) shifted.mutable_data()[i] += start;
                return test::max_error(a, shifted);
            };
            CHECK(error(got.q, want.q) < 1e-12);
            CHECK(error(got.k, want.k) < 1e-12);
            CHECK(error(got.v, want.v) < 1e-12);
            if (kind == 3) CHECK(test::max_error(got.add, want.add) < 1e-12);
        }
    }
}

TEST_CASE("attention gradient: hidden keys do not leak NaN; the same bits on 1 and 3 threads") {
    for (int kind : {2, 3, 4, 5})
        for (Index heads : {1, 4}) {
            AttentionCase<float> c({2, heads, heads, 40, 600, 6, 6}, true);
            c.use_mask(kind);
            const auto d_o = test::wave<float>(Shape{Index(2), heads, Index(40), Index(6)}, 3.3);
            const int before = parallel::num_threads();
            parallel::set_num_threads(1);
            const auto one = run<simd::native>(c, d_o, kind == 3);
            c.spoil_hidden_keys();
            parallel::set_num_threads(3);
            const auto other = run<simd::native>(c, d_o, kind == 3);
            parallel::set_num_threads(before);
            CHECK(test::bitwise_equal(one.q, other.q));
            CHECK(test::bitwise_equal(one.k, other.k));
            CHECK(test::bitwise_equal(one.v, other.v));
            CHECK(test::bitwise_equal(one.add, other.add));
        }
}
