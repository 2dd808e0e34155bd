// Loads and stores: exact lanes, zeros behind the count, and not one byte touched past it (the next page is forbidden).
#include <lamina/simd/half.hpp>
#include <lamina/simd/row.hpp>
#include <tests/support/archs.hpp>

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

namespace lamina {
namespace {

using namespace simd;

/// A page whose neighbours on both sides may not be touched.
class GuardedPage {
public:
    GuardedPage() {
        base_ = static_cast<char*>(mmap(nullptr, 3 * size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        REQUIRE(base_ != MAP_FAILED);
        REQUIRE(mprotect(base_ + size_, size_, PROT_READ | PROT_WRITE) == 0);
    }
    ~GuardedPage() { munmap(base_, 3 * size_); }
    GuardedPage(const GuardedPage&) = delete;
    GuardedPage& operator=(const GuardedPage&) = delete;

    /// The last `n` elements before the forbidden page.
    template <class T>
    T* end(Index n) const {
        return reinterpret_cast<T*>(base_ + 2 * size_) - n;
    }

private:
    std::size_t size_ = std::size_t(sysconf(_SC_PAGESIZE));
    char* base_;
};

template <class T, class Arch>
void check_partial() {
    using V = Vec<T, Arch>;
    const GuardedPage page;
    for (int n = 0; n <= V::width; ++n) {
        T* p = page.end<T>(n);
        for (int i = 0; i < n; ++i) p[i] = T(i + 1);
        const V v = load_partial<Arch>(p, n);
        for (int i = 0; i < V::width; ++i) CHECK(v[i] == (i < n ? T(i + 1) : T(0)));
        store_partial(p, v + V(T(5)), n);
        for (int i = 0; i < n; ++i) CHECK(p[i] == T(i + 6));
        // All lanes but the first of those: what lies behind the page is not read.
        const unsigned bits = ((1u << n) - 1) & ~1u;
        const V masked = load_masked<Arch>(p, LaneBits(bits));
        for (int i = 0; i < V::width; ++i) CHECK(masked[i] == (bits >> i & 1 ? T(i + 6) : T(0)));
    }
    // What lies before and behind a partial store stays.
    T around[3 * V::width];
    for (T& x : around) x = T(9);
    store_partial(around + V::width, V(T(2)), V::width - 1);
    for (int i = 0; i < 3 * V::width; ++i) CHECK(around[i] == (i >= V::width && i < 2 * V::width - 1 ? T(2) : T(9)));
    // Whole vectors at the very end of the page, and at every offset of an element.
    T* last = page.end<T>(V::width);
    store(last, lane_numbers<T, Arch>());
    CHECK(load<Arch>(last)[V::width - 1] == T(V::width - 1));
    for (int shift = 0; shift < V::width; ++shift) {
        store(around + shift, lane_numbers<T, Arch>());
        const V v = load<Arch>(around + shift);
        for (int i = 0; i < V::width; ++i) CHECK(v[i] == T(i));
    }
    CHECK(broadcast<Arch>(last + V::width - 1)[0] == T(V::width - 1));
}

template <class T, class Arch>
void check_gather_and_stream() {
    using V = Vec<T, Arch>;
    using I = signed_of_size<sizeof(T)>;
    T table[5 * V::width];
    for (int i = 0; i < 5 * V::width; ++i) table[i] = T(i * i);
    const auto index = lane_numbers<I, Arch>() * I(3) - I(2);
    const V v = gather(table + 2, index);
    for (int i = 0; i < V::width; ++i) CHECK(v[i] == T(9 * i * i));
    alignas(64) T out[2 * V::width + 1] = {};
    stream(out, v);
    stream(out + V::width + 1, v);  // unaligned except for one lane
    stream_fence();
    for (int i = 0; i < V::width; ++i) {
        CHECK(out[i] == v[i]);
        CHECK(out[V::width + 1 + i] == v[i]);
    }
    CHECK(out[V::width] == T(0));
    prefetch(out);
    prefetch_write(nullptr);
}

TEST_CASE_TEMPLATE("load_partial, store_partial: no byte past the count is touched", Arch, LAMINA_TEST_ARCHS) {
    check_partial<float, Arch>();
    check_partial<double, Arch>();
    check_partial<std::int32_t, Arch>();
    check_partial<std::uint32_t, Arch>();
    check_partial<std::int64_t, Arch>();
    check_partial<std::uint64_t, Arch>();
}

TEST_CASE_TEMPLATE("gather, stream: the lanes a loop would move", Arch, LAMINA_TEST_ARCHS) {
    check_gather_and_stream<float, Arch>();
    check_gather_and_stream<double, Arch>();
    check_gather_and_stream<std::int32_t, Arch>();
    check_gather_and_stream<std::int64_t, Arch>();
}

TEST_CASE_TEMPLATE("load_as, store_as: 16-bit types convert as their scalar classes do", Arch, LAMINA_TEST_ARCHS) {
    using V = Vec<float, Arch>;
    constexpr int width = V::width;
    const auto same = [](float a, float b) { return a == b || (a != a && b != b); };
    int bad = 0;
    for (unsigned first = 0; first < 65536; first += width) {
        half h[width], h_back[width];
        bfloat16 b[width], b_back[width];
        for (int i = 0; i < width; ++i) h[i].bits = b[i].bits = std::uint16_t(first + unsigned(i));
        const V from_half = load_as<float, Arch>(h), from_bfloat = load_as<float, Arch>(b);
        store_as(h_back, from_half);
        store_as(b_back, from_bfloat);
        for (int i = 0; i < width; ++i) {
            bad += !same(from_half[i], float(h[i])) + !same(from_bfloat[i], float(b[i]));
            bad += h_back[i].bits != half(from_half[i]).bits;
            bad += b_back[i].bits != bfloat16(from_bfloat[i]).bits;
        }
    }
    CHECK(bad == 0);
    // Numbers between: every rounding, ties, overflow, subnormal results, NaN.
    for (std::uint64_t u = 0; u < 0xffff0000u; u += 65521u * width / 4 + 17) {
        float x[width];
        for (int i = 0; i < width; ++i) x[i] = std::bit_cast<float>(std::uint32_t(u) + std::uint32_t(i) * 4096u);
        half h[width];
        bfloat16 b[width];
        store_as(h, load<Arch>(x));
        store_as(b, load<Arch>(x));
        for (int i = 0; i < width; ++i) bad += (h[i].bits != half(x[i]).bits) + (b[i].bits != bfloat16(x[i]).bits);
    }
    CHECK(bad == 0);
}

TEST_CASE_TEMPLATE("load_partial_as, store_partial_as: convert, zero-fill and stop at the count", Arch,
                   LAMINA_TEST_ARCHS) {
    constexpr int width = Vec<float, Arch>::width;
    const GuardedPage page;
    for (int n = 0; n <= width; ++n) {
        half* h = page.end<half>(n);
        for (int i = 0; i < n; ++i) h[i] = half(float(i) + 0.5f);
        const auto v = load_partial_as<float, Arch>(static_cast<const half*>(h), n);
        for (int i = 0; i < width; ++i) CHECK(v[i] == (i < n ? float(i) + 0.5f : 0.0f));
        store_partial_as(h, v + Vec<float, Arch>(1.0f), n);
        for (int i = 0; i < n; ++i) CHECK(float(h[i]) == float(i) + 1.5f);
    }
    float x[Vec<double, Arch>::width];
    for (float& f : x) f = 0.1f;
    CHECK(load_as<double, Arch>(static_cast<const float*>(x))[0] == double(0.1f));
    store_as(x, Vec<double, Arch>(1.0 / 3));
    CHECK(x[Vec<double, Arch>::width - 1] == 1.0f / 3);
}

TEST_CASE_TEMPLATE("row: visits every element once, tail included", Arch, LAMINA_TEST_ARCHS) {
    constexpr int width = Vec<float, Arch>::width;
    for (Index n : {0, 1, width - 1, width, width + 1, 2 * width + 1, 5 * width + 3}) {
        const GuardedPage in, out;
        float* x = in.end<float>(n);
        float* y = out.end<float>(n);
        for (Index i = 0; i < n; ++i) x[i] = float(i);
        for_each_vec<Arch>(
            n, [](auto a, auto b) LAMINA_INLINE_LAMBDA { return a * 2.0f + b; }, y, static_cast<const float*>(x),
            static_cast<const float*>(x));
        for (Index i = 0; i < n; ++i) CHECK(y[i] == 3 * float(i));
        Vec<float, Arch> sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        row_unrolled<4, Arch>(n, [&](auto k, Index i, auto count) LAMINA_INLINE_LAMBDA {
            sum[k] += load_count<Arch>(static_cast<const float*>(x) + i, count);
        });
        float total = 0;
        for (const auto& s : sum)
            for (int i = 0; i < width; ++i) total += s[i];
        CHECK(total == float(n * (n - 1) / 2));
    }
}

}  // namespace
}  // namespace lamina
