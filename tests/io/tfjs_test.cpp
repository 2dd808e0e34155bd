#include <lamina/io/tfjs.hpp>

#include <doctest/doctest.h>
#include <cmath>
#include <tests/io/files.hpp>

using namespace lamina;

namespace {

/// The bytes of values, end to end.
template <class... T>
std::string bytes_of(T... values) {
    std::string out;
    (out.append(reinterpret_cast<const char*>(&values), sizeof values), ...);
    return out;
}

/// A model.json with one group of these weights in these shards (both as JSON lists).
std::string model(std::string_view weights, std::string_view paths = R"(["x.bin"])") {
    return message(R"({"format":"graph-model","modelTopology":{"node":[{"name":"a","attr":{"f":{"f":-1.5e3}}}]},)",
                   R"("weightsManifest":[{"weights":)", weights, R"(,"paths":)", paths, "}]}");
}

StateDict load(const test::TemporaryFolder& folder, std::string_view json, std::string_view shard) {
    test::write_file(folder / "model.json", json);
    test::write_file(folder / "x.bin", shard);
    return io::load_tfjs(folder / "model.json");
}

/// The IoError that these files get, without the path.
std::string refusal(std::string_view json, std::string_view shard = "") {
    const test::TemporaryFolder folder;
    std::string text = test::message_of<IoError>([&] { load(folder, json, shard); });
    const std::string prefix = "load_tfjs: \"" + (folder / "model.json") + "\": ";
    CHECK_MESSAGE(text.starts_with(prefix), text);
    return text.substr(std::min(prefix.size(), text.size()));
}

const char* const halves_and_integers = R"([
    {"name":"h","shape":[],"dtype":"float32","quantization":{"dtype":"float16","original_dtype":"float32"}},
    {"name":"i","shape":[3],"dtype":"int32"},
    {"name":"f","shape":[1,2],"dtype":"float32"},
    {"name":"b","shape":[3],"dtype":"bool"},
    {"name":"none","shape":[0,7],"dtype":"float32"}])";
std::string halves_and_integers_shard() {
    return bytes_of(half(2.5f), std::int32_t(-7), std::int32_t(1 << 30), std::int32_t(0), 0.1f, -3.25f, true, false,
                    true);
}

void check_halves_and_integers(const StateDict& state) {
    REQUIRE(state.size() == 5);
    CHECK(state["h"].as<float, 0>().item() == 2.5f);
    CHECK(test::bitwise_equal(state["i"].as<std::int32_t, 1>(), Tensor<std::int32_t, 1>{-7, 1 << 30, 0}));
    CHECK(test::bitwise_equal(state["f"].as<float, 2>(), Tensor<float, 2>{{0.1f, -3.25f}}));
    CHECK(test::bitwise_equal(state["b"].as<bool, 1>(), Tensor<bool, 1>{true, false, true}));
    CHECK(state["none"].shape() == std::vector<Index>{0, 7});
}

}  // namespace

TEST_CASE("tfjs: weights follow each other without padding, so that integers may lie anywhere") {
    const test::TemporaryFolder folder;
    check_halves_and_integers(load(folder, model(halves_and_integers), halves_and_integers_shard()));
}

TEST_CASE("tfjs: shards are joined in the order of their paths, cut wherever") {
    const std::string all = halves_and_integers_shard();
    for (std::size_t cut = 0; cut <= all.size(); ++cut) {
        const test::TemporaryFolder folder;
        test::write_file(folder / "second", all.substr(cut));
        check_halves_and_integers(
            load(folder, model(halves_and_integers, R"(["x.bin","second"])"), all.substr(0, cut)));
    }
}

TEST_CASE("tfjs: every half becomes the float of the same value, subnormal ones too") {
    const test::TemporaryFolder folder;
    std::string shard;
    for (unsigned bits = 0; bits < 65536; ++bits) shard += bytes_of(std::uint16_t(bits));
    const auto state = load(
        folder, model(R"([{"name":"h","shape":[65536],"dtype":"float32","quantization":{"dtype":"float16"}}])"), shard);
    const auto h = state["h"].as<float, 1>();
    for (unsigned bits = 0; bits < 65536; ++bits) {
        const unsigned exponent = bits >> 10 & 31, fraction = bits & 1023;
        double expected = exponent ? std::ldexp(1024.0 + fraction, int(exponent) - 25) : std::ldexp(fraction, -24);
        if (exponent == 31) expected = fraction ? NAN : INFINITY;
        const double value = double(bits >> 15 ? -h(bits) : h(bits));
        if (std::isnan(expected) ? !std::isnan(value) : value != expected) FAIL_CHECK("half ", bits, " as ", value);
    }
}

TEST_CASE("tfjs: uint8 and uint16 are scaled and shifted, integers rounded") {
    const test::TemporaryFolder folder;
    const auto state = load(folder, model(R"([
        {"name":"a","dtype":"float32","shape":[3],"quantization":{"dtype":"uint8","scale":0.5,"min":-10,"x":[1]}},
        {"name":"b","dtype":"float32","shape":[2],"quantization":{"dtype":"uint16","scale":0.001,"min":1e-3}},
        {"name":"c","dtype":"int32","shape":[2,1],"quantization":{"dtype":"uint8","scale":0.3,"min":-1}},
        {"name":"d","dtype":"int32","shape":[1],"quantization":{"dtype":"uint16","scale":2,"min":-3}}])"),
                            bytes_of(std::uint8_t(0), std::uint8_t(7), std::uint8_t(255), std::uint16_t(0),
                                     std::uint16_t(65535), std::uint8_t(1), std::uint8_t(255), std::uint16_t(40000)));
    CHECK(test::bitwise_equal(state["a"].as<float, 1>(), Tensor<float, 1>{-10, -6.5f, 117.5f}));
    CHECK(test::bitwise_equal(state["b"].as<float, 1>(), Tensor<float, 1>{0.001f, 65.536f}));
    CHECK(test::bitwise_equal(state["c"].as<std::int32_t, 2>(), Tensor<std::int32_t, 2>{{-1}, {76}}));  // -0.7 and 75.5
    CHECK(test::bitwise_equal(state["d"].as<std::int32_t, 1>(), Tensor<std::int32_t, 1>{79997}));
}

TEST_CASE("tfjs: several groups; strings are stepped over") {
    const test::TemporaryFolder folder;
    test::write_file(folder / "y", bytes_of(std::uint32_t(2)) + "ab" + bytes_of(std::uint32_t(0)) + bytes_of(1.5f));
    const auto state = load(folder, R"({"weightsManifest":[
        {"paths":["x.bin"],"weights":[{"name":"a","shape":[1],"dtype":"int32"}]},
        {"paths":[],"weights":[]},
        {"paths":["y"],"weights":[{"name":"s","shape":[2],"dtype":"string"},
                                  {"name":"b","shape":[1],"dtype":"float32"}]}],"more":{}})",
                            bytes_of(std::int32_t(9)));
    CHECK(state.size() == 2);
    CHECK(state["a"].as<std::int32_t, 1>()(0) == 9);
    CHECK(state["b"].as<float, 1>()(0) == 1.5f);
}

TEST_CASE("tfjs: shards that are too short or too long") {
    const std::string floats = model(R"([{"name":"a","shape":[2],"dtype":"float32"},
                                         {"name":"b","shape":[1,3],"dtype":"float32"}])");
    CHECK(refusal(floats, std::string(19, 'x')) ==
          "weight \"b\" must lie within the 19 bytes of its shards but claims 8 to 20");
    CHECK(refusal(floats, "") == "weight \"a\" must lie within the 0 bytes of its shards but claims 0 to 8");
    CHECK(refusal(floats, std::string(21, 'x')) == "the weights of \"x.bin\" must cover its 21 bytes but end at 20");
    CHECK(refusal(model("[]"), "x") == "the weights of \"x.bin\" must cover its 1 bytes but end at 0");
    CHECK(refusal(model(R"([{"name":"a","shape":[2],"dtype":"float32"}])", "[]")) ==
          "weight \"a\" must lie within the 0 bytes of its shards but claims 0 to 8");
    const std::string string = model(R"([{"name":"s","shape":[1],"dtype":"string"}])");
    CHECK(refusal(string, "123") == "weight \"s\" must lie within the 3 bytes of its shards but claims 0 to 4");
    CHECK(refusal(string, bytes_of(~0u)) ==
          "weight \"s\" must lie within the 4 bytes of its shards but claims 4 to 4294967299");
    const test::TemporaryFolder folder;
    test::write_file(folder / "y.bin", "12345");
    const std::string two = model(R"([{"name":"a","shape":[2],"dtype":"float32"}])", R"(["x.bin","y.bin"])");
    CHECK(test::message_of<IoError>([&] {
              load(folder, two, "1234");
          }).ends_with("the weights of \"x.bin\" to \"y.bin\" must cover its 9 bytes but end at 8"));
    CHECK(test::message_of<IoError>([&] { load(folder, model("[]", R"(["z.bin"])"), ""); }) ==
          "load_tfjs: \"" + (folder / "z.bin") + "\" must be a readable file (No such file or directory)");
    CHECK(test::message_of<IoError>([&] { io::load_tfjs(folder / "none.json"); }) ==
          "load_tfjs: \"" + (folder / "none.json") + "\" must be a readable file (No such file or directory)");
}

TEST_CASE("tfjs: each misfit of a manifest has its sentence") {
    CHECK(refusal("{}") == "the file must have a weightsManifest");
    CHECK(refusal(R"({"weightsManifest":[)").find("JSON must have") == 0);
    CHECK(refusal(R"({"weightsManifest":[]} x)").find("JSON must have the end of the text") == 0);
    CHECK(refusal(model("[]", R"(["../x.bin"])")) == "shards must lie in the same folder but there is \"../x.bin\"");
    CHECK(refusal(model("[]", R"([""])")) == "shards must lie in the same folder but there is \"\"");
    CHECK(refusal(model(R"([{"name":"a","shape":[]}])")) == "weight \"a\" must have name, dtype and shape");
    CHECK(refusal(model(R"([{"name":"a","dtype":"int32"}])")) == "weight \"a\" must have name, dtype and shape");
    CHECK(refusal(model(R"([{"shape":[],"dtype":"int32"}])")) == "weight \"\" must have name, dtype and shape");
    CHECK(refusal(model(R"([{"name":"a","shape":[2,-1],"dtype":"int32"}])")) ==
          "weight \"a\" must not have a negative extent but has -1");
    CHECK(refusal(model(R"([{"name":"a","shape":[1],"dtype":"complex64"}])")) ==
          "weight \"a\" must have one of the element types float32 int32 bool string but has complex64");
    const std::string stored =
        "weight \"a\" must be float32 to be stored as float16, float32 or int32 to be stored as "
        "uint8 or uint16, but is ";
    const auto quantized = [](std::string_view dtype, std::string_view how) {
        return refusal(
            model(message(R"([{"name":"a","shape":[1],"dtype":")", dtype, R"(","quantization":)", how, "}]")));
    };
    CHECK(quantized("int32", R"({"dtype":"float16"})") == stored + "int32 stored as \"float16\"");
    CHECK(quantized("float32", R"({"dtype":"int4"})") == stored + "float32 stored as \"int4\"");
    CHECK(quantized("bool", R"({"dtype":"uint8","scale":1,"min":0})") == stored + "bool stored as \"uint8\"");
    CHECK(quantized("float32", "{}") == stored + "float32 stored as \"\"");
    CHECK(quantized("float32", R"({"dtype":"uint8","min":0})") ==
          "weight \"a\" must have scale and min to be float32 stored as uint8");
    CHECK(quantized("int32", R"({"dtype":"uint16","scale":1})") ==
          "weight \"a\" must have scale and min to be int32 stored as uint16");
    CHECK(refusal(model(R"([{"name":"a","shape":[],"dtype":"bool"},{"name":"a","shape":[],"dtype":"bool"}])"), "  ") ==
          "weight \"a\" must appear once");
    CHECK(refusal(model(R"([{"name":"a","shape":[2],"dtype":"bool"}])"), std::string("\1\2", 2)) ==
          "weight \"a\" must hold 0 or 1 but holds 2 at element 1");
    CHECK(refusal(model(R"([{"name":"a","shape":[1],"dtype":"int32","quantization":
                             {"dtype":"uint8","scale":1e9,"min":0}}])"),
                  "\5") == "weight \"a\" must fit int32 but holds 5e+09 at element 0");
    CHECK(refusal(model(R"([{"name":"a","shape":[4611686018427387904,2],"dtype":"int32"}])"))
              .find("must have fewer than 2^63 bytes but has shape") != std::string::npos);
}

TEST_CASE("tfjs: mutated files are read or refused, never more") {
    const test::TemporaryFolder folder;
    const std::string json = model(halves_and_integers), shard = halves_and_integers_shard();
    test::Dice dice{20240611};
    int accepted = 0, refused = 0;
    unsigned sum = 0;
    for (int i = 0; i < 4000; ++i) {
        try {
            const auto state = load(folder, i % 4 ? test::damaged(json, json.size(), dice) : json,
                                    i % 4 ? shard : test::damaged(shard, shard.size(), dice));
            for (const auto& item : state)
                for (std::size_t b = 0; b < item.tensor.bytes(); ++b) sum += unsigned(item.tensor.data()[b]);
            ++accepted;
        } catch (const IoError& error) {
            CHECK(std::string_view(error.what()).find("load_tfjs: \"") == 0);
            ++refused;
        }
        for (const auto& name : folder.files()) ::unlink((folder / name).c_str());
    }
    CHECK(accepted > 50);
    CHECK(refused > 2000);
    CHECK(sum > 0);
}
