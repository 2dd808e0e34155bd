#pragma once
// Philox over lanes, and the loop that turns its words into an array. One 32-bit word travels in each 64-bit lane: the
// product of low halves does not see what is left in the high ones, so a round is 2 products, 2 shifts and 4 xors.
#include <lamina/kernels/policy.hpp>
#include <lamina/parallel/for.hpp>
#include <lamina/random/philox.hpp>
#include <lamina/simd/load_store.hpp>
#include <lamina/simd/wide_multiply.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Makes the random words of consecutive elements that take `Bytes` (4 or 8) bytes of them each.
template <class Arch, int Bytes>
class RandomLanes {
public:
    using Words = simd::Vec<std::uint64_t, Arch>;
    using Unsigned = std::conditional_t<Bytes == 4, std::uint32_t, std::uint64_t>;
    /// Elements in a block, and vectors in a group.
    static constexpr int per_block = 16 / Bytes;
    /// Elements of a group: what one call makes.
    static constexpr Index group = per_block * simd::Vec<Unsigned, Arch>::width;
    using Values = simd::Vec<Unsigned, Arch>[per_block];

    explicit RandomLanes(const random::Key& key)
        : stream_low_(std::uint32_t(key.stream)),
          stream_high_(std::uint32_t(key.stream >> 32)) {
        auto key_0 = std::uint32_t(key.seed), key_1 = std::uint32_t(key.seed >> 32);
        for (int round = 0; round < random::philox_rounds; ++round) {
            keys_0_[round] = Words(key_0);
            keys_1_[round] = Words(key_1);
            key_0 += random::philox_weyl_0;
            key_1 += random::philox_weyl_1;
        }
    }

    /// Words of the elements from `first` (a multiple of `group`): vector j holds the j-th element of each block, and
    /// the blocks stand so that `simd::transpose_groups` brings the elements into memory order.
    LAMINA_INLINE void operator()(Index first, Values& out) const {
        // Groups of 16 bytes in a vector; lane j of group g belongs to block j * groups + g.
        constexpr int groups = Words::width > 1 ? Words::width / 2 : 1;
        const Words lane = simd::lane_numbers<std::uint64_t, Arch>();
        const Words block(std::uint64_t(first) / per_block);
        Words a[4];
        if constexpr (Bytes == 8) {
            philox(block + (lane >> 1) + (lane & Words(1)) * Words(groups), a);
            for (int j = 0; j < 2; ++j) out[j] = (a[2 * j] << 32) | (a[2 * j + 1] & Words(0xffffffffu));
        } else if constexpr (Words::width == 1) {
            philox(block, a);
            for (int j = 0; j < 4; ++j) out[j] = std::uint32_t(a[j].v);
        } else {
            // Even lanes of 4 bytes from one set of blocks, odd lanes from another.
            Words b[4];
            const Words even = block + (lane >> 1) + (lane & Words(1)) * Words(2 * groups);
            philox(even, a);
            philox(even + Words(groups), b);
            for (int j = 0; j < 4; ++j) {
                const Words both = (a[j] & Words(0xffffffffu)) | (b[j] << 32);
                using Narrow = simd::Vec<std::uint32_t, Arch>;
                out[j] = Narrow::wrap(__builtin_bit_cast(typename Narrow::lanes, both.v));
            }
        }
    }

private:
    LAMINA_INLINE void philox(Words index, Words (&x)[4]) const {
        const Words multiplier_0(random::philox_multiplier_0), multiplier_1(random::philox_multiplier_1);
        x[0] = index;
        x[1] = index >> 32;
        x[2] = stream_low_;
        x[3] = stream_high_;
// A pragma, since ten copies of a lambda make the address sanitizer slow to compile.
#pragma GCC unroll 10
        for (int round = 0; round < random::philox_rounds; ++round) {
            const Words a = simd::multiply_low_words(multiplier_0, x[0]);
            const Words b = simd::multiply_low_words(multiplier_1, x[2]);
            x[0] = (b >> 32) ^ x[1] ^ keys_0_[round];
            x[1] = b;
            x[2] = (a >> 32) ^ x[3] ^ keys_1_[round];
            x[3] = a;
        }
    }

    Words keys_0_[random::philox_rounds], keys_1_[random::philox_rounds], stream_low_, stream_high_;
};

/// out[i] for i in [0, n): `f(words, values)` turns a group of words into as many lanes of T.
template <class Arch, class T, class F>
void fill_from_words(const random::Key& key, T* out, Index n, F f) {
    using Source = RandomLanes<Arch, int(sizeof(T))>;
    using V = simd::Vec<T, Arch>;
    const Source source(key);
    const bool around_caches = n * Index(sizeof(T)) >= stream_threshold_bytes;
    parallel::for_range(n, pointwise_grain, [&](Index begin, Index end) {
        for (Index i = begin; i < end; i += Source::group) {
            typename Source::Values words;
            V values[Source::per_block];
            source(i, words);
            f(words, values);
            simd::transpose_groups(values);
            if (end - i < Source::group) {
                T last[Source::group];
                for (int j = 0; j < Source::per_block; ++j) simd::store(last + j * V::width, values[j]);
                __builtin_memcpy(out + i, last, std::size_t(end - i) * sizeof(T));
            } else if (around_caches) {
                for (int j = 0; j < Source::per_block; ++j) simd::stream(out + i + j * V::width, values[j]);
            } else {
                for (int j = 0; j < Source::per_block; ++j) simd::store(out + i + j * V::width, values[j]);
            }
        }
        if (around_caches) simd::stream_fence();
    });
}

/// The same where the array has another element type than the lanes: `finish(values, first, count)` takes lanes of T
/// for the elements from `first` on and writes them; the count is a compile-time constant except at the end.
template <class Arch, class T, class F, class Finish>
void visit_words(const random::Key& key, Index n, F f, Finish finish) {
    using Source = RandomLanes<Arch, int(sizeof(T))>;
    using V = simd::Vec<T, Arch>;
    constexpr Index length = 256;
    static_assert(length % Source::group == 0 && pointwise_grain % length == 0);
    const Source source(key);
    parallel::for_range(n, pointwise_grain, [&](Index begin, Index end) {
        alignas(64) T buffer[length];
        for (Index first = begin; first < end; first += length) {
            for (Index i = 0; i < length && first + i < end; i += Source::group) {
                typename Source::Values words;
                V values[Source::per_block];
                source(first + i, words);
                f(words, values);
                simd::transpose_groups(values);
                for (int j = 0; j < Source::per_block; ++j) simd::store(buffer + i + j * V::width, values[j]);
            }
            if (end - first >= length) finish(buffer, first, std::integral_constant<Index, length>{});
            else finish(buffer, first, end - first);
        }
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
