#include <tests/io/files.hpp>
#include <tests/support/golden.hpp>

using namespace lamina;

namespace {

/// A file from the text of its header (padded or not) and its data.
std::string file_of(std::string_view header, std::string_view data = "") {
    const auto length = std::uint64_t(header.size());
    std::string bytes(reinterpret_cast<const char*>(&length), 8);
    return bytes.append(header).append(data);
}

/// The IoError that this file gets, without its path.
std::string refusal(std::string_view bytes) {
    const test::TemporaryFolder folder;
    const std::string path = folder / "x.safetensors";
    test::write_file(path, bytes);
    std::string text = test::message_of<IoError>([&] { io::load_safetensors(path); });
    const std::string prefix = "load_safetensors: \"" + path + "\": ";
    CHECK_MESSAGE(text.starts_with(prefix), text);
    return text.substr(std::min(prefix.size(), text.size()));
}

StateDict everything() {
    StateDict state;
    state.insert("float", test::wave<float>(Shape{3, 5}));
    state.insert("double", test::wave<double>(Shape{2, 2, 2}));
    state.insert("half", test::wave<half>(Shape{7}));
    state.insert("bfloat", test::wave<bfloat16>(Shape{5, 1}));
    state.insert("long", test::wave<std::int64_t>(Shape{4}));
    state.insert("int", test::wave<std::int32_t>(Shape{1, 2, 1, 2}));
    state.insert("short", test::wave<std::int16_t>(Shape{3}));
    state.insert("char", test::wave<std::int8_t>(Shape{9}));
    state.insert("byte", test::wave<std::uint8_t>(Shape{3, 3}));
    state.insert("mask", test::wave<bool>(Shape{2, 3}));
    state.insert("scalar", scalar(2.5f));
    state.insert("empty", zeros<float>(Shape{3, 0, 2}));
    state.insert("empty.long", zeros<std::int64_t>(Shape{0}));
    state.insert("\"quoted\" \\ \n ü 日", test::wave<float>(Shape{2}));
    return state;
}

void check_equal(const StateDict& a, const StateDict& b) {
    REQUIRE(a.size() == b.size());
    for (const auto& [name, tensor] : a) {
        const AnyTensor& other = b[name];
        CHECK(tensor.dtype() == other.dtype());
        CHECK(tensor.shape() == other.shape());
        CHECK((tensor.bytes() == 0 || std::memcmp(tensor.data(), other.data(), tensor.bytes()) == 0));
    }
}

}  // namespace

TEST_CASE("safetensors: every element type, rank 0 and empty tensors come back with their bits") {
    const test::TemporaryFolder folder;
    const auto state = everything();
    const io::Metadata metadata{{"format", "pt"}, {"note \"1\"", "line\nü"}};
    io::save_safetensors(folder / "a", state, metadata);
    const auto loaded = io::read_safetensors(folder / "a");
    check_equal(state, loaded.tensors);
    CHECK(loaded.metadata == metadata);
    CHECK(loaded.tensors["float"].as<float, 2>()(2, 4) == state["float"].as<float, 2>()(2, 4));
    CHECK(loaded.tensors["scalar"].as<float, 0>().item() == 2.5f);
    io::save_safetensors(folder / "b", loaded.tensors, metadata);
    CHECK(test::read_file(folder / "a") == test::read_file(folder / "b"));
    CHECK(folder.files() == std::vector<std::string>{"a", "b"});
}

TEST_CASE("safetensors: the bytes written are the reference's: wide types first, then names, header padded to 8") {
    const test::TemporaryFolder folder;
    StateDict state;
    state.insert("b", Tensor<float, 1>{1, 2});
    state.insert("flag", Tensor<bool, 1>{true});
    state.insert("a", Tensor<float, 2>{{3}});
    state.insert("n", scalar(std::int64_t(7)));
    io::save_safetensors(folder / "x", state, {{"k", "v"}});
    std::string header = R"({"__metadata__":{"k":"v"},"n":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
                         R"("a":{"dtype":"F32","shape":[1,1],"data_offsets":[8,12]},)"
                         R"("b":{"dtype":"F32","shape":[2],"data_offsets":[12,20]},)"
                         R"("flag":{"dtype":"BOOL","shape":[1],"data_offsets":[20,21]}})";
    header.resize((header.size() + 7) / 8 * 8, ' ');
    const std::string data("\7\0\0\0\0\0\0\0\0\0\x40\x40\0\0\x80\x3f\0\0\0\x40\1", 21);
    CHECK(test::read_file(folder / "x") == file_of(header, data));
}

TEST_CASE("safetensors: a strided tensor is written densely") {
    const test::TemporaryFolder folder;
    const auto x = test::wave<float>(Shape{4, 3});
    const Tensor<float, 2> transposed(x.storage(), const_cast<float*>(x.data()), Shape{3, 4}, {1, 3});
    StateDict state;
    state.insert("t", transposed);
    io::save_safetensors(folder / "x", state);
    CHECK(test::bitwise_equal(io::load_safetensors(folder / "x")["t"].as<float, 2>(), transposed));
}

TEST_CASE("safetensors: aligned tensors stay in the file, and writing to them does not reach it") {
    const test::TemporaryFolder folder;
    const std::string path = folder / "x";
    StateDict state;
    state.insert("w", test::wave<float>(Shape{1000}));
    io::save_safetensors(path, state);
    const std::string before = test::read_file(path);
    const Index live = memory::stats().live;
    auto loaded = io::load_safetensors(path)["w"].as<float, 1>();
    CHECK(memory::stats().live == live);
    loaded.mutable_data()[5] = 42;
    CHECK(loaded(5) == 42);
    CHECK(test::read_file(path) == before);
    CHECK(io::load_safetensors(path)["w"].as<float, 1>()(5) == test::wave<float>(Shape{1000})(5));
    io::save_safetensors(path, {});
    CHECK(loaded(999) == test::wave<float>(Shape{1000})(999));
}

TEST_CASE("safetensors: unaligned tensors and loose headers are read") {
    const test::TemporaryFolder folder;
    const std::string header =
        "{ \"a\" : {\"shape\":[1] ,\"data_offsets\":[ 1,5],\"dtype\":\"F32\", \"extra\":[{}]},\n"
        "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}  \t";
    test::write_file(folder / "x", file_of(header, std::string("\x09\0\0\x80\x3f", 5)));
    const auto state = io::load_safetensors(folder / "x");
    CHECK(state["a"].as<float, 1>().item() == 1.0f);
    CHECK(state["b"].as<std::uint8_t, 1>().item() == 9);
    test::write_file(folder / "y", file_of("{}"));
    CHECK(io::load_safetensors(folder / "y").size() == 0);
}

TEST_CASE("safetensors: each kind of malformed file gets its sentence") {
    const auto tensor = [](std::string_view dtype, std::string_view shape, std::string_view offsets) {
        return message("{\"w\":{\"dtype\":\"", dtype, "\",\"shape\":[", shape, "],\"data_offsets\":[", offsets, "]}}");
    };
    const std::string data(8, '\0');
    CHECK(refusal("") == "the file must hold 8 bytes of header length but has 0");
    CHECK(refusal("1234567") == "the file must hold 8 bytes of header length but has 7");
    CHECK(refusal(std::string("\0\0\0\0\0\0\0\x80{}", 10)) ==
          "the header must not exceed 100000000 bytes but claims 9223372036854775808");
    CHECK(refusal(std::string("\x09\0\0\0\0\0\0\0{}", 10)) ==
          "the header claims 9 bytes and must fit the 2 that follow");
    CHECK(refusal(std::string(8, '\0')) == "the header claims 0 bytes and must fit the 0 that follow");
    CHECK(refusal(file_of(" {}")) == "the header must begin with '{'");
    CHECK(refusal(file_of("{}x")) == "JSON must have the end of the text at byte 2 of 3");
    CHECK(refusal(file_of("{\"w\":1}")) == "JSON must have an object at byte 5 of 7");
    CHECK(refusal(file_of("{\"w\":{}}")) == "tensor \"w\" must have dtype, shape and data_offsets");
    CHECK(refusal(file_of(R"({"__metadata__":{"a":1}})")) == "JSON must have a string at byte 21 of 24");
    CHECK(refusal(file_of(R"({"__metadata__":{},"__metadata__":{}})")) == "__metadata__ must appear once");
    CHECK(refusal(file_of(R"({"__metadata__":{"a":"","a":""}})")) == "the metadata key \"a\" must appear once");
    CHECK(refusal(file_of(tensor("F31", "2", "0,8"), data)) ==
          "tensor \"w\" must have one of the element types I64 F64 F32 I32 BF16 F16 I16 I8 U8 BOOL but has F31");
    CHECK(refusal(file_of(tensor("F8_E4M3", "8", "0,8"), data)).ends_with("but has F8_E4M3"));
    CHECK(refusal(file_of(tensor("F32", "-2", "0,8"), data)) ==
          "tensor \"w\" must not have a negative extent but has -2");
    CHECK(refusal(file_of(tensor("F32", "2", "-1,8"), data)) ==
          "tensor \"w\" must not have a negative offset but has -1");
    CHECK(refusal(file_of(tensor("F32", "2", "8"), data)) == "tensor \"w\" must have 2 data_offsets but has 1");
    CHECK(refusal(file_of(tensor("F32", "2", "0,8,9"), data)) == "tensor \"w\" must have 2 data_offsets but has 3");
    CHECK(refusal(file_of(tensor("F32", "2", "8,0"), data)) ==
          "tensor \"w\" must lie within the 8 bytes of data but claims 8 to 0");
    CHECK(refusal(file_of(tensor("F32", "4", "0,16"), data)) ==
          "tensor \"w\" must lie within the 8 bytes of data but claims 0 to 16");
    CHECK(refusal(file_of(tensor("F32", "3", "0,8"), data)) ==
          "tensor \"w\" must have 12 bytes for float32 of shape [3] but has 8");
    CHECK(refusal(file_of(tensor("F32", "4294967296,4294967296", "0,8"), data)) ==
          "tensor \"w\" must have fewer than 2^63 bytes but has shape [4294967296, 4294967296]");
    CHECK(refusal(file_of(tensor("F32", "9223372036854775807,0,9223372036854775807", "0,0"), data))
              .starts_with("tensor \"w\" must have fewer than 2^63 bytes"));
    CHECK(refusal(file_of(tensor("F32", "1.0", "0,4"), data)).starts_with("JSON must have a 64-bit integer"));
    CHECK(refusal(file_of(tensor("F32", "1", "4,8"), data)) ==
          "tensor \"w\" must begin where the one before ends, at byte 0 of the data, but begins at 4");
    CHECK(refusal(file_of(tensor("F32", "1", "0,4"), data)) ==
          "the tensors must cover the 8 bytes of data but end at 4");
    CHECK(refusal(file_of("{}", data)) == "the tensors must cover the 8 bytes of data but end at 0");
    CHECK(refusal(file_of(tensor("BOOL", "8", "0,8"), std::string("\0\1\2\0\0\0\0\0", 8))) ==
          "tensor \"w\" must hold 0 or 1 but holds 2 at element 2");
    CHECK(refusal(file_of(R"({"w":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", data)) ==
          "tensor \"w\" must have one dtype but has more");
    const std::string_view half = R"("w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
    CHECK(refusal(file_of(message("{", half, ",", half, "}"), data)) == "tensor \"w\" must appear once");
    CHECK(refusal(file_of(message("{", half, R"(,"v":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})"), data)) ==
          "tensor \"v\" must begin where the one before ends, at byte 4 of the data, but begins at 2");
    CHECK(refusal(file_of(message("{", half, R"(,"e":{"dtype":"F32","shape":[0],"data_offsets":[2,2]}})"),
                          std::string(4, '\0'))) ==
          "tensor \"e\" must begin where the one before ends, at byte 4 of the data, but begins at 2");
    CHECK(refusal(file_of("{\"a\":{\"x\":" + std::string(100, '['))) == "JSON must not nest deeper than 64 (byte 73)");
}

TEST_CASE("safetensors: files that cannot be opened are named") {
    const test::TemporaryFolder folder;
    CHECK(test::message_of<IoError>([&] { io::load_safetensors(folder / "none"); }) ==
          "load_safetensors: \"" + (folder / "none") + "\" must be a readable file (No such file or directory)");
    CHECK(test::message_of<IoError>([&] { io::load_safetensors(folder / ""); }) ==
          "load_safetensors: \"" + (folder / "") + "\" must be a regular file");
    REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);  // refused at once, not waited for
    CHECK(test::message_of<IoError>([&] { io::load_safetensors(folder / "pipe"); }) ==
          "load_safetensors: \"" + (folder / "pipe") + "\" must be a regular file");
    CHECK_THROWS_AS(io::load_safetensors("/dev/zero"), IoError);
}

TEST_CASE("safetensors: what cannot be written is refused before the file is touched") {
    const test::TemporaryFolder folder;
    const auto refused = [&](const char* name, const io::Metadata& metadata = {}) {
        StateDict state;
        state.insert(name, scalar(1.0f));
        return test::message_of<ValueError>([&] { io::save_safetensors(folder / "x", state, metadata); });
    };
    CHECK(refused("__metadata__") == "save_safetensors: no tensor may be named __metadata__");
    CHECK(refused("\xff") == "save_safetensors: names and metadata must be UTF-8 but \"\xff\" is not");
    CHECK(refused("a", {{"k", "\xc3"}}).find("must be UTF-8") != std::string::npos);
    CHECK(refused("a", {{"k", "1"}, {"k", "2"}}) == "save_safetensors: the metadata key k must appear once");
    StateDict undefined;
    undefined.insert("u", AnyTensor());
    CHECK_THROWS_WITH_AS(io::save_safetensors(folder / "x", undefined),
                         "save_safetensors: tensor \"u\" must be defined", ValueError);
    CHECK(folder.files().empty());
    CHECK(test::message_of<IoError>([&] { io::save_safetensors(folder / "no/x", {}); }) ==
          "save_safetensors: \"" + (folder / "no/x") + "\" must be writable (No such file or directory)");
    CHECK_THROWS_AS(io::save_safetensors(folder / "", {}), IoError);
    CHECK_THROWS_AS(io::save_safetensors("/dev/null", {}), IoError);
}

TEST_CASE("safetensors: a sharded set is read through its index") {
    const test::TemporaryFolder folder;
    StateDict one, two;
    one.insert("a", test::wave<float>(Shape{3}));
    one.insert("unlisted", test::wave<float>(Shape{1}));
    two.insert("c", test::wave<double>(Shape{2}));
    two.insert("b", test::wave<half>(Shape{2, 2}));
    io::save_safetensors(folder / "m-1.safetensors", one);
    io::save_safetensors(folder / "m-2.safetensors", two);
    const std::string index = folder / "m.safetensors.index.json";
    test::write_file(index, R"({"metadata":{"total_size":36},"weight_map":
        {"c":"m-2.safetensors","a":"m-1.safetensors","b":"m-2.safetensors"}})");
    const auto state = io::load_safetensors(index);
    CHECK(state.size() == 3);
    CHECK(test::bitwise_equal(state["a"].as<float, 1>(), test::wave<float>(Shape{3})));
    CHECK(test::bitwise_equal(state["b"].as<half, 2>(), test::wave<half>(Shape{2, 2})));
    CHECK(test::bitwise_equal(state["c"].as<double, 1>(), test::wave<double>(Shape{2})));

    const auto refused = [&](std::string_view map) {
        test::write_file(index, message("{\"weight_map\":", map, "}"));
        const std::string text = test::message_of<IoError>([&] { io::load_safetensors(index); });
        return text.substr(std::min(text.size(), index.size() + 22));
    };
    CHECK(refused(R"({"z":"m-1.safetensors"})") == "tensor \"z\" must be in \"m-1.safetensors\"");
    CHECK(refused(R"({"a":"m-1.safetensors","a":"m-2.safetensors"})") == "tensor \"a\" must appear once");
    CHECK(refused(R"({"a":"../m-1.safetensors"})") ==
          "tensor \"a\" must lie in a file of the same folder but lies in \"../m-1.safetensors\"");
    CHECK(refused(R"({"a":""})").ends_with("but lies in \"\""));
    CHECK(refused(R"([])").find("JSON must have an object") != std::string::npos);
    CHECK(refused(R"({"a":"m-3.safetensors"})").find("No such file") != std::string::npos);
}

TEST_CASE("safetensors: mutated files are read or refused, never more") {
    const test::TemporaryFolder folder;
    const std::string path = folder / "x";
    io::save_safetensors(path, everything(), {{"format", "pt"}, {"k", "\\\"ü"}});
    const std::string good = test::read_file(path);
    std::uint64_t header = 0;
    std::memcpy(&header, good.data(), 8);
    test::Dice dice{20240611};
    int accepted = 0, refused = 0;
    unsigned sum = 0;
    for (int i = 0; i < 6000; ++i) {
        std::string bytes = test::damaged(good, 8 + header, dice);
        if (bytes.size() >= 8 && i % 2) {  // keep the length right, so that the damage reaches what lies behind it
            const std::uint64_t length = header + bytes.size() - good.size();
            std::memcpy(bytes.data(), &length, 8);
        }
        test::write_file(path, bytes);
        try {
            for (const auto& item : io::load_safetensors(path))
                for (std::size_t b = 0; b < item.tensor.bytes(); ++b) sum += unsigned(item.tensor.data()[b]);
            ++accepted;
        } catch (const IoError& error) {
            CHECK(std::string_view(error.what()).find(path) != std::string_view::npos);
            ++refused;
        }
    }
    CHECK(accepted > 50);
    CHECK(refused > 3000);
    CHECK(sum > 0);
}

TEST_CASE("safetensors: the golden file with every type holds the expected numbers") {
    if (test::golden_root().empty()) return;
    const test::GoldenCase input("formats/all_types_input"), expected("formats/all_types_expected");
    for (const char* name : {"f16", "bf16", "f32", "f64", "scalar"}) {
        AnyTensor wide = AnyTensor::zeros(DType::f32, input.any(name).shape());
        wide.assign(input.any(name));
        test::check_golden(expected, name, wide);
    }
    const auto integers = [&]<class T>(T, const char* name) {
        constexpr T low = std::numeric_limits<T>::min(), high = std::numeric_limits<T>::max();
        CHECK(test::bitwise_equal(input.tensor<T, 2>(name), Tensor<T, 2>{{low, high, 0}, {1, 7, 100}}));
    };
    integers(std::int8_t(), "i8");
    integers(std::uint8_t(), "u8");
    integers(std::int16_t(), "i16");
    integers(std::int32_t(), "i32");
    integers(std::int64_t(), "i64");
    CHECK(input.tensor<bool, 1>("bool").numel() == 3);
    CHECK(input.any("empty").shape() == std::vector<Index>{0, 4});
    CHECK(input.has("n\xc3\xa4me \xe6\x97\xa5\xe6\x9c\xac \"quoted\" \\ slash/.dots"));
    CHECK(input.meta("quote") == "a \"b\" \\ \n \xc3\xbc");
}

TEST_CASE("safetensors: half-precision weight files are read and written back byte for byte in content") {
    for (const auto& name : test::golden_names("formats")) {
        const test::TemporaryFolder folder;
        const auto original = io::read_safetensors(test::golden_root() + "/" + name + ".safetensors");
        io::save_safetensors(folder / "copy", original.tensors, original.metadata);
        check_equal(original.tensors, io::load_safetensors(folder / "copy"));
    }
}
