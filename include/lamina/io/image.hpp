#pragma once
// Reading images: PNG, JPEG, BMP, and binary PGM and PPM.
#include <lamina/core/create.hpp>
#include <lamina/io/mapped_file.hpp>
#include <lamina/io/stb_image.hpp>

namespace lamina::inline LAMINA_ABI::io {

namespace detail {

/// True when the tables of a DHT segment, whose length field `segment` begins with, have at most 256 codes each.
inline bool jpeg_segment_fits(std::string_view segment) {
    const auto byte = [&](std::size_t i) {
        return i < segment.size() ? unsigned(static_cast<unsigned char>(segment[i])) : 0u;
    };
    const std::size_t end = std::min<std::size_t>(byte(0) << 8 | byte(1), segment.size());
    for (std::size_t at = 2; at < end;) {
        if (byte(at) >> 4 > 1 || (byte(at) & 15) > 3) return true;  // no table: stb_image stops here
        unsigned codes = 0;
        for (std::size_t i = 1; i <= 16; ++i) codes += byte(at + i);
        if (codes > 256) return false;
        at += 17 + codes;
    }
    return true;
}

/// Where the JPEG whose frame header is at byte `at` ends, behind the first end mark that is part of no segment: what
/// follows, such as the film that telephones append, stb_image never reads. The whole size where segments do not fit.
inline std::size_t jpeg_end(std::string_view bytes, std::size_t at) {
    const auto byte = [&](std::size_t i) {
        return i < bytes.size() ? unsigned(static_cast<unsigned char>(bytes[i])) : 0u;
    };
    while (at + 3 < bytes.size() && byte(at) == 0xff) {
        const unsigned mark = byte(at + 1), length = byte(at + 2) << 8 | byte(at + 3);
        if (mark == 0xff) {
            ++at;
            continue;
        }
        if (mark == 0xd9) return at + 2;
        if (length < 2) break;
        at += 2 + length;
        // Behind a scan's header its data run to the next mark but restarts; 0xff 0 is a byte of data.
        const auto is_data = [&](unsigned next) { return next == 0 || next == 0xff || (next & 0xf8) == 0xd0; };
        if (mark == 0xda)
            while (at + 1 < bytes.size() && (byte(at) != 0xff || is_data(byte(at + 1)))) ++at;
    }
    return bytes.size();
}

/// Versions of stb_image before 2.28 write past a Huffman table of more than 256 codes. The segments before the frame
/// header are walked as stb_image does; behind it every place that could be taken for a table is checked.
inline bool jpeg_tables_fit(std::string_view bytes) {
    if (!bytes.starts_with('\xff')) return true;
    const auto byte = [&](std::size_t i) {
        return i < bytes.size() ? unsigned(static_cast<unsigned char>(bytes[i])) : 0u;
    };
    std::size_t at = byte(1) == 0xd8 ? 2 : 0;
    while (byte(at) == 0xff &&
           (byte(at + 1) >= 0xe0 || byte(at + 1) == 0xdb || byte(at + 1) == 0xdd || byte(at + 1) == 0xc4) &&
           byte(at + 1) != 0xff) {
        if (byte(at + 1) == 0xc4 && !jpeg_segment_fits(bytes.substr(at + 2))) return false;
        const std::size_t length = byte(at + 2) << 8 | byte(at + 3);
        if (length < 2) break;
        at += 2 + length;
    }
    const std::size_t end = jpeg_end(bytes, at);
    for (at = bytes.find("\xff\xc4", at); at < end; at = bytes.find("\xff\xc4", at + 1))
        if (!jpeg_segment_fits(bytes.substr(at + 2))) return false;
    return true;
}

}  // namespace detail

/// Reads an image as bytes [H, W, channels]: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA, whatever the file holds (16-bit
/// values keep their upper byte; orientation tags are not applied). Throws IoError naming the file, ValueError for
/// another number of channels.
// Static, because it calls functions of which each translation unit has its own.
[[maybe_unused]] static Tensor<std::uint8_t, 3> load_image(const std::string& path, int channels = 3) {
    require<ValueError>(channels >= 1 && channels <= 4, "load_image: channels must lie in [1, 4] but are ", channels);
    const MappedFile file("load_image", path);
    const auto reason = [] {
        const char* text = detail::stb::stbi_failure_reason();
        return detail::shortened(text ? text : "unknown");
    };
    require<IoError>(file.size() >= 1 && file.size() <= 0x7fffffff, "load_image: \"", path,
                     "\" must have between 1 and 2147483647 bytes but has ", file.size());
    const auto* bytes = reinterpret_cast<const unsigned char*>(file.data());
    const int size = int(file.size());
    int width = 0, height = 0, stored = 0;
    require<IoError>(detail::jpeg_tables_fit(file.text()), "load_image: \"", path,
                     "\" must have Huffman tables of at most 256 codes");
    const bool known = detail::stb::stbi_info_from_memory(bytes, size, &width, &height, &stored) == 1;
    require<IoError>(known, "load_image: \"", path, "\" must be a PNG, JPEG, BMP, PGM or PPM image (", reason(), ")");
    // No format packs more into a byte than deflate does with one-bit pixels, 8 * 1032: more is a false claim.
    const Index most = (Index(size) + 1) * 8 * 1032;
    require<IoError>(Index(width) * height <= most, "load_image: \"", path, "\" claims ", width, " x ", height,
                     " pixels and its ", size, " bytes can hold at most ", most);
    unsigned char* const pixels = detail::stb::stbi_load_from_memory(bytes, size, &width, &height, &stored, channels);
    require<IoError>(pixels, "load_image: \"", path, "\" must be undamaged (", reason(), ")");
    const Shape<3> shape{height, width, channels};
    auto storage = Storage::borrow(pixels, pixels, [](void* memory) { detail::stb::stbi_image_free(memory); });
    return Tensor<std::uint8_t, 3>(std::move(storage), pixels, shape, contiguous_strides(shape));
}

}  // namespace lamina::inline LAMINA_ABI::io
