// Permutations of lanes against index arithmetic.
#include <lamina/simd/load_store.hpp>
#include <lamina/simd/permute.hpp>
#include <tests/support/archs.hpp>

#include <doctest/doctest.h>

namespace lamina {
namespace {

using namespace simd;

template <class T, class Arch>
void check_permutes() {
    using V = Vec<T, Arch>;
    constexpr int width = V::width;
    V rows[width];
    for (int i = 0; i < width; ++i) rows[i] = lane_numbers<T, Arch>() + V(T(100 * i));
    transpose(rows);
    for (int i = 0; i < width; ++i)
        for (int j = 0; j < width; ++j) CHECK(rows[i][j] == T(100 * j + i));

    const V a = lane_numbers<T, Arch>(), b = a + V(T(width));
    const auto [low, high] = interleave(a, b);
    T memory[2 * width];
    store(memory, low);
    store(memory + width, high);
    for (int i = 0; i < width; ++i) {
        CHECK(memory[2 * i] == T(i));
        CHECK(memory[2 * i + 1] == T(width + i));
    }
    const auto [even, odd] = deinterleave(low, high);
    CHECK(all((even == a) & (odd == b)));
    for (int i = 0; i < width; ++i) CHECK(reverse(a)[i] == T(width - 1 - i));
    for (int i = 0; i < width; ++i) CHECK(shift_in(a, b)[i] == T(width - 1 + i));
}

/// Folding as it is described, one row at a time, by something that shows the order of its operands.
template <class T, class Arch>
void check_folds() {
    using V = Vec<T, Arch>;
    constexpr int width = V::width;
    const auto f = [](auto x, auto y) { return x + x + x - y; };
    const auto row = [](int r) { return lane_numbers<T, Arch>() * V(T(r + 1)) + V(T(r)); };
    const V folded = fold_lanes<T, Arch>(row, f);
    for (int r = 0; r < width; ++r) {
        T lanes[width];
        store(lanes, row(r));
        for (int half = width / 2; half > 0; half /= 2)
            for (int i = 0; i < half; ++i) lanes[i] = f(lanes[i], lanes[i + half]);
        CHECK(folded[r] == lanes[0]);
    }
}

TEST_CASE_TEMPLATE("transpose, interleave, reverse: lanes land where the indices say", Arch, LAMINA_TEST_ARCHS) {
    check_permutes<float, Arch>();
    check_permutes<double, Arch>();
    check_permutes<std::int32_t, Arch>();
    check_permutes<std::uint64_t, Arch>();
}

TEST_CASE_TEMPLATE("fold_lanes: every row is halved on its own", Arch, LAMINA_TEST_ARCHS) {
    check_folds<float, Arch>();
    check_folds<double, Arch>();
    check_folds<std::int32_t, Arch>();
    check_folds<std::uint64_t, Arch>();
}

}  // namespace
}  // namespace lamina
