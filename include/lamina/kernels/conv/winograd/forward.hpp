#pragma once
// Convolution by Winograd's minimal filtering, F(2x2, 3x3) and F(4x4, 3x3) (Lavin and Gray, 2015): 2.25 and 4 times
// fewer multiplications than the definition. A block of at most 64 tiles is transformed, multiplied frequency by
// frequency, and transformed back: work memory stays below 10 KB a channel and thread, whatever the image.
//
// Errors in float over the RMS of the exact output, inputs relu(normal), He-scaled weights, 64 to 1280 channels:
// F4 at most 1.6e-5, RMS 2.7e-6 (about twice that of a direct sum); F2 at most 4.7e-6, RMS 0.95e-6 (below a direct
// sum).
#include <lamina/kernels/conv/winograd/input.hpp>
#include <lamina/kernels/conv/winograd/multiply.hpp>
#include <lamina/kernels/conv/winograd/output.hpp>
#include <lamina/kernels/conv/winograd/weights.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Can this convolution, and its gradients, be computed here, and are there channels enough to pay? 3 x 3, stride and
/// dilation 1, one group, any padding.
inline bool winograd_fits(const Conv2dGeometry& g) {
    const bool shape = g.kernel_h == 3 && g.kernel_w == 3 && g.stride_h == 1 && g.stride_w == 1 && g.dilation_h == 1 &&
                       g.dilation_w == 1 && g.groups == 1;
    return shape && g.in_channels >= 16 && g.out_channels >= 16;
}

/// The tile that is likely to be faster: 2 or 4. F4 multiplies less, unless much of its tiles lies outside; F2's
/// weights take 2.25 times less memory, and with few tiles it is they that take the time: as much as 9 tiles when they
/// come from memory, as 6 when they stay in the third-level cache.
template <class T = float>
int winograd_tile(const Conv2dGeometry& g) {
    const Index tiles_4 = g.batch * detail::ceil_div(g.out_h, 4) * detail::ceil_div(g.out_w, 4);
    const Index tiles_2 = g.batch * detail::ceil_div(g.out_h, 2) * detail::ceil_div(g.out_w, 2);
    const Index bytes = 36 * g.in_channels * g.out_channels * Index(sizeof(T));
    const Index least = bytes <= (16 << 20) ? 6 : 9;
    return 36 * detail::larger(tiles_4, least) < 16 * detail::larger(tiles_2, least) ? 4 : 2;
}

/// y = w * x with weights prepared before, then the epilogue on lanes of y as `epilogue(y, output channel, position in
/// the plane, count)`.
template <class Arch = simd::native, class T, class Epilogue = NoEpilogue>
void winograd_forward(const Conv2dGeometry& g, const T* x, const WinogradWeights<T, Arch>& w, T* y,
                      const Epilogue& epilogue = {});

/// The same with plain weights, transformed on the way: for weights that change with every call.
template <class Arch = simd::native, class T, class Epilogue = NoEpilogue>
void winograd_forward(const Conv2dGeometry& g, int tile, const T* x, const T* w, T* y, const Epilogue& epilogue = {});

/// dx = dL/dx, or is added to when `accumulate`: the convolution of dy with the weights turned round.
template <class Arch = simd::native, class T>
void winograd_grad_input(const Conv2dGeometry& g, int tile, const T* dy, const T* w, T* dx, bool accumulate);

namespace detail {

struct WinogradPolicy {
    static constexpr Index cached_bytes = 512 << 10;  ///< of transformed tiles, for panels to be multiplied one by one
    static constexpr Index cached_tiles = 24;         ///< least tiles for which that pays
    static constexpr Index streamed_tiles = 64;       ///< in a block else, whose panels share each frequency by twos
    static constexpr Index weight_bytes = 256 << 10;  ///< of plain weights transformed at a time,
    static constexpr Index whole_bytes = 1 << 20;     ///< unless all of them take no more than this
    static constexpr int tile_slot = 12, product_slot = 13, pixel_slot = 14, weight_slot = 15;  ///< parallel::scratch
};

/// Transformed weights, or those to transform.
template <class T>
struct WinogradSource {
    const T* prepared;
    Index panel_stride, stride;
    WinogradTaps<T> taps;
};

/// One convolution with a tile of M x M.
template <class Arch, class T, int M>
class WinogradRun {
public:
    WinogradRun(const Conv2dGeometry& g, const T* x, const WinogradSource<T>& w, const WinogradTarget<T>& target)
        : g_(g),
          x_(x),
          w_(w),
          target_(target),
          vectors_(ceil_div(g.in_channels, lanes)),
          panels_(ceil_div(g.out_channels, panel)),
          one_by_one_(!w.prepared || cached_tiles() >= WinogradPolicy::cached_tiles),
          threads_(parallel::in_task() ? 1 : parallel::num_threads()),
          // Blocks are cut finer for more threads where weights are small enough to be read by all.
          grid_(g, M, w.prepared && one_by_one_ ? cached_tiles() : WinogradPolicy::streamed_tiles,
                w.prepared && one_by_one_ ? threads_ : 1) {}

    void operator()() const {
        const Index blocks = grid_.blocks();
        // Blocks are handed out when there are enough of them, else the channels of each. No sum depends on it.
        if (blocks % threads_ == 0 || blocks >= 4 * threads_)
            parallel::for_each(blocks, [&](Index i) { run(grid_.block(i), 1); });
        else
            for (Index i = 0; i < blocks; ++i) run(grid_.block(i), threads_);
    }

private:
    static constexpr Index lanes = simd::Vec<T, Arch>::width, panel = 2 * lanes, frequencies = (M + 2) * (M + 2);

    /// Tiles whose transforms fit half the second-level cache.
    Index cached_tiles() const {
        return WinogradPolicy::cached_bytes / (frequencies * vectors_ * lanes * Index(sizeof(T)));
    }

    void run(const TileBlock& block, Index threads) const {
        const Index tiles = block.tiles(), stride = vectors_ * tiles * lanes + winograd_line<T>;
        T* const v = parallel::scratch<T>(frequencies * stride, WinogradPolicy::tile_slot);
        const Index chunks = smaller(vectors_, threads > 1 ? 4 * threads : 1);
        parallel::for_each(chunks, [&](Index chunk) {
            const Piece part = piece(vectors_, chunks, chunk);
            for (Index i = part.begin; i < part.end; ++i)
                winograd_input<Arch, T, M>(g_, grid_, block, x_, i * lanes, v + i * tiles * lanes, stride,
                                           WinogradPolicy::pixel_slot);
        });
        const Index groups = one_by_one_ ? panels_ : larger(ceil_div(panels_, 2), smaller(panels_, threads));
        parallel::for_each(groups, [&](Index group) { multiply(block, v, stride, piece(panels_, groups, group)); });
    }

    /// Some panels, all of each frequency before the next.
    void multiply(const TileBlock& block, const T* v, Index v_stride, Piece panels) const {
        const Index tiles = block.tiles(), stride = tiles * panel + winograd_line<T>;
        T* const m = parallel::scratch<T>(panels.size() * frequencies * stride, WinogradPolicy::product_slot);
        if (w_.prepared) {
            for (Index f = 0; f < frequencies; ++f)
                for (Index p = panels.begin; p < panels.end; ++p) {
                    const bool last = p + 1 == panels.end;
                    // Weights come from afar; tiles, too, where they do not stay in the cache from panel to panel.
                    const Ahead<T> next_weights{weights(last ? panels.begin : p + 1, last ? f + 1 : f), w_.stride};
                    const Piece share = piece(v_stride, panels.size(), p - panels.begin);
                    const Ahead<T> next_tiles{v + (f + 1 < frequencies ? f + 1 : f) * v_stride + share.begin,
                                              one_by_one_ ? 0 : share.size()};
                    winograd_multiply<Arch>(WinogradProduct<T>{v + f * v_stride,
                                                               tiles * lanes,
                                                               weights(p, f),
                                                               g_.in_channels,
                                                               m + ((p - panels.begin) * frequencies + f) * stride,
                                                               false,
                                                               {next_weights, next_tiles}},
                                            tiles);
                }
        } else multiply_plain(tiles, v, v_stride, panels, m, stride);
        for (Index p = panels.begin; p < panels.end; ++p)
            winograd_output<Arch, T, M>(g_, grid_, block, m + (p - panels.begin) * frequencies * stride, stride,
                                        p * panel, target_, WinogradPolicy::pixel_slot);
    }
    const T* weights(Index p, Index f) const { return w_.prepared + p * w_.panel_stride + f * w_.stride; }

    /// The same with weights transformed on the way, some input channels of one panel at a time.
    void multiply_plain(Index tiles, const T* v, Index v_stride, Piece panels, T* m, Index m_stride) const {
        constexpr Index most =
            larger(1, WinogradPolicy::weight_bytes / (frequencies * panel * Index(sizeof(T)) * lanes));
        const Index chunks = ceil_div(vectors_, most), deepest = ceil_div(vectors_, chunks) * lanes;
        const Index stride = deepest * panel + winograd_line<T>;
        T* const u = parallel::scratch<T>(frequencies * stride, WinogradPolicy::weight_slot);
        for (Index p = panels.begin; p < panels.end; ++p, m += frequencies * m_stride)
            for (Index chunk = 0; chunk < chunks; ++chunk) {
                const Piece part = piece(vectors_, chunks, chunk);
                const Piece channels{part.begin * lanes, smaller(part.end * lanes, g_.in_channels)};
                for (Index half = 0; half < 2; ++half)
                    transform_weights<Arch, T, M>(w_.taps, p * panel + half * lanes, channels, u + half * lanes,
                                                  stride);
                const T* const tile = v + part.begin * tiles * lanes;
                for (Index f = 0; f < frequencies; ++f)
                    winograd_multiply<Arch>(WinogradProduct<T>{tile + f * v_stride,
                                                               tiles * lanes,
                                                               u + f * stride,
                                                               channels.size(),
                                                               m + f * m_stride,
                                                               chunk > 0,
                                                               {{tile + (f + 1 < frequencies ? f + 1 : 0) * v_stride,
                                                                 part.size() * tiles * lanes},
                                                                {u, 0}}},
                                            tiles);
            }
    }

    const Conv2dGeometry& g_;
    const T* x_;
    const WinogradSource<T>& w_;
    const WinogradTarget<T>& target_;
    Index vectors_, panels_;
    bool one_by_one_;
    Index threads_;
    TileGrid grid_;
};

template <class Arch, class T>
void winograd_run(const Conv2dGeometry& g, Index tile, const T* x, const WinogradSource<T>& w,
                  const WinogradTarget<T>& target) {
    if (g.batch * g.plane() == 0) return;
    if (tile == 2) WinogradRun<Arch, T, 2>(g, x, w, target)();
    else WinogradRun<Arch, T, 4>(g, x, w, target)();
}

/// The same with weights of this call alone.
template <class Arch, class T>
void winograd_run_plain(const Conv2dGeometry& g, Index tile, const T* x, const WinogradTaps<T>& taps,
                        const WinogradTarget<T>& target) {
    const Index bytes = (tile + 2) * (tile + 2) * g.in_channels * g.out_channels * Index(sizeof(T));
    if (bytes > WinogradPolicy::whole_bytes)
        return winograd_run<Arch>(g, tile, x, WinogradSource<T>{nullptr, 0, 0, taps}, target);
    WinogradWeights<T, Arch> whole(tile, g.in_channels, g.out_channels);
    if (tile == 2) prepare_weights<Arch, T, 2, false>(taps, whole);
    else prepare_weights<Arch, T, 4, false>(taps, whole);
    winograd_run<Arch>(g, tile, x, WinogradSource<T>{whole.data(), whole.panel_stride(), whole.stride(), {}}, target);
}

}  // namespace detail

template <class Arch, class T, class Epilogue>
void winograd_forward(const Conv2dGeometry& g, const T* x, const WinogradWeights<T, Arch>& w, T* y,
                      const Epilogue& epilogue) {
    const detail::WinogradSource<T> source{w.data(), w.panel_stride(), w.stride(), {}};
    detail::winograd_run<Arch>(g, w.tile(), x, source, {y, conv_finish<Arch, T>(epilogue), false});
}

template <class Arch, class T, class Epilogue>
void winograd_forward(const Conv2dGeometry& g, int tile, const T* x, const T* w, T* y, const Epilogue& epilogue) {
    detail::winograd_run_plain<Arch>(g, tile, x, detail::winograd_taps(g, w),
                                     {y, conv_finish<Arch, T>(epilogue), false});
}

template <class Arch, class T>
void winograd_grad_input(const Conv2dGeometry& g, int tile, const T* dy, const T* w, T* dx, bool accumulate) {
    Conv2dGeometry back = g;
    back.in_channels = g.out_channels, back.in_h = g.out_h, back.in_w = g.out_w, back.pad_h = 2 - g.pad_h;
    back.out_channels = g.in_channels, back.out_h = g.in_h, back.out_w = g.in_w, back.pad_w = 2 - g.pad_w;
    detail::winograd_run_plain<Arch>(back, tile, dy, detail::rotated_winograd_taps(g, w),
                                     {dx, conv_finish<Arch, T>(NoEpilogue{}), accumulate});
}

}  // namespace lamina::inline LAMINA_ABI::kernels
