#pragma once
// A pair of sizes, height and width, that a single number fills: `.stride = 2`, `.padding = {1, 0}`.
#include <lamina/core/shape.hpp>

namespace lamina::inline LAMINA_ABI {

/// Height and width.
struct Size2 {
    Index h = 0, w = 0;
    constexpr Size2() = default;
    constexpr Size2(Index both) : h(both), w(both) {}
    constexpr Size2(Index height, Index width) : h(height), w(width) {}
    constexpr bool operator==(const Size2&) const = default;
    void append_to(std::string& out) const {
        detail::append(out, h);
        out += 'x';
        detail::append(out, w);
    }
};

}  // namespace lamina::inline LAMINA_ABI
