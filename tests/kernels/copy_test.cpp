// Strided copies against element loops: every instruction set, every order of dimensions, adding, streaming sizes.
#include <lamina/kernels/copy.hpp>
#include <tests/support/archs.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

/// What the layout says, element by element.
template <class T>
void naive_copy(const kernels::CopyLayout& g, const T* from, T* to, bool add, int d = 0, Index f = 0, Index t = 0) {
    if (d == g.rank) {
        to[t] = add ? T(to[t] + from[f]) : from[f];
        return;
    }
    for (Index i = 0; i < g.extents[d]; ++i) naive_copy(g, from, to, add, d + 1, f + i * g.from[d], t + i * g.to[d]);
}

template <class Arch, class T>
void check_permutations(const Shape<4>& shape) {
    const auto x = test::wave<T>(Shape{shape.numel()});
    const auto steps = contiguous_strides(shape);
    std::array<int, 4> order{0, 1, 2, 3};
    do {
        Shape<4> permuted;
        Strides<4> from{};
        for (int d = 0; d < 4; ++d) {
            permuted[d] = shape[order[std::size_t(d)]];
            from[std::size_t(d)] = steps[std::size_t(order[std::size_t(d)])];
        }
        const auto layout = kernels::to_dense(permuted, from);
        auto y = zeros<T>(x.shape()), wanted = zeros<T>(x.shape());
        kernels::copy<kernels::Write::assign, Arch>(layout, x.data(), y.mutable_data());
        naive_copy(layout, x.data(), wanted.mutable_data(), false);
        REQUIRE(test::bitwise_equal(y, wanted));
        kernels::copy<kernels::Write::add, Arch>(layout, x.data(), y.mutable_data());
        naive_copy(layout, x.data(), wanted.mutable_data(), true);
        REQUIRE(test::bitwise_equal(y, wanted));
    } while (std::next_permutation(order.begin(), order.end()));
}

}  // namespace

TEST_CASE_TEMPLATE("copy: every permutation on every instruction set", Arch, LAMINA_TEST_ARCHS) {
    for (const Shape<4>& shape : {Shape{2, 3, 4, 5}, Shape{1, 7, 1, 3}, Shape{3, 17, 1, 33}, Shape{2, 16, 15, 1},
                                  Shape{1, 1, 1, 1}, Shape{0, 2, 3, 4}, Shape{5, 8, 4, 16}}) {
        check_permutations<Arch, float>(shape);
        check_permutations<Arch, double>(shape);
        check_permutations<Arch, std::int32_t>(shape);
        check_permutations<Arch, std::uint8_t>(shape);
    }
}

TEST_CASE("copy: steps, repeats and reversals on both sides") {
    const auto x = test::wave<float>(Shape{Index(5000)});
    const auto check = [&](std::initializer_list<std::array<Index, 3>> dims, Index from, Index to) {
        kernels::CopyLayout layout;
        for (const auto& d : dims) layout.push(d[0], d[1], d[2]);
        auto y = full<float>(Shape{Index(5000)}, 3), wanted = y.clone();
        kernels::copy(layout, x.data() + from, y.mutable_data() + to);
        naive_copy(layout, x.data() + from, wanted.mutable_data() + to, false);
        CHECK(test::bitwise_equal(y, wanted));
        kernels::copy<kernels::Write::add>(layout, x.data() + from, y.mutable_data() + to);
        naive_copy(layout, x.data() + from, wanted.mutable_data() + to, true);
        CHECK(test::bitwise_equal(y, wanted));
    };
    check({{20, 3, 5}, {2, 1, 2}}, 0, 0);
    check({{10, 0, 40}, {33, 1, 1}}, 7, 3);
    check({{10, 40, 40}, {33, 0, 1}}, 0, 0);
    check({{10, 0, 40}, {33, 0, 1}}, 1, 0);
    check({{30, 50, -37}, {37, 1, 1}}, 0, 37 * 29);
    check({{30, -50, 37}, {37, -1, 1}}, 50 * 29 + 36, 0);
    check({{30, 1, 100}, {40, 100, 1}}, 1, 2);
    check({{30, 2, 100}, {40, 100, 2}}, 0, 0);
    check({}, 5, 6);
}

TEST_CASE("copy: outputs large enough for streaming stores, aligned and not (large)") {
    for (Index skew : {0, 1})
        for (Index columns : {1024, 1040, 1031}) {
            const Index rows = 1100;
            const auto x = test::wave<float>(Shape{rows * columns + 1});
            auto y = zeros<float>(Shape{rows * columns + 1});
            kernels::CopyLayout transposed, rowwise;
            transposed.push(rows, 1, columns);
            transposed.push(columns, rows, 1);
            kernels::copy(transposed, x.data(), y.mutable_data() + skew);
            bool right = true;
            for (Index i = 0; i < rows; ++i)
                for (Index j = 0; j < columns; ++j)
                    right = right && y.data()[skew + i * columns + j] == x.data()[j * rows + i];
            CHECK(right);
            rowwise.push(rows, columns, columns);
            rowwise.push(columns - 1, 1, 1);
            y.fill(0);
            kernels::copy(rowwise, x.data(), y.mutable_data() + skew);
            for (Index i = 0; i < rows; ++i)
                for (Index j = 0; j + 1 < columns; ++j)
                    right = right && y.data()[skew + i * columns + j] == x.data()[i * columns + j];
            CHECK(right);
        }
}
