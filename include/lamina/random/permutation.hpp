#pragma once
// Random orders.
#include <lamina/random/distributions.hpp>

namespace lamina::inline LAMINA_ABI::random {

/// Shuffles `n` items; every order is equally probable (Fisher and Yates, from the end). One thread: the order of the
/// exchanges is part of the result.
template <class T>
void shuffle(const Key& key, T* items, Index n);

/// Writes the numbers 0 to n - 1 in random order.
template <class T>
void permutation(const Key& key, T* out, Index n);

template <class T>
void shuffle(const Key& key, T* items, Index n) {
    for (Index i = n - 1; i > 0; --i) {
        const auto j = Index(below(key, n - 1 - i, std::uint64_t(i) + 1));
        T kept = static_cast<T&&>(items[i]);
        items[i] = static_cast<T&&>(items[j]);
        items[j] = static_cast<T&&>(kept);
    }
}

template <class T>
void permutation(const Key& key, T* out, Index n) {
    for (Index i = 0; i < n; ++i) out[i] = T(i);
    shuffle(key, out, n);
}

}  // namespace lamina::inline LAMINA_ABI::random
