// oneDNN: primitives made once, weights reordered once into the layout that the primitive asks for; plain layouts too.
#include <omp.h>

#include "peer_onednn.hpp"

namespace peers::onednn {
namespace {

// act(x[m, k] w[k, n] + bias), with `w` in its given layout or in the one that oneDNN likes best.
Call matmul(const memory::desc& x, const memory::desc& w, const memory::desc& y, const Array<float>& xs,
            const Array<float>& ws, bool packed, const Array<float>* bias = nullptr) {
    auto wanted = w;
    if (packed) wanted = memory::desc(w.dims(), f32, Tag::any);
    dnnl::primitive_attr attributes;
    dnnl::matmul::desc desc(x, wanted, y);
    memory::desc bias_desc;
    if (bias) {
        dnnl::post_ops gelu;
        gelu.append_eltwise(1, algorithm::eltwise_gelu_erf, 0, 0);
        attributes.set_post_ops(gelu);
        bias_desc = plain({1, bias->size()}, Tag::ab);
        desc = {x, wanted, bias_desc, y};
    }
    const dnnl::matmul::primitive_desc primitive(desc, attributes, engine());
    const auto given = wrap(w, ws);
    Array<float> out(Index(y.get_size() / sizeof(float)));
    Arguments arguments{{DNNL_ARG_SRC, wrap(x, xs)},
                        {DNNL_ARG_WEIGHTS, packed ? reordered(given, primitive.weights_desc()) : given},
                        {DNNL_ARG_DST, wrap(y, out)}};
    if (bias) arguments.insert({DNNL_ARG_BIAS, wrap(bias_desc, *bias)});
    return call(dnnl::matmul(primitive), arguments, out);
}

// The same as a fully connected layer, whose packed weight may have other layouts to choose from.
Call inner_product(Index m, Index n, Index k, const Array<float>& xs, memory given,
                   const Array<float>* bias = nullptr) {
    const auto x = plain({m, k}, Tag::ab), y = plain({m, n}, Tag::ab);
    const memory::desc wanted({n, k}, f32, Tag::any);
    dnnl::primitive_attr attributes;
    dnnl::inner_product_forward::desc desc(inference, x, wanted, y);
    memory::desc bias_desc;
    if (bias) {
        dnnl::post_ops gelu;
        gelu.append_eltwise(1, algorithm::eltwise_gelu_erf, 0, 0);
        attributes.set_post_ops(gelu);
        bias_desc = plain({n}, Tag::a);
        desc = {inference, x, wanted, bias_desc, y};
    }
    const dnnl::inner_product_forward::primitive_desc primitive(desc, attributes, engine());
    Array<float> out(m * n);
    Arguments arguments{{DNNL_ARG_SRC, wrap(x, xs)},
                        {DNNL_ARG_WEIGHTS, reordered(given, primitive.weights_desc())},
                        {DNNL_ARG_DST, wrap(y, out)}};
    if (bias) arguments.insert({DNNL_ARG_BIAS, wrap(bias_desc, *bias)});
    return call(dnnl::inner_product_forward(primitive), arguments, out);
}

}  // namespace

void set_threads(int threads) { omp_set_num_threads(threads); }

std::string version() {
    const auto* v = dnnl::version();
    return std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
}

Contestants contestants(const Product<float>& p) {
    Contestants out;
    const auto x = p.batch > 1 ? plain({p.batch, p.m, p.k}, Tag::abc) : plain({p.m, p.k}, Tag::ab);
    const auto w = p.batch > 1 ? plain({p.batch, p.k, p.n}, Tag::abc) : plain({p.k, p.n}, Tag::ab);
    const auto y = p.batch > 1 ? plain({p.batch, p.m, p.n}, Tag::abc) : plain({p.m, p.n}, Tag::ab);
    out.push_back({"oneDNN", "matmul", [=] { return matmul(x, w, y, p.a, p.b, false); }});
    if (p.batch == 1)
        out.push_back({"oneDNN", "sgemm", [p] {
                           Array<float> c(p.m * p.n);
                           const auto run = [=] {
                               dnnl::sgemm('N', 'N', p.m, p.n, p.k, 1, p.a.data(), p.k, p.b.data(), p.n, 0, c.data(),
                                           p.n);
                           };
                           return Call{run, [=](Index i) { return double(c[i]); }};
                       }});
    if (p.weight) {
        out.push_back({"oneDNN", "matmul, packed weight", [=] { return matmul(x, w, y, p.a, p.b, true); }});
        out.push_back({"oneDNN", "inner product, packed weight", [p] {
                           return inner_product(p.m, p.n, p.k, p.a, wrap(plain({p.n, p.k}, Tag::ba), p.b));
                       }});
    }
    return out;
}

Contestants contestants(const LinearGelu& p) {
    const auto x = plain({p.rows, p.in}, Tag::ab), w = plain({p.in, p.out}, Tag::ba),
               y = plain({p.rows, p.out}, Tag::ab);
    return {{"oneDNN", "matmul", [=] { return matmul(x, w, y, p.x, p.weight, false, &p.bias); }},
            {"oneDNN", "matmul, packed weight", [=] { return matmul(x, w, y, p.x, p.weight, true, &p.bias); }},
            {"oneDNN", "inner product, packed weight", [p] {
                 return inner_product(p.rows, p.out, p.in, p.x, wrap(plain({p.out, p.in}, Tag::ab), p.weight), &p.bias);
             }}};
}

Contestants contestants(const Softmax& p) {
    return {{"oneDNN", p.log ? "logsoftmax" : "softmax", [p] {
                 const auto desc = plain({p.rows, p.cols}, Tag::ab);
                 Array<float> y(p.rows * p.cols);
                 Arguments arguments{{DNNL_ARG_SRC, wrap(desc, p.x)}, {DNNL_ARG_DST, wrap(desc, y)}};
                 if (p.log) return call(dnnl::logsoftmax_forward({{inference, desc, 1}, engine()}), arguments, y);
                 return call(dnnl::softmax_forward({{inference, desc, 1}, engine()}), arguments, y);
             }}};
}

Contestants contestants(const LayerNorm& p) {
    return {{"oneDNN", "layer_normalization", [p] {
                 const auto desc = plain({p.rows, p.cols}, Tag::ab), vector = plain({p.cols}, Tag::a);
                 using dnnl::normalization_flags;
                 const dnnl::layer_normalization_forward::primitive_desc primitive(
                     {inference, desc, 1e-5f, normalization_flags::use_scale | normalization_flags::use_shift},
                     engine());
                 Array<float> y(p.rows * p.cols);
                 return call(dnnl::layer_normalization_forward(primitive),
                             {{DNNL_ARG_SRC, wrap(desc, p.x)},
                              {DNNL_ARG_SCALE, wrap(vector, p.scale)},
                              {DNNL_ARG_SHIFT, wrap(vector, p.shift)},
                              {DNNL_ARG_DST, wrap(desc, y)}},
                             y);
             }}};
}

Contestants contestants(const Gelu& p) {
    return {{"oneDNN", "eltwise", [p] {
                 const auto desc = plain({p.rows, p.cols}, Tag::ab);
                 Array<float> y(p.rows * p.cols);
                 return call(dnnl::eltwise_forward({{inference, algorithm::eltwise_gelu_erf, desc, 0, 0}, engine()}),
                             {{DNNL_ARG_SRC, wrap(desc, p.x)}, {DNNL_ARG_DST, wrap(desc, y)}}, y);
             }}};
}

Contestants contestants(const AddRelu& p) {
    return {
        {"oneDNN", "binary with relu", [p] {
             const auto desc = plain({p.count}, Tag::a);
             dnnl::post_ops relu;
             relu.append_eltwise(1, algorithm::eltwise_relu, 0, 0);
             dnnl::primitive_attr attributes;
             attributes.set_post_ops(relu);
             const dnnl::binary::primitive_desc primitive({algorithm::binary_add, desc, desc, desc}, attributes,
                                                          engine());
             Array<float> y(p.count);
             return call(
                 dnnl::binary(primitive),
                 {{DNNL_ARG_SRC_0, wrap(desc, p.x)}, {DNNL_ARG_SRC_1, wrap(desc, p.y)}, {DNNL_ARG_DST, wrap(desc, y)}},
                 y);
         }}};
}

Contestants contestants(const Sum& p) {
    return {{"oneDNN", "reduction", [p] {
                 memory::dims from(p.shape.begin(), p.shape.end()), to = from;
                 to[std::size_t(p.axis)] = 1;
                 const auto x = plain(from, Tag::abcd), y = plain(to, Tag::abcd);
                 Array<float> out(p.outputs());
                 return call(dnnl::reduction({{algorithm::reduction_sum, x, y, 0, 0}, engine()}),
                             {{DNNL_ARG_SRC, wrap(x, p.x)}, {DNNL_ARG_DST, wrap(y, out)}}, out);
             }}};
}

Contestants contestants(const Permute& p) {
    return {{"oneDNN", "reorder", [p] {
                 // The source seen through the order of the result: strides move, the extents follow them.
                 memory::dims strides(4), seen(4), seen_strides(4);
                 for (Index i = 3, stride = 1; i >= 0; --i)
                     strides[std::size_t(i)] = stride, stride *= p.shape[std::size_t(i)];
                 for (std::size_t i = 0; i < 4; ++i) {
                     seen[i] = p.shape[std::size_t(p.order[i])];
                     seen_strides[i] = strides[std::size_t(p.order[i])];
                 }
                 const auto from = wrap(memory::desc(seen, f32, seen_strides), p.x);
                 Array<float> y(p.x.size());
                 const auto to = wrap(plain(seen, Tag::abcd), y);
                 return call(dnnl::reorder(from, to), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}}, y);
             }}};
}

}  // namespace peers::onednn
