#pragma once
// Work memory of a thread: asked for in every call of a kernel, allocated only when it has to grow.
#include <lamina/core/index.hpp>

#include <new>
#include <type_traits>

namespace lamina::inline LAMINA_ABI::parallel {

/// Buffers that a thread may hold at the same time, one in each slot.
inline constexpr int scratch_slots = 16;

namespace detail {

struct ScratchBuffers {
    static constexpr auto alignment = std::align_val_t(64);
    struct Buffer {
        void* data = nullptr;
        std::size_t bytes = 0;
    } slots[scratch_slots];

    void* get(std::size_t bytes, int slot) {
        if (bytes > slots[slot].bytes) grow(slots[slot], bytes);
        return slots[slot].data;
    }
    LAMINA_NOINLINE void grow(Buffer& buffer, std::size_t bytes) {
        const std::size_t half_more = buffer.bytes + buffer.bytes / 2;
        const std::size_t size = ((bytes > half_more ? bytes : half_more) + 63) / 64 * 64;
        operator delete(buffer.data, alignment);
        buffer = {};
        buffer = {operator new(size, alignment), size};
    }
    ~ScratchBuffers() {
        for (Buffer& buffer : slots) operator delete(buffer.data, alignment);
    }
};
inline thread_local ScratchBuffers scratch_buffers;

}  // namespace detail

/// Room for `count` objects of trivial type T, 64-byte aligned and uninitialised. It is this thread's until it asks for
/// the same slot (0 to 15) again, so a caller must not keep a slot over a parallel loop whose tasks use that slot.
template <class T>
T* scratch(Index count, int slot = 0) {
    static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T> && alignof(T) <= 64);
    return static_cast<T*>(detail::scratch_buffers.get(std::size_t(count > 0 ? count : 1) * sizeof(T), slot));
}

}  // namespace lamina::inline LAMINA_ABI::parallel
