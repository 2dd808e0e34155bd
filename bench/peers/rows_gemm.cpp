// Matrix products.
#include "peers.hpp"

namespace peers {
namespace {

std::string name(const char* op, Index m, Index n, Index k) {
    return std::string(op) + " " + std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k);
}

struct Sizes {
    Index m, n, k;
    bool weight;
    Index batch = 1;
};

template <class T>
Row product(const char* op, const Sizes& s) {
    return {.name = name(op, s.m, s.n, s.k) + (s.batch > 1 ? " batch " + std::to_string(s.batch) : ""),
            .limit = arithmetic(2.0 * double(s.m * s.n * s.k * s.batch), sizeof(T) == 8),
            .outputs = s.m * s.n * s.batch,
            .tolerance = 1e-4,
            .contestants = [=] {
                const Product<T> p{.m = s.m, .n = s.n, .k = s.k, .batch = s.batch, .weight = s.weight};
                return race(p, {});
            }};
}

}  // namespace

void add_gemm_rows(Rows& rows) {
    // m, n, k, and whether B is a weight, known ahead and packed by whoever can
    for (const Sizes& s : {Sizes{1024, 1024, 1024, false},
                           {4096, 320, 320, true},
                           {4096, 2560, 320, true},
                           {77, 768, 768, true},
                           {256, 1280, 1280, true},
                           {1, 4096, 4096, true},
                           {64, 64, 64, false},
                           {4096, 77, 40, false},
                           {128, 128, 64, false, 96}})
        rows.push_back(product<float>("sgemm", s));
    rows.push_back(product<double>("dgemm", {1024, 1024, 1024, false}));
    rows.push_back({.name = name("linear+bias+gelu", 1024, 3072, 768),
                    .limit = arithmetic(2.0 * 1024 * 3072 * 768),
                    .outputs = 1024 * 3072,
                    .tolerance = 1e-4,
                    .contestants = [] { return race(LinearGelu{.rows = 1024, .in = 768, .out = 3072}, {}); }});
}

}  // namespace peers
