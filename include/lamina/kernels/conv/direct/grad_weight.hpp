#pragma once
// The gradient of a convolution's weights: a product whose terms are pixels. Strips of the image are turned so that
// channels lie side by side, pixel after pixel; the forward tiles then multiply lanes of channels by pixels of the
// result's gradient, and a shift of the strip serves every tap. Few channels are unfolded first: lanes are taps too.
#include <lamina/kernels/conv/direct/weights.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Does direct_grad_weight suit these sizes? It is right for all.
inline bool direct_grad_weight_fits(const Conv2dGeometry& g);

/// dw = dL/dw, or is added to when `accumulate`.
template <class Arch = simd::native, class T>
void direct_grad_weight(const Conv2dGeometry& g, const T* dy, const T* x, T* dw, bool accumulate);

namespace detail {

/// Turns `count` rows, at from + offsets[i], into groups of `width` lanes for each of `length` positions, zeros behind
/// the last row up to a whole vector. Reads and writes whole vectors of positions.
template <class Arch, class T>
void turn_rows(const T* from, const Index* offsets, Index count, Index length, T* to, Index width) {
    using V = simd::Vec<T, Arch>;
    constexpr int lanes = V::width;
    for (Index at = 0; at < length; at += lanes)
        for (Index first = 0; first < count; first += lanes) {
            V block[lanes];
            simd::unroll<lanes>([&](auto q) LAMINA_INLINE_LAMBDA {
                block[q] = first + q < count ? simd::load<Arch>(from + offsets[first + q] + at) : V(T(0));
            });
            simd::transpose(block);
            T* out = to + at * width + first;
            simd::unroll<lanes>([&](auto q) LAMINA_INLINE_LAMBDA { simd::store(out + q * width, block[q]); });
        }
}

template <class Arch, class T>
class DirectGradWeight {
public:
    DirectGradWeight(const Conv2dGeometry& g, const T* dy, const T* x, T* dw, bool accumulate)
        : layout_(g),
          dy_(dy),
          x_(x),
          dw_(dw),
          accumulate_(accumulate) {
        // A turned vector costs about ten multiplications and serves each channel of the result, and each tap by a
        // shift.
        const double out = double(g.group_out()), taps = double(g.taps());
        const double by_channels =
            double(round_up(g.group_in(), lanes)) / double(g.group_in()) * (1 + 10 / (out * taps));
        const double by_terms = double(round_up(g.depth(), lanes)) / double(g.depth()) * (1 + 10 / out);
        unfolds_ = by_terms < by_channels;
        blocks_ = ceil_div(lanes_in_all(), panel);
        const Index tiles = ceil_div(g.group_out(), tile_rows<Arch>);
        const Index room = larger(1, sum_bytes / Index(sizeof(T)) / (shifts() * panel));
        // A part turns its strips anew, so there are no more than threads need. No sum depends on it.
        const Index threads = parallel::num_threads(), shares = g.groups * blocks_;
        const Index needed = shares % threads == 0 || shares >= 4 * threads ? 1 : ceil_div(threads, shares);
        const Index wanted = larger(needed, ceil_div(g.group_out(), room));
        parts_ = smaller(tiles, wanted);
        layout_.cut_columns(pixels);
        strips_ = ceil_div(g.out_h, larger(1, smaller(g.out_h, pixels / g.out_w)));
        layout_.rows = ceil_div(g.out_h, strips_);
        images_ = strips_ * layout_.segments > 1 ? 1 : larger(1, smaller(g.batch, pixels / g.plane()));
    }

    void run() {
        const Conv2dGeometry& g = layout_.g;
        fill_offsets();
        parallel::for_each(g.groups * blocks_ * parts_, [&](Index task) {
            run_task({task / parts_ / blocks_, task / parts_ % blocks_, task % parts_});
        });
    }

private:
    static constexpr Index lanes = simd::Vec<T, Arch>::width, panel = panel_columns<Arch, T>;
    static constexpr Index pixels = 1024;          ///< of a strip, about: the turned strip fits L2
    static constexpr Index sum_bytes = 512 << 10;  ///< of a task's sums

    /// A task owns the gradients of some channels of the result for one block of lanes.
    struct Task {
        Index group, block, part;
    };
    /// Rows and columns of the result for some images: as many pixels as are turned at a time.
    struct Strip {
        Piece images, rows, columns;
    };

    Index lanes_in_all() const { return unfolds_ ? layout_.g.depth() : layout_.g.group_in(); }
    /// How often a turned strip is swept: once a tap, or once if taps are lanes.
    Index shifts() const { return unfolds_ ? 1 : layout_.g.taps(); }
    /// From channel to channel of a strip.
    Index channel_size() const { return spread_channels<Arch, T>(layout_.channel_extent(layout_.rows)); }
    /// Pixels of a turned strip of one image.
    Index positions() const { return unfolds_ ? layout_.rows * layout_.pitch : layout_.channel_extent(layout_.rows); }
    /// Elements of a turned strip of one image.
    Index turned_size() const { return round_up(positions(), lanes) * panel; }

    /// Where every pixel of the result reads in a turned strip.
    void fill_offsets() {
        Index* next =
            parallel::scratch<Index>(images_ * layout_.rows * layout_.horizontal.out, DirectPolicy::offset_slot);
        offsets_ = next;
        for (Index image = 0; image < images_; ++image)
            for (Index row = 0; row < layout_.rows; ++row)
                for (Index column = 0; column < layout_.horizontal.out; ++column)
                    *next++ = image * turned_size() + (row * layout_.pitch + column) * panel;
    }

    void run_task(Task task) const {
        const Conv2dGeometry& g = layout_.g;
        const Index block = smaller(panel, lanes_in_all() - task.block * panel);
        const Piece lane{task.block * panel, task.block * panel + block};
        const Piece outputs = piece(g.group_out(), parts_, task.part);
        T* sums = parallel::scratch<T>(shifts() * outputs.size() * panel, DirectPolicy::sum_slot);
        bool first = true;
        for (Index n = 0; n < g.batch; n += images_)
            for (Index s = 0; s < strips_ * layout_.segments; ++s, first = false) {
                const Strip strip{{n, smaller(n + images_, g.batch)},
                                  piece(g.out_h, strips_, s / layout_.segments),
                                  layout_.segment(s % layout_.segments)};
                const T* turned = turn_strip(task.group, lane, strip);
                const Index tiles = ceil_div(outputs.size(), tile_rows<Arch>);
                for (Index t = 0; t < tiles; ++t) {
                    const Piece tile = piece(outputs.size(), tiles, t);
                    DirectTask<T> job = take_gradient(task.group, outputs.begin + tile.begin, tile.size(), strip);
                    job.columns = block - (block > lanes ? lanes : 0);
                    job.accumulate = !first;
                    job.out_row = panel;
                    for (Index shift = 0; shift < shifts(); ++shift) {
                        const Index tap = layout_.offset(shift / g.kernel_w, shift % g.kernel_w);
                        job.strip = turned + (unfolds_ ? 0 : tap * panel);
                        job.out = sums + (shift * outputs.size() + tile.begin) * panel;
                        pixel_lanes_tile_for<Arch, T>(tile.size(), block)(job);
                    }
                }
            }
        for (Index i = 0; i < outputs.size(); ++i) {
            T* to = dw_ + (task.group * g.group_out() + outputs.begin + i) * g.depth();
            for (Index shift = 0; shift < shifts(); ++shift)
                store_sums(sums + (shift * outputs.size() + i) * panel, first, to + lane.begin * shifts() + shift,
                           block);
        }
    }

    /// Stores one row of sums, zeros if there are none, one for each `shifts` elements of the gradient.
    void store_sums(const T* sums, bool none, T* to, Index count) const {
        for (Index i = 0; i < count; ++i, to += shifts()) {
            const T sum = none ? T(0) : sums[i];
            *to = accumulate_ ? *to + sum : sum;
        }
    }

    /// Copies what a strip reads of a block of lanes, and turns it.
    const T* turn_strip(Index group, Piece lane, const Strip& part) const {
        const Conv2dGeometry& g = layout_.g;
        const Piece channels = unfolds_ ? Piece{lane.begin / g.taps(), (lane.end - 1) / g.taps() + 1} : lane;
        T* strip = parallel::scratch<T>(channels.size() * channel_size() + layout_.horizontal.width() + panel,
                                        DirectPolicy::strip_slot);
        T* turned = parallel::scratch<T>(part.images.size() * turned_size(), DirectPolicy::buffer_slot);
        Index offsets[panel];
        for (Index i = 0; i < lane.size(); ++i) {
            const Index term = lane.begin + i, tap = term % g.taps();
            offsets[i] = unfolds_ ? (term / g.taps() - channels.begin) * channel_size() +
                                        layout_.offset(tap / g.kernel_w, tap % g.kernel_w)
                                  : i * channel_size();
        }
        for (Index image = part.images.begin; image < part.images.end; ++image) {
            const T* from = x_ + (image * g.in_channels + group * g.group_in() + channels.begin) * g.in_plane();
            for (Index c = 0; c < channels.size(); ++c)
                copy_strip<Arch>(layout_, from + c * g.in_plane(), (const T*)nullptr, part.rows, part.columns,
                                 strip + c * channel_size());
            turn_rows<Arch>(strip, offsets, lane.size(), positions(),
                            turned + (image - part.images.begin) * turned_size(), panel);
        }
        return turned;
    }

    /// A task whose weights are the result's gradient: some channels of one group over a strip.
    DirectTask<T> take_gradient(Index group, Index channel, Index count, const Strip& part) const {
        const Piece images = part.images;
        const Conv2dGeometry& g = layout_.g;
        const Index length = part.rows.size() * part.columns.size(), all = images.size() * length;
        const T* from = dy_ + (images.begin * g.out_channels + group * g.group_out() + channel) * g.plane() +
                        part.rows.begin * g.out_w + part.columns.begin;
        DirectTask<T> task{};
        task.offsets = offsets_;
        task.depth = all;
        task.weights = from;
        task.weight_row = g.plane();
        task.weight_step = 1;
        if (images.size() == 1 && !crowds_cache<T>(g.plane())) return task;
        const Index stride = spread_channels<Arch, T>(all);
        T* copy = parallel::scratch<T>(count * stride, DirectPolicy::weight_slot);
        for (Index image = 0; image < images.size(); ++image)
            for (Index i = 0; i < count; ++i)
                copy_every<Arch>(from + (image * g.out_channels + i) * g.plane(), 1, copy + i * stride + image * length,
                                 length);
        task.weights = copy;
        task.weight_row = stride;
        return task;
    }

    StripLayout layout_;
    const T *dy_, *x_;
    T* dw_;
    bool accumulate_, unfolds_;
    Index blocks_, parts_, strips_, images_;
    const Index* offsets_ = nullptr;
};

}  // namespace detail

inline bool direct_grad_weight_fits(const Conv2dGeometry& g) {
    // The product is as good where nothing need be gathered for it, or where there are so few pixels that sums are most
    // of the work.
    return !g.pointwise() && g.batch * g.plane() >= 256;
}

template <class Arch, class T>
void direct_grad_weight(const Conv2dGeometry& g, const T* dy, const T* x, T* dw, bool accumulate) {
    detail::DirectGradWeight<Arch, T>(g, dy, x, dw, accumulate).run();
}

}  // namespace lamina::inline LAMINA_ABI::kernels
