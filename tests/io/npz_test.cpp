#include <lamina/io/npz.hpp>
#include <tests/io/files.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

std::string little(std::uint64_t value, int bytes) {
    std::string out;
    for (int i = 0; i < bytes; ++i) out += i < 8 ? char(value >> 8 * i & 0xff) : '\0';
    return out;
}

std::string deflated(std::string_view bytes) {
    std::string out(bytes.size() + 1000, '\0');
    z_stream stream{};
    REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) == Z_OK);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = uInt(bytes.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = uInt(out.size());
    REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

/// How a foreign writer may have put one member: what its directory record says, and what lies in the file.
struct Member {
    std::string name, packed;
    std::uint64_t size, crc, method = 0, flags = 0;
    bool streamed = false;  ///< sizes 0 in the local header, a data descriptor behind the data
    bool wide = false;      ///< zip64 fields
};
Member stored(std::string name, std::string bytes) {
    return {.name = std::move(name),
            .packed = bytes,
            .size = bytes.size(),
            .crc = io::detail::crc32_of(bytes.data(), bytes.size())};
}
Member packed(std::string name, std::string bytes) {
    return {.name = std::move(name),
            .packed = deflated(bytes),
            .size = bytes.size(),
            .crc = io::detail::crc32_of(bytes.data(), bytes.size()),
            .method = 8,
            .streamed = true};
}

std::string archive(const std::vector<Member>& members, const std::string& comment = "") {
    std::string out, directory;
    for (const auto& m : members) {
        const std::uint64_t offset = out.size(), all = 0xffffffffu;
        const std::string common = little(m.flags | (m.streamed ? 8 : 0), 2) + little(m.method, 2) + little(0, 4);
        const std::string sizes = little(m.packed.size(), 4) + little(m.size, 4);
        out += "PK\3\4" + little(20, 2) + common + (m.streamed ? little(0, 12) : little(m.crc, 4) + sizes) +
               little(m.name.size(), 2) + little(3, 2) + m.name + "ext" + m.packed;
        if (m.streamed) out += "PK\7\x08" + little(m.crc, 4) + sizes;
        const std::string extra = m.wide ? little(0x7777, 2) + little(1, 2) + "?" + little(1, 2) + little(24, 2) +
                                               little(m.size, 8) + little(m.packed.size(), 8) + little(offset, 8)
                                         : "";
        directory += "PK\1\2" + little(20, 2) + little(20, 2) + common + little(m.crc, 4) +
                     (m.wide ? little(all, 4) + little(all, 4) : sizes) + little(m.name.size(), 2) +
                     little(extra.size(), 2) + little(2, 2) + little(0, 8) + little(m.wide ? all : offset, 4) + m.name +
                     extra + "co";
    }
    const std::uint64_t start = out.size();
    out += directory + "PK\5\6" + little(0, 4) + little(members.size(), 2) + little(members.size(), 2) +
           little(directory.size(), 4) + little(start, 4) + little(comment.size(), 2) + comment;
    return out;
}

/// The contents of an .npy file.
std::string array_of(const AnyTensor& tensor) {
    return io::detail::npy_header("test", tensor) +
           std::string(reinterpret_cast<const char*>(tensor.data()), tensor.bytes());
}

StateDict load(std::string_view bytes) {
    const test::TemporaryFolder folder;
    test::write_file(folder / "x.npz", bytes);
    return io::load_npz(folder / "x.npz");
}
std::string refusal(std::string_view bytes) {
    const test::TemporaryFolder folder;
    const std::string path = folder / "x.npz", prefix = "load_npz: \"" + path + "\": ";
    test::write_file(path, bytes);
    const std::string text = test::message_of<IoError>([&] { io::load_npz(path); });
    CHECK_MESSAGE(text.starts_with(prefix), text);
    return text.substr(std::min(prefix.size(), text.size()));
}

const auto x = [] { return test::wave<float>(Shape{40, 3}); };
const auto y = [] { return test::wave<std::int64_t>(Shape{200}); };

}  // namespace

TEST_CASE("npz: arrays come back with their names, order and bits") {
    const test::TemporaryFolder folder;
    StateDict state;
    state.insert("w", x());
    state.insert("a/b.c", test::wave<half>(Shape{3}));
    state.insert("ü", test::wave<bool>(Shape{4}));
    state.insert("scalar", scalar(std::int32_t(-5)));
    state.insert("empty", zeros<double>(Shape{0, 2}));
    io::save_npz(folder / "x.npz", state);
    const auto loaded = io::load_npz(folder / "x.npz");
    REQUIRE(loaded.size() == 5);
    auto item = loaded.begin();
    for (const auto& [name, tensor] : state) {
        CHECK(item->name == name);
        CHECK(item->tensor.dtype() == tensor.dtype());
        CHECK(item->tensor.shape() == tensor.shape());
        CHECK((tensor.bytes() == 0 || std::memcmp(item->tensor.data(), tensor.data(), tensor.bytes()) == 0));
        ++item;
    }
    io::save_npz(folder / "y.npz", loaded);
    CHECK(test::read_file(folder / "x.npz") == test::read_file(folder / "y.npz"));
    io::save_npz(folder / "y.npz", {});
    CHECK(io::load_npz(folder / "y.npz").size() == 0);
    CHECK(folder.files() == std::vector<std::string>{"x.npz", "y.npz"});
}

TEST_CASE("npz: an archive of 70000 members needs and gets zip64 records") {
    const test::TemporaryFolder folder;
    std::vector<NamedTensor> items;
    for (Index i = 0; i < 70'000; ++i) items.push_back({message(i), AnyTensor::zeros(DType::u8, {})});
    io::save_npz(folder / "x.npz", StateDict::of_distinct(std::move(items)));
    const auto loaded = io::load_npz(folder / "x.npz");
    CHECK(loaded.size() == 70'000);
    CHECK((loaded.end() - 1)->name == "69999");
}

TEST_CASE("npz: compressed, streamed, zip64 and commented archives are read") {
    Member wide = stored("y.npy", array_of(y()));
    wide.wide = true;
    const auto state =
        load(archive({packed("x.npy", array_of(x())), wide, stored("notes.txt", "hello")}, "PK\5\6 comment"));
    CHECK(state.size() == 2);
    CHECK(test::bitwise_equal(state["x"].as<float, 2>(), x()));
    CHECK(test::bitwise_equal(state["y"].as<std::int64_t, 1>(), y()));
}

TEST_CASE("npz: each kind of malformed archive gets its sentence") {
    const std::string array = array_of(x());
    const auto with = [&](auto&& change, bool compressed = false) {
        Member member = compressed ? packed("x.npy", array) : stored("x.npy", array);
        change(member);
        return refusal(archive({member}));
    };
    CHECK(refusal("") == "the archive must have an end record but has 0 bytes");
    CHECK(refusal(std::string(100, 'x')) == "the archive must have an end record");
    CHECK(refusal(archive({stored("x.npy", array)}).substr(0, 300)) == "the archive must have an end record");
    CHECK(refusal("PK\5\6" + little(0, 4) + little(1, 2) + little(1, 2) + little(46, 4) + little(0, 4) +
                  little(0, 2)) == "the archive must have its directory at byte 0 of 22");
    CHECK(with([](Member& m) { m.method = 12; }) ==
          "tensor \"x\": the member must be stored or deflated but has method 12");
    CHECK(with([](Member& m) { m.flags = 1; }) == "member \"x.npy\" must not be encrypted");
    CHECK(with([](Member& m) { m.crc = 7; }).starts_with("tensor \"x\": the checksum must be 7 but is "));
    CHECK(with([](Member& m) { m.crc = 7; }, true).starts_with("tensor \"x\": the checksum must be 7 but is "));
    CHECK(with([](Member& m) { ++m.size; }) == "tensor \"x\": the stored member must have 609 bytes but has 608");
    CHECK(with([](Member& m) { ++m.size; }, true) ==
          "tensor \"x\": the compressed data must hold 609 bytes but ends after 608");
    CHECK(with([](Member& m) { --m.size; }, true) ==
          "tensor \"x\": the compressed data must end after 607 bytes but goes on");
    CHECK(with([](Member& m) { m.size = 0xfffffff0u; }, true).find("can become at most") != std::string::npos);
    CHECK(with([](Member& m) { m.packed.resize(m.packed.size() / 2); }, true).find("is cut off at byte") !=
          std::string::npos);
    CHECK(with([](Member& m) { m.packed[3] = char(~m.packed[3]), m.packed[0] = '\xff'; }, true)
              .find("is damaged at byte") != std::string::npos);
    CHECK(refusal(archive({stored("x.npy", array), stored("x.npy", array)})) ==
          "a member must appear once but there are two \"x.npy\"");
    CHECK(refusal(archive({stored("x.npy", "not an array")})) ==
          "tensor \"x\": the array must begin with \\x93NUMPY and a version");
    Member far = stored("x.npy", array);
    std::string bytes = archive({far});
    bytes.replace(bytes.size() - 22 - 2 - 5 - 4, 4, little(1'000'000, 4));
    CHECK(refusal(bytes).starts_with("the archive must have the local header of a member at byte 1000000 of "));
}

TEST_CASE("npz: mutated archives are read or refused, never more") {
    const test::TemporaryFolder folder;
    const std::string path = folder / "x.npz";
    Member wide = stored("y.npy", array_of(y()));
    wide.wide = true;
    const std::string good = archive({packed("x.npy", array_of(x())), wide});
    test::Dice dice{5};
    int accepted = 0, refused = 0;
    for (int i = 0; i < 4000; ++i) {
        std::string bytes = good;
        if (i % 2) {  // the records at the end deserve half of the damage
            bytes = test::damaged(good.substr(good.size() - 220), 220, dice);
            bytes.insert(0, good, 0, good.size() - 220);
        } else {
            bytes = test::damaged(good, good.size(), dice);
        }
        test::write_file(path, bytes);
        try {
            for (const auto& item : io::load_npz(path)) accepted += item.tensor.numel() > 0;
        } catch (const IoError& error) {
            refused += std::string_view(error.what()).find(path) != std::string_view::npos;
        }
    }
    CHECK(accepted > 50);
    CHECK(refused > 1000);
}
