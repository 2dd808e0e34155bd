// Tiled attention against sums in double, for every instruction set: sizes around the tiles, both layouts, every mask.
#include <lamina/kernels/attention/forward.hpp>
#include <tests/kernels/attention/reference.hpp>
#include <tests/support/archs.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using test::AttentionCase;

TEST_CASE_TEMPLATE("attention: every instruction set agrees with naive sums", Arch, LAMINA_TEST_ARCHS) {
    for (Index n : {1, 2, 5, 17, 31, 64, 65})
        for (Index m : {1, 3, 64, 113, 130})
            for (Index d : {1, 3, 16, 40})
                for (int kind = 0; kind < 6; ++kind) {
                    if (kind > 1 && (d == 3 || m == 3)) continue;
                    CAPTURE(n);
                    CAPTURE(m);
                    CAPTURE(d);
                    CAPTURE(kind);
                    AttentionCase<float> c({2, 2, kind == 1 ? 1 : 2, n, m, d, d == 3 ? 5 : d}, kind % 2 == 1);
                    c.use_mask(kind);
                    const auto y = c.template run<Arch>();
                    REQUIRE(test::max_error(y, c.naive()) < 4e-6);
                }
}

TEST_CASE_TEMPLATE("attention: double", Arch, LAMINA_TEST_ARCHS) {
    AttentionCase<double> c({1, 2, 2, 37, 120, 9, 7}, true);
    for (int kind = 0; kind < 6; ++kind) {
        c.use_mask(kind);
        CHECK(test::max_error(c.template run<Arch>(), c.naive()) < 1e-13);
    }
}

TEST_CASE("attention: many panels copy K and V together (large)") {
    AttentionCase<float> c({1, 2, 1, 700, 300, 24, 20}, true);
    for (int kind : {0, 2, 4}) {
        c.use_mask(kind);
        CHECK(test::max_error(c.run(), c.naive()) < 4e-6);
    }
}

TEST_CASE("attention: scores of 1e4 and of one sign") {
    for (double offset : {0.0, 3.0, -3.0}) {
        AttentionCase<float> c({1, 1, 1, 40, 150, 8, 8}, false);
        for (Index i = 0; i < c.q.numel(); ++i) c.q.mutable_data()[i] = float(c.q.data()[i] * 60 + 60 * offset);
        for (Index i = 0; i < c.k.numel(); ++i) c.k.mutable_data()[i] = float(c.k.data()[i] * 60 + 60);
        CHECK(test::max_error(c.run(), c.naive()) < 6e-3);  // the products themselves are rounded at 1e4
    }
}

TEST_CASE("attention: hidden keys do not leak NaN or infinity; rows that see nothing are 0") {
    for (Index n : {3, 40})
        for (int kind : {2, 3, 4, 5}) {
            CAPTURE(n);
            CAPTURE(kind);
            AttentionCase<float> c({2, 2, 2, n, 130, 6, 6}, false);
            c.use_mask(kind);
            const auto clean = c.run();
            c.spoil_hidden_keys();
            CHECK(test::bitwise_equal(c.run(), clean));
        }
    AttentionCase<float> c({1, 1, 1, 40, 20, 4, 4}, false);
    c.use_mask(2);
    for (Index j = 0; j < 20; ++j) c.keep.mutable_at(0, 0, 7, j) = false;
    const auto y = c.run();
    for (Index i = 0; i < 4; ++i) CHECK(y(0, 0, 7, i) == 0);
    // A visible NaN is seen, and by those queries only that see it.
    c.use_mask(4);
    c.v.mutable_at(0, 0, 10, 1) = NAN;
    const auto z = c.run();
    CHECK(std::isfinite(z(0, 0, 9, 1)));
    CHECK(std::isnan(z(0, 0, 10, 1)));
    CHECK(std::isfinite(z(0, 0, 10, 0)));
}

TEST_CASE("attention: the same bits on 1 and 3 threads") {
    AttentionCase<float> c({2, 3, 3, 200, 150, 16, 16}, true);
    c.use_mask(4);
    c.dropout = 0.25;
    const int before = parallel::num_threads();
    parallel::set_num_threads(1);
    const auto one = c.run();
    parallel::set_num_threads(3);
    CHECK(test::bitwise_equal(one, c.run()));
    parallel::set_num_threads(before);
}

TEST_CASE_TEMPLATE("attention: dropout loses the same weights on every instruction set", Arch, LAMINA_TEST_ARCHS) {
    AttentionCase<float> c({2, 2, 2, 45, 121, 5, 5}, false);
    c.dropout = 0.3;
    const auto y = c.template run<Arch>();
    CHECK(test::max_error(y, c.naive()) < 6e-6);  // the reference draws each weight's word by itself
}
