// Philox against the published answers, positions against blocks, and the state of Rng.
#include <doctest/doctest.h>
#include <lamina/random/rng.hpp>

using namespace lamina;
using random::Block;

TEST_CASE("philox: the known answers of Random123") {
    static_assert(random::philox({{0, 0, 0, 0}}, 0, 0) == Block{{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}});
    constexpr std::uint32_t ones = 0xffffffff;
    CHECK(random::philox({{ones, ones, ones, ones}}, ones, ones) ==
          Block{{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}});
    CHECK(random::philox({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0) ==
          Block{{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}});
}

TEST_CASE("block: seed, stream and index stand in key and counter with their low halves first") {
    const random::Key key{0x299f31d0a4093822, 0x0370734413198a2e};
    const Block answer{{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}};
    CHECK(random::block(key, 0x85a308d3243f6a88) == answer);
}

TEST_CASE("word32, word64: four and two elements share a block") {
    const random::Key key{42, 7};
    for (Index i = 0; i < 40; ++i) {
        const Block four = random::block(key, std::uint64_t(i / 4)), two = random::block(key, std::uint64_t(i / 2));
        CHECK(random::word32(key, i) == four.words[i % 4]);
        CHECK(std::uint32_t(random::word64(key, i) >> 32) == two.words[i % 2 * 2]);
        CHECK(std::uint32_t(random::word64(key, i)) == two.words[i % 2 * 2 + 1]);
    }
}

TEST_CASE("Rng: every call takes a stream of its own, and two numbers are the whole state") {
    random::Rng rng{11};
    CHECK(rng.seed() == 11);
    CHECK(rng.next_stream() == random::Key{11, 0});
    CHECK(rng.next_stream() == random::Key{11, 1});
    const float a = rng.uniform(), b = rng.uniform();
    CHECK(a != b);
    CHECK(a == random::uniform<float>({11, 2}, 0));
    random::Rng again{rng.seed(), rng.stream()}, copy = rng;
    const auto expected = rng.integer(0, 1000000);
    CHECK(again.integer(0, 1000000) == expected);
    CHECK(copy.integer(0, 1000000) == expected);
    CHECK(again == rng);
    CHECK_FALSE(random::Rng{12}.uniform() == random::Rng{11}.uniform());
}
