// libtorch's attention and layers around it, each as its users write it: composed of operators, and by the fused calls
// that there are. Weights of pairs are kept whole, or made for a few queries at a time where nothing records.
#include <cmath>

#include "peer_torch.hpp"

namespace peers::libtorch {
namespace {

using Weights = std::map<std::string, at::Tensor>;

// Scores, softmax, products for all heads at once [batch * heads, …]; `mask` holds 0 and -inf.
at::Tensor composed(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& mask) {
    const double scale = 1 / std::sqrt(double(q.size(-1)));
    const auto scores =
        mask.defined() ? at::baddbmm(mask, q, k.transpose(1, 2), 1, scale) : at::bmm(q * scale, k.transpose(1, 2));
    return at::bmm(at::softmax(scores, -1), v);
}

// The same for `rows` queries of a head at a time, in buffers that stay in the cache; causal blocks end with their
// last key.
Contestant sliced(const Attention& p, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, Index rows) {
    const auto run = [=] {
        auto y = at::empty_like(q);
        auto buffer = at::empty({rows * p.keys});
        const double scale = 1 / std::sqrt(double(p.width));
        for (Index h = 0; h < q.size(0); ++h)
            for (Index first = 0; first < p.queries; first += rows) {
                const Index n = std::min(rows, p.queries - first), seen = p.causal ? first + n : p.keys;
                auto s = buffer.slice(0, 0, n * seen).view({n, seen});
                at::addmm_out(s, s, q[h].slice(0, first, first + n), k[h].slice(0, 0, seen).t(), 0, scale);
                if (p.causal) s.slice(1, first).masked_fill_(at::ones({n, n}, at::kBool).triu_(1), -INFINITY);
                at::_softmax_out(s, s, -1, false);
                auto to = y[h].slice(0, first, first + n);
                at::mm_out(to, s, v[h].slice(0, 0, seen));
            }
        return y;
    };
    return {"libtorch", "addmm, softmax, mm of " + std::to_string(rows) + " rows", [=] { return fresh(run); }};
}

// f of leaves; then the gradients of those, of which those in `shown` are the result, one after the other.
template <class F>
Call recorded(const std::vector<at::Tensor>& leaves, std::size_t shown, const at::Tensor& dy, F f) {
    for (const auto& x : leaves) x.set_requires_grad(true);
    return {[=] {
                for (const auto& x : leaves) x.mutable_grad().reset();
                f().backward(dy);
            },
            [=](Index i) {
                std::size_t which = shown;
                for (; i >= leaves[which].numel(); ++which) i -= leaves[which].numel();
                return element(leaves[which].grad(), i);
            }};
}

Weights wrap_all(const std::map<std::string, Array<float>>& arrays) {
    Weights w;
    for (const auto& [name, a] : arrays) w[name] = wrap(a, {a.size()});
    return w;
}

}  // namespace

Contestants contestants(const Attention& p) {
    const Index all = p.batch * p.heads;
    const auto q = wrap(p.q, {all, p.queries, p.width}), k = wrap(p.k, {all, p.keys, p.width}),
               v = wrap(p.v, {all, p.keys, p.width}), dy = wrap(p.dy, q.sizes());
    const auto mask = p.causal ? at::full({p.queries, p.keys}, -INFINITY).triu_(1) : at::Tensor();
    const auto fused = [=](const at::Tensor& a, const at::Tensor& b, const at::Tensor& c) {
        return std::get<0>(at::_scaled_dot_product_attention(a, b, c, {}, 0, false, p.causal));
    };
    if (p.training)
        return {{"libtorch", "_scaled_dot_product_attention, backward",
                 [=] {
                     const auto a = q.detach(), b = k.detach(), c = v.detach();
                     return recorded({a, b, c}, 0, dy, [=] { return fused(a, b, c); });
                 }},
                {"libtorch", "bmm, softmax, bmm, backward", [=] {
                     const auto a = q.detach(), b = k.detach(), c = v.detach();
                     return recorded({a, b, c}, 0, dy, [=] { return composed(a, b, c, mask); });
                 }}};
    Contestants out{
        {"libtorch", "_scaled_dot_product_attention", [=] { return fresh([=] { return fused(q, k, v); }); }},
        {"libtorch", "bmm, softmax, bmm", [=] { return fresh([=] { return composed(q, k, v, mask); }); }},
        {"libtorch", "baddbmm, softmax_out, bmm", [=] {
             const auto scores = at::empty({all, p.queries, p.keys});
             return fresh([=] {
                 auto s = scores;
                 if (p.causal) s.copy_(mask.expand_as(s));
                 s.baddbmm_(q, k.transpose(1, 2), p.causal ? 1 : 0, 1 / std::sqrt(double(p.width)));
                 at::_softmax_out(s, s, -1, false);
                 return at::bmm(s, v);
             });
         }}};
    for (const Index rows : {128, 512})
        if (p.queries >= 2 * rows) out.push_back(sliced(p, q, k, v, rows));
    return out;
}

Contestants contestants(const LinearAttention& p) {
    const std::vector<Index> shape{p.heads, p.n, p.width};
    const auto q = wrap(p.q, shape), k = wrap(p.k, shape), v = wrap(p.v, shape), dy = wrap(p.dy, shape);
    const auto features = [](const at::Tensor& x) { return at::elu(x).add_(1); };
    const auto whole = [=](const at::Tensor& a, const at::Tensor& b, const at::Tensor& c) {
        const auto fq = features(a), fk = features(b);
        const auto sums = fk.sum(1).unsqueeze(2);
        return at::bmm(fq, at::bmm(fk.transpose(1, 2), c)) / (at::bmm(fq, sums) + 1e-6);
    };
    // Sums over the chunks in front by cumsum, a masked product within each; the values' last column is 1, so that one
    // pass makes the denominators too.
    const auto chunked = [=](const at::Tensor& a, const at::Tensor& b, const at::Tensor& c, Index chunk) {
        const auto apart = [&](const at::Tensor& x) { return x.view({p.heads * (p.n / chunk), chunk, -1}); };
        const auto fq = apart(features(a)), fk = apart(features(b));
        const auto ones = apart(at::cat({c, at::ones({p.heads, p.n, 1})}, 2));
        const auto own = at::bmm(fk.transpose(1, 2), ones);
        const auto by_head = own.view({p.heads, p.n / chunk, p.width, p.width + 1});
        const auto before = (by_head.cumsum(1) - by_head).view_as(own);
        const auto near = at::bmm(at::bmm(fq, fk.transpose(1, 2)).tril(), ones);
        const auto sum = at::baddbmm(near, fq, before);
        return (sum.slice(2, 0, p.width) / (sum.slice(2, p.width) + 1e-6)).view(shape);
    };
    const auto both = [=](const std::string& name, auto f) -> Contestant {
        if (!p.training) return {"libtorch", name, [=] { return fresh([=] { return f(q, k, v); }); }};
        return {"libtorch", name + ", backward", [=] {
                    const auto a = q.detach(), b = k.detach(), c = v.detach();
                    return recorded({a, b, c}, 0, dy, [=] { return f(a, b, c); });
                }};
    };
    if (!p.causal) return {both("elu, bmm", whole)};
    Contestants out;
    for (const Index chunk : {64, 128, 256})
        out.push_back(both("elu, chunks of " + std::to_string(chunk),
                           [=](const auto& a, const auto& b, const auto& c) { return chunked(a, b, c, chunk); }));
    return out;
}

namespace {

// T5's buckets for a causal layer, for key j and query i of a group.
at::Tensor causal_buckets(Index group) {
    const auto at_distance = [](Index distance) {
        if (distance < 16) return std::max<Index>(distance, 0);
        return std::min<Index>(31, 16 + Index(std::log(float(distance) / 16) / float(std::log(8.0)) * 16));
    };
    auto buckets = at::empty({group, group}, at::kLong);
    for (Index i = 0; i < group; ++i)
        for (Index j = 0; j < group; ++j) buckets.data_ptr<Index>()[i * group + j] = at_distance(i - j);
    return buckets;
}

// cos + i sin of the angles [n, 1, 16] of 32 rotating features.
at::Tensor angles(Index n) {
    const auto frequencies = at::pow(10000.0, at::arange(16, at::kDouble) * (-2.0 / 32));
    const auto turn = at::arange(n, at::kDouble).view({n, 1, 1}) * frequencies;
    return at::complex(turn.cos().to(at::kFloat), turn.sin().to(at::kFloat));
}

// A layer and what a user makes once. Nothing is overwritten while it is recorded.
struct Gated {
    GatedLayer p;
    Weights w;
    at::Tensor x, buckets, turns;

    explicit Gated(const GatedLayer& problem) : p(problem), w(wrap_all(problem.weights)) {
        x = wrap(p.x, {1, p.n, p.width});
        for (auto& [name, t] : w)
            if (name.ends_with("to_hidden.weight") || name.ends_with("to_qk.weight")) t = t.view({-1, p.width});
            else if (name.ends_with("to_out.weight")) t = t.view({p.width, p.hidden});
            else if (name.ends_with("gamma") || name.ends_with("beta")) t = t.view({-1, p.query_key});
            else if (name.ends_with("relative_attention_bias.weight")) t = t.view({-1, 1});
        if (p.kind == GatedLayer::Kind::flash) buckets = causal_buckets(p.group), turns = angles(p.n);
    }

    at::Tensor operator()() const {
        const auto y = at::layer_norm(x, {p.width}, w.at("norm.weight"), w.at("norm.bias"));
        const auto hidden = activated(at::linear(y, w.at("to_hidden.weight"), w.at("to_hidden.bias")));
        const auto z = activated(at::linear(y, w.at("to_qk.weight"), w.at("to_qk.bias")));
        const auto v = hidden.slice(2, 0, p.hidden), gate = hidden.slice(2, p.hidden);
        const auto mixed = p.kind == GatedLayer::Kind::gau ? gau(z, v) : flash(z, v);
        const auto gated = p.training ? mixed * gate : mixed.mul_(gate);
        const auto out = at::linear(gated, w.at("to_out.weight"), w.at("to_out.bias"));
        return p.training ? out + x : out.add_(x);
    }

private:
    at::Tensor activated(at::Tensor t) const { return p.training ? at::silu(t) : at::silu_(t); }
    at::Tensor squared_relu(at::Tensor s) const { return p.training ? at::relu(s).square() : s.relu_().square_(); }

    at::Tensor gau(const at::Tensor& z, const at::Tensor& v) const {
        const auto &gamma = w.at("offsetscale.gamma"), &beta = w.at("offsetscale.beta");
        // Both factors go to the queries, which are smaller than the scores.
        const double scale = 1 / std::sqrt(double(p.query_key)) / std::sqrt(double(p.n));
        const auto q = (z * gamma[0] + beta[0]) * scale, k = z * gamma[1] + beta[1];
        return at::bmm(squared_relu(at::bmm(q, k.transpose(1, 2))), v);
    }

    at::Tensor flash(const at::Tensor& z, const at::Tensor& v) const {
        const Index groups = p.n / p.group, c = p.group;
        auto heads = z[0].unsqueeze(1) * w.at("qk_offset_scale.gamma") + w.at("qk_offset_scale.beta");
        const auto pairs = heads.slice(2, 0, 32).unflatten(2, {16, 2});
        const auto turned = at::view_as_real(at::view_as_complex(pairs) * turns).flatten(2);
        if (p.training) heads = at::cat({turned, heads.slice(2, 32)}, 2);
        else heads.slice(2, 0, 32).copy_(turned);
        const auto head = [&](Index i) { return heads.select(1, i).unflatten(0, {groups, c}); };
        const auto quad_q = head(0), lin_q = head(1), quad_k = head(2), lin_k = head(3);
        const auto values = v[0].unflatten(0, {groups, c});
        const auto table = w.at("rel_pos_bias.relative_attention_bias.weight");
        const auto bias = at::embedding(table, buckets).squeeze(2) * std::sqrt(double(p.query_key));
        const auto weights = squared_relu(at::baddbmm(bias, quad_q, quad_k.transpose(1, 2), 1, 1.0 / double(c)));
        auto near = p.training ? at::bmm(weights.tril(), values) : at::bmm(weights.tril_(), values);
        const auto sums = at::bmm(lin_k.slice(0, 0, groups - 1).transpose(1, 2), values.slice(0, 0, groups - 1));
        const auto before = p.training ? sums.cumsum(0) : sums.cumsum_(0);
        const double scale = 1.0 / double(c);
        if (!p.training) {
            near.slice(0, 1).baddbmm_(lin_q.slice(0, 1), before, 1, scale);
            return near.view({1, p.n, p.hidden});
        }
        const auto far = at::baddbmm(near.slice(0, 1), lin_q.slice(0, 1), before, 1, scale);
        return at::cat({near.slice(0, 0, 1), far}, 0).view({1, p.n, p.hidden});
    }
};

struct Encoder {
    EncoderLayer p;
    Weights w;
    at::Tensor x;

    explicit Encoder(const EncoderLayer& problem) : p(problem), w(wrap_all(problem.weights)) {
        x = wrap(p.x, {p.batch, p.n, p.width});
        for (auto& [name, t] : w)
            if (name == "linear2.weight") t = t.view({p.width, p.hidden});
            else if (name.find("norm") == name.npos && name.ends_with("weight")) t = t.view({-1, p.width});
    }
    at::Tensor fast_path() const {
        return at::_transformer_encoder_layer_fwd(
            x, p.width, p.heads, at("self_attn.in_proj_weight"), at("self_attn.in_proj_bias"),
            at("self_attn.out_proj.weight"), at("self_attn.out_proj.bias"), false, false, 1e-5, at("norm1.weight"),
            at("norm1.bias"), at("norm2.weight"), at("norm2.bias"), at("linear1.weight"), at("linear1.bias"),
            at("linear2.weight"), at("linear2.bias"));
    }
    at::Tensor operator()() const {
        const Index d = p.width / p.heads;
        const auto qkv = linear(x, "self_attn.in_proj_weight", "self_attn.in_proj_bias");
        const auto apart = qkv.view({p.batch, p.n, 3, p.heads, d}).permute({2, 0, 3, 1, 4});
        const auto flat = [&](Index i) { return apart[i].reshape({p.batch * p.heads, p.n, d}); };
        const auto mixed = composed(flat(0), flat(1), flat(2), {}).view({p.batch, p.heads, p.n, d});
        const auto joined = mixed.transpose(1, 2).reshape({p.batch, p.n, p.width});
        const auto y = normed(linear(joined, "self_attn.out_proj.weight", "self_attn.out_proj.bias").add_(x), "norm1");
        const auto hidden = linear(y, "linear1.weight", "linear1.bias").relu_();
        return normed(linear(hidden, "linear2.weight", "linear2.bias").add_(y), "norm2");
    }

private:
    const at::Tensor& at(const std::string& name) const { return w.at(name); }
    at::Tensor linear(const at::Tensor& t, const std::string& weight, const std::string& bias) const {
        return at::linear(t, w.at(weight), w.at(bias));
    }
    at::Tensor normed(const at::Tensor& t, const std::string& norm) const {
        return at::layer_norm(t, {p.width}, w.at(norm + ".weight"), w.at(norm + ".bias"));
    }
};

// The gradient of the parameter `shown` first, then all others and the input's.
template <class Layer>
Call step_of(Layer layer, const std::string& shown, const Array<float>& dy) {
    std::vector<at::Tensor> leaves{layer.w.at(shown)};
    for (const auto& [name, t] : layer.w)
        if (name != shown) leaves.push_back(t);
    leaves.push_back(layer.x);
    return recorded(leaves, 0, wrap(dy, layer.x.sizes()), layer);
}

}  // namespace

Contestants contestants(const GatedLayer& p) {
    if (p.training)
        return {{"libtorch", "operators, backward", [p] { return step_of(Gated(p), "to_qk.weight", p.dy); }}};
    return {{"libtorch", "operators", [p] {
                 const c10::InferenceMode guard;
                 return fresh(Gated(p));
             }}};
}

Contestants contestants(const EncoderLayer& p) {
    if (p.training)
        return {
            {"libtorch", "operators, backward", [p] { return step_of(Encoder(p), "self_attn.in_proj_weight", p.dy); }}};
    return {{"libtorch", "operators",
             [p] {
                 const c10::InferenceMode guard;
                 return fresh(Encoder(p));
             }},
            {"libtorch", "_transformer_encoder_layer_fwd", [p] {
                 const c10::InferenceMode guard;
                 return fresh([layer = Encoder(p)] { return layer.fast_path(); });
             }}};
}

}  // namespace peers::libtorch
