// oneDNN's convolutions and their kin: weights and images in the layouts that its primitives like best, put there
// before the clock starts, which flatters it; the plain layout beside them.
#include "peer_onednn.hpp"

namespace peers::onednn {
namespace {

// A result in whatever layout; element i of the plain one is asked for.
Call blocked(dnnl::primitive primitive, Arguments arguments, memory y, const memory::desc& flat) {
    const auto copy = std::make_shared<memory>(flat, engine());
    const auto copied = std::make_shared<bool>(false);
    return {[=] {
                primitive.execute(stream(), arguments);
                stream().wait();
                *copied = false;
            },
            [=](Index i) {
                if (!*copied) {
                    auto source = y;
                    dnnl::reorder(source, *copy).execute(stream(), source, *copy);
                    stream().wait();
                    *copied = true;
                }
                return double(static_cast<const float*>(copy->get_data_handle())[i]);
            }};
}

memory::desc any(const memory::desc& like) { return {like.dims(), f32, Tag::any}; }

struct Descs {
    memory::desc x, w, b, y;
    memory::dims strides, margin;

    explicit Descs(const Convolution& c)
        : x(plain({c.batch, c.in, c.size, c.size}, Tag::nchw)),
          w(c.groups > 1 ? plain({c.groups, c.out / c.groups, c.in / c.groups, c.kernel, c.kernel}, Tag::goihw)
                         : plain({c.out, c.in, c.kernel, c.kernel}, Tag::oihw)),
          b(plain({c.out}, Tag::a)),
          y(plain({c.batch, c.out, c.result(), c.result()}, Tag::nchw)),
          strides{c.stride, c.stride},
          margin{c.padding, c.padding} {}
};

Call forward(const Convolution& c, algorithm how, bool flat) {
    const Descs d(c);
    const dnnl::convolution_forward::primitive_desc primitive(
        {inference, how, flat ? d.x : any(d.x), any(d.w), d.b, flat ? d.y : any(d.y), d.strides, d.margin, d.margin},
        engine());
    const memory y(primitive.dst_desc(), engine());
    return blocked(dnnl::convolution_forward(primitive),
                   {{DNNL_ARG_SRC, reordered(wrap(d.x, c.x), primitive.src_desc())},
                    {DNNL_ARG_WEIGHTS, reordered(wrap(d.w, c.weight), primitive.weights_desc())},
                    {DNNL_ARG_BIAS, wrap(d.b, c.bias)},
                    {DNNL_ARG_DST, y}},
                   y, d.y);
}

// Forward and both gradients, each with images and weights where it likes them best.
Call training_step(const ConvolutionStep& c, algorithm how) {
    const Convolution& f = c.forward;
    const Descs d(f);
    const dnnl::convolution_forward::primitive_desc primitive(
        {dnnl::prop_kind::forward_training, how, any(d.x), any(d.w), any(d.y), d.strides, d.margin, d.margin},
        engine());
    const dnnl::convolution_backward_data::primitive_desc to_x(
        {how, any(d.x), any(d.w), any(d.y), d.strides, d.margin, d.margin}, engine(), primitive);
    const dnnl::convolution_backward_weights::primitive_desc to_w(
        {how, any(d.x), any(d.w), any(d.y), d.strides, d.margin, d.margin}, engine(), primitive);
    const auto x = wrap(d.x, f.x), w = wrap(d.w, f.weight), dy = wrap(d.y, c.dy);
    const memory y(primitive.dst_desc(), engine()), dx(to_x.diff_src_desc(), engine()),
        dw(to_w.diff_weights_desc(), engine());
    const Arguments forward_arguments{{DNNL_ARG_SRC, reordered(x, primitive.src_desc())},
                                      {DNNL_ARG_WEIGHTS, reordered(w, primitive.weights_desc())},
                                      {DNNL_ARG_DST, y}};
    const Arguments x_arguments{{DNNL_ARG_DIFF_DST, reordered(dy, to_x.diff_dst_desc())},
                                {DNNL_ARG_WEIGHTS, reordered(w, to_x.weights_desc())},
                                {DNNL_ARG_DIFF_SRC, dx}};
    const Arguments w_arguments{{DNNL_ARG_SRC, reordered(x, to_w.src_desc())},
                                {DNNL_ARG_DIFF_DST, reordered(dy, to_w.diff_dst_desc())},
                                {DNNL_ARG_DIFF_WEIGHTS, dw}};
    auto call = blocked(dnnl::convolution_backward_weights(to_w), w_arguments, dw, d.w);
    call.run = [=, rest = call.run, first = dnnl::convolution_forward(primitive),
                second = dnnl::convolution_backward_data(to_x)] {
        first.execute(stream(), forward_arguments);
        second.execute(stream(), x_arguments);
        rest();
    };
    return call;
}

// Whether oneDNN has the primitive at all shows when it is made.
template <class Make>
void offer(Contestants& out, const char* variant, Make make) {
    try {
        make();
    } catch (const dnnl::error&) { return; }
    out.push_back({"oneDNN", variant, make});
}

}  // namespace

Contestants contestants(const Convolution& c) {
    Contestants out;
    offer(out, "direct, own layouts", [c] { return forward(c, algorithm::convolution_direct, false); });
    offer(out, "Winograd, own layouts", [c] { return forward(c, algorithm::convolution_winograd, false); });
    offer(out, "direct, plain layout", [c] { return forward(c, algorithm::convolution_direct, true); });
    return out;
}

Contestants contestants(const TransposedConvolution& c) {
    Contestants out;
    offer(out, "deconvolution, own layouts", [c] {
        const auto x = plain({1, c.in, c.size, c.size}, Tag::nchw),
                   w = plain({c.out, c.in, c.kernel, c.kernel}, Tag::iohw),
                   y = plain({1, c.out, c.result(), c.result()}, Tag::nchw);
        const memory::dims strides{c.stride, c.stride}, margin{c.padding, c.padding};
        const dnnl::deconvolution_forward::primitive_desc primitive(
            {inference, algorithm::deconvolution_direct, any(x), any(w), any(y), strides, margin, margin}, engine());
        const memory result(primitive.dst_desc(), engine());
        return blocked(dnnl::deconvolution_forward(primitive),
                       {{DNNL_ARG_SRC, reordered(wrap(x, c.x), primitive.src_desc())},
                        {DNNL_ARG_WEIGHTS, reordered(wrap(w, c.weight), primitive.weights_desc())},
                        {DNNL_ARG_DST, result}},
                       result, y);
    });
    return out;
}

Contestants contestants(const ConvolutionStep& c) {
    Contestants out;
    offer(out, "direct", [c] { return training_step(c, algorithm::convolution_direct); });
    offer(out, "Winograd", [c] { return training_step(c, algorithm::convolution_winograd); });
    return out;
}

Contestants contestants(const BatchNormTraining& p) {
    return {{"oneDNN", "batch_normalization", [p] {
                 using dnnl::normalization_flags;
                 const auto desc = plain({p.batch, p.channels, p.size, p.size}, Tag::nchw);
                 const dnnl::batch_normalization_forward::primitive_desc primitive(
                     {dnnl::prop_kind::forward_training, desc, 1e-5f,
                      normalization_flags::use_scale | normalization_flags::use_shift},
                     engine());
                 const auto vector = plain({p.channels}, Tag::a);
                 Array<float> y(p.x.size());
                 return call(dnnl::batch_normalization_forward(primitive),
                             {{DNNL_ARG_SRC, wrap(desc, p.x)},
                              {DNNL_ARG_SCALE, wrap(vector, p.scale)},
                              {DNNL_ARG_SHIFT, wrap(vector, p.shift)},
                              {DNNL_ARG_MEAN, memory(primitive.mean_desc(), engine())},
                              {DNNL_ARG_VARIANCE, memory(primitive.variance_desc(), engine())},
                              {DNNL_ARG_DST, wrap(desc, y)}},
                             y);
             }}};
}

Contestants contestants(const MaxPool& p) {
    Contestants out;
    for (const bool flat : {false, true})
        out.push_back({"oneDNN", flat ? "pooling" : "pooling, own layout", [p, flat] {
                           const auto x = plain({1, p.channels, p.size, p.size}, Tag::nchw),
                                      y = plain({1, p.channels, p.result(), p.result()}, Tag::nchw);
                           const auto own = plain({1, p.channels, p.size, p.size}, Tag::nChw16c);
                           const dnnl::pooling_forward::primitive_desc primitive({inference,
                                                                                  algorithm::pooling_max,
                                                                                  flat ? x : own,
                                                                                  flat ? y : any(y),
                                                                                  {2, 2},
                                                                                  {3, 3},
                                                                                  {1, 1},
                                                                                  {p.size % 2, p.size % 2}},
                                                                                 engine());
                           const memory result(primitive.dst_desc(), engine());
                           return blocked(
                               dnnl::pooling_forward(primitive),
                               {{DNNL_ARG_SRC, reordered(wrap(x, p.x), primitive.src_desc())}, {DNNL_ARG_DST, result}},
                               result, y);
                       }});
    return out;
}

}  // namespace peers::onednn
