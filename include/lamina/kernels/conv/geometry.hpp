#pragma once
// The sizes of a two-dimensional convolution: what ops check and kernels compute with.
#include <lamina/core/index.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Sizes of a grouped 2-D convolution of x [batch, in_channels, in_h, in_w] by w [out_channels, in_channels / groups,
/// kernel_h, kernel_w] to y [batch, out_channels, out_h, out_w], all contiguous; validated by the caller.
struct Conv2dGeometry {
    Index batch, in_channels, in_h, in_w, out_channels, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
    Index dilation_h, dilation_w, groups, out_h, out_w;

    Index group_in() const { return in_channels / groups; }
    Index group_out() const { return out_channels / groups; }
    Index taps() const { return kernel_h * kernel_w; }
    Index in_plane() const { return in_h * in_w; }
    Index plane() const { return out_h * out_w; }
    /// Elements of x, and of w, that one output depends on.
    Index depth() const { return group_in() * taps(); }
    /// Does every output see just the input at its own place?
    bool pointwise() const {
        return taps() == 1 && stride_h == 1 && stride_w == 1 && pad_h == 0 && pad_w == 0 && in_h == out_h &&
               in_w == out_w;
    }
};

}  // namespace lamina::inline LAMINA_ABI::kernels
