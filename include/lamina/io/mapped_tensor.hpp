#pragma once
// Tensors whose elements lie in a mapped file: used in place where they are aligned, copied where not.
#include <lamina/core/any_tensor.hpp>
#include <lamina/io/mapped_file.hpp>

namespace lamina::inline LAMINA_ABI::io::detail {

static_assert(std::endian::native == std::endian::little, "elements of files are little-endian and used in place");

/// Bytes of `shape`, or an IoError that begins with `label` when they are 2^63 or more.
inline std::uint64_t checked_bytes(DType dtype, const std::vector<Index>& shape, std::string_view label) {
    std::uint64_t bytes = size_of(dtype);
    bool fits = true, empty = false;
    for (const Index extent : shape) {
        empty = empty || extent == 0;
        if (extent != 0) fits = fits && !__builtin_mul_overflow(bytes, std::uint64_t(extent), &bytes);
    }
    if (!fits || bytes > std::uint64_t(std::numeric_limits<Index>::max())) {
        std::string text;
        Shape<0>::append_extents(text, shape.data(), int(std::min<std::size_t>(shape.size(), 16)));
        fail<IoError>(label, " must have fewer than 2^63 bytes but has shape ", text);
    }
    return empty ? 0 : bytes;
}

/// The bytes of a bool must be 0 or 1, or reading it is undefined.
inline void require_booleans(const std::byte* bytes, std::size_t count, std::string_view label) {
    for (std::size_t i = 0; i < count; ++i)
        require<IoError>(bytes[i] <= std::byte(1), label, " must hold 0 or 1 but holds ", int(bytes[i]), " at element ",
                         i);
}

/// Tensor of the elements at `bytes`, whose length the caller checked; with a `file` it keeps that mapped and copies
/// nothing when the address is aligned for the type.
inline AnyTensor tensor_at(const Ref<MappedFile>& file, std::byte* bytes, DType dtype, std::vector<Index> shape,
                           std::string_view label) {
    const std::size_t size = checked_bytes(dtype, shape, label);
    if (dtype == DType::boolean) require_booleans(bytes, size, label);
    if (!file || size == 0 || reinterpret_cast<std::uintptr_t>(bytes) % size_of(dtype) != 0) {
        auto copy = AnyTensor::zeros(dtype, std::move(shape));
        if (size) std::memcpy(copy.mutable_data(), bytes, size);
        return copy;
    }
    file->retain();
    auto storage = Storage::borrow(bytes, file.get(), [](void* owner) {
        if (auto* mapped = static_cast<MappedFile*>(owner); mapped->release()) delete mapped;
    });
    return AnyTensor(dtype, std::move(shape), std::move(storage), bytes);
}

}  // namespace lamina::inline LAMINA_ABI::io::detail
