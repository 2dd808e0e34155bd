#pragma once
// An axis of an image seen through a stride. Every stride-th element, beginning at one remainder, is a phase; a tap
// reads one phase only and there in steps of one. Rows sorted by phase make every convolution one of stride 1.
#include <lamina/kernels/conv/geometry.hpp>
#include <lamina/kernels/gemm/matrix.hpp>

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// Output o sees element o * stride + tap * dilation - pad of the axis: element o + shift(tap) of phase(tap).
struct PhaseAxis {
    Index kernel, stride, dilation, pad, in, out;
    Index period;  ///< taps this far apart read the same phase

    PhaseAxis(Index of_kernel, Index of_stride, Index of_dilation, Index margin, Index inputs, Index outputs)
        : kernel(of_kernel),
          stride(of_stride),
          dilation(of_dilation),
          pad(margin),
          in(inputs),
          out(outputs),
          period(stride / common_factor(stride, dilation)) {}

    /// Phases that some tap reads.
    Index phases() const { return smaller(kernel, period); }
    Index phase(Index tap) const { return tap % period; }
    Index shift(Index tap) const { return tap * dilation / stride; }
    /// The furthest shift.
    Index reach() const { return shift(kernel - 1); }
    /// Elements of a phase that all outputs see together.
    Index width() const { return out + reach(); }

    /// The place on the axis of a phase's first element; negative in the padding.
    Index first(Index of_phase) const { return of_phase * dilation % stride - pad; }
    /// The taps through which an output sees the image and not its margins.
    Piece seen(Index output) const {
        const Index at = output * stride - pad;
        const Index begin = at < 0 ? smaller(kernel, ceil_div(-at, dilation)) : 0;
        return {begin, larger(begin, at < in ? smaller(kernel, ceil_div(in - at, dilation)) : 0)};
    }
    /// The elements of a phase that lie inside the image.
    Piece inside(Index of_phase) const {
        const Index at = first(of_phase), begin = at < 0 ? smaller(width(), ceil_div(-at, stride)) : 0;
        const Index end = at < in ? smaller(width(), ceil_div(in - at, stride)) : 0;
        return {begin, larger(begin, end)};
    }
    /// From one row of a phase to the next, no closer than outputs: zeros that every phase has at both of its ends are
    /// shared by two rows.
    Index pitch() const {
        Index shared = reach();
        for (Index q = 0; q < phases(); ++q) {
            const Piece image = inside(q);
            shared = smaller(shared, smaller(image.begin, width() - image.end));
        }
        return width() - shared;
    }

private:
    static constexpr Index common_factor(Index a, Index b) { return b == 0 ? a : common_factor(b, a % b); }
};

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
