// Matrix products. Where the second matrix is a weight, whoever can packs it before the clock starts.
#include <lamina/kernels/activation.hpp>
#include <lamina/ops/linear.hpp>
#include <lamina/ops/matmul.hpp>

#include "ours.hpp"
#include "peers.hpp"

namespace peers {
namespace {

using lamina::Shape;

struct Sizes {
    Index m, n, k;
    bool weight;
    Index batch = 1;
};

std::string name(const char* op, const Sizes& s) {
    const auto text = [](Index i) { return std::to_string(i); };
    return op + (" " + text(s.m)) + "x" + text(s.n) + "x" + text(s.k) + (s.batch > 1 ? " batch " + text(s.batch) : "");
}

template <class T>
Contestants ours_for(const Product<T>& p) {
    if (p.batch > 1) {
        const auto a = tensor(p.a, Shape{p.batch, p.m, p.k}), b = tensor(p.b, Shape{p.batch, p.k, p.n});
        return {ours("matmul", [=] { return matmul(a, b); })};
    }
    const auto a = tensor(p.a, Shape{p.m, p.k}), b = tensor(p.b, Shape{p.k, p.n});
    Contestants out{ours("matmul", [=] { return matmul(a, b); })};
    if (p.weight)
        out.push_back({us, "linear_packed", [=] {
                           using Packed = lamina::kernels::PackedMatrix<T>;
                           const auto w = std::make_shared<Packed>(
                               lamina::kernels::pack_b(p.k, p.n, lamina::kernels::row_major(p.b.data(), p.n)));
                           return fresh([=] { return linear_packed(a, *w, lamina::kernels::NoEpilogue{}); });
                       }});
    return out;
}

template <class T>
Row product(const char* op, const Sizes& s) {
    return {.name = name(op, s),
            .limit = arithmetic(2.0 * double(s.m * s.n * s.k * s.batch), sizeof(T) == 8),
            .outputs = s.m * s.n * s.batch,
            .tolerance = 1e-4,
            .contestants = [=] {
                const Product<T> p{.m = s.m, .n = s.n, .k = s.k, .batch = s.batch, .weight = s.weight};
                return race(p, ours_for(p));
            }};
}

// As nn::Linear followed by GELU runs when nothing is recorded: the weight packed once, bias and GELU in the epilogue.
Contestant ours_for(const LinearGelu& p) {
    return {us, "linear_packed", [p] {
                namespace k = lamina::kernels;
                const auto x = tensor(p.x, Shape{p.rows, p.in});
                const auto w = std::make_shared<k::PackedMatrix<float>>(
                    k::pack_b(p.in, p.out, k::transposed(p.weight.data(), p.in)));
                return fresh([=] {
                    return linear_packed(x, *w, k::Then{k::BiasColumns{p.bias.data()}, k::Apply{k::Gelu{}}});
                });
            }};
}

}  // namespace

void add_gemm_rows(Rows& rows) {
    const Sizes sizes[] = {{1024, 1024, 1024, false}, {4096, 320, 320, true},  {4096, 2560, 320, true},
                           {77, 768, 768, true},      {256, 1280, 1280, true}, {1, 4096, 4096, true},
                           {64, 64, 64, false},       {4096, 77, 40, false},   {128, 128, 64, false, 96}};
    for (const Sizes& s : sizes) rows.push_back(product<float>("sgemm", s));
    rows.push_back(product<double>("dgemm", {1024, 1024, 1024, false}));
    rows.push_back({.name = name("linear+bias+gelu", {1024, 3072, 768, true}),
                    .limit = arithmetic(2.0 * 1024 * 3072 * 768),
                    .outputs = 1024 * 3072,
                    .tolerance = 1e-4,
                    .contestants = [] {
                        const LinearGelu p{.rows = 1024, .in = 768, .out = 3072};
                        return race(p, {ours_for(p)});
                    }});
}

}  // namespace peers
