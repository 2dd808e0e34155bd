#pragma once
// What this translation unit was compiled into, as one line to print. Default compiler flags give the narrowest
// lanes a machine has, and nothing else would say so.
#include <lamina/core/abi.hpp>

#include <string_view>

#define LAMINA_TEXT_(x) #x
#define LAMINA_TEXT(x) LAMINA_TEXT_(x)
#define LAMINA_VERSION_TEXT \
    LAMINA_TEXT(LAMINA_VERSION_MAJOR) "." LAMINA_TEXT(LAMINA_VERSION_MINOR) "." LAMINA_TEXT(LAMINA_VERSION_PATCH)
#if defined(__clang__)
#define LAMINA_COMPILER "Clang " LAMINA_TEXT(__clang_major__) "." LAMINA_TEXT(__clang_minor__)
#elif defined(__GNUC__)
#define LAMINA_COMPILER "GCC " LAMINA_TEXT(__GNUC__) "." LAMINA_TEXT(__GNUC_MINOR__)
#else
#define LAMINA_COMPILER "unknown compiler"
#endif
#if defined(LAMINA_CHECKED)
#define LAMINA_CHECKED_TEXT "checked"
#else
#define LAMINA_CHECKED_TEXT "unchecked"
#endif

namespace lamina::inline LAMINA_ABI {

/// Floats in one SIMD register of the instruction set that was compiled in.
#if defined(LAMINA_ISA_AVX512)
inline constexpr int float_lanes = 16;
#define LAMINA_LANES_TEXT "16"
#elif defined(LAMINA_ISA_AVX2)
inline constexpr int float_lanes = 8;
#define LAMINA_LANES_TEXT "8"
#elif defined(LAMINA_ISA_SSE2) || defined(LAMINA_ISA_NEON64)
inline constexpr int float_lanes = 4;
#define LAMINA_LANES_TEXT "4"
#else
inline constexpr int float_lanes = 1;
#define LAMINA_LANES_TEXT "1"
#endif

/// Version, SIMD lanes, compiler and checked mode of the including file, and the symbol tag that follows from them:
/// "lamina 0.1.0: avx2, 8 float lanes, GCC 12.2, unchecked (v0_1_avx2_0bf00000)".
constexpr std::string_view build_info() {
    return "lamina " LAMINA_VERSION_TEXT ": " LAMINA_TEXT(LAMINA_ISA) ", " LAMINA_LANES_TEXT " float lanes, "  //
        LAMINA_COMPILER ", " LAMINA_CHECKED_TEXT " (" LAMINA_TEXT(LAMINA_ABI) ")";
}

}  // namespace lamina::inline LAMINA_ABI

#undef LAMINA_TEXT_
#undef LAMINA_TEXT
#undef LAMINA_VERSION_TEXT
#undef LAMINA_COMPILER
#undef LAMINA_CHECKED_TEXT
#undef LAMINA_LANES_TEXT
