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
        while (__atomic_exchange_n(&held_, true, __ATOMIC_ACQUIRE)) {
        }
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

    /// Keeps a large block as long as no more is kept than was ever live at once.
    void deallocate(void* data, std::size_t size) {
        lock_.lock();
        stats_.live -= Index(size);
        const bool keep = recycling && size >= smallest_recycled && stats_.cached + Index(size) <= stats_.peak;
        if (keep) {
            Block*& head = buckets_[bucket_of(size)];
            head = new (data) Block{head};
            stats_.cached += Index(size);
        }
        lock_.unlock();
        if (!keep) std::free(data);
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
    };

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
    Block* buckets_[4 * 63]{};
};

}  // namespace detail

/// Bytes live, cached and at peak over all threads.
inline Stats stats() { return detail::Pool::instance().stats(); }
/// Gives the cached blocks back to the system.
inline void trim() { detail::Pool::instance().trim(); }

}  // namespace lamina::inline LAMINA_ABI::memory
