// Matrix products. Where the second matrix is a weight, whoever can packs it before the clock starts.
#include <lamina/nn/linear.hpp>
#include <lamina/nn/sequential.hpp>
#include <lamina/ops/matmul.hpp>

#include "../shapes.hpp"
#include "ours.hpp"
#include "peers.hpp"

namespace peers {
namespace {

using lamina::Shape;
namespace nn = lamina::nn;

std::string name(const char* op, const bench::Product& s) {
    std::string out(op);
    out.append(" ")
        .append(std::to_string(s.m))
        .append("x")
        .append(std::to_string(s.n))
        .append("x")
        .append(std::to_string(s.k));
    if (s.batch > 1) out.append(" batch ").append(std::to_string(s.batch));
    return out;
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
Row product(const char* op, const bench::Product& s) {
    return {.name = name(op, s),
            // A single row has the weight to read and hardly anything to compute.
            .limit = s.m == 1 ? streaming(s.k * s.n, 1, 0)
                              : arithmetic(2.0 * double(s.m * s.n * s.k * s.batch), sizeof(T) == 8),
            .outputs = s.m * s.n * s.batch,
            .tolerance = 1e-4,
            .contestants = [=] {
                const Product<T> p{.m = s.m, .n = s.n, .k = s.k, .batch = s.batch, .weight = s.weight};
                return race(p, ours_for(p));
            }};
}

Contestant ours_for(const LinearGelu& p) {
    return {us, "Sequential{Linear, GELU}", [p] {
                nn::Linear linear(p.in, p.out);
                std::copy_n(p.weight.data(), p.weight.size(), linear.weight.mutable_data());
                std::copy_n(p.bias.data(), p.bias.size(), linear.bias->mutable_data());
                const auto layers = std::make_shared<nn::Sequential<nn::Linear<>, nn::GELU>>(linear, nn::GELU{});
                const auto x = tensor(p.x, Shape{p.rows, p.in});
                return fresh([=] { return (*layers)(x); });
            }};
}

}  // namespace

void add_gemm_rows(Rows& rows) {
    for (const auto& s : bench::products) rows.push_back(product<float>("sgemm", s));
    rows.push_back(product<double>("dgemm", bench::products[0]));
    constexpr auto s = bench::feed_forward;
    rows.push_back({.name = name("linear+bias+gelu", s),
                    .limit = arithmetic(2.0 * double(s.m * s.n * s.k)),
                    .outputs = s.m * s.n,
                    .tolerance = 1e-4,
                    .contestants = [=] {
                        const LinearGelu p{.rows = s.m, .in = s.k, .out = s.n};
                        return race(p, {ours_for(p)});
                    }});
}

}  // namespace peers
