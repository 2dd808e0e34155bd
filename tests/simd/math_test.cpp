// The transcendental functions against the standard library one precision up: largest error in ulps over a sweep of bit
// patterns, intervals of interest and the neighbours of special values, for every instruction set. LAMINA_PRINT_ULP=1
// prints the table.
#include <lamina/simd/load_store.hpp>
#include <lamina/simd/math.hpp>
#include <tests/support/archs.hpp>

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

namespace lamina {
namespace {

using simd::Vec;

template <class T>
struct Wider;
template <>
struct Wider<float> {
    using type = double;
};
template <>
struct Wider<double> {
    using type = long double;
};
template <class T>
using wider = typename Wider<T>::type;

/// Distance of y from the exact value in units of its last place; a wrong NaN, infinity or sign of zero counts a
/// million.
template <class T>
double ulps(T y, wider<T> exact) {
    const T rounded = T(exact);
    if (std::isnan(exact) || std::isnan(y)) return std::isnan(exact) && std::isnan(y) ? 0 : 1e6;
    if (std::isinf(rounded) || std::isinf(y) || exact == 0)
        return y == rounded && std::signbit(y) == std::signbit(rounded) ? 0 : 1e6;
    int exponent;
    std::frexp(exact, &exponent);
    exponent = std::max(exponent, std::numeric_limits<T>::min_exponent);
    return double(std::fabs(wider<T>(y) - exact) / std::ldexp(wider<T>(1), exponent - std::numeric_limits<T>::digits));
}

/// Arguments: bit patterns at a fixed stride, dense intervals, and specials with two neighbours on either side.
template <class T>
std::vector<T> arguments() {
    using U = simd::unsigned_of_size<sizeof(T)>;
    std::vector<T> x;
    const U end = std::bit_cast<U>(-std::numeric_limits<T>::infinity());
    const U stride = sizeof(T) == 4 ? U(4001) : U(0x0010'0000'0000'0000ull / 29 + 12345);
    for (U u = 0; u < end && end - u > stride; u += stride) x.push_back(std::bit_cast<T>(u));
    double place = 0.5;
    for (const double width : {1.0, 2.0, 6.0, 20.0, 110.0})
        for (int i = 0; i < 4000; ++i) {
            place += 0.6180339887498949;
            place -= std::floor(place);
            x.push_back(T(width * (2 * place - 1)));
        }
    std::vector<T> specials = {T(0), std::numeric_limits<T>::min(), std::numeric_limits<T>::max(),
                               std::numeric_limits<T>::denorm_min(), std::numeric_limits<T>::infinity()};
    for (const double s : {1e-5,
                           0.25,
                           0.5,
                           std::sqrt(0.5),
                           1.0,
                           std::sqrt(2.0),
                           1.5,
                           2.0,
                           3.95,
                           4.0,
                           9.0,
                           17.0,
                           18.0,
                           87.3365,
                           88.7228394,
                           103.2789,
                           104.0,
                           126.0,
                           127.0,
                           128.0,
                           149.0,
                           150.0,
                           709.782712893384,
                           745.13321910194,
                           708.396418532264,
                           1023.0,
                           1024.0,
                           1074.0,
                           1075.0,
                           26.5,
                           27.22,
                           10.05})
        specials.push_back(T(s));
    for (int i = 1; i < 40; ++i) specials.push_back(T(i * 0.7853981633974483));
    for (const T s : specials)
        for (const T start : {s, T(-s)}) {
            T up = start, down = start;
            for (int i = 0; i < 3; ++i) {
                x.push_back(up);
                x.push_back(down);
                up = std::nextafter(up, std::numeric_limits<T>::max());
                down = std::nextafter(down, -std::numeric_limits<T>::max());
            }
        }
    x.push_back(std::numeric_limits<T>::quiet_NaN());
    while (x.size() % 16 != 0) x.push_back(T(1));
    return x;
}

template <class Arch>
const char* name_of_arch() {
    if constexpr (std::is_same_v<Arch, simd::scalar>) return "scalar";
    else if constexpr (std::is_same_v<Arch, simd::sse2>) return "sse2";
    else if constexpr (std::is_same_v<Arch, simd::sse4_2>) return "sse4_2";
    else if constexpr (std::is_same_v<Arch, simd::avx2>) return "avx2";
    else if constexpr (std::is_same_v<Arch, simd::avx512>) return "avx512";
    else return "neon64";
}

/// The largest error over all arguments, and its place.
template <class T>
struct Worst {
    double error = 0;
    T at = 0;
};

template <class Arch, class T, class F>
Worst<T> worst_error(const std::vector<T>& x, const std::vector<wider<T>>& exact, F f) {
    using V = Vec<T, Arch>;
    Worst<T> worst;
    T y[V::width];
    for (std::size_t i = 0; i + V::width <= x.size(); i += V::width) {
        simd::store(y, V(f(simd::load<Arch>(x.data() + i))));
        for (int k = 0; k < V::width; ++k)
            if (const double e = ulps<T>(y[k], exact[i + std::size_t(k)]); e > worst.error)
                worst = {e, x[i + std::size_t(k)]};
    }
    return worst;
}

template <class... Arch>
struct Archs {};

template <class T, class F, class G, class... Arch>
void check(const char* name, double limit, F f, G reference, const std::vector<T>& x, Archs<Arch...>) {
    std::vector<wider<T>> exact(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) exact[i] = reference(wider<T>(x[i]));
    const bool print = std::getenv("LAMINA_PRINT_ULP") != nullptr;
    if (print) std::printf("%-12s %-6s", name, sizeof(T) == 4 ? "float" : "double");
    const auto one = [&]<class A>(A) {
        const auto worst = worst_error<A, T>(x, exact, f);
        if (print) std::printf("  %s %.2f", name_of_arch<A>(), worst.error);
        const std::string function = name, arch = name_of_arch<A>();
        CAPTURE(function);
        CAPTURE(arch);
        CAPTURE(worst.at);
        CHECK(worst.error <= limit);
    };
    (one(Arch{}), ...);
    if (print) std::printf("\n");
}

/// Checks every function of one argument. Limits: where multiplication and addition fuse, and where they do not.
template <class T>
void check_functions() {
    const auto x = arguments<T>();
    const Archs<LAMINA_TEST_ARCHS> archs;
    const auto limit = [](double float_fma, double float_plain, double double_fma, double double_plain) {
        return sizeof(T) == 4 ? (simd::has_fma ? float_fma : float_plain) : (simd::has_fma ? double_fma : double_plain);
    };
#define CHECK_MATH(name, float_fma, float_plain, double_fma, double_plain) \
    check<T>(                                                              \
        #name, limit(float_fma, float_plain, double_fma, double_plain),    \
        [](auto v) LAMINA_INLINE_LAMBDA { return name(v); }, [](auto v) { return std::name(v); }, x, archs)
    CHECK_MATH(exp, 1.1, 1.1, 1.1, 1.1);
    CHECK_MATH(exp2, 1.1, 1.1, 1.1, 1.1);
    CHECK_MATH(expm1, 1.5, 1.6, 1.9, 2.0);
    CHECK_MATH(log, 0.9, 1.0, 0.9, 0.9);
    CHECK_MATH(log2, 1.5, 1.7, 1.8, 1.8);
    CHECK_MATH(log1p, 1.0, 1.1, 1.0, 1.0);
    CHECK_MATH(tanh, 1.6, 2.0, 1.9, 2.1);
    CHECK_MATH(erf, 1.2, 1.4, 1.2, 1.3);
    CHECK_MATH(erfc, 2.0, 2.4, 2.2, 2.6);
    CHECK_MATH(atan, 1.3, 1.3, 1.3, 1.3);
    CHECK_MATH(sin, 1.7, 1.7, 1.7, 1.7);
    CHECK_MATH(cos, 1.7, 1.7, 1.7, 1.7);
#undef CHECK_MATH
    check<T>(
        "sigmoid", limit(1.1, 1.5, 1.1, 1.5), [](auto v) LAMINA_INLINE_LAMBDA { return sigmoid(v); },
        [](auto v) { return 1 / (1 + std::exp(-v)); }, x, archs);
    check<T>(
        "rsqrt", 2.0, [](auto v) LAMINA_INLINE_LAMBDA { return rsqrt(v); }, [](auto v) { return 1 / std::sqrt(v); }, x,
        archs);
    // Two arguments: every argument in x with a few second ones, and the other way round.
    std::vector<T> few;
    for (std::size_t i = 0; i < x.size(); i += 128) few.insert(few.end(), x.begin() + long(i), x.begin() + long(i) + 2);
    few.insert(few.end(), x.end() - 800, x.end());
    while (few.size() % 16 != 0) few.push_back(T(2));
    constexpr T infinity = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
    for (const T c :
         {T(0), T(-0.0), T(1), T(-1), T(2), T(-3), T(0.5), T(-1.7), T(33.3), T(1e-3), infinity, -infinity, nan}) {
        const auto wide = wider<T>(c);
        char text[40];
        std::snprintf(text, sizeof text, "pow(x,%g)", double(c));
        check<T>(
            text, 1.2, [=](auto v) LAMINA_INLINE_LAMBDA { return pow(v, c); },
            [=](auto v) { return std::pow(v, wide); }, few, archs);
        std::snprintf(text, sizeof text, "pow(%g,x)", double(c));
        check<T>(
            text, 1.2, [=](auto v) LAMINA_INLINE_LAMBDA { return pow(c, v); },
            [=](auto v) { return std::pow(wide, v); }, few, archs);
        std::snprintf(text, sizeof text, "atan2(x,%g)", double(c));
        check<T>(
            text, 1.7, [=](auto v) LAMINA_INLINE_LAMBDA { return atan2(v, c); },
            [=](auto v) { return std::atan2(v, wide); }, few, archs);
        std::snprintf(text, sizeof text, "atan2(%g,x)", double(c));
        check<T>(
            text, 1.7, [=](auto v) LAMINA_INLINE_LAMBDA { return atan2(c, v); },
            [=](auto v) { return std::atan2(wide, v); }, few, archs);
    }
}

TEST_CASE("math: float functions stay within their ulps on every instruction set") { check_functions<float>(); }
TEST_CASE("math: double functions stay within their ulps on every instruction set") { check_functions<double>(); }

TEST_CASE("math: values that matter") {
    CHECK(simd::sigmoid(-100.0f) == doctest::Approx(3.78350585e-44f));
    CHECK(simd::sigmoid(-100.0f) > 0.0f);
    CHECK(simd::exp(0.0f) == 1.0f);
    CHECK(simd::exp(-std::numeric_limits<float>::infinity()) == 0.0f);
    CHECK(simd::log(1.0) == 0.0);
    for (int e = -149; e < 128; ++e) CHECK(simd::log2(std::ldexp(1.0f, e)) == float(e));
    for (int e = -149; e < 128; ++e) CHECK(simd::exp2(float(e)) == std::ldexp(1.0f, e));
    CHECK(simd::erf(10.0f) == 1.0f);
    CHECK(simd::tanh(-30.0f) == -1.0f);
    CHECK(simd::pow(-2.0f, 3.0f) == -8.0f);
    CHECK(simd::pow(Vec<double>(3.0), 2)[0] == 9.0);
}

}  // namespace
}  // namespace lamina
