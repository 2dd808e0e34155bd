#pragma once
// Sorting by numbers of places: one sort is compiled for all that readers and writers of files put in order.
#include <lamina/core/abi.hpp>

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

namespace lamina::inline LAMINA_ABI::io::detail {

/// The comparison is erased, since every type of it would compile a sort of its own.
inline void sort_places(std::vector<std::size_t>& order, bool (*less)(const void*, std::size_t, std::size_t),
                        const void* context) {
    std::sort(order.begin(), order.end(), [=](std::size_t i, std::size_t j) { return less(context, i, j); });
}

/// The places 0 … count - 1 in the order that `less(i, j)` wants.
template <class Less>
std::vector<std::size_t> sorted_order(std::size_t count, const Less& less) {
    std::vector<std::size_t> order(count);
    for (std::size_t i = 0; i < count; ++i) order[i] = i;
    sort_places(
        order,
        [](const void* context, std::size_t i, std::size_t j) { return (*static_cast<const Less*>(context))(i, j); },
        &less);
    return order;
}

/// One that is there twice, or null.
inline const std::string_view* repeated(const std::vector<std::string_view>& names) {
    const auto order = sorted_order(names.size(), [&](std::size_t i, std::size_t j) { return names[i] < names[j]; });
    for (std::size_t i = 1; i < order.size(); ++i)
        if (names[order[i - 1]] == names[order[i]]) return &names[order[i]];
    return nullptr;
}

}  // namespace lamina::inline LAMINA_ABI::io::detail
