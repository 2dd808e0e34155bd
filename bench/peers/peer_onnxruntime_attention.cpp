// ONNX Runtime's attention: the standard operator on heads that lie one after another, its own tiled one on heads side
// by side, which is where its projections leave them, and the operators it is made of.
#include <cmath>

#include "peer_onnxruntime.hpp"

namespace peers::onnxruntime {
namespace {

constexpr const char* own = "com.microsoft";

Contestants standard(const Attention& p) {
    Plan plan;
    plan.graph.opset = 23;
    const Dims queries{p.batch, p.heads, p.queries, p.width}, keys{p.batch, p.heads, p.keys, p.width};
    const auto q = plan.input(p.q, queries), k = plan.input(p.k, keys), v = plan.input(p.v, keys);
    plan.output(plan.graph.node("Attention", {q, k, v}, {{"is_causal", Index(p.causal)}}), queries);
    return plan.race("Attention");
}

Contestants tiled(const Attention& p) {
    const auto beside = [&](const Array<float>& a, Index n) {
        const Array<float> to(a.size());
        for (Index b = 0; b < p.batch; ++b)
            for (Index h = 0; h < p.heads; ++h)
                for (Index i = 0; i < n; ++i)
                    std::copy_n(&a[((b * p.heads + h) * n + i) * p.width], p.width,
                                &to[((b * n + i) * p.heads + h) * p.width]);
        return to;
    };
    Plan plan;
    const Index all = p.heads * p.width;
    const auto q = plan.input(beside(p.q, p.queries), {p.batch, p.queries, all});
    const auto k = plan.input(beside(p.k, p.keys), {p.batch, p.keys, all});
    const auto v = plan.input(beside(p.v, p.keys), {p.batch, p.keys, all});
    const auto y = plan.graph.node("MultiHeadAttention", {q, k, v},
                                   {{"num_heads", p.heads}, {"unidirectional", Index(p.causal)}}, own);
    plan.output(y, {p.batch, p.queries, all}, [heads = p.heads, n = p.queries, width = p.width](Index i) {
        const Index column = i % width, row = i / width % n, head = i / (width * n) % heads,
                    image = i / (width * n * heads);
        return ((image * n + row) * heads + head) * width + column;
    });
    return plan.race("MultiHeadAttention");
}

Contestants composed(const Attention& p) {
    Plan plan;
    auto& g = plan.graph;
    const Dims queries{p.batch, p.heads, p.queries, p.width}, keys{p.batch, p.heads, p.keys, p.width};
    const auto q = plan.input(p.q, queries), k = plan.input(p.k, keys), v = plan.input(p.v, keys);
    const auto turned = g.node("Transpose", {k}, {{"perm", Dims{0, 1, 3, 2}}});
    // The optimiser puts factor and transposition into the product.
    const auto scores =
        g.node("Mul", {g.node("MatMul", {q, turned}), g.constant<float>({1 / std::sqrt(float(p.width))})});
    plan.output(g.node("MatMul", {g.node("Softmax", {scores}), v}), queries);
    return plan.race("MatMul, Softmax, MatMul");
}

}  // namespace

Contestants contestants(const Attention& p) {
    if (p.training) return {};
    if (p.causal) return both(standard(p), tiled(p));
    return both(both(standard(p), tiled(p)), composed(p));
}

Contestants contestants(const EncoderLayer& p) {
    if (p.training) return {};
    Plan plan;
    auto& g = plan.graph;
    const auto vector = [&](const std::string& name) {
        const auto& a = p.weights.at(name);
        return plan.weight(a, {a.size()});
    };
    // x weight^T, for a weight of that many rows.
    const auto product = [&](const std::string& x, const float* weight, Index out, Index in) {
        return g.node("MatMul", {x, g.node("Transpose", {g.constant(weight, {out, in})}, {{"perm", Dims{1, 0}}})});
    };
    const auto linear = [&](const std::string& x, const std::string& name, Index out, Index in) {
        return g.node("Add", {product(x, p.weights.at(name + ".weight").data(), out, in), vector(name + ".bias")});
    };
    const auto normed = [&](const std::string& a, const std::string& b, const std::string& name) {
        return g.node("LayerNormalization", {g.node("Add", {a, b}), vector(name + ".weight"), vector(name + ".bias")});
    };
    const auto x = plan.input(p.x, {p.batch, p.n, p.width});
    std::vector<std::string> in;
    for (int i = 0; i < 3; ++i)
        in.push_back(product(x, &p.weights.at("self_attn.in_proj_weight")[i * p.width * p.width], p.width, p.width));
    in.push_back(vector("self_attn.in_proj_bias"));
    const auto mixed = g.node("MultiHeadAttention", in, {{"num_heads", p.heads}}, own);
    const auto y = normed(linear(mixed, "self_attn.out_proj", p.width, p.width), x, "norm1");
    const auto hidden = g.node("Relu", {linear(y, "linear1", p.hidden, p.width)});
    plan.output(normed(linear(hidden, "linear2", p.width, p.hidden), y, "norm2"), {p.batch, p.n, p.width});
    return plan.race("optimised graph, MultiHeadAttention");
}

}  // namespace peers::onnxruntime
