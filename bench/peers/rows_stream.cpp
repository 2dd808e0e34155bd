// Operations that touch every element once or twice: the memory is the limit.
#include <lamina/ops/activation.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/norm.hpp>
#include <lamina/ops/permute.hpp>
#include <lamina/ops/reduce.hpp>
#include <lamina/ops/softmax.hpp>

#include "../shapes.hpp"
#include "ours.hpp"
#include "peers.hpp"

namespace peers {
namespace {

using lamina::Shape;

std::string name(const char* op, const bench::Rows& s) {
    return std::string(op).append(" ").append(std::to_string(s.rows)).append("x").append(std::to_string(s.columns));
}

// A row of one input and one output of this size.
Row one_to_one(const char* op, const bench::Rows& s, std::function<Contestants()> contestants) {
    const Index count = s.rows * s.columns;
    return {name(op, s), streaming(count, 1, 1), count, 1e-5, std::move(contestants)};
}

Row softmax(bool log) {
    constexpr auto s = bench::softmax_rows;
    return one_to_one(log ? "log_softmax" : "softmax", s, [=] {
        const Softmax p{.rows = s.rows, .cols = s.columns, .log = log};
        const auto x = tensor(p.x, Shape{p.rows, p.cols});
        return race(p, {log ? ours("log_softmax", [=] { return log_softmax(x, 1); })
                            : ours("softmax", [=] { return lamina::softmax(x, 1); })});
    });
}

Row layer_norm() {
    constexpr auto s = bench::layer_norm_rows;
    return one_to_one("layer_norm", s, [=] {
        const LayerNorm p{.rows = s.rows, .cols = s.columns};
        const auto x = tensor(p.x, Shape{p.rows, p.cols});
        const auto scale = tensor(p.scale, Shape{p.cols}), shift = tensor(p.shift, Shape{p.cols});
        return race(p, {ours("layer_norm", [=] { return layer_norm(x, Shape{p.cols}, scale, shift); })});
    });
}

Row gelu() {
    constexpr auto s = bench::gelu_rows;
    return one_to_one("gelu", s, [=] {
        const Gelu p{.rows = s.rows, .cols = s.columns};
        const auto x = tensor(p.x, Shape{p.rows, p.cols});
        return race(p, {ours("gelu", [=] { return lamina::gelu(x); })});
    });
}

Row add_relu() {
    constexpr Index count = bench::add_relu_count;
    return {"relu(x+y) 4M", streaming(count, 2, 1), count, 1e-6, [] {
                const AddRelu p{.count = count};
                const auto x = tensor(p.x, Shape{count}), y = tensor(p.y, Shape{count});
                const auto fused = [](auto a, auto b) LAMINA_INLINE_LAMBDA { return lamina::kernels::Relu{}(a + b); };
                return race(p, {ours("relu(x + y)", [=] { return relu(x + y); }),
                                ours("map", [=] { return map(fused, x, y); })});
            }};
}

std::array<Index, 4> extents(const Index (&s)[4]) { return {s[0], s[1], s[2], s[3]}; }
std::string text(const std::array<Index, 4>& s) {
    std::string out = std::to_string(s[0]);
    for (std::size_t i = 1; i < 4; ++i) out.append("x").append(std::to_string(s[i]));
    return out;
}
Index count_of(const std::array<Index, 4>& s) { return s[0] * s[1] * s[2] * s[3]; }

template <int Axis>
Row sum() {
    const auto s = extents(bench::sum_shape);
    return {"sum " + text(s) + " axis " + std::to_string(Axis), streaming(count_of(s), 1, 0), count_of(s) / s[Axis],
            1e-5, [=] {
                const Sum p{.shape = s, .axis = Axis};
                const auto x = tensor(p.x, Shape{s[0], s[1], s[2], s[3]});
                return race(p, {ours("sum", [=] { return lamina::sum(x, lamina::axes<Axis>); })});
            }};
}

Row permute() {
    const auto s = extents(bench::permute_shape);
    return {"permute " + text(s) + " to " + text({s[0], s[3], s[1], s[2]}), streaming(count_of(s), 1, 1), count_of(s),
            1e-6, [=] {
                const Permute p{.shape = s, .order = {0, 3, 1, 2}};
                const auto x = tensor(p.x, Shape{s[0], s[1], s[2], s[3]});
                return race(p, {ours("permute, contiguous", [=] { return contiguous(permute(x, {0, 3, 1, 2})); })});
            }};
}

}  // namespace

void add_stream_rows(Rows& rows) {
    for (auto& row : {softmax(false), softmax(true), layer_norm(), gelu(), add_relu(), sum<0>(), sum<1>(), sum<2>(),
                      sum<3>(), permute()})
        rows.push_back(row);
}

}  // namespace peers
