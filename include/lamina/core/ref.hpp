#pragma once
// Shared ownership by a count inside the object: one pointer wide, and none of <memory>'s or <atomic>'s compile time.
#include <lamina/core/index.hpp>

#include <utility>

namespace lamina::inline LAMINA_ABI {

/// Base of objects owned through Ref.
class RefCounted {
public:
    RefCounted() = default;
    RefCounted(const RefCounted&) = delete;
    RefCounted& operator=(const RefCounted&) = delete;
    void retain() const { __atomic_fetch_add(&count_, 1, __ATOMIC_RELAXED); }
    /// True when the caller gave up the last reference and must delete the object.
    bool release() const { return __atomic_sub_fetch(&count_, 1, __ATOMIC_ACQ_REL) == 0; }

private:
    mutable int count_ = 0;
};

/// A pointer that shares ownership of a RefCounted object; may be null. Thread-safe like std::shared_ptr.
template <class T>
class Ref {
public:
    Ref() = default;
    explicit Ref(T* object) : object_(object) {
        if (object_) object_->retain();
    }
    Ref(const Ref& other) : Ref(other.object_) {}
    Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
    Ref& operator=(Ref other) noexcept {
        std::swap(object_, other.object_);
        return *this;
    }
    ~Ref() { reset(); }
    /// Lets go. Preferred to `= {}`, for which Clang 14 forgets the destructor inside templates.
    void reset() {
        if (T* object = std::exchange(object_, nullptr); object && object->release()) delete object;
    }
    T* get() const { return object_; }
    T* operator->() const { return object_; }
    T& operator*() const { return *object_; }
    explicit operator bool() const { return object_ != nullptr; }
    bool operator==(const Ref&) const = default;

private:
    T* object_ = nullptr;
};

}  // namespace lamina::inline LAMINA_ABI
