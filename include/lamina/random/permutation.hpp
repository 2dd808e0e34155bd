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
    // Exchange number k takes element k of the integers below n - k. A block of words serves four of them.
    Block words{};
    for (Index k = 0; k + 1 < n; ++k) {
        const Index last = n - 1 - k;
        const auto range = std::uint64_t(last) + 1;
        std::uint64_t chosen = 0;
        if (k % 4 == 0) words = block(key, std::uint64_t(k) / 4);
        if (range > narrow_range || !scale_word(words.words[k % 4], range, chosen)) chosen = below(key, k, range);
        T kept = static_cast<T&&>(items[last]);
        items[last] = static_cast<T&&>(items[chosen]);
        items[chosen] = static_cast<T&&>(kept);
    }
}

template <class T>
void permutation(const Key& key, T* out, Index n) {
    for (Index i = 0; i < n; ++i) out[i] = T(i);
    shuffle(key, out, n);
}

}  // namespace lamina::inline LAMINA_ABI::random
