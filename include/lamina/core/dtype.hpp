#pragma once
// Element types: their names in files, their sizes, and the two 16-bit floating types, which are storage only.
#include <lamina/core/index.hpp>

#include <bit>
#include <string_view>
#include <type_traits>

namespace lamina::inline LAMINA_ABI {

/// Run-time name of an element type.
enum class DType : std::uint8_t { f32, f64, f16, bf16, i64, i32, i16, i8, u8, boolean };

/// The upper half of a float: 8 bits of exponent, 7 of mantissa. Arithmetic happens in float.
struct bfloat16 {
    std::uint16_t bits = 0;
    constexpr bfloat16() = default;
    constexpr explicit bfloat16(float x) {
        const auto u = std::bit_cast<std::uint32_t>(x);
        const bool nan = (u & 0x7fffffffu) > 0x7f800000u;
        bits =
            std::uint16_t(nan ? (u >> 16) | 0x40u : (u + 0x7fffu + ((u >> 16) & 1u)) >> 16);  // nearest, ties to even
    }
    constexpr operator float() const { return std::bit_cast<float>(std::uint32_t(bits) << 16); }
};

/// IEEE binary16. Arithmetic happens in float.
struct half {
    std::uint16_t bits = 0;
    constexpr half() = default;
    constexpr explicit half(float x) {
        const auto u = std::bit_cast<std::uint32_t>(x);
        const auto sign = std::uint16_t((u >> 16) & 0x8000u);
        const std::uint32_t a = u & 0x7fffffffu;
        if (a > 0x7f800000u) bits = sign | 0x7e00u;
        else if (a >= 0x477ff000u) bits = sign | 0x7c00u;  // rounds to more than 65504
        else if (a < 0x38800000u)                          // subnormal: adding 0.5 puts the mantissa in place, rounded
            bits = std::uint16_t(sign | (std::bit_cast<std::uint32_t>(std::bit_cast<float>(a) + 0.5f) - 0x3f000000u));
        else bits = std::uint16_t(sign | ((a - 0x38000000u + 0xfffu + ((a >> 13) & 1u)) >> 13));
    }
    constexpr operator float() const {
        const std::uint32_t sign = std::uint32_t(bits & 0x8000u) << 16, magnitude = bits & 0x7fffu;
        if (magnitude >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
        if (magnitude >= 0x400u) return std::bit_cast<float>(sign | ((magnitude << 13) + 0x38000000u));
        const float tiny = float(magnitude) * 0x1p-24f;
        return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(tiny));
    }
};

/// Compile-time facts about an element type; only the types below have them.
template <class T>
struct dtype_traits;
#define LAMINA_DTYPE(type, tag, text)                  \
    template <>                                        \
    struct dtype_traits<type> {                        \
        static constexpr DType value = DType::tag;     \
        static constexpr std::string_view name = text; \
    }
LAMINA_DTYPE(float, f32, "float32");
LAMINA_DTYPE(double, f64, "float64");
LAMINA_DTYPE(half, f16, "float16");
LAMINA_DTYPE(bfloat16, bf16, "bfloat16");
LAMINA_DTYPE(std::int64_t, i64, "int64");
LAMINA_DTYPE(std::int32_t, i32, "int32");
LAMINA_DTYPE(std::int16_t, i16, "int16");
LAMINA_DTYPE(std::int8_t, i8, "int8");
LAMINA_DTYPE(std::uint8_t, u8, "uint8");
LAMINA_DTYPE(bool, boolean, "bool");
#undef LAMINA_DTYPE

/// A type that a tensor can hold.
template <class T>
concept Element = requires {
    dtype_traits<T>::value;
};
/// A type that ops compute and differentiate in.
template <class T>
concept Real = std::is_same_v<T, float> || std::is_same_v<T, double>;

template <Element T>
inline constexpr DType dtype_of = dtype_traits<T>::value;

/// Calls `f` with a value-initialised element of type `type`, as in `visit_dtype(d, [&]<class T>(T) { … })`.
template <class F>
constexpr decltype(auto) visit_dtype(DType type, F&& f) {
    switch (type) {
        case DType::f64: return f(double{});
        case DType::f16: return f(half{});
        case DType::bf16: return f(bfloat16{});
        case DType::i64: return f(std::int64_t{});
        case DType::i32: return f(std::int32_t{});
        case DType::i16: return f(std::int16_t{});
        case DType::i8: return f(std::int8_t{});
        case DType::u8: return f(std::uint8_t{});
        case DType::boolean: return f(bool{});
        case DType::f32: break;
    }
    return f(float{});
}
constexpr std::size_t size_of(DType type) {
    return visit_dtype(type, []<class T>(T) { return sizeof(T); });
}
constexpr std::string_view name_of(DType type) {
    return visit_dtype(type, []<class T>(T) { return dtype_traits<T>::name; });
}

}  // namespace lamina::inline LAMINA_ABI
