#include <lamina/io/npy.hpp>
#include <tests/io/files.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

/// An array file with this dictionary, its length field as version 1 or 2 has it.
std::string array_of(std::string_view dictionary, std::string_view data, int version = 1) {
    std::string bytes("\x93NUMPY");
    bytes += char(version);
    bytes += '\0';
    for (int i = 0; i < (version == 1 ? 2 : 4); ++i) bytes += char(dictionary.size() >> 8 * i & 0xff);
    return bytes.append(dictionary).append(data);
}

AnyTensor load(std::string_view bytes) {
    const test::TemporaryFolder folder;
    test::write_file(folder / "x.npy", bytes);
    return io::load_npy(folder / "x.npy");
}

std::string refusal(std::string_view bytes) {
    const test::TemporaryFolder folder;
    const std::string path = folder / "x.npy", prefix = "load_npy: \"" + path + "\": ";
    test::write_file(path, bytes);
    const std::string text = test::message_of<IoError>([&] { io::load_npy(path); });
    CHECK_MESSAGE(text.starts_with(prefix), text);
    return text.substr(std::min(prefix.size(), text.size()));
}

}  // namespace

TEST_CASE_TEMPLATE("npy: elements come back with their bits", T, float, double, half, std::int64_t, std::int32_t,
                   std::int16_t, std::int8_t, std::uint8_t, bool) {
    const test::TemporaryFolder folder;
    const auto round_trip = [&]<int R>(const Tensor<T, R>& x) {
        io::save_npy(folder / "x.npy", x);
        CHECK(test::bitwise_equal(io::load_npy(folder / "x.npy").as<T, R>(), x));
        CHECK(test::read_file(folder / "x.npy").size() == 128 + std::size_t(x.numel()) * sizeof(T));
    };
    round_trip(test::wave<T>(Shape<0>{}));
    round_trip(test::wave<T>(Shape{5}));
    round_trip(test::wave<T>(Shape{3, 4}));
    round_trip(test::wave<T>(Shape{2, 1, 3, 2}));
    round_trip(zeros<T>(Shape{2, 0}));
    CHECK(folder.files() == std::vector<std::string>{"x.npy"});
}

TEST_CASE("npy: the bytes written are NumPy's") {
    const test::TemporaryFolder folder;
    io::save_npy(folder / "x.npy", Tensor<float, 2>{{1}, {2}});
    std::string expected("\x93NUMPY\x01\0\x76\0", 10);
    expected += "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }";
    expected.resize(127, ' ');
    expected += std::string("\n\0\0\x80\x3f\0\0\0\x40", 9);
    CHECK(test::read_file(folder / "x.npy") == expected);
    CHECK(test::message_of<ValueError>([&] { io::save_npy(folder / "x.npy", zeros<bfloat16>(Shape{1})); }) ==
          "save_npy: NumPy must know the element type but has no bfloat16");
}

TEST_CASE("npy: other byte orders, memory orders, versions and notations are read") {
    const std::string big("\0\1\0\2\0\3\0\4\0\5\0\6", 12);
    const Tensor<std::int16_t, 2> rows{{1, 2, 3}, {4, 5, 6}}, columns{{1, 3, 5}, {2, 4, 6}};
    const auto read = [](std::string_view bytes) { return load(bytes).as<std::int16_t, 2>(); };
    CHECK(test::bitwise_equal(read(array_of("{'descr': '>i2', 'fortran_order': False, 'shape': (2, 3), }\n", big)),
                              rows));
    CHECK(test::bitwise_equal(read(array_of("{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }\n", big)),
                              columns));
    CHECK(test::bitwise_equal(read(array_of("{\"shape\":(2L,3L),\"fortran_order\":False,\"descr\":\">i2\"}", big, 2)),
                              rows));
    CHECK(test::bitwise_equal(read(array_of("{'descr':'>i2','fortran_order':False,'shape':(2,3)}", big, 3)), rows));
    const auto cube = load(array_of("{'descr':'|u1','fortran_order':True,'shape':(2,3,2)}", "abcdefghijkl"));
    CHECK(test::bitwise_equal(
        cube.as<std::uint8_t, 3>(),
        Tensor<std::uint8_t, 3>{{{'a', 'g'}, {'c', 'i'}, {'e', 'k'}}, {{'b', 'h'}, {'d', 'j'}, {'f', 'l'}}}));
    CHECK(load(array_of("{'descr':'>f8','fortran_order':False,'shape':()}", std::string("\x40\x04\0\0\0\0\0\0", 8)))
              .as<double, 0>()
              .item() == 2.5);
    CHECK(load(array_of("{'descr':'>f4','fortran_order':True,'shape':(1,)}", std::string("\x40\x20\0\0", 4)))
              .as<float, 1>()
              .item() == 2.5f);
    CHECK(load(array_of("{'descr':'<f4','fortran_order':True,'shape':(0,3)}", "")).shape() == std::vector<Index>{0, 3});
}

TEST_CASE("npy: each kind of malformed file gets its sentence") {
    const auto header = [](std::string_view descr, std::string_view order, std::string_view shape) {
        return message("{'descr':'", descr, "','fortran_order':", order, ",'shape':", shape, "}");
    };
    const std::string eight(8, '\0');
    CHECK(refusal("") == "the array must begin with \\x93NUMPY and a version");
    CHECK(refusal(std::string("\x93NUMPX\1\0\0\0\0\0", 12)) == "the array must begin with \\x93NUMPY and a version");
    CHECK(refusal(array_of("{}", eight, 4)) == "the array must be of version 1, 2 or 3 but is of 4");
    CHECK(refusal(array_of(header("<f4", "False", "(2,)"), eight).substr(0, 20)) ==
          "the array's header claims 50 bytes and must fit the 10 that follow");
    CHECK(refusal(array_of(header("<f4", "False", "(2,)"), eight.substr(1))) ==
          "the array must have 8 bytes for float32 of shape [2] but has 7");
    CHECK(refusal(array_of(header("<f4", "False", "(1,)"), eight)) ==
          "the array must have 4 bytes for float32 of shape [1] but has 8");
    for (const char* descr : {"|O", "<c8", "<u4", "<U3", "f4", "|f4", "!f4", "<f16", ""})
        CHECK(refusal(array_of(header(descr, "False", "(2,)"), eight)) ==
              message("the array must have one of the element types f4 f8 f2 i8 i4 i2 i1 u1 b1 but has ", descr));
    CHECK(refusal(array_of(header(std::string("<\0\n4", 4), "False", "(2,)"), eight)) ==
          "the array must have one of the element types f4 f8 f2 i8 i4 i2 i1 u1 b1 but has <??4");
    CHECK(refusal(array_of(header("<f4", "Maybe", "(2,)"), eight)) ==
          "the array's header must have True or False at byte 31 of 50");
    CHECK(refusal(array_of(header("<f4", "True", "(-2,)"), eight)) ==
          "the array's header must have an extent at byte 45 of 50");
    CHECK(refusal(array_of(header("<f4", "True", "(2 2)"), eight)).find("must have ',' or ')'") != std::string::npos);
    CHECK(refusal(array_of(header("<f4", "True", "(99999999999999999999,)"), eight)).find("an extent") !=
          std::string::npos);
    CHECK(refusal(array_of(header("<f4", "True", "(4294967296,4294967296)"), eight)) ==
          "the array must have fewer than 2^63 bytes but has shape [4294967296, 4294967296]");
    CHECK(refusal(array_of(header("|b1", "False", "(8,)"), std::string("\1\0\0\0\0\0\0\7", 8))) ==
          "the array must hold 0 or 1 but holds 7 at element 7");
    CHECK(refusal(array_of("{'descr':'<f4','shape':(2,)}", eight)) ==
          "the array's header must have descr, fortran_order and shape at byte 28 of 28");
    CHECK(refusal(array_of("{'descr':'<f4','descr':'<f4'}", eight)).find("once at byte") != std::string::npos);
    CHECK(refusal(array_of("{'descr':[('a','<f4')]}", eight)).find("a quoted word at byte 9") != std::string::npos);
    CHECK(refusal(array_of(header("<f4", "True", "(2,)") + "x", eight)).find("nothing behind '}'") !=
          std::string::npos);
    CHECK(refusal(array_of("{'descr", eight)).find("the end of a quoted word") != std::string::npos);
    CHECK(refusal(array_of("", eight)) == "the array's header must have { at byte 0 of 0");
}

TEST_CASE("npy: mutated files are read or refused, never more") {
    const test::TemporaryFolder folder;
    const std::string path = folder / "x.npy";
    test::Dice dice{99};
    int accepted = 0, refused = 0;
    for (const char* kind :
         {"{'descr':'<f4','fortran_order':False,'shape':(2,3)}", "{'descr':'>i8','fortran_order':True,'shape':(3,1)}",
          "{'descr':'|b1','fortran_order':True,'shape':(2,3,4)}"}) {
        const std::string good = array_of(kind, std::string(24, '\0'));
        for (int i = 0; i < 1500; ++i) {
            test::write_file(path, test::damaged(good, good.size() - 24, dice));
            try {
                accepted += io::load_npy(path).numel() < 1000;
            } catch (const IoError& error) {
                refused += std::string_view(error.what()).find(path) != std::string_view::npos;
            }
        }
    }
    CHECK(accepted + refused == 4500);
    CHECK(accepted > 20);
    CHECK(refused > 2000);
}
