#include <lamina/io/json.hpp>

#include <doctest/doctest.h>
#include <cmath>
#include <vector>

using namespace lamina;

namespace {
std::string error_of(std::string_view text) {
    try {
        io::JsonReader json("here", text);
        json.skip();
        json.end();
    } catch (const IoError& error) { return error.what(); }
    return "";
}
}  // namespace

TEST_CASE("json: values of every kind come back in order") {
    io::JsonReader json("here", R"( {"a": [1, -2, 9223372036854775807, -9223372036854775808], "b": {"c": null},
        "d": true, "e": false, "f": [0.5, -1e3, 2E-2, 10], "": "x"} )");
    std::string keys;
    std::vector<std::int64_t> integers;
    std::vector<double> numbers;
    json.object([&](const std::string& key) {
        keys += key + ";";
        if (key == "a") json.array([&] { integers.push_back(json.integer()); });
        if (key == "b") json.object([&](const std::string&) { json.null(); });
        if (key == "d") CHECK(json.boolean());
        if (key == "e") CHECK(!json.boolean());
        if (key == "f") json.array([&] { numbers.push_back(json.number()); });
        if (key.empty()) CHECK(json.string() == "x");
    });
    json.end();
    CHECK(keys == "a;b;d;e;f;;");
    CHECK(integers == std::vector<std::int64_t>{1, -2, INT64_MAX, INT64_MIN});
    CHECK(numbers == std::vector<double>{0.5, -1000, 0.02, 10});
}

TEST_CASE("json: strings decode escapes and surrogate pairs, and encode back") {
    io::JsonReader json("here", R"("\"\\\/\b\f\n\r\t\u0041\u00e4\u65e5\ud83d\ude00ä日")");
    const std::string text = json.string();
    CHECK(text == "\"\\/\b\f\n\r\tA\xc3\xa4\xe6\x97\xa5\xf0\x9f\x98\x80\xc3\xa4\xe6\x97\xa5");
    std::string written;
    io::append_json_string(written, text + "\x01\x1f");
    CHECK(written ==
          "\"\\\"\\\\/\\b\\f\\n\\r\\tA\xc3\xa4\xe6\x97\xa5\xf0\x9f\x98\x80\xc3\xa4\xe6\x97\xa5\\u0001\\u001f\"");
    CHECK(io::JsonReader("here", written).string() == text + "\x01\x1f");
}

TEST_CASE("json: what is not JSON is refused with the byte where it ends to be") {
    CHECK(error_of("") == "here: JSON must have a value at byte 0 of 0");
    CHECK(error_of("[1,]") == "here: JSON must have a value at byte 3 of 4");
    CHECK(error_of("[1 2]") == "here: JSON must have ',' or ']' at byte 3 of 5");
    CHECK(error_of("{\"a\" 1}") == "here: JSON must have ':' at byte 5 of 7");
    CHECK(error_of("{a:1}") == "here: JSON must have a member name at byte 1 of 5");
    CHECK(error_of("{} x") == "here: JSON must have the end of the text at byte 3 of 4");
    CHECK(error_of("tru") == "here: JSON must have true at byte 0 of 3");
    CHECK(error_of("\"ab") == "here: JSON must have the end of a string at byte 3 of 3");
    for (const char* bad : {"01",
                            "+1",
                            "-",
                            "1.",
                            ".5",
                            "1e",
                            "0x1",
                            "NaN",
                            "Infinity",
                            "[",
                            "{",
                            "{\"a\"",
                            "'a'",
                            "\"\\x\"",
                            "\"\\u12\"",
                            "\"\\u12g4\"",
                            "\"\\ud800\"",
                            "\"\\udc00\"",
                            "\"\\ud800\\u0041\"",
                            "\"\t\"",
                            "{\"a\":1,}",
                            "//",
                            "[1}",
                            "nul"})
        CHECK_MESSAGE(error_of(bad).starts_with("here: JSON must have "), bad);
}

TEST_CASE("json: strings that are not UTF-8 are refused") {
    for (const char* bad :
         {"\"\x80\"", "\"\xc3\"", "\"\xc0\xaf\"", "\"\xc1\xbf\"", "\"\xe0\x9f\xbf\"", "\"\xed\xa0\x80\"",
          "\"\xf0\x8f\xbf\xbf\"", "\"\xf4\x90\x80\x80\"", "\"\xf5\x80\x80\x80\"", "\"\xff\"", "\"\xe6\x97\""})
        CHECK_MESSAGE(error_of(bad).find("must have UTF-8") != std::string::npos, bad);
    for (const char* good : {"\"\xc2\x80\"", "\"\xdf\xbf\"", "\"\xe0\xa0\x80\"", "\"\xed\x9f\xbf\"",
                             "\"\xf0\x90\x80\x80\"", "\"\xf4\x8f\xbf\xbf\""})
        CHECK_MESSAGE(error_of(good) == "", good);
}

TEST_CASE("json: integers are read as integers and must fit 64 bits") {
    CHECK(io::JsonReader("here", "9007199254740993").integer() == 9007199254740993);
    for (const char* bad : {"1.0", "1e3", "9223372036854775808", "-9223372036854775809"})
        CHECK_THROWS_WITH_AS(
            io::JsonReader("here", bad).integer(),
            message("here: JSON must have a 64-bit integer at byte 0 of ", std::string_view(bad).size()).c_str(),
            IoError);
}

TEST_CASE("json: numbers must fit a double") {
    CHECK(io::JsonReader("here", "-1.5e-3").number() == -1.5e-3);
    CHECK(io::JsonReader("here", "1e-999").number() == 0);
    CHECK(io::JsonReader("here", "0." + std::string(400, '0') + "1").number() == 0);
    for (const char* bad : {"1e999", "-1e999", "0.5E400"})
        CHECK_THROWS_WITH_AS(
            io::JsonReader("here", bad).number(),
            message("here: JSON must have a number of at most 1.8e308 at byte 0 of ", std::string_view(bad).size())
                .c_str(),
            IoError);
}

TEST_CASE("json: nesting is limited to 64 levels") {
    CHECK(error_of(std::string(64, '[') + std::string(64, ']')) == "");
    CHECK(error_of(std::string(65, '[') + std::string(65, ']')) == "here: JSON must not nest deeper than 64 (byte 65)");
    CHECK(error_of(std::string(1 << 20, '[')).find("deeper") != std::string::npos);
}
