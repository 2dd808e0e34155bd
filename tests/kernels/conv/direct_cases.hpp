#pragma once
// Sizes that reach every way through the direct convolution.
#include <lamina/parallel/pool.hpp>

#include "conv_reference.hpp"

#include <vector>

namespace direct_cases {

using namespace lamina;
using kernels::Conv2dGeometry;

struct Case {
    Index batch, in, h, w, out, kh, kw, sh, sw, dh, dw, groups;
    Index top, left, bottom, right;

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
                top,
                left,
                dh,
                dw,
                groups,
                (h + top + bottom - dh * (kh - 1) - 1) / sh + 1,
                (w + left + right - dw * (kw - 1) - 1) / sw + 1};
    }
};
/// Square kernel, stride, dilation and margins.
constexpr Case square(Index batch, Index in, Index size, Index out, Index kernel, Index stride, Index pad,
                      Index dilation = 1, Index groups = 1) {
    return {batch, in, size, size, out, kernel, kernel, stride, stride, dilation, dilation, groups, pad, pad, pad, pad};
}
inline const Case cases[] = {
    square(1, 3, 31, 5, 7, 2, 3),                        // a first layer
    square(2, 6, 17, 4, 3, 1, 1),                        // rows longer than a vector
    square(1, 5, 33, 18, 3, 2, 1),                       // stride 2
    square(2, 4, 12, 15, 5, 1, 2),                       // 5 x 5
    square(2, 20, 7, 35, 3, 1, 1),                       // narrow rows in pairs, an odd one left
    square(3, 18, 6, 33, 3, 2, 1),                       // a batch in one strip
    square(2, 9, 14, 64, 3, 1, 1),                       // one tile a row
    square(1, 7, 15, 40, 3, 1, 2, 2),                    // dilation
    square(1, 3, 13, 17, 3, 2, 1, 2),                    // stride and dilation with a common factor
    square(2, 12, 10, 18, 3, 1, 1, 1, 3),                // groups
    square(1, 64, 5, 64, 3, 2, 1, 1, 2),                 // groups of channel lanes
    square(2, 7, 8, 15, 1, 1, 0),                        // pointwise, a plane of whole vectors
    square(2, 33, 7, 50, 1, 1, 0),                       // pointwise, an odd plane
    square(2, 5, 32, 17, 1, 1, 0),                       // pointwise, planes that crowd the caches
    square(1, 3, 16, 17, 3, 1, 1),                       // a result that crowds them
    square(2, 8, 9, 40, 1, 2, 0),                        // pointwise with stride
    square(1, 4, 8, 3, 1, 1, 1),                         // pointwise with margins
    square(1, 2, 4, 3, 4, 1, 0),                         // one output
    square(2, 1, 3, 2, 3, 1, 5),                         // more margin than image
    square(1, 3, 16, 20, 4, 4, 0),                       // patches
    square(1, 5, 20, 20, 2, 3, 0),                       // a stride longer than the kernel
    square(0, 3, 5, 4, 3, 1, 1),                         // no images
    {2, 3, 9, 33, 8, 3, 2, 2, 3, 1, 2, 1, 2, 1, 2, 1},   // different in both directions
    {1, 4, 11, 12, 6, 3, 3, 1, 1, 1, 1, 1, 0, 2, 1, 0},  // margins on one side
    {1, 6, 1, 50, 20, 1, 5, 1, 1, 1, 1, 1, 0, 2, 0, 2},  // a sequence
    {1, 5, 7, 6, 4, 1, 1, 1, 1, 1, 1, 1, 0, 0, 2, 1},    // pointwise with margins behind
    {1, 3, 40, 1, 34, 5, 1, 1, 1, 1, 1, 1, 2, 0, 2, 0},  // a column
    {1, 2, 7, 150, 3, 3, 3, 1, 1, 2, 1, 1, 2, 1, 2, 1},  // long rows
};
/// Sizes that are cut into several strips or blocks of channels.
inline const Case large[] = {
    square(1, 130, 40, 20, 3, 1, 1),
    square(2, 600, 14, 33, 3, 1, 1),
    square(1, 1100, 9, 40, 3, 2, 1),
    square(3, 520, 7, 40, 1, 1, 0),
    square(1, 4200, 4, 18, 1, 1, 0),
    {1, 2, 1, 5001, 3, 1, 5, 1, 1, 1, 1, 1, 0, 2, 0, 2},      // a long sequence
    {1, 40, 1, 2500, 33, 1, 9, 1, 2, 1, 3, 1, 0, 12, 0, 12},  // halves of segments
    {1, 3, 2, 4500, 18, 2, 4, 1, 3, 1, 1, 1, 0, 1, 0, 2},     // thirds of segments
    {1, 300, 1, 2051, 16, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},   // pointwise, not of whole vectors
};

using conv_reference::naive;
using conv_reference::Problem;
using conv_reference::relative_error;
using conv_reference::wave;

/// Another thread count for a scope.
struct Threads {
    int before = parallel::num_threads();
    explicit Threads(int n) { parallel::set_num_threads(n); }
    ~Threads() { parallel::set_num_threads(before); }
};

}  // namespace direct_cases
