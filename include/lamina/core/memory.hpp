#pragma once
// Where tensor memory comes from. Large freed blocks stay mapped in size-bucketed free lists, because touching a
// fresh page costs more than most kernels spend on it: a steady training loop then makes no page faults at all.
#include <lamina/core/error.hpp>

#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace lamina::inline LAMINA_ABI::memory {

/// Bytes held for tensors: in use now, kept for reuse, and the most ever in use.
struct Stats {
    Index live = 0, cached = 0, peak = 0;
};

inline constexpr std::size_t alignment = 64;                    ///< of every block, on every ISA
inline constexpr std::size_t smallest_recycled = 64 << 10;      ///< smaller blocks go back to the allocator
inline constexpr std::size_t huge_page = std::size_t(2) << 20;  ///< blocks of at least this are aligned to it
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool recycling = false;  // a recycled block would hide a use after free
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool recycling = false;
#else
inline constexpr bool recycling = true;
#endif
#else
inline constexpr bool recycling = true;
#endif

namespace detail {

class SpinLock {
public:
    void lock() {
        while (__atomic_exchange_n(&held_, true, __ATOMIC_ACQUIRE)) {}
    }
    void unlock() { __atomic_store_n(&held_, false, __ATOMIC_RELEASE); }

private:
    bool held_ = false;
};

/// The bytes a block of at least `bytes` really has: four sizes to each doubling, whole huge pages from 2 MiB.
constexpr std::size_t block_size(std::size_t bytes) {
    if (bytes < smallest_recycled) return bytes / alignment * alignment + alignment;
    const std::size_t quarter = std::size_t(1) << (std::bit_width(bytes - 1) - 3);
    const std::size_t unit = bytes >= huge_page && quarter < huge_page ? huge_page : quarter;
    return (bytes + unit - 1) / unit * unit;
}
/// Index of the free list for blocks of exactly `size` = block_size(…) bytes.
constexpr std::size_t bucket_of(std::size_t size) {
    const auto octave = std::size_t(std::bit_width(size - 1) - 1);
    return octave * 4 + (((size - 1) >> (octave - 2)) & 3);
}

class Pool {
public:
    /// Never destroyed, so that tensors of static lifetime may be freed after everything else.
    static Pool& instance() {
        static Pool& pool = *new Pool;
        return pool;
    }

    void* allocate(std::size_t size) {
        Block* block = nullptr;
        lock_.lock();
        if (size >= smallest_recycled && (block = buckets_[bucket_of(size)])) {
            buckets_[bucket_of(size)] = block->next;
            stats_.cached -= Index(size);
        }
        stats_.live += Index(size);
        if (stats_.live > stats_.peak) stats_.peak = stats_.live;
        lock_.unlock();
        return block ? block : fresh(size);
    }

    /// Keeps a large block for reuse. Live and kept bytes together stay within twice the most ever live: beyond that,
    /// kept blocks of other sizes go first, so that a loop gets back the sizes it steadily uses.
    void deallocate(void* data, std::size_t size) {
        const bool keep = recycling && size >= smallest_recycled;
        Block* surplus = nullptr;
        lock_.lock();
        stats_.live -= Index(size);
        if (keep) {
            const std::size_t bucket = bucket_of(size);
            buckets_[bucket] = new (data) Block{buckets_[bucket], size};
            stats_.cached += Index(size);
            surplus = take_surplus(bucket);
        }
        lock_.unlock();
        if (!keep) std::free(data);
        while (surplus) std::free(std::exchange(surplus, surplus->next));
    }

    void trim() {
        lock_.lock();
        for (Block*& head : buckets_)
            while (head) std::free(std::exchange(head, head->next));
        stats_.cached = 0;
        lock_.unlock();
    }

    Stats stats() {
        lock_.lock();
        const Stats copy = stats_;
        lock_.unlock();
        return copy;
    }

private:
    struct Block {
        Block* next;
        std::size_t size;
    };
    static constexpr std::size_t bucket_count = 4 * 63;

    /// Unlinks kept blocks while too many bytes are held: from the other buckets in turn, at last from `spared`.
    Block* take_surplus(std::size_t spared) {
        Block* out = nullptr;
        const auto take_from = [&](std::size_t bucket) {
            while (buckets_[bucket] && stats_.live + stats_.cached > 2 * stats_.peak) {
                Block* const block = std::exchange(buckets_[bucket], buckets_[bucket]->next);
                stats_.cached -= Index(block->size);
                block->next = std::exchange(out, block);
            }
        };
        for (std::size_t i = 0; i < bucket_count && stats_.live + stats_.cached > 2 * stats_.peak; ++i) {
            if (next_victim_ != spared) take_from(next_victim_);
            next_victim_ = (next_victim_ + 1) % bucket_count;
        }
        take_from(spared);
        return out;
    }

    void* fresh(std::size_t size) {
        const std::size_t align = size >= huge_page ? huge_page : alignment;
        void* data = std::aligned_alloc(align, size);
        if (!data) {
            trim();
            data = std::aligned_alloc(align, size);
        }
        if (!data) {
            lock_.lock();
            stats_.live -= Index(size);
            lock_.unlock();
            fail<Error>("memory: the system refused a block of ", Index(size), " bytes");
        }
#if defined(__linux__)
        if (size >= huge_page) madvise(data, size, MADV_HUGEPAGE);
#endif
        return data;
    }

    SpinLock lock_;
    Stats stats_;
    Block* buckets_[bucket_count]{};
    std::size_t next_victim_ = 0;
};

}  // namespace detail

/// Bytes live, cached and at peak over all threads.
inline Stats stats() { return detail::Pool::instance().stats(); }
/// Gives the cached blocks back to the system.
inline void trim() { detail::Pool::instance().trim(); }

}  // namespace lamina::inline LAMINA_ABI::memory
