#pragma once
// A block of bytes that tensors share: its owner, its size, and the version that counts writes.
#include <lamina/core/memory.hpp>
#include <lamina/core/ref.hpp>

namespace lamina::inline LAMINA_ABI {

/// Shared bytes. Made by the recycling allocator, or borrowed from memory that somebody else owns.
class Storage : public RefCounted {
public:
    /// `bytes` uninitialised bytes at a 64-byte boundary.
    static Ref<Storage> allocate(std::size_t bytes) {
        const std::size_t size = memory::detail::block_size(bytes);
        void* data = memory::detail::Pool::instance().allocate(size);
#if defined(LAMINA_CHECKED)
        std::memset(data, 0xff, size);  // NaN in every floating type: a read before the first write shows
#endif
        return Ref<Storage>(new Storage(data, size, nullptr, nullptr));
    }
    /// Memory that stays with its owner; `release(owner)`, if given, is called when the last tensor lets go.
    static Ref<Storage> borrow(void* data, void* owner = nullptr, void (*release)(void*) = nullptr) {
        return Ref<Storage>(new Storage(data, 0, owner, release));
    }
    ~Storage() {
        if (pooled_bytes_) memory::detail::Pool::instance().deallocate(data_, pooled_bytes_);
        if (release_) release_(owner_);
    }

    std::byte* data() const { return static_cast<std::byte*>(data_); }
    /// Number of times a tensor asked for write access.
    std::uint64_t version() const { return __atomic_load_n(&version_, __ATOMIC_RELAXED); }
    void bump_version() { __atomic_fetch_add(&version_, 1, __ATOMIC_RELAXED); }

private:
    Storage(void* data, std::size_t pooled, void* owner, void (*release)(void*))
        : data_(data),
          pooled_bytes_(pooled),
          owner_(owner),
          release_(release) {}

    void* data_;
    std::size_t pooled_bytes_;
    void* owner_;
    void (*release_)(void*);
    std::uint64_t version_ = 0;
};

}  // namespace lamina::inline LAMINA_ABI
