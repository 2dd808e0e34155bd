#pragma once
// Arrays of random numbers: uniform, integers, Bernoulli masks. Element i is what random/distributions.hpp says for
// (key, i), bit for bit, on any instruction set and with any number of threads.
#include <lamina/kernels/random_words.hpp>
#include <lamina/random/distributions.hpp>
#include <lamina/simd/rounded.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// out[i] uniform in [lo, hi), of 24 random bits for float and 53 for double. Wants lo <= hi and hi - lo finite.
template <class Arch = simd::native, class T>
void fill_uniform(const random::Key& key, T* out, Index n, std::type_identity_t<T> lo = 0,
                  std::type_identity_t<T> hi = 1);

/// out[i] an integer in [low, high), each equally probable. Wants low < high, both within I.
template <class Arch = simd::native, class I>
void fill_integers(const random::Key& key, I* out, Index n, std::int64_t low, std::int64_t high);

/// out[i] = `yes` with probability p, else `no`. Wants p in [0, 1].
template <class Arch = simd::native, class T>
void fill_bernoulli(const random::Key& key, T* out, Index n, double p, std::type_identity_t<T> yes = T(1),
                    std::type_identity_t<T> no = T(0));

namespace detail {

// Unsigned lanes below 2^53 as double; exact, so that every way gives the same.
template <class Arch>
LAMINA_INLINE simd::Vec<double, Arch> exact_double(simd::Vec<std::uint64_t, Arch> x) {
    if constexpr (Arch::bytes == 64 || Arch::bytes == 0) return simd::convert<double>(x);
    else {
        // The halves become mantissas below 2^52 and 2^84, and the offsets are taken away again.
        using U = simd::Vec<std::uint64_t, Arch>;
        using V = simd::Vec<double, Arch>;
        const V low = simd::bit_cast_to<double>((x & U(0xffffffffu)) | U(0x4330000000000000u));
        const V high = simd::bit_cast_to<double>((x >> 32) | U(0x4530000000000000u));
        return (high - V(0x1p84 + 0x1p52)) + low;
    }
}

// Lanes in [0, 1), from the upper bits of the words.
template <class T, class Arch, class U>
LAMINA_INLINE simd::Vec<T, Arch> unit_interval(simd::Vec<U, Arch> word) {
    if constexpr (sizeof(T) == 4)
        return simd::convert<float>(simd::bit_cast_to<std::int32_t>(word >> 8)) * simd::Vec<T, Arch>(0x1p-24f);
    else return exact_double(word >> 11) * simd::Vec<T, Arch>(0x1p-53);
}

// Lanes below any range stand for themselves; this one says that the word was refused.
inline constexpr std::uint32_t refused = 0xffffffffu;

}  // namespace detail

template <class Arch, class T>
void fill_uniform(const random::Key& key, T* out, Index n, std::type_identity_t<T> lo, std::type_identity_t<T> hi) {
    using V = simd::Vec<T, Arch>;
    const random::UniformRange<T> range(lo, hi);
    fill_from_words<Arch, T>(key, out, n, [=](const auto& words, auto& values) LAMINA_INLINE_LAMBDA {
        for (int j = 0; j < int(16 / sizeof(T)); ++j) {
            const V x = simd::multiply_then_add(V(range.width), detail::unit_interval<T>(words[j]), V(range.lo));
            values[j] = min(x, V(range.top));
        }
    });
}

template <class Arch, class I>
void fill_integers(const random::Key& key, I* out, Index n, std::int64_t low, std::int64_t high) {
    const std::uint64_t range = std::uint64_t(high) - std::uint64_t(low);
    if (range > random::narrow_range) {
        parallel::for_range(n, pointwise_grain / 4, [&](Index begin, Index end) {
            for (Index i = begin; i < end; ++i) out[i] = I(random::integer(key, i, low, high));
        });
        return;
    }
    using Wide = simd::Vec<std::uint64_t, Arch>;
    using Narrow = simd::Vec<std::uint32_t, Arch>;
    const auto unfair = std::uint32_t((std::uint64_t(1) << 32) % range);
    const auto scale = [=](const auto& words, auto& values) LAMINA_INLINE_LAMBDA {
        for (int j = 0; j < 4; ++j) {
            if constexpr (Narrow::width == 1) {
                const std::uint64_t product = words[j].v * range;
                values[j] = std::uint32_t(product) < unfair ? detail::refused : std::uint32_t(product >> 32);
            } else {
                // Products of the even and of the odd lanes; their halves go back to where the words stood.
                const Wide word = Wide::wrap(__builtin_bit_cast(typename Wide::lanes, words[j].v));
                const Wide even = simd::multiply_low_words(word, Wide(range));
                const Wide odd = simd::multiply_low_words(word >> 32, Wide(range));
                const Wide high_halves = (even >> 32) | (odd & Wide(0xffffffff00000000u));
                const Wide low_halves = (even & Wide(0xffffffffu)) | (odd << 32);
                const auto narrow = [](Wide x) LAMINA_INLINE_LAMBDA {
                    return Narrow::wrap(__builtin_bit_cast(typename Narrow::lanes, x.v));
                };
                values[j] = select(narrow(low_halves) < Narrow(unfair), Narrow(detail::refused), narrow(high_halves));
            }
        }
    };
    visit_words<Arch, std::uint32_t>(key, n, scale, [=](const std::uint32_t* values, Index first, auto count) {
        std::uint32_t largest = 0;
        for (Index i = 0; i < count; ++i) largest = values[i] > largest ? values[i] : largest;
        for (Index i = 0; i < count; ++i) out[first + i] = I(low + std::int64_t(values[i]));
        if (largest != detail::refused) return;
        for (Index i = 0; i < count; ++i)
            if (values[i] == detail::refused) out[first + i] = I(random::integer(key, first + i, low, high));
    });
}

template <class Arch, class T>
void fill_bernoulli(const random::Key& key, T* out, Index n, double p, std::type_identity_t<T> yes,
                    std::type_identity_t<T> no) {
    using U = simd::Vec<std::uint32_t, Arch>;
    const std::uint64_t limit = random::success_limit(p);
    if (limit >> 32) {
        parallel::for_range(n, pointwise_grain, [&](Index begin, Index end) {
            for (Index i = begin; i < end; ++i) out[i] = yes;
        });
        return;
    }
    const auto threshold = std::uint32_t(limit);
    if constexpr (sizeof(T) == 4) {
        const auto bits_yes = __builtin_bit_cast(std::uint32_t, yes), bits_no = __builtin_bit_cast(std::uint32_t, no);
        fill_from_words<Arch, T>(key, out, n, [=](const auto& words, auto& values) LAMINA_INLINE_LAMBDA {
            for (int j = 0; j < 4; ++j)
                values[j] = simd::bit_cast_to<T>(select(words[j] < U(threshold), U(bits_yes), U(bits_no)));
        });
    } else {
        const auto compare = [=](const auto& words, auto& values) LAMINA_INLINE_LAMBDA {
            for (int j = 0; j < 4; ++j) values[j] = select(words[j] < U(threshold), U(1u), U(0u));
        };
        visit_words<Arch, std::uint32_t>(key, n, compare, [=](const std::uint32_t* values, Index first, auto count) {
            for (Index i = 0; i < count; ++i) out[first + i] = values[i] ? yes : no;
        });
    }
}

}  // namespace lamina::inline LAMINA_ABI::kernels
