#pragma once
// Three sizes, depth, height and width, that a single number fills.
#include <lamina/core/size2.hpp>

namespace lamina::inline LAMINA_ABI {

/// Depth, height and width.
struct Size3 {
    Index d = 0, h = 0, w = 0;
    constexpr Size3() = default;
    constexpr Size3(Index all) : d(all), h(all), w(all) {}
    constexpr Size3(Index depth, Index height, Index width) : d(depth), h(height), w(width) {}
    constexpr bool operator==(const Size3&) const = default;
    void append_to(std::string& out) const {
        detail::append(out, d);
        out += 'x';
        Size2{h, w}.append_to(out);
    }
};

}  // namespace lamina::inline LAMINA_ABI
