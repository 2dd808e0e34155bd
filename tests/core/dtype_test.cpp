#include <lamina/core/dtype.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>

using namespace lamina;

namespace {

/// The value of a binary16 by its definition.
double half_value(unsigned bits) {
    const double sign = bits & 0x8000 ? -1 : 1;
    const int exponent = int(bits >> 10 & 31), mantissa = int(bits & 1023);
    if (exponent == 31) return mantissa ? std::nan("") : sign * std::numeric_limits<double>::infinity();
    return exponent ? sign * std::ldexp(1024 + mantissa, exponent - 25) : sign * std::ldexp(mantissa, -24);
}

}  // namespace

TEST_CASE("half: every value converts exactly to float and back") {
    for (unsigned bits = 0; bits < 0x10000; ++bits) {
        half h;
        h.bits = std::uint16_t(bits);
        const double expected = half_value(bits);
        const float value = h;
        if (std::isnan(expected)) {
            CHECK(std::isnan(value));
            CHECK(std::isnan(float(half(value))));
        } else if (double(value) != expected || half(value).bits != bits) {
            FAIL("half " << bits << " became " << value);
        }
    }
}

TEST_CASE("half: rounds to the nearest, ties to even") {
    for (unsigned bits = 0; bits < 0x7bff; ++bits) {  // between each pair of neighbours
        const double low = half_value(bits), high = half_value(bits + 1), middle = (low + high) / 2;
        const auto rounded = [](double x) { return half(float(x)).bits; };
        const unsigned even = bits & 1 ? bits + 1 : bits;
        if (rounded(middle) != even || rounded(std::nextafter(float(middle), 0.f)) != bits ||
            rounded(std::nextafter(float(middle), 1e9f)) != bits + 1)
            FAIL("wrong rounding between " << low << " and " << high);
    }
    CHECK(half(65519.99f).bits == 0x7bff);
    CHECK(half(65520.f).bits == 0x7c00);
    CHECK(half(-1e30f).bits == 0xfc00);
}

TEST_CASE("bfloat16: keeps the upper bits, rounds to the nearest, ties to even") {
    for (unsigned bits = 0; bits < 0x10000; ++bits) {
        bfloat16 b;
        b.bits = std::uint16_t(bits);
        const float value = b;
        if (std::isnan(value)) CHECK(std::isnan(float(bfloat16(value))));
        else if (bfloat16(value).bits != bits) FAIL("bfloat16 " << bits);
    }
    CHECK(float(bfloat16(1.00390625f)) == 1.0f);          // halfway to 1.0078125: even
    CHECK(float(bfloat16(1.01171875f)) == 1.015625f);     // halfway above 1.0078125: even
    CHECK(float(bfloat16(1.0039063692f)) == 1.0078125f);  // just above halfway
    CHECK(std::isinf(float(bfloat16(3.4e38f))));
}

TEST_CASE("dtype: names and sizes by type and by value") {
    CHECK(name_of(DType::bf16) == "bfloat16");
    CHECK(name_of(DType::boolean) == "bool");
    CHECK(size_of(DType::f64) == 8);
    CHECK(size_of(DType::u8) == 1);
    static_assert(dtype_of<float> == DType::f32 && Element<half> && !Element<char*> && Real<double> && !Real<half>);
}
