#pragma once
// Pointwise and depthwise convolutions one after another, a band of rows at a time: the maps between them, the widest
// of the networks that are made of them, stay in the second-level cache.
#include <lamina/kernels/conv/conv2d.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// One convolution of a row of them: the sizes of whole images, weights prepared for these, and its epilogue.
template <class T, class Arch = simd::native>
struct BandStage {
    Conv2dGeometry g;
    const Conv2dWeights<T, Arch>* weights;
    ConvFinish<T> finish;
};

/// Do bands pay where the maps between convolutions have so many bytes?
constexpr bool conv_bands_pay(Index bytes_between) { return bytes_between >= Index(4) << 20; }

/// Can `count` such convolutions, each of the result of the one before it, run in bands?
template <class T, class Arch>
bool conv_bands_fit(const BandStage<T, Arch>* stages, Index count);

/// y = the last of the stages, of the one before it, … of x; `rows` of y at a time, or as many as suit the cache.
template <class T, class Arch>
void conv_bands_forward(const BandStage<T, Arch>* stages, Index count, const T* x, T* y, Index rows = 0);

namespace detail {

/// Sizes are of this library's choosing, not read from the machine.
struct BandPolicy {
    static constexpr Index most_stages = 4;
    static constexpr Index bytes = 640 << 10;      ///< of all maps of a band
    static constexpr Index copy_bytes = 64 << 10;  ///< of the input that is copied at a time
    static constexpr Index ahead = 4;              ///< channels that a copy fetches before their turn
    static constexpr int map_slot = 1, copy_slot = 2, offset_slot = 3;  ///< of parallel::scratch
};

/// Rows of the image that rows of the result see.
inline Piece rows_seen(const Conv2dGeometry& g, Piece rows) {
    const Index reach = (g.kernel_h - 1) * g.dilation_h + 1;
    return {larger(0, rows.begin * g.stride_h - g.pad_h),
            smaller(g.in_h, (rows.end - 1) * g.stride_h - g.pad_h + reach)};
}

/// Some rows of one image through all stages.
template <class Arch, class T>
class ConvBands {
public:
    ConvBands(const BandStage<T, Arch>* stages, Index count, Index rows) : stages_(stages), count_(count), rows_(rows) {
        // What depthwise tiles are made for.
        for (const Index height : {28, 21, 14, 7, 3, 2, 1})
            if (rows_ == 0 && (height == 1 || lay_out(height) * Index(sizeof(T)) <= BandPolicy::bytes)) rows_ = height;
        size_ = lay_out(rows_);
    }
    Index rows() const { return rows_; }

    /// Makes `rows` of the last result of image n.
    void run(Index n, Piece rows, const T* x, T* y) {
        const Conv2dGeometry &first = stages_[0].g, &last = stages_[count_ - 1].g;
        image_ = n;
        x_ = x + n * first.in_channels * first.in_plane();
        y_ = y + n * last.out_channels * last.plane();
        T* room = parallel::scratch<T>(size_ + panel_columns<Arch, T>, BandPolicy::map_slot);
        for (Index i = 0; i + 1 < count_; ++i) {
            maps_[i].data = room;
            maps_[i].rows = {};
            room += stages_[i].g.out_channels * maps_[i].step;
        }
        for (Index begin = rows.begin; begin < rows.end; begin += rows_)
            make(count_ - 1, {begin, smaller(begin + rows_, rows.end)});
    }

private:
    static constexpr Index line = 64 / Index(sizeof(T));

    /// A map between two stages, of which some rows are there.
    struct Map {
        T* data = nullptr;
        Index step = 0;  ///< from channel to channel
        Piece rows{};
    };

    /// Room for all maps of bands of so many rows.
    Index lay_out(Index rows) {
        Index size = 0;
        for (Index i = count_ - 1; i > 0; --i) {
            const Conv2dGeometry& g = stages_[i].g;
            rows = smaller(g.in_h, (rows - 1) * g.stride_h + (g.kernel_h - 1) * g.dilation_h + 1);
            maps_[i - 1].step = spread_channels<Arch, T>(rows * g.in_w);
            size += g.in_channels * maps_[i - 1].step;
        }
        return size;
    }

    /// The result of stage i from row `rows.begin` on; what is missing of `rows` is made, what is above them is lost.
    const T* take(Index i, Piece rows) {
        Map& map = maps_[i];
        const Conv2dGeometry& g = stages_[i].g;
        const Piece kept{rows.begin, larger(rows.begin, map.rows.end)};
        if (kept.size() > 0 && kept.begin > map.rows.begin) {
            const Index skip = (kept.begin - map.rows.begin) * g.out_w, count = kept.size() * g.out_w;
            for (Index c = 0; c < g.out_channels; ++c) {
                T* to = map.data + c * map.step;
                simd::for_each_vec<Arch>(
                    count, [](auto v) LAMINA_INLINE_LAMBDA { return v; }, to, to + skip);
            }
        }
        map.rows = {rows.begin, larger(kept.end, rows.end)};
        if (kept.end < rows.end) make(i, {kept.end, rows.end});
        return map.data;
    }

    void make(Index i, Piece rows) {
        const Conv2dGeometry& g = stages_[i].g;
        const Piece seen = rows_seen(g, rows);
        const T* in = i > 0 ? take(i - 1, seen) : x_ + seen.begin * g.in_w;
        const Index in_step = i > 0 ? maps_[i - 1].step : g.in_plane();
        const bool last = i + 1 == count_;
        T* out = last ? y_ + rows.begin * g.out_w : maps_[i].data + (rows.begin - maps_[i].rows.begin) * g.out_w;
        const Index out_step = last ? g.plane() : maps_[i].step;
        if (g.pointwise()) mix(stages_[i], rows, in, in_step, i == 0, out, out_step);
        else filter(stages_[i], rows, seen, in, in_step, i == 0, out, out_step);
    }

    /// A pointwise convolution; every panel of pixels meets all channels while it is in L1.
    void mix(const BandStage<T, Arch>& stage, Piece rows, const T* in, Index in_step, bool copies, T* out,
             Index out_step) const {
        constexpr Index panel = panel_columns<Arch, T>, lanes = simd::Vec<T, Arch>::width;
        const Conv2dGeometry& g = stage.g;
        const Index depth = g.in_channels, tiles = ceil_div(g.out_channels, Index(tile_rows<Arch>));
        const Index tile_size = round_up(piece(g.out_channels, tiles, 0).size(), lanes) * depth;
        const Index pixels = rows.size() * g.out_w, position = rows.begin * g.out_w;
        // Planes of a whole image may be any distance apart, and end where nothing may be read any more.
        const Index room = larger(1, BandPolicy::copy_bytes / Index(sizeof(T)) / panel / depth) * panel;
        const Index block = copies ? smaller(room, round_up(pixels, panel)) : pixels;
        const Index step = copies ? block + 16 : in_step;
        T* buffer =
            parallel::scratch<T>(tile_rows<Arch> * panel + (copies ? depth * step + panel : 0), BandPolicy::copy_slot);
        T* copy = buffer + tile_rows<Arch> * panel;
        Index* offsets = parallel::scratch<Index>(depth, BandPolicy::offset_slot);
        for (Index k = 0; k < depth; ++k) offsets[k] = k * step;
        DirectTask<T> task{};
        task.offsets = offsets;
        task.depth = depth;
        task.weight_row = 1;
        task.out = buffer;
        task.out_row = panel;
        task.columns = lanes;
        for (Index begin = 0; begin < pixels; begin += block) {
            const Index end = smaller(pixels, begin + block);
            if (copies)
                for (Index k = 0; k < depth; ++k) {
                    const T* from = in + k * in_step + begin;
                    if (k + BandPolicy::ahead < depth) fetch(from + BandPolicy::ahead * in_step, end - begin);
                    simd::for_each_vec<Arch>(
                        end - begin, [](auto v) LAMINA_INLINE_LAMBDA { return v; }, copy + k * step, from);
                }
            for (Index t = 0; t < tiles; ++t) {
                const Piece channels = piece(g.out_channels, tiles, t);
                T* const to = out + channels.begin * out_step;
                task.weights = stage.weights->direct.panels.data() + t * tile_size;
                task.weight_step = round_up(channels.size(), lanes);
                for (Index at = begin; at < end; at += panel) {
                    const Index count = smaller(panel, end - at);
                    task.strip = copies ? copy + (at - begin) : in + at;
                    for (Index c = 0; c < channels.size(); ++c)
                        for (Index j = 0; j < panel; j += line) simd::prefetch_write(to + c * out_step + at + j);
                    pixel_lanes_tile_for<Arch, T>(channels.size(), count)(task);
                    stage.finish.move(stage.finish.epilogue, image_, buffer, panel, to + at, out_step, channels,
                                      {position + at, position + at + count});
                }
            }
        }
    }

    /// Asks for the lines of what is read soon.
    static void fetch(const T* from, Index count) {
        for (Index i = 0; i < count; i += line) simd::prefetch(from + i);
    }

    /// A depthwise convolution: rows of the result are those of an image that ends with the band.
    void filter(const BandStage<T, Arch>& stage, Piece rows, Piece seen, const T* in, Index in_step, bool fetches,
                T* out, Index out_step) const {
        const Conv2dGeometry& g = stage.g;
        DepthwisePlane plane = forward_plane(g);
        plane.h.in = seen.size();
        plane.h.out = rows.size();
        plane.h.pad += seen.begin - rows.begin * g.stride_h;
        depthwise_ranges<Arch, T>(plane, g.in_channels, rows.size() * g.out_w * g.taps(),
                                  [&](Index begin, Index end, auto& strip) {
                                      for (Index c = begin; c < end; ++c) {
                                          if (fetches && c + 1 < end)
                                              fetch(in + (c + 1) * in_step, seen.size() * g.in_w);
                                          for (Index first = 0; first < rows.size(); first += strip.rows()) {
                                              const Index count = smaller(strip.rows(), rows.size() - first);
                                              T* y = out + c * out_step;
                                              strip.fill(0, in + c * in_step, first, count);
                                              strip.run(0, stage.weights->plain + c * g.taps(), y, first, count, false);
                                              y += first * g.out_w;
                                              const Index position = (rows.begin + first) * g.out_w;
                                              stage.finish.move(stage.finish.epilogue, image_, y, out_step, y, out_step,
                                                                {c, c + 1}, {position, position + count * g.out_w});
                                          }
                                      }
                                  });
    }

    const BandStage<T, Arch>* stages_;
    Index count_, rows_, size_, image_ = 0;
    const T* x_ = nullptr;
    T* y_ = nullptr;
    Map maps_[BandPolicy::most_stages];
};

}  // namespace detail

template <class T, class Arch>
bool conv_bands_fit(const BandStage<T, Arch>* stages, Index count) {
    using Kernel = Conv2dChoice::Kernel;
    for (Index i = 0; i < count; ++i) {
        if (!stages[i].weights) return false;
        const Conv2dGeometry& g = stages[i].g;
        const auto& [kernel, channel_lanes] = stages[i].weights->choice;
        const bool mixes = g.pointwise() && g.groups == 1 && kernel == Kernel::direct && !channel_lanes;
        // Every row of the result sees the image.
        const bool sees = g.pad_h < g.kernel_h && (g.out_h - 1) * g.stride_h - g.pad_h < g.in_h;
        const bool filters = g.in_channels == g.out_channels && kernel == Kernel::depthwise && sees;
        if (!mixes && !filters) return false;
    }
    return count > 1 && count <= detail::BandPolicy::most_stages;
}

template <class T, class Arch>
void conv_bands_forward(const BandStage<T, Arch>* stages, Index count, const T* x, T* y, Index rows) {
    const Conv2dGeometry& last = stages[count - 1].g;
    const detail::ConvBands<Arch, T> bands(stages, count, rows);
    // Rows that two parts of an image need are made by both: no more parts than threads want.
    const Index threads = parallel::num_threads(), most = detail::ceil_div(last.out_h, bands.rows());
    const Index wanted = threads == 1 ? 1 : detail::ceil_div(2 * threads, detail::larger(1, last.batch));
    const Index parts = detail::smaller(most, wanted);
    parallel::for_each(last.batch * parts, [&](Index task) {
        auto band = bands;
        band.run(task / parts, detail::piece(last.out_h, parts, task % parts), x, y);
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
