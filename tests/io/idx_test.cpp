#include <lamina/io/idx.hpp>
#include <tests/io/files.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

std::string idx_of(int type, const std::vector<std::uint32_t>& extents, std::string_view data) {
    std::string bytes("\0\0", 2);
    bytes += char(type);
    bytes += char(extents.size());
    for (const std::uint32_t extent : extents)
        for (int shift = 24; shift >= 0; shift -= 8) bytes += char(extent >> shift & 0xff);
    return bytes.append(data);
}

std::string gzipped(std::string_view bytes) {
    std::string out(bytes.size() + 1000, '\0');
    z_stream stream{};
    REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) == Z_OK);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = uInt(bytes.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = uInt(out.size());
    REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

template <class T, int R>
Tensor<T, R> load(std::string_view bytes) {
    const test::TemporaryFolder folder;
    test::write_file(folder / "x", bytes);
    return io::load_idx<T, R>(folder / "x");
}
template <class T, int R>
std::string refusal(std::string_view bytes) {
    const test::TemporaryFolder folder;
    const std::string path = folder / "x", prefix = "load_idx: \"" + path + "\": ";
    test::write_file(path, bytes);
    const std::string text = test::message_of<IoError>([&] { io::load_idx<T, R>(path); });
    CHECK_MESSAGE(text.starts_with(prefix), text);
    return text.substr(std::min(prefix.size(), text.size()));
}

const std::string pixels = "abcdefghijkl";

}  // namespace

TEST_CASE("idx: bytes come back, plain, compressed and in several members") {
    const Tensor<std::uint8_t, 3> expected{{{'a', 'b', 'c'}, {'d', 'e', 'f'}}, {{'g', 'h', 'i'}, {'j', 'k', 'l'}}};
    const std::string plain = idx_of(8, {2, 2, 3}, pixels);
    CHECK(test::bitwise_equal(load<std::uint8_t, 3>(plain), expected));
    CHECK(test::bitwise_equal(load<std::uint8_t, 3>(gzipped(plain)), expected));
    CHECK(test::bitwise_equal(
        load<std::uint8_t, 3>(gzipped(plain.substr(0, 19)) + gzipped(plain.substr(19)) + std::string(5, '\0')),
        expected));
    CHECK(load<std::uint8_t, 2>(idx_of(8, {0, 5}, "")).shape() == Shape{0, 5});
    CHECK(load<std::int64_t, 1>(gzipped(idx_of(8, {3}, "\1\2\xff")))(2) == 255);
    CHECK(load<float, 1>(idx_of(8, {3}, "\1\2\xff"))(2) == 255.0f);
}

TEST_CASE("idx: wider elements are big-endian") {
    CHECK(load<std::int16_t, 1>(idx_of(0x0B, {2}, std::string("\1\2\xff\xfe", 4)))(1) == -2);
    CHECK(load<std::int32_t, 1>(idx_of(0x0C, {1}, std::string("\0\1\2\3", 4)))(0) == 0x010203);
    CHECK(load<std::int64_t, 1>(idx_of(0x0C, {1}, "\xff\xff\xff\xff"))(0) == -1);
    CHECK(load<float, 1>(idx_of(0x0D, {1}, std::string("\x40\x20\0\0", 4)))(0) == 2.5f);
    CHECK(load<double, 1>(idx_of(0x0E, {1}, std::string("\x40\4\0\0\0\0\0\0", 8)))(0) == 2.5);
    CHECK(load<std::int8_t, 1>(idx_of(0x09, {1}, "\x80"))(0) == -128);
    std::string many;
    for (int i = 0; i < 3000; ++i) many += {char(i >> 8), char(i & 0xff)};
    const auto read = load<std::int32_t, 1>(gzipped(idx_of(0x0B, {3000}, many)));
    for (Index i = 0; i < 3000; ++i) REQUIRE(read(i) == i);
}

TEST_CASE("idx: each kind of damage gets its sentence") {
    const std::string plain = idx_of(8, {2, 2, 3}, pixels), packed = gzipped(plain);
    const auto refused = [](std::string_view bytes) { return refusal<std::uint8_t, 3>(bytes); };
    CHECK(refused("") == "the header must be whole but the file ends after 0 bytes");
    CHECK(refused(plain.substr(0, 10)) == "the header must be whole but the file ends after 10 bytes");
    CHECK(refused("ab\x08\3") == "the file must begin with two zero bytes but begins with 97 and 98");
    CHECK(refused(idx_of(7, {2, 2, 3}, pixels)) == "the element type must be 8, 9, 11, 12, 13 or 14 but is 7");
    CHECK(refused(idx_of(8, {2, 6}, pixels)) == "the file must have rank 3 but has 2");
    CHECK(refused(idx_of(9, {2, 2, 3}, pixels)) == "the elements must fit uint8 but are int8");
    CHECK(refusal<std::int32_t, 1>(idx_of(0x0D, {1}, "....")) == "the elements must fit int32 but are float32");
    CHECK(refused(plain.substr(0, plain.size() - 1)) ==
          "the elements must have 12 bytes for uint8 of shape [2, 2, 3] but have 11");
    CHECK(refused(plain + "m") == "the elements must have 12 bytes for uint8 of shape [2, 2, 3] but have 13");
    CHECK(refused(idx_of(8, {0xffffffffu, 0xffffffffu, 0xffffffffu}, pixels)) ==
          "the elements must have fewer than 2^63 bytes but has shape [4294967295, 4294967295, 4294967295]");
    CHECK(refused(idx_of(8, {0, 0xffffffffu, 0xffffffffu}, "")).find("fewer than 2^63 bytes") != std::string::npos);
    CHECK(
        refused(gzipped(idx_of(8, {60000, 28, 28}, "")))
            .starts_with("the elements must have 47040000 bytes for uint8 of shape [60000, 28, 28] but have at most "));
    CHECK(refused(gzipped(idx_of(8, {2, 2, 4}, pixels))) == "the compressed data must hold 32 bytes but ends after 28");
    CHECK(refused(gzipped(plain + "m")) == "the compressed data must end after 28 bytes but goes on");
    for (std::size_t cut = 2; cut < packed.size(); ++cut)
        CHECK(refused(packed.substr(0, cut)).starts_with("the compressed data must be whole but is cut off at byte "));
    std::string flipped = packed;
    flipped[flipped.size() - 6] = char(flipped[flipped.size() - 6] ^ 1);  // in the checksum
    CHECK(refused(flipped).starts_with("the compressed data must be whole but is damaged at byte "));
    CHECK(refused(packed + "garbage").starts_with("the compressed data must be whole but is damaged at byte "));
}

TEST_CASE("idx: mutated files are read or refused, never more") {
    const test::TemporaryFolder folder;
    const std::string path = folder / "x", plain = idx_of(8, {2, 2, 3}, pixels), packed = gzipped(plain);
    test::Dice dice{3};
    int accepted = 0, refused = 0;
    for (int i = 0; i < 3000; ++i) {
        test::write_file(path, i % 2 ? test::damaged(packed, packed.size(), dice) : test::damaged(plain, 16, dice));
        try {
            accepted += io::load_idx<std::uint8_t, 3>(path).numel() <= 1032 * 100;
        } catch (const IoError& error) {
            refused += std::string_view(error.what()).find(path) != std::string_view::npos;
        }
    }
    CHECK(accepted + refused == 3000);
    CHECK(refused > 1000);
}

TEST_CASE("idx: Fashion-MNIST holds what it is known to hold") {
    const std::string folder = "/usr/share/datasets/fashion-mnist/";
    if (::access((folder + "t10k-labels-idx1-ubyte.gz").c_str(), R_OK) != 0) {
        MESSAGE("skipped: Debian's package dataset-fashion-mnist is not installed");
        return;
    }
    const auto images = io::load_idx<std::uint8_t, 3>(folder + "t10k-images-idx3-ubyte.gz");
    const auto labels = io::load_idx<std::int64_t, 1>(folder + "t10k-labels-idx1-ubyte.gz");
    CHECK(images.shape() == Shape{10000, 28, 28});
    Index counts[10] = {};
    for (const std::int64_t label : labels.span()) ++counts[label];
    for (const Index count : counts) CHECK(count == 1000);
    const Tensor<std::int64_t, 1> first{9, 2, 1, 1, 6, 1, 4, 6, 5, 7};
    for (Index i = 0; i < 10; ++i) CHECK(labels(i) == first(i));
}
