#pragma once
// How a direct convolution is laid out before anything is computed: which of pixels and channels become lanes, the
// strips of output rows whose input is copied at a time, the channels of it that one pass adds up.
#include <lamina/kernels/conv/direct/strip.hpp>
#include <lamina/kernels/gemm/block.hpp>

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// Sizes are of this library's choosing, not read from the machine: results must not depend on it.
struct DirectPolicy {
    static constexpr Index strip_bytes = 512 << 10;   ///< of copied input: with the weights of one tile in L2
    static constexpr Index least_pixels = 192;        ///< of a strip, so that weights from memory are used often enough
    static constexpr Index deepest = 2304;            ///< terms of a sum in one pass: a tile's weights stay in L2
    static constexpr Index visits_worth_packing = 3;  ///< of strips by each tile
    static constexpr Index fetch_depth = 64;          ///< most terms that are too few to hide waiting for the result
    static constexpr double parallel_work = 1 << 20;  ///< multiplications and additions that pay for a second thread
    // Of parallel::scratch.
    static constexpr int strip_slot = 10, buffer_slot = 11, offset_slot = 12, weight_slot = 13, sum_slot = 14;
};

/// Everything that follows from the sizes.
template <class Arch, class T>
struct DirectPlan : StripLayout {
    static constexpr Index lanes = simd::Vec<T, Arch>::width, panel = panel_columns<Arch, T>;

    bool flat;               ///< are a strip's rows one run of pixels, or each a run of its own?
    bool channel_lanes;      ///< are lanes output channels, or pixels?
    bool in_place;           ///< is the image read where it is, without a copy?
    Index strips;            ///< output rows are cut into so many strips, each of at most `rows` rows
    Index blocks, channels;  ///< input channels of a group are cut into so many blocks
    Index images;            ///< of the batch in one strip

    explicit DirectPlan(const Conv2dGeometry& sizes);

    /// Elements from channel to channel and image to image of a strip.
    Index channel_size() const { return in_place ? g.in_plane() : spread(rows); }
    Index image_size() const { return in_place ? g.in_channels * g.in_plane() : channels * spread(rows); }
    /// Elements of a strip and of what vectors may read behind it.
    Index strip_size() const { return images * image_size() + horizontal.width() + panel; }

    /// Input channels of one block.
    Piece block(Index i) const { return piece(g.group_in(), blocks, i); }
    /// The place in a block of `count` channels of one term of the sum. Where weights are repacked anyway, a row of
    /// taps is walked over all channels before the next, so that rows of taps in the margin can be left out.
    Index term(Index count, Index channel, Index ky, Index kx) const {
        return channel_lanes ? (ky * count + channel) * g.kernel_w + kx : channel * g.taps() + ky * g.kernel_w + kx;
    }

    /// Output channels of one visit to a strip: a tile's rows, or a panel of lanes.
    Index channel_tiles() const { return ceil_div(g.group_out(), channel_lanes ? panel : Index(tile_rows<Arch>)); }
    Piece channel_tile(Index i) const {
        if (!channel_lanes) return piece(g.group_out(), channel_tiles(), i);
        return {i * panel, smaller((i + 1) * panel, g.group_out())};
    }

private:
    Index spread(Index strip_rows) const { return spread_channels<Arch, T>(channel_extent(strip_rows)); }
    Index vectors(bool flat_runs) const {
        return flat_runs ? ceil_div((g.out_h - 1) * pitch + g.out_w, lanes) : g.out_h * ceil_div(g.out_w, lanes);
    }
    void choose_lanes();
    void cut();
};

/// A pointwise convolution does not care for the shape of the plane: rows of whole vectors where that is possible.
template <class Arch, class T>
Conv2dGeometry reshaped(Conv2dGeometry g) {
    constexpr Index lanes = simd::Vec<T, Arch>::width;
    if (g.pointwise() && g.plane() % lanes == 0) {
        g.in_h = g.out_h = g.plane() / lanes;
        g.in_w = g.out_w = lanes;
    }
    return g;
}

template <class Arch, class T>
DirectPlan<Arch, T>::DirectPlan(const Conv2dGeometry& sizes) : StripLayout(reshaped<Arch, T>(sizes)) {
    choose_lanes();
    // Where planes crowd the cache, lines do not outlive one visit, which should need the whole of them.
    const bool stays = panel * Index(sizeof(T)) >= 64 || !crowds_cache<T>(g.plane());
    in_place = g.pointwise() && (channel_lanes || (g.plane() % lanes == 0 && stays));
    cut();
}

template <class Arch, class T>
void DirectPlan<Arch, T>::choose_lanes() {
    flat = pitch == g.out_w || vectors(true) < vectors(false);
    // What each costs beside its multiplications, in terms of the sum: moving tiles from registers to their rows.
    const double depth = double(g.depth()), plane = double(g.plane()), out = double(g.group_out());
    const double by_pixels = double(vectors(flat) * lanes) / plane * (1 + (pitch == g.out_w ? 2 : 5) / depth);
    const double by_channels = double(round_up(g.group_out(), lanes)) / out * (1 + 10 / depth);
    channel_lanes = by_channels < by_pixels;
    if (channel_lanes) flat = pitch == g.out_w;
}

template <class Arch, class T>
void DirectPlan<Arch, T>::cut() {
    const Index room = DirectPolicy::strip_bytes / Index(sizeof(T)), in = g.group_in();
    Index most = larger(1, smaller(in, DirectPolicy::deepest / g.taps()));
    if (!in_place) {
        // Rows so long that not even one of them fits are cut; pixels as lanes may have fewer channels instead.
        const Index rows_of_one = vertical.phases() * horizontal.phases() * (1 + vertical.reach());
        const Index fit = room / ((channel_lanes ? most : 1) * rows_of_one) - horizontal.reach();
        cut_columns(larger(64, smaller(fit, 2048)));
        flat = flat && segments == 1;
    }
    const auto tallest = [&](Index depth_channels) {
        Index most = room / (depth_channels * spread(1)) + 1;
        while (most > 1 && depth_channels * spread(most) > room) --most;
        return smaller(most, larger(1, g.out_h));
    };
    rows = tallest(most);
    // Fewer channels at a time rather than a strip so low that every weight is used only a few times. Where weights are
    // repacked by blocks, these must not depend on the size of the image.
    const Index least = smaller(larger(1, g.out_h), ceil_div(DirectPolicy::least_pixels, larger(1, horizontal.out)));
    if (rows < least && !channel_lanes) {
        rows = least;
        most = larger(1, smaller(most, room / spread(rows)));
    }
    strips = larger(1, ceil_div(g.out_h, rows));
    // Handed out whole, so their number should divide by that of the threads; two and four are the likely ones.
    if (strips > 2) strips = smaller(g.out_h, round_up(strips, 4));
    rows = ceil_div(g.out_h, strips);
    blocks = larger(1, ceil_div(in, most));
    channels = ceil_div(in, blocks);
    images = strips * segments > 1 ? 1 : larger(1, smaller(g.batch, room / larger(1, channels * spread(rows))));
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
