#pragma once
// Writing PNG images (W3C PNG, third edition); reading is in io/image.hpp.
#include <lamina/core/tensor.hpp>
#include <lamina/io/atomic_file.hpp>

#include <zlib.h>
#include <vector>

namespace lamina::inline LAMINA_ABI::io {

namespace detail {

inline void append_big_endian(std::string& out, std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) out += char(value >> shift & 0xff);
}

inline void append_png_chunk(std::string& out, std::string_view type, std::string_view data) {
    append_big_endian(out, std::uint32_t(data.size()));
    const std::size_t start = out.size();
    out.append(type).append(data);
    append_big_endian(out, std::uint32_t(crc32_z(0, reinterpret_cast<const Bytef*>(&out[start]), out.size() - start)));
}

/// The prediction of filter `type` from the bytes to the left, above, and above left.
constexpr int png_prediction(int type, int left, int above, int corner) {
    const auto distance = [&](int x) {
        return x > left + above - corner ? x - (left + above - corner) : (left + above - corner) - x;
    };
    switch (type) {
        case 1: return left;
        case 2: return above;
        case 3: return (left + above) / 2;
        case 4: {
            if (distance(left) <= distance(above) && distance(left) <= distance(corner)) return left;
            return distance(above) <= distance(corner) ? above : corner;
        }
        default: return 0;
    }
}

/// Each row behind the number of the filter whose differences are smallest in sum, the standard's heuristic.
inline std::string png_filtered(const std::uint8_t* pixels, Index height, Index row, Index channels) {
    std::string out, best(std::size_t(row + 1), '\0'), trial = best;
    out.reserve(std::size_t(height * (row + 1)));
    for (Index y = 0; y < height; ++y) {
        const std::uint8_t* const line = pixels + y * row;
        const std::uint8_t* const before = y ? line - row : nullptr;
        Index least = -1;
        for (int type = 0; type < 5; ++type) {
            trial[0] = char(type);
            Index sum = 0;
            for (Index x = 0; x < row; ++x) {
                const int left = x >= channels ? line[x - channels] : 0, above = before ? before[x] : 0;
                const int corner = before && x >= channels ? before[x - channels] : 0;
                const auto difference = static_cast<signed char>(line[x] - png_prediction(type, left, above, corner));
                trial[std::size_t(x + 1)] = char(difference);
                sum += difference < 0 ? -difference : difference;
            }
            if (least < 0 || sum < least) {
                least = sum;
                best.swap(trial);
            }
        }
        out += best;
    }
    return out;
}

}  // namespace detail

/// The PNG file of an image [H, W, C] with 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA) channels. Throws ShapeError
/// for another number of channels or an empty image.
inline std::string encode_png(const Tensor<std::uint8_t, 3>& image) {
    constexpr Index largest = 0x7fffffff;
    const Index height = image.dim(0), width = image.dim(1), channels = image.dim(2);
    require(channels >= 1 && channels <= 4, "png: an image must have 1 to 4 channels but has ", channels, " (",
            image.shape(), ")");
    require(height >= 1 && width >= 1 && height <= largest && width <= largest,
            "png: height and width must lie in [1, 2147483647] but the shape is ", image.shape());
    const auto dense = image.is_contiguous() ? image : image.clone();
    const std::string rows = detail::png_filtered(dense.data(), height, width * channels, channels);
    std::string packed(compressBound(uLong(rows.size())), '\0');
    uLongf packed_size = uLongf(packed.size());
    const int status = compress2(reinterpret_cast<Bytef*>(packed.data()), &packed_size,
                                 reinterpret_cast<const Bytef*>(rows.data()), uLong(rows.size()), 6);
    require<IoError>(status == Z_OK, "png: zlib must succeed but returned ", status);
    packed.resize(packed_size);

    std::string header;
    detail::append_big_endian(header, std::uint32_t(width));
    detail::append_big_endian(header, std::uint32_t(height));
    header += char(8);
    header += "\0\4\2\6"[channels - 1];
    header.append(3, '\0');
    std::string out("\x89PNG\r\n\x1a\n", 8);
    detail::append_png_chunk(out, "IHDR", header);
    // A chunk's length has 31 bits; readers take any number of data chunks.
    for (std::size_t at = 0; at < packed.size(); at += std::size_t(1) << 30)
        detail::append_png_chunk(out, "IDAT", std::string_view(packed).substr(at, std::size_t(1) << 30));
    detail::append_png_chunk(out, "IEND", "");
    return out;
}

/// Writes an image [H, W, C] of 1 to 4 channels, replacing the old file in one step. Throws ShapeError and IoError.
inline void save_png(const std::string& path, const Tensor<std::uint8_t, 3>& image) {
    const std::string bytes = encode_png(image);
    AtomicFile file("save_png", path);
    file.write(bytes);
    file.commit();
}

}  // namespace lamina::inline LAMINA_ABI::io
