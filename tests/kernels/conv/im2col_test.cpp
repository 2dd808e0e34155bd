#include <lamina/kernels/conv/im2col.hpp>

#include "../../support/archs.hpp"
#include "conv_reference.hpp"

#include <doctest/doctest.h>

using namespace lamina;
using conv_reference::Problem;
using conv_reference::relative_error;
using kernels::Conv2dGeometry;

namespace {

struct Case {
    Index batch, in, h, w, out, kh, kw, sh, sw, ph, pw, dh, dw, groups;

    Conv2dGeometry geometry() const {
        return {batch,
                in,
                h,
                w,
                out,
                kh,
                kw,
                sh,
                sw,
                ph,
                pw,
                dh,
                dw,
                groups,
                (h + 2 * ph - dh * (kh - 1) - 1) / sh + 1,
                (w + 2 * pw - dw * (kw - 1) - 1) / sw + 1};
    }
};
const Case cases[] = {
    {2, 6, 5, 17, 4, 3, 3, 1, 1, 1, 1, 1, 1, 1},     // the ordinary one
    {1, 3, 9, 33, 8, 3, 2, 2, 3, 2, 1, 1, 2, 1},     // strides, dilation, uneven padding
    {3, 4, 8, 8, 6, 3, 3, 2, 1, 1, 2, 2, 1, 2},      // groups
    {2, 5, 7, 9, 5, 3, 3, 1, 1, 1, 1, 1, 1, 5},      // depthwise
    {2, 7, 6, 6, 15, 1, 1, 1, 1, 0, 0, 1, 1, 1},     // pointwise
    {2, 8, 6, 6, 4, 1, 1, 2, 2, 0, 0, 1, 1, 2},      // pointwise with stride
    {1, 2, 4, 4, 3, 4, 4, 1, 1, 0, 0, 1, 1, 1},      // one output
    {2, 1, 3, 3, 2, 3, 3, 1, 1, 5, 5, 1, 1, 1},      // more padding than image
    {1, 40, 30, 30, 20, 3, 3, 1, 1, 1, 1, 1, 1, 1},  // several blocks of patches
    {1, 1, 200, 180, 2, 5, 5, 1, 1, 2, 2, 1, 1, 1},  // a plane larger than a block
    {0, 3, 5, 5, 4, 3, 3, 1, 1, 1, 1, 1, 1, 1},      // no images
};

}  // namespace

TEST_CASE_TEMPLATE("im2col: gradients agree with the naive loops", Arch, LAMINA_TEST_ARCHS) {
    for (const Case& c : cases) {
        Problem<float> p(c);
        CAPTURE(&c - cases);
        std::vector<double> dx = p.naive_dx(), dw = p.naive_dw();
        kernels::im2col_grad_input<Arch>(p.g, p.dy.data(), p.w.data(), p.dx.data(), false);
        kernels::im2col_grad_weight<Arch>(p.g, p.dy.data(), p.x.data(), p.dw.data(), false);
        CHECK(relative_error(p.dx, dx) < 2e-6);
        CHECK(relative_error(p.dw, dw) < 1e-5);
        for (auto* v : {&dx, &dw})
            for (double& e : *v) e *= 2;
        kernels::im2col_grad_input<Arch>(p.g, p.dy.data(), p.w.data(), p.dx.data(), true);
        kernels::im2col_grad_weight<Arch>(p.g, p.dy.data(), p.x.data(), p.dw.data(), true);
        CHECK(relative_error(p.dx, dx) < 2e-6);
        CHECK(relative_error(p.dw, dw) < 1e-5);
    }
}

TEST_CASE("im2col: 1 and 3 threads give the same bits") {
    const int before = parallel::num_threads();
    for (const Case& c : cases) {
        Problem<float> one(c), three(c);
        for (auto* p : {&one, &three}) {
            parallel::set_num_threads(p == &one ? 1 : 3);
            kernels::im2col_grad_input(p->g, p->dy.data(), p->w.data(), p->dx.data(), false);
            kernels::im2col_grad_weight(p->g, p->dy.data(), p->x.data(), p->dw.data(), false);
        }
        CHECK(one.dx == three.dx);
        CHECK(one.dw == three.dw);
    }
    parallel::set_num_threads(before);
}
