#include <lamina/io/image.hpp>
#include <lamina/io/pixels.hpp>
#include <lamina/io/png.hpp>
#include <tests/io/files.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

using Image = Tensor<std::uint8_t, 3>;

Image load(std::string_view bytes, int channels = 3) {
    const test::TemporaryFolder folder;
    test::write_file(folder / "x", bytes);
    return io::load_image(folder / "x", channels);
}
std::string refusal(std::string_view bytes) {
    const test::TemporaryFolder folder;
    const std::string path = folder / "x", prefix = "load_image: \"" + path + "\" ";
    test::write_file(path, bytes);
    const std::string text = test::message_of<IoError>([&] { io::load_image(path); });
    CHECK_MESSAGE(text.starts_with(prefix), text);
    return text.substr(std::min(prefix.size(), text.size()));
}

/// Noise, ramps and flat parts, so that every filter is the best of some row.
Image picture(Index height, Index width, Index channels) {
    auto image = empty<std::uint8_t>(Shape{height, width, channels});
    test::Dice dice{1};
    std::uint8_t* pixel = image.mutable_data();
    for (Index y = 0; y < height; ++y)
        for (Index i = 0; i < width * channels; ++i)
            *pixel++ = y % 5 == 0 ? std::uint8_t(dice()) : y % 5 == 1 ? 200 : std::uint8_t(3 * y + i * (y % 5 - 1));
    return image;
}

}  // namespace

TEST_CASE("png: images of one to four channels come back") {
    const test::TemporaryFolder folder;
    for (int channels = 1; channels <= 4; ++channels)
        for (const auto& [height, width] : {std::pair<Index, Index>{1, 1}, {1, 7}, {9, 1}, {37, 53}}) {
            const auto image = picture(height, width, channels);
            io::save_png(folder / "x.png", image);
            CHECK(test::bitwise_equal(io::load_image(folder / "x.png", channels), image));
        }
    CHECK(folder.files() == std::vector<std::string>{"x.png"});
}

TEST_CASE("png: the smallest image has the bytes that the standard says") {
    const std::string bytes = io::encode_png(Image{{{7}}});
    const std::string head("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\1\0\0\0\1\x08\0\0\0\0\x3a\x7e\x9b\x55", 33);
    CHECK(bytes.substr(0, 33) == head);
    CHECK(bytes.substr(bytes.size() - 12) == std::string("\0\0\0\0IEND\xae\x42\x60\x82", 12));
    CHECK(io::detail::png_prediction(4, 10, 20, 15) == 15);
    CHECK(io::detail::png_prediction(4, 10, 20, 12) == 20);
    CHECK(io::detail::png_prediction(4, 10, 20, 40) == 10);
    CHECK(io::detail::png_prediction(4, 20, 10, 16) == 16);
    CHECK(io::detail::png_prediction(3, 11, 20, 0) == 15);
}

TEST_CASE("png: a strided image is written, and what is not an image is refused") {
    const auto image = picture(4, 6, 3);
    const Image turned(image.storage(), const_cast<std::uint8_t*>(image.data()), Shape{6, 4, 3}, {3, 18, 1});
    CHECK(test::bitwise_equal(load(io::encode_png(turned)), turned));
    CHECK(test::message_of<ShapeError>([] {
              io::encode_png(zeros<std::uint8_t>(Shape{2, 2, 5}));
          }) == "png: an image must have 1 to 4 channels but has 5 ([2, 2, 5])");
    CHECK(test::message_of<ShapeError>([] {
              io::encode_png(zeros<std::uint8_t>(Shape{0, 2, 3}));
          }) == "png: height and width must lie in [1, 2147483647] but the shape is [0, 2, 3]");
}

TEST_CASE("image: portable pixmaps, bitmaps and channel conversion") {
    CHECK(test::bitwise_equal(load("P6\n# note\n2 1\n255\nabcdef"), Image{{{'a', 'b', 'c'}, {'d', 'e', 'f'}}}));
    CHECK(test::bitwise_equal(load("P5 1 2 255 ab"), Image{{{'a', 'a', 'a'}}, {{'b', 'b', 'b'}}}));
    CHECK(test::bitwise_equal(load("P5 1 2 255 ab", 4), Image{{{'a', 'a', 'a', 255}}, {{'b', 'b', 'b', 255}}}));
    std::string bitmap("BM\x3e\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\1\0\0\0\2\0\0\0\1\0\x18\0\0\0\0\0", 34);
    bitmap.resize(54, '\0');
    bitmap += std::string("\1\2\3\0\4\5\6\0", 8);  // bottom row first, blue first, rows padded to four bytes
    CHECK(test::bitwise_equal(load(bitmap), Image{{{6, 5, 4}}, {{3, 2, 1}}}));
}

TEST_CASE("image: a JPEG decodes to its colour, and Huffman tables of too many codes are refused") {
    // 8 x 8 grey pixels of one block: DC difference 0 and end of block, so that every sample is 128.
    const std::string quantization = std::string("\xff\xdb\0\x43\0", 5) + std::string(64, '\1');
    const std::string frame("\xff\xc0\0\x0b\x08\0\x08\0\x08\1\1\x11\0", 13);
    const std::string tables = std::string("\xff\xc4\0\x14\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22) +
                               std::string("\xff\xc4\0\x14\x10\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22);
    const std::string scan("\xff\xda\0\x08\1\1\0\0\x3f\0\x3f\xff\xd9", 13);
    for (const bool tables_first : {false, true}) {
        const auto image = load("\xff\xd8" + quantization + (tables_first ? tables + frame : frame + tables) + scan);
        CHECK(image.shape() == Shape{8, 8, 3});
        for (const auto value : image.span()) CHECK(value == 128);
        const std::string huge =
            std::string("\xff\xc4\1\x14\0\0\0\0\0\0\0\1\xff\1\0\0\0\0\0\0\0", 21) + std::string(257, '\0');
        CHECK(refusal("\xff\xd8" + quantization + (tables_first ? huge + frame : frame + huge) + scan) ==
              "must have Huffman tables of at most 256 codes");
        // Behind the end anything may follow; inside a segment an end mark is none.
        CHECK(
            load("\xff\xd8" + quantization + (tables_first ? tables + frame : frame + tables) + scan + huge).shape() ==
            Shape{8, 8, 3});
        const std::string note("\xff\xfe\0\4\xff\xd9", 6);
        CHECK(refusal("\xff\xd8" + quantization + frame + note + huge + scan) ==
              "must have Huffman tables of at most 256 codes");
        const std::string restarted = scan.substr(0, scan.size() - 2) + "\xff\xd0" + huge + "\xff\xd9";
        CHECK(refusal("\xff\xd8" + quantization + frame + tables + restarted) ==
              "must have Huffman tables of at most 256 codes");
    }
}

TEST_CASE("image: each kind of bad file gets its sentence") {
    const std::string good = io::encode_png(picture(20, 20, 3));
    CHECK(refusal("") == "must have between 1 and 2147483647 bytes but has 0");
    CHECK(refusal("hello") == "must be a PNG, JPEG, BMP, PGM or PPM image (unknown image type)");
    CHECK(refusal(good.substr(0, good.size() / 2)).starts_with("must be undamaged ("));
    std::string unknown = good;
    unknown.replace(unknown.find("IDAT"), 4, "\1B\nD");
    CHECK(refusal(unknown) == "must be undamaged (?B?D PNG chunk not known)");
    CHECK(refusal("P6 30000 30000 255 ") == "claims 30000 x 30000 pixels and its 19 bytes can hold at most 165120");
    CHECK(test::message_of<ValueError>([] { io::load_image("x", 5); }) ==
          "load_image: channels must lie in [1, 4] but are 5");
    CHECK_THROWS_AS(io::load_image("/none/such.png"), IoError);
}

TEST_CASE("image: mutated PNG files are read or refused, never more") {
    const test::TemporaryFolder folder;
    const std::string path = folder / "x", good = io::encode_png(picture(12, 9, 3));
    test::Dice dice{8};
    int accepted = 0, refused = 0;
    for (int i = 0; i < 2000; ++i) {
        test::write_file(path, test::damaged(good, good.size(), dice));
        try {
            accepted += io::load_image(path).numel() > 0;
        } catch (const IoError& error) {
            refused += std::string_view(error.what()).find(path) != std::string_view::npos;
        }
    }
    CHECK(accepted + refused == 2000);
    CHECK(refused > 300);
}

TEST_CASE("pixels: bytes become planes and planes bytes") {
    const auto image = picture(5, 4, 3);
    const auto planes = io::to_planes(image);
    CHECK(planes.shape() == Shape{3, 5, 4});
    CHECK(planes(2, 1, 3) == float(image(1, 3, 2)) * (1.0f / 255));
    CHECK(test::bitwise_equal(io::to_pixels(planes), image));
    CHECK(test::bitwise_equal(io::to_pixels(io::to_planes<double>(image, 1), 1), image));
    const float nan = std::numeric_limits<float>::quiet_NaN();
    CHECK(test::bitwise_equal(io::to_pixels(Tensor<float, 3>{{{-1, 0, 0.501f / 255, 0.499f / 255, 1, 2, nan, -1e30f}}}),
                              Image{{{0}, {0}, {1}, {0}, {255}, {255}, {0}, {0}}}));
}
