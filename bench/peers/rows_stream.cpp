// Operations that touch every element once or twice: the memory is the limit.
#include <lamina/ops/activation.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/permute.hpp>
#include <lamina/ops/reduce.hpp>
#include <lamina/ops/softmax.hpp>

#include "ours.hpp"
#include "peers.hpp"

namespace peers {
namespace {

using lamina::Shape;

Row softmax(const char* name, bool log) {
    return {name, streaming(4096 * 4096, 1, 1), 4096 * 4096, 1e-5, [=] {
                const Softmax p{.rows = 4096, .cols = 4096, .log = log};
                const auto x = tensor(p.x, Shape{p.rows, p.cols});
                return race(p, {log ? ours("log_softmax", [=] { return log_softmax(x, 1); })
                                    : ours("softmax", [=] { return lamina::softmax(x, 1); })});
            }};
}

Row layer_norm() {
    return {"layer_norm 4096x320", streaming(4096 * 320, 1, 1), 4096 * 320, 1e-5,
            [] { return race(LayerNorm{.rows = 4096, .cols = 320}, {}); }};
}

Row gelu() {
    return {"gelu 4096x1280", streaming(4096 * 1280, 1, 1), 4096 * 1280, 1e-5, [] {
                const Gelu p{.rows = 4096, .cols = 1280};
                const auto x = tensor(p.x, Shape{p.rows, p.cols});
                return race(p, {ours("gelu", [=] { return lamina::gelu(x); })});
            }};
}

Row add_relu() {
    return {"relu(x+y) 4M", streaming(4 << 20, 2, 1), 4 << 20, 1e-6, [] {
                const AddRelu p{.count = 4 << 20};
                const auto x = tensor(p.x, Shape{p.count}), y = tensor(p.y, Shape{p.count});
                const auto fused = [](auto a, auto b) LAMINA_INLINE_LAMBDA { return lamina::kernels::Relu{}(a + b); };
                return race(p, {ours("relu(x + y)", [=] { return relu(x + y); }),
                                ours("map", [=] { return map(fused, x, y); })});
            }};
}

template <int Axis>
Row sum() {
    constexpr std::array<Index, 4> shape{256, 64, 64, 16};
    constexpr Index count = 256 * 64 * 64 * 16;
    return {"sum 256x64x64x16 axis " + std::to_string(Axis), streaming(count, 1, 0), count / shape[Axis], 1e-5, [=] {
                const Sum p{.shape = shape, .axis = Axis};
                const auto x = tensor(p.x, Shape{shape[0], shape[1], shape[2], shape[3]});
                return race(p, {ours("sum", [=] { return lamina::sum(x, lamina::axes<Axis>); })});
            }};
}

Row permute() {
    constexpr Index count = 8 * 512 * 64 * 12;
    return {"permute 8x512x64x12 to 8x12x512x64", streaming(count, 1, 1), count, 1e-6, [] {
                const Permute p{.shape = {8, 512, 64, 12}, .order = {0, 3, 1, 2}};
                const auto x = tensor(p.x, Shape{p.shape[0], p.shape[1], p.shape[2], p.shape[3]});
                return race(p, {ours("permute, contiguous", [=] { return contiguous(permute(x, {0, 3, 1, 2})); })});
            }};
}

}  // namespace

void add_stream_rows(Rows& rows) {
    rows.push_back(softmax("softmax 4096x4096", false));
    rows.push_back(softmax("log_softmax 4096x4096", true));
    for (auto& row : {layer_norm(), gelu(), add_relu(), sum<0>(), sum<1>(), sum<2>(), sum<3>(), permute()})
        rows.push_back(row);
}

}  // namespace peers
