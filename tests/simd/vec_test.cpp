// Every operation of Vec and Mask, lane by lane against plain loops, for every instruction set and element type.
#include <lamina/simd/reduce.hpp>
#include <lamina/simd/scalars.hpp>
#include <tests/support/archs.hpp>

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

namespace lamina {
namespace {

using namespace simd;

/// Numbers that meet each other in all pairs: small, large, negative, equal, special.
template <class T>
std::vector<T> values() {
    std::vector<T> v;
    for (int i = 0; i < 9; ++i) v.push_back(T(i * 3 - 9));
    if constexpr (std::is_floating_point_v<T>) {
        for (T x : {T(0.5), T(1.5), T(2.5), T(-0.5), T(-2.5), T(0.0), T(-0.0), T(1e9), T(-3e10), T(0x1p52), T(0x1p23),
                    T(0x1.8p22), std::numeric_limits<T>::infinity(), -std::numeric_limits<T>::infinity(),
                    std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::denorm_min(), T(0.1), T(-7.75)})
            v.push_back(x);
    } else {
        for (T x : {std::numeric_limits<T>::max(), std::numeric_limits<T>::min(), T(1) << (8 * sizeof(T) - 2), T(1)})
            v.push_back(x);
    }
    return v;
}

template <class T>
bool same(T a, T b) {
    if constexpr (std::is_floating_point_v<T>)
        return std::isnan(a) || std::isnan(b) ? std::isnan(a) && std::isnan(b)
                                              : a == b && std::signbit(a) == std::signbit(b);
    else return a == b;
}

/// Calls check(vector a, vector b, array a, array b) with every value of both in every lane.
template <class T, class Arch, class F>
void for_pairs(F check) {
    using V = Vec<T, Arch>;
    const auto v = values<T>();
    const int n = int(v.size());
    for (int shift = 0; shift < n; ++shift)
        for (int start = 0; start < n; ++start) {
            T a[V::width], b[V::width];
            for (int i = 0; i < V::width; ++i) {
                a[i] = v[std::size_t((start + i) % n)];
                b[i] = v[std::size_t((start + i + shift) % n)];
            }
            V va, vb;
            __builtin_memcpy(&va.v, a, sizeof a);
            __builtin_memcpy(&vb.v, b, sizeof b);
            check(va, vb, a, b);
        }
}

/// Whether some lane is not what a plain function makes of the numbers. Kept out of line: one copy for each type.
template <class T>
[[gnu::noinline]] bool differs(const void* lanes, const T* a, const T* b, int width, T (*number)(T, T)) {
    const T* got = static_cast<const T*>(lanes);
    for (int i = 0; i < width; ++i)
        if (!same<T>(got[i], number(a[i], b[i]))) return true;
    return false;
}
template <class T>
[[gnu::noinline]] bool mask_differs(unsigned mask, bool some, bool every, const T* a, const T* b, int width,
                                    bool (*number)(T, T)) {
    unsigned want = 0;
    for (int i = 0; i < width; ++i) want |= unsigned(number(a[i], b[i])) << i;
    return mask != want || some != (want != 0) || every != (want == (1u << width) - 1);
}

// x and y are the vectors in the first expression and the numbers in the second; the last failure's text is kept.
#define CHECK_LANES(expression, number)                                                       \
    if (const Vec<T, Arch> r = expression;                                                    \
        differs<T>(&r, a, b, x.width, [](T x, [[maybe_unused]] T y) -> T { return number; })) \
    failed = #expression
#define CHECK_MASK(expression, number)                                                                        \
    if (const auto m = expression; mask_differs<T>(bits(m), any(m), all(m), a, b, x.width,                    \
                                                   [](T x, [[maybe_unused]] T y) -> bool { return number; })) \
    failed = #expression

template <class T, class Arch>
void check_all_types() {
    std::string_view failed;
    for_pairs<T, Arch>([&](const auto x, const auto y, const T* a, const T* b) {
        CHECK_MASK(x < y, x < y);
        CHECK_MASK(x <= y, x <= y);
        CHECK_MASK(x > y, x > y);
        CHECK_MASK(x >= y, x >= y);
        CHECK_MASK(x == y, x == y);
        CHECK_MASK(x != y, x != y);
        CHECK_MASK((x < y) & !(x == T(3)), x < y && x != T(3));
        CHECK_MASK((x < y) | (x == y), x < y || x == y);
        CHECK_MASK((x < y) ^ ~(x < T(3)), (x < y) != !(x < T(3)));
        CHECK_LANES(select(x < y, x, y), x < y ? x : y);
        CHECK_LANES(min(x, y), x < y ? x : y);
        CHECK_LANES(max(x, y), x > y ? x : y);
        if constexpr (std::is_floating_point_v<T>) {
            CHECK_LANES(x + y, x + y);
            CHECK_LANES(x - y, x - y);
            CHECK_LANES(x * y, x * y);
            CHECK_LANES(x / y, x / y);
            CHECK_LANES(-x, -x);
        } else {
            using U = unsigned_of_size<sizeof(T)>;
            CHECK_LANES(x + y, T(U(x) + U(y)));
            CHECK_LANES(x - y, T(U(x) - U(y)));
            CHECK_LANES(x * y, T(U(x) * U(y)));
            CHECK_LANES(-x, T(-U(x)));
            CHECK_LANES(x & y, T(x & y));
            CHECK_LANES(x | y, T(x | y));
            CHECK_LANES(x ^ y, T(x ^ y));
            CHECK_LANES(~x, T(~x));
            CHECK_LANES(x << 7, T(U(x) << 7));
            CHECK_LANES(x >> 7, T(x >> 7));
            CHECK_LANES(x >> 31, T(x >> 31));
            CHECK_LANES(x << (y & T(31)), T(U(x) << (y & 31)));
            CHECK_LANES(x >> (y & T(31)), T(x >> (y & 31)));
        }
        T sum = 0, low = a[0], high = a[0];
        bool nan = false;
        for (int i = 0; i < x.width; ++i) {
            sum = T(sum + (a[i] < T(100) ? a[i] : T(1)));
            low = a[i] < low ? a[i] : low;
            high = a[i] > high ? a[i] : high;
            nan = nan || std::isnan(double(a[i]));
        }
        if (std::is_unsigned_v<T> && reduce_add(select(x < T(100), x, T(1))) != sum) failed = "reduce_add";
        if (!nan && reduce_min(x) != low) failed = "reduce_min";
        if (!nan && reduce_max(x) != high) failed = "reduce_max";
    });
    CHECK(failed == "");
}

TEST_CASE_TEMPLATE("vec: every operator equals the plain loop", Arch, LAMINA_TEST_ARCHS) {
    check_all_types<float, Arch>();
    check_all_types<double, Arch>();
    check_all_types<std::int32_t, Arch>();
    check_all_types<std::uint32_t, Arch>();
    check_all_types<std::int64_t, Arch>();
    check_all_types<std::uint64_t, Arch>();
}

template <class T, class Arch>
void check_reals() {
    using V = Vec<T, Arch>;
    std::string_view failed;
    for_pairs<T, Arch>([&](const auto x, const auto y, const T* a, const T* b) {
        CHECK_LANES(abs(x), std::fabs(x));
        CHECK_LANES(sqrt(x), std::sqrt(x));
        CHECK_LANES(floor(x), std::floor(x));
        CHECK_LANES(ceil(x), std::ceil(x));
        CHECK_LANES(trunc(x), std::trunc(x));
        CHECK_LANES(round(x), std::nearbyint(x));
        CHECK_LANES(copysign(x, y), std::copysign(x, y));
        CHECK_LANES(reciprocal(x), 1 / x);
        CHECK_MASK(isnan(x), x != x);
    });
    CHECK(failed == "");
    // A product that needs more bits than the type has tells one rounding from two.
    const V x = T(1) + std::numeric_limits<T>::epsilon();
    const T fused = has_fma ? std::numeric_limits<T>::epsilon() * std::numeric_limits<T>::epsilon() : T(0);
    const V high = T(1) + 2 * std::numeric_limits<T>::epsilon();
    if (has_fma) {
        CHECK(fma(x, x, -high)[0] == fused);
        CHECK(fnma(x, x, high)[0] == -fused);
        CHECK(fms(x, x, high)[0] == fused);
    }
    CHECK(fma(V(T(3)), V(T(5)), V(T(-1)))[V::width - 1] == 14);
    CHECK(fnma(V(T(3)), V(T(5)), V(T(-1)))[V::width - 1] == -16);
    CHECK(fms(V(T(3)), V(T(5)), V(T(-1)))[V::width - 1] == 16);
    for (T a : {T(1e-30), T(0.3), T(2), T(7e5), T(3e30)}) {
        const double want = 1 / std::sqrt(double(a));
        CHECK(std::fabs(double(rsqrt(V(a))[0]) - want) <= 2 * want * double(std::numeric_limits<T>::epsilon()));
    }
    CHECK(rsqrt(V(T(0)))[0] == std::numeric_limits<T>::infinity());
    CHECK(clamp(V(T(7)), V(T(-1)), V(T(2)))[0] == 2);
    CHECK(std::isnan(clamp(V(std::numeric_limits<T>::quiet_NaN()), V(T(-1)), V(T(2)))[0]));
    // Conversions: towards zero, and back.
    using I = signed_of_size<sizeof(T)>;
    for (T a : {T(-2.75), T(-0.5), T(0), T(3.99), T(-100000)}) {
        CHECK(convert<I>(V(a))[V::width - 1] == I(a));
        CHECK(convert<T>(Vec<I, Arch>(I(a)))[0] == T(I(a)));
        CHECK(bit_cast_to<I>(V(a))[0] == std::bit_cast<I>(a));
    }
    for (int i = 0; i < V::width; ++i) CHECK((lane_numbers<T, Arch>()[i] == T(i)));
    for (int n = 0; n <= V::width; ++n) CHECK(bits(first_lanes<T, Arch>(n)) == (1u << n) - 1);
}

TEST_CASE_TEMPLATE("vec: functions of real lanes equal the standard library's", Arch, LAMINA_TEST_ARCHS) {
    check_reals<float, Arch>();
    check_reals<double, Arch>();
}

TEST_CASE("vec: functions of numbers have the bits of one lane") {
    for (float a : values<float>())
        for (float b : values<float>()) {
            CHECK(same(simd::min(a, b), simd::min(Vec<float, scalar>(a), Vec<float, scalar>(b))[0]));
            CHECK(same(simd::max(a, b), a > b ? a : b));
            CHECK(same(simd::copysign(a, b), std::copysign(a, b)));
        }
    CHECK(simd::floor(-0.5) == -1.0);
    CHECK(simd::select(true, 1.0f, 2.0f) == 1.0f);
    CHECK(simd::clamp(3.0, 0.0, 1.0) == 1.0);
}

/// The sum of 16 numbers held in vectors of any width.
template <class Arch>
float sum_of_16(const float* x) {
    constexpr int width = Vec<float, Arch>::width;
    Vec<float, Arch> v[16 / width];
    for (int i = 0; i < 16 / width; ++i) __builtin_memcpy(&v[i].v, x + i * width, sizeof v[i].v);
    return reduce_add(v);
}

TEST_CASE_TEMPLATE("reduce_add: 16 accumulators give the same bits for every width", Arch, LAMINA_TEST_ARCHS) {
    float x[16];
    for (int i = 0; i < 16; ++i) x[i] = std::sin(float(i) * 1.7f) * std::exp(float(i));
    float t[16];
    for (int i = 0; i < 16; ++i) t[i] = x[i];
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; ++i) t[i] = t[i] + t[i + half];
    CHECK(sum_of_16<Arch>(x) == t[0]);
}

}  // namespace
}  // namespace lamina
