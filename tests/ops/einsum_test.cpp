// Index notation against loops over all letters, with diagonals, lone and repeated letters, and gradients.
#include <lamina/autograd/gradcheck.hpp>
#include <lamina/core/view.hpp>
#include <lamina/ops/einsum.hpp>
#include <lamina/ops/reduce.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using autograd::gradcheck;

TEST_CASE("einsum: products, diagonals, sums and permutations by hand") {
    const auto a = test::wave<double>(Shape{2, 3}), b = test::wave<double>(Shape{3, 4}, 1);
    const auto c = test::wave<double>(Shape{3, 3, 2}, 2);
    const auto ab = einsum<"ij,jk->ik">(a, b), ba = einsum<"ij,jk->ki">(a, b);
    for (Index i = 0; i < 2; ++i)
        for (Index k = 0; k < 4; ++k) {
            double wanted = 0;
            for (Index j = 0; j < 3; ++j) wanted += a(i, j) * b(j, k);
            CHECK(ab(i, k) == doctest::Approx(wanted));
            CHECK(ba(k, i) == doctest::Approx(wanted));
        }
    CHECK(test::max_error(einsum<"ij, jk">(a, b), ab) == 0);
    CHECK(einsum<"iij->ij">(c)(2, 1) == doctest::Approx(c(2, 2, 1)));
    CHECK(einsum<"iij">(c)(0) == doctest::Approx(c(0, 0, 0) + c(1, 1, 0) + c(2, 2, 0)));
    CHECK(einsum<"ijk->kij">(c)(1, 0, 2) == doctest::Approx(c(0, 2, 1)));
    CHECK(einsum<"ij,kl->">(a, b).item() == doctest::Approx(einsum<"ij->">(a).item() * einsum<"kl->">(b).item()));
    CHECK(einsum<"ij,jj->i">(a, view::slice(b, 1, 0, 3))(1) ==
          doctest::Approx(a(1, 0) * b(0, 0) + a(1, 1) * b(1, 1) + a(1, 2) * b(2, 2)));
    CHECK(einsum<"i,j->ij">(Tensor<double, 1>{{1, 2}}, Tensor<double, 1>{{3, 4}})(1, 0) == 6);
    CHECK(einsum<"ij,jk->ik">(zeros<double>(Shape{2, 0}), zeros<double>(Shape{0, 3}))(1, 2) == 0);
    CHECK(test::message_of<ShapeError>([&] { einsum<"ij,ik->jk">(a, b); }) ==
          "einsum: extents of one letter must be equal but dimension 0 is 3 and not 2 ([2, 3] and [3, 4])");
}

TEST_CASE("einsum: gradients match finite differences") {
    const auto a = test::wave<double>(Shape{2, 3, 2}), b = test::wave<double>(Shape{3, 2, 4}, 1);
    CHECK(gradcheck([](const auto& s, const auto& t) { return einsum<"bij,ikl->bkl">(s, t); }, a, b) < 1e-7);
    CHECK(gradcheck([](const auto& s, const auto& t) { return einsum<"bnd,hd->bnhd">(s, t); }, a,
                    view::transpose(test::wave<double>(Shape{2, 5}), 0, 1)) < 1e-7);
    CHECK(gradcheck([](const auto& s) { return einsum<"iji->j">(s); }, a) < 1e-7);
    CHECK(gradcheck([](const auto& s, const auto& t) { return einsum<"bij,bij->b">(s, t); }, a,
                    test::wave<double>(Shape{2, 3, 2}, 3)) < 1e-7);
    CHECK(!einsum<"iji->j">(autograd::leaf(a)).grad_link());
}

TEST_CASE("einsum: three dots stand for all further dimensions, which broadcast") {
    const auto a = test::wave<double>(Shape{2, 1, 3, 4});
    const auto b = test::wave<double>(Shape{5, 4, 2}, 1);
    const auto product = matmul(a, b);
    CHECK(test::max_error(einsum<"...ij,...jk->...ik">(a, b), product) < 1e-14);
    CHECK(test::max_error(einsum<"...ij,...jk">(a, b), product) < 1e-14);
    CHECK(test::max_error(einsum<"i...j,...jk->...ki">(view::permute(a, {2, 0, 1, 3}), b),
                          view::permute(product, {0, 1, 3, 2})) < 1e-14);
    CHECK(test::max_error(einsum<"...ij,jk->...ik">(a, view::select(b, 0, 2)), matmul(a, view::select(b, 0, 2))) <
          1e-14);
    CHECK(einsum<"...,...->...">(b, b)(4, 3, 1) == doctest::Approx(b(4, 3, 1) * b(4, 3, 1)));
    const auto sums = einsum<"...i->i...">(b);
    CHECK(sums.shape() == Shape{2, 5, 4});
    CHECK(sums(1, 2, 3) == b(2, 3, 1));
    CHECK(einsum<"...i->">(b).item() == doctest::Approx(sum(b).item()));
    CHECK(gradcheck([](const auto& s, const auto& t) { return einsum<"...ij,...jk->...ik">(s, t); }, a, b) < 1e-7);
    CHECK_THROWS_AS((einsum<"...i,...i->...">(a, test::wave<double>(Shape{2, 4}))), ShapeError);
}

TEST_CASE("einsum: golden cases") {
    for (const auto& c : test::golden_cases("ops/einsum")) {
        const auto check = [&]<int A, int B>(std::integral_constant<int, A>, std::integral_constant<int, B>, auto f) {
            const auto a = autograd::leaf(c.tensor<float, A>("in.a0"));
            const auto b = autograd::leaf(c.tensor<float, B>("in.a1"));
            autograd::Tape tape;
            const auto y = f(a, b);
            test::check_golden(c, "y", y);
            tape.backward(y, c.tensor<float, std::decay_t<decltype(y)>::rank>("r.y"));
            test::check_golden_grad(c, "in.a0", autograd::grad(a));
            test::check_golden_grad(c, "in.a1", autograd::grad(b));
        };
        constexpr std::integral_constant<int, 2> two;
        constexpr std::integral_constant<int, 3> three;
        constexpr std::integral_constant<int, 4> four;
        const std::string equation = c.meta("equation");
        if (equation == "bhid,bhjd->bhij")
            check(four, four, [](const auto& a, const auto& b) { return einsum<"bhid,bhjd->bhij">(a, b); });
        else if (equation == "bnd,hd->bnhd")
            check(three, two, [](const auto& a, const auto& b) { return einsum<"bnd,hd->bnhd">(a, b); });
        else if (equation == "bij,bij->b")
            check(three, three, [](const auto& a, const auto& b) { return einsum<"bij,bij->b">(a, b); });
        else CHECK_MESSAGE(false, "no test for " << equation);
    }
}
