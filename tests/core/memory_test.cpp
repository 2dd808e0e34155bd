#include <lamina/core/create.hpp>

#include <doctest/doctest.h>

using namespace lamina;

TEST_CASE(
    "memory: block sizes hold what was asked, waste at most a quarter above a huge page, and fall into one bucket") {
    for (std::size_t bytes = 1; bytes < (std::size_t(1) << 33); bytes += bytes / 7 + 1) {
        const std::size_t size = memory::detail::block_size(bytes);
        CHECK(size >= bytes);
        CHECK(size % 64 == 0);
        if (bytes >= memory::huge_page) CHECK(size % memory::huge_page == 0);
        if (bytes >= memory::smallest_recycled) {
            CHECK(size <= bytes + bytes / 4 + memory::huge_page);
            CHECK(memory::detail::block_size(size) == size);
            CHECK(memory::detail::bucket_of(size) == memory::detail::bucket_of(memory::detail::block_size(size - 1)));
        }
    }
}

TEST_CASE("memory: large blocks come back, small ones do not stay, and the books are kept") {
    memory::trim();
    const auto before = memory::stats();
    const void* first = nullptr;
    {
        const auto a = empty<float>(Shape{1 << 20});
        first = a.data();
        CHECK(memory::stats().live >= before.live + (4 << 20));
    }
    CHECK(memory::stats().live == before.live);
    if (memory::recycling) {
        CHECK(memory::stats().cached >= before.cached + (4 << 20));
        const auto again = empty<float>(Shape{1 << 20});
        CHECK(again.data() == first);
    }
    memory::trim();
    CHECK(memory::stats().cached == 0);
    CHECK(memory::stats().peak >= before.live + (4 << 20));
}

TEST_CASE("memory: sizes of the past make room for the one in use, and no more than twice the peak is held") {
    if (!memory::recycling) return;
    memory::trim();
    for (int i = 1; i <= 12; ++i) empty<float>(Shape{Index(i) << 20});  // freed one by one: 4 to 48 MB
    const Index peak = memory::stats().peak;
    for (int i = 0; i < 3; ++i) {
        const void* first = empty<float>(Shape{Index(12) << 20}).data();
        CHECK(empty<float>(Shape{Index(12) << 20}).data() == first);
    }
    for (int i = 1; i <= 40; ++i) {
        empty<float>(Shape{(Index(i) << 16) + 1});
        const auto now = memory::stats();
        CHECK(now.live + now.cached <= 2 * peak);
    }
    memory::trim();
}

TEST_CASE("memory: a block that the system refuses is an error with its size") {
    if (!memory::recycling) return;  // the address sanitizer aborts the program instead
    CHECK_THROWS_AS(empty<float>(Shape{Index(1) << 58}), Error);
}

TEST_CASE("storage: borrowed memory tells its owner when the last tensor lets go") {
    int owner = 0, element = 5;
    {
        const auto storage = Storage::borrow(&element, &owner, [](void* o) { ++*static_cast<int*>(o); });
        const Tensor<std::int32_t, 0> a(storage, &element, Shape<0>{}, Strides<0>{});
        const auto b = a;
        CHECK(b.item() == 5);
        CHECK(owner == 0);
    }
    CHECK(owner == 1);
}
