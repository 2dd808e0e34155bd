#pragma once
// Reading images: PNG, JPEG, BMP, and binary PGM and PPM.
#include <lamina/core/create.hpp>
#include <lamina/io/mapped_file.hpp>
#include <lamina/io/stb_image.hpp>

namespace lamina::inline LAMINA_ABI::io {

/// Reads an image as bytes [H, W, channels]: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA, whatever the file holds (16-bit
/// values keep their upper byte; orientation tags are not applied). Throws IoError naming the file, ValueError for
/// another number of channels.
// Static, because it calls functions of which each translation unit has its own.
[[maybe_unused]] static Tensor<std::uint8_t, 3> load_image(const std::string& path, int channels = 3) {
    require<ValueError>(channels >= 1 && channels <= 4, "load_image: channels must lie in [1, 4] but are ", channels);
    const MappedFile file("load_image", path);
    const auto reason = [] {
        const char* text = detail::stb::stbi_failure_reason();
        return std::string_view(text ? text : "unknown");
    };
    require<IoError>(file.size() >= 1 && file.size() <= 0x7fffffff, "load_image: \"", path,
                     "\" must have between 1 and 2147483647 bytes but has ", file.size());
    const auto* bytes = reinterpret_cast<const unsigned char*>(file.data());
    const int size = int(file.size());
    int width = 0, height = 0, stored = 0;
    require<IoError>(detail::stb::stbi_info_from_memory(bytes, size, &width, &height, &stored) == 1, "load_image: \"",
                     path, "\" must be a PNG, JPEG, BMP, PGM or PPM image (", reason(), ")");
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
