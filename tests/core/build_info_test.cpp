#include <doctest/doctest.h>
#include <lamina/core/build_info.hpp>

#include <string>

namespace {
bool mentions(const std::string& text) { return lamina::build_info().find(text) != std::string_view::npos; }
}  // namespace

TEST_CASE("build_info: names the version, the lanes the compiler was told to use and the mode") {
    CHECK(mentions("lamina " + std::to_string(LAMINA_VERSION_MAJOR) + "." + std::to_string(LAMINA_VERSION_MINOR) + "." +
                   std::to_string(LAMINA_VERSION_PATCH) + ":"));
    CHECK(mentions(" " + std::to_string(lamina::float_lanes) + " float lanes"));
#if defined(__AVX512F__) && defined(__AVX512BW__)
    CHECK(mentions("avx512, 16 float lanes"));
#elif defined(__AVX2__) && defined(__FMA__)
    CHECK(mentions("avx2, 8 float lanes"));
#elif defined(__SSE4_2__)
    CHECK(mentions("sse4_2, 4 float lanes"));
#elif defined(__SSE2__)
    CHECK(mentions("sse2, 4 float lanes"));
#elif defined(__aarch64__)
    CHECK(mentions("neon64, 4 float lanes"));
#endif
#if defined(LAMINA_CHECKED)
    CHECK(mentions(", checked"));
#else
    CHECK(mentions(", unchecked"));
#endif
#if defined(__clang__)
    CHECK(mentions("Clang " + std::to_string(__clang_major__)));
#else
    CHECK(mentions("GCC " + std::to_string(__GNUC__)));
#endif
}
