#pragma once
// The IDX files of MNIST and its relatives (yann.lecun.com/exdb/mnist), plain or compressed by gzip.
#include <lamina/core/create.hpp>
#include <lamina/io/inflate.hpp>
#include <lamina/io/mapped_tensor.hpp>

namespace lamina::inline LAMINA_ABI::io {

namespace detail {

/// The bytes of an IDX file in order, from the mapped file or through the decompressor.
class IdxSource {
public:
    IdxSource(std::string_view where, std::string_view bytes)
        : where_(where),
          left_(bytes),
          compressed_(bytes.starts_with("\x1f\x8b")),
          inflater_(where, Inflater::Format::gzip, bytes),
          limit_(compressed_ ? bytes.size() * deflate_limit : bytes.size()) {}

    void read(void* out, std::size_t size) {
        if (compressed_) return inflater_.read(out, size);
        require<IoError>(size <= left_.size(), where_, ": the header must be whole but the file ends after ", limit_,
                         " bytes");
        std::memcpy(out, left_.data(), size);
        left_.remove_prefix(size);
    }
    /// Refuses a size that the rest of the file cannot have.
    void require_size(std::uint64_t size, std::string_view shape, DType dtype) const {
        const bool possible = compressed_ ? size <= limit_ : size == left_.size();
        require<IoError>(possible, where_, ": the elements must have ", size, " bytes for ", name_of(dtype),
                         " of shape ", shape, " but have ", compressed_ ? "at most " : "",
                         compressed_ ? limit_ : left_.size());
    }
    void finish() {
        if (compressed_) inflater_.finish();
    }

private:
    std::string_view where_, left_;
    bool compressed_;
    Inflater inflater_;
    std::uint64_t limit_;
};

/// Calls f with an element of the type that the third byte of an IDX file names; false for an unknown code.
template <class F>
bool visit_idx_type(unsigned code, F&& f) {
    switch (code) {
        case 0x08: f(std::uint8_t{}); return true;
        case 0x09: f(std::int8_t{}); return true;
        case 0x0B: f(std::int16_t{}); return true;
        case 0x0C: f(std::int32_t{}); return true;
        case 0x0D: f(float{}); return true;
        case 0x0E: f(double{}); return true;
        default: return false;
    }
}

/// True when every value of `From` is a value of `To`.
template <class To, class From>
inline constexpr bool holds_all = std::is_same_v<To, From> ||
                                  (std::is_floating_point_v<To> && sizeof(To) > sizeof(From)) ||
                                  (std::is_integral_v<To> && std::is_integral_v<From> && !std::is_same_v<To, bool> &&
                                   sizeof(To) > sizeof(From) && (std::is_signed_v<To> || std::is_unsigned_v<From>));

/// Reads big-endian elements of type `Stored` as `T`.
template <class Stored, class T>
void read_idx_elements(IdxSource& source, T* out, Index count) {
    if constexpr (sizeof(Stored) == 1 && std::is_same_v<Stored, T>) {
        source.read(out, std::size_t(count));
    } else {
        constexpr Index room = 1024;
        Stored piece[room];
        for (Index done = 0; done < count;) {
            const Index n = std::min(count - done, room);
            source.read(piece, std::size_t(n) * sizeof(Stored));
            for (Index i = 0; i < n; ++i) {
                auto* const element = reinterpret_cast<std::byte*>(piece + i);
                std::reverse(element, element + sizeof(Stored));
                out[done + i] = T(piece[i]);
            }
            done += n;
        }
    }
}

}  // namespace detail

/// Reads an IDX file of rank R, such as images [N, H, W] or labels [N], plain or gzip. The element type of the file
/// must be T or one whose values T holds all: labels stored as bytes may be read as int64. Throws IoError.
template <Element T, int R>
Tensor<T, R> load_idx(const std::string& path) {
    const MappedFile file("load_idx", path);
    const std::string where = message("load_idx: \"", path, "\"");
    detail::IdxSource source(where, file.text());

    unsigned char magic[4];
    source.read(magic, 4);
    require<IoError>(magic[0] == 0 && magic[1] == 0, where,
                     ": the file must begin with two zero bytes but begins with ", int(magic[0]), " and ",
                     int(magic[1]));
    require<IoError>(magic[3] == R, where, ": the file must have rank ", R, " but has ", int(magic[3]));
    Shape<R> shape;
    for (int d = 0; d < R; ++d) {
        unsigned char e[4];
        source.read(e, 4);
        shape[d] = Index(e[0]) << 24 | Index(e[1]) << 16 | Index(e[2]) << 8 | Index(e[3]);
    }

    Tensor<T, R> out;
    const bool known = detail::visit_idx_type(magic[2], [&]<class Stored>(Stored) {
        if constexpr (detail::holds_all<T, Stored>) {
            const std::vector<Index> extents(shape.begin(), shape.end());
            const auto bytes = detail::checked_bytes(dtype_of<T>, extents, where + ": the elements");
            source.require_size(bytes / sizeof(T) * sizeof(Stored), message(shape), dtype_of<Stored>);
            out = empty<T>(shape);
            detail::read_idx_elements<Stored>(source, out.mutable_data(), out.numel());
            source.finish();
        } else {
            fail<IoError>(where, ": the elements must fit ", name_of(dtype_of<T>), " but are ",
                          name_of(dtype_of<Stored>));
        }
    });
    require<IoError>(known, where, ": the element type must be 8, 9, 11, 12, 13 or 14 but is ", int(magic[2]));
    return out;
}

}  // namespace lamina::inline LAMINA_ABI::io
