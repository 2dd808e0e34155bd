#pragma once
// Direct convolution: strips of the image are copied once, every tile of output channels sweeps them. Nothing is
// unfolded; the result is written once, in its own layout.
#include <lamina/kernels/conv/direct/weights.hpp>
#include <lamina/kernels/conv/finish.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Do the kernels of this file suit these sizes? They are right for all.
inline bool direct_fits(const Conv2dGeometry& g);

/// Lays out w [out_channels, group_in, kernel_h, kernel_w] for direct_forward on images of this size.
template <class Arch = simd::native, class T>
DirectWeights<T, Arch> direct_prepare(const Conv2dGeometry& g, const T* w);

/// y = w * x, then the epilogue on lanes of y as `epilogue(y, output channel, position in the plane, count)`.
template <class Arch = simd::native, class T, class Epilogue = NoEpilogue>
void direct_forward(const Conv2dGeometry& g, const T* x, const DirectWeights<T, Arch>& w, T* y,
                    const Epilogue& epilogue = {});

/// The same with weights as they are.
template <class Arch = simd::native, class T, class Epilogue = NoEpilogue>
void direct_forward(const Conv2dGeometry& g, const T* x, const T* w, T* y, const Epilogue& epilogue = {});

namespace detail {

/// Where the sums of one tile of channels of one image go, and by what.
template <class T>
struct DirectTarget {
    T* y;  ///< the plane of the first channel
    Index plane, image;
    Piece channels;
    bool add;  ///< is there a sum already?
    ConvFinish<T> finish;

    void move(const T* from, Index from_step, Index position, Index pixels) const {
        finish.move(finish.epilogue, image, from, from_step, y + position, plane, channels,
                    {position, position + pixels});
    }
};

/// One convolution: its plan and its operands.
template <class Arch, class T>
class DirectForward {
public:
    DirectForward(const Conv2dGeometry& g, const T* x, const DirectSource<T>& w, T* y, bool accumulate,
                  const ConvFinish<T>& finish)
        : plan_(g),
          x_(x),
          w_(w),
          y_(y),
          accumulate_(accumulate),
          finish_(finish) {}

    void run() {
        const Conv2dGeometry& g = plan_.g;
        if (g.batch * g.plane() * g.out_channels == 0) return;
        const Index visits = ceil_div(g.batch, plan_.images) * plan_.strips * plan_.segments, tasks = visits * g.groups;
        // Weights that must be copied, and that often, are copied once.
        DirectWeights<T, Arch> packed;
        if (visits >= DirectPolicy::visits_worth_packing && copies_weights(plan_, w_)) {
            packed = packed_direct(plan_, w_);
            w_.packed = packed.panels.data();
        }
        fill_offsets();
        const double work = 2.0 * double(g.batch * g.plane()) * double(g.out_channels * g.depth());
        const Index threads = work < DirectPolicy::parallel_work ? 1 : parallel::num_threads();
        // Many strips are handed out; of few, each is shared by all threads.
        if (threads == 1 || (tasks % threads != 0 && tasks < 4 * threads))
            for (Index task = 0; task < tasks; ++task) run_strip(task, threads > 1);
        else parallel::for_each(tasks, [&](Index task) { run_strip(task, false); });
    }

private:
    using Plan = DirectPlan<Arch, T>;

    /// A part of the work: some rows and columns of the result for some images, one group of channels.
    struct Strip {
        Piece images, rows, columns;
        Index group;
        const T* data;
    };

    /// Tables for blocks of the most channels and, behind it, of one channel less.
    void fill_offsets() {
        const Conv2dGeometry& g = plan_.g;
        const Index most = plan_.channels;
        Index* offsets = parallel::scratch<Index>(2 * most * g.taps(), DirectPolicy::offset_slot);
        offsets_ = offsets;
        for (Index count = most; count >= most - (g.group_in() % plan_.blocks != 0); --count) {
            for (Index ky = 0; ky < g.kernel_h; ++ky)
                for (Index kx = 0; kx < g.kernel_w; ++kx) {
                    Index at = plan_.offset(ky, kx);
                    const Index step = plan_.term(count, 1, ky, kx) - plan_.term(count, 0, ky, kx);
                    Index* term = offsets + plan_.term(count, 0, ky, kx);
                    for (Index c = 0; c < count; ++c, term += step, at += plan_.channel_size()) *term = at;
                }
            offsets += most * g.taps();
        }
    }

    /// Calls f(0) … f(count - 1), `grain` at a time on all threads if asked for.
    template <class F>
    static void each(Index count, Index grain, bool shared, const F& f) {
        parallel::for_range(count, shared ? grain : count, [&](Index begin, Index end) {
            for (Index i = begin; i < end; ++i) f(i);
        });
    }

    Strip strip_of(Index task) const {
        const Conv2dGeometry& g = plan_.g;
        const Index segment = task % plan_.segments, strip = task / plan_.segments % plan_.strips;
        const Index rest = task / plan_.segments / plan_.strips, first = rest / g.groups * plan_.images;
        // Longer and shorter ones take turns: threads begin with as many strips each and should have as many rows.
        return {{first, smaller(first + plan_.images, g.batch)},
                {g.out_h * strip / plan_.strips, g.out_h * (strip + 1) / plan_.strips},
                plan_.segment(segment),
                rest % g.groups,
                nullptr};
    }

    void run_strip(Index task, bool shared) const {
        Strip strip = strip_of(task);
        for (Index block = 0; block < plan_.blocks; ++block) {
            strip.data = take_strip(strip, plan_.block(block), shared);
            each(plan_.channel_tiles(), 1, shared, [&](Index tile) { run_tile(strip, block, tile); });
        }
    }

    const T* take_strip(const Strip& strip, Piece channels, bool shared) const {
        const Conv2dGeometry& g = plan_.g;
        const T* first =
            x_ + (strip.images.begin * g.in_channels + strip.group * g.group_in() + channels.begin) * g.in_plane();
        if (plan_.in_place) return first + strip.rows.begin * g.in_w;
        T* copy = parallel::scratch<T>(plan_.strip_size(), DirectPolicy::strip_slot);
        const Index count = channels.size();
        each(strip.images.size() * count, parallel::grain_for(plan_.channel_size()), shared, [&](Index i) {
            const Index image = i / count, channel = i - image * count;
            const T* plane = first + (image * g.in_channels + channel) * g.in_plane();
            // Where planes are many, each is short and its beginning would be waited for.
            copy_strip<Arch>(plan_, plane, count >= 16 && channel + 1 < count ? plane + g.in_plane() : nullptr,
                             strip.rows, strip.columns,
                             copy + image * plan_.image_size() + channel * plan_.channel_size());
        });
        return copy;
    }

    void run_tile(const Strip& strip, Index block, Index tile) const {
        const Conv2dGeometry& g = plan_.g;
        const Index count = plan_.block(block).size();
        const Piece outputs = plan_.channel_tile(tile);
        DirectTask<T> task{};
        task.pitch = plan_.pitch;
        task.offsets = offsets_ + (count < plan_.channels ? plan_.channels * g.taps() : 0);
        take_weights(plan_, w_, strip.group, tile, plan_.block(block), task);
        const ConvFinish<T> finish = block + 1 == plan_.blocks ? finish_ : conv_finish<Arch, T>(NoEpilogue{});
        const Index channel = strip.group * g.group_out();
        for (Index image = strip.images.begin; image < strip.images.end; ++image) {
            const DirectTarget<T> target{y_ + (image * g.out_channels + channel + outputs.begin) * g.plane(),
                                         g.plane(),
                                         image,
                                         {channel + outputs.begin, channel + outputs.end},
                                         accumulate_ || block > 0,
                                         finish};
            const T* data = strip.data + (image - strip.images.begin) * plan_.image_size();
            if (plan_.channel_lanes) sweep_channel_lanes(data, strip, count, task, target);
            else sweep_pixel_lanes(data, strip, task, target);
        }
    }

    void sweep_pixel_lanes(const T* data, const Strip& strip, DirectTask<T>& task,
                           const DirectTarget<T>& target) const {
        const Piece rows = strip.rows;
        const Index out_w = plan_.g.out_w, pitch = plan_.pitch, channels = target.channels.size();
        const bool exact = !plan_.flat || pitch == out_w;
        // What an epilogue reads again stays in L1 only where rows of the result do not crowd there.
        const bool finishes = target.finish.epilogue, crowded = finishes && crowds_cache<T>(target.plane);
        const bool fetches = exact && task.depth <= DirectPolicy::fetch_depth;
        const Index runs = plan_.flat ? 1 : rows.size();
        const Index length = plan_.flat ? (rows.size() - 1) * pitch + out_w : strip.columns.size();
        T* buffer =
            exact && !crowded ? nullptr : parallel::scratch<T>(channels * Plan::panel, DirectPolicy::buffer_slot);
        for (Index run = 0; run < runs; ++run)
            for (Index at = 0; at < length; at += Plan::panel) {
                const Index pixels = smaller(Plan::panel, length - at);
                // Where rows lie one behind the other, the place in a run is the place in the plane.
                const Index row = exact ? run : at / pitch, column = exact ? at : at - row * pitch;
                const Index position = (rows.begin + row) * out_w + strip.columns.begin + column;
                const bool direct = !crowded && (exact || column + pixels <= out_w);
                task.strip = data + run * pitch + at;
                task.out = direct ? target.y + position : buffer;
                task.out_row = direct ? target.plane : Plan::panel;
                task.columns = direct ? pixels - (pixels > Plan::lanes ? Plan::lanes : 0) : Plan::lanes;
                task.accumulate = direct && target.add;
                if (fetches && at + Plan::panel < length) fetch_next(target, position + Plan::panel);
                pixel_lanes_tile_for<Arch, T>(channels, pixels)(task);
                if (direct && finishes) target.move(task.out, target.plane, position, pixels);
                else if (!direct && exact) store(target, buffer, position, pixels);
                else if (!direct) store_pieces(target, buffer, rows.begin + row, column, pixels);
            }
    }

    /// Asks for the lines of the result that the next tile writes.
    static void fetch_next(const DirectTarget<T>& target, Index position) {
        constexpr Index line = 64 / Index(sizeof(T));
        const T* row = target.y + position;
        for (Index i = 0; i < target.channels.size(); ++i, row += target.plane)
            for (Index j = 0; j < Plan::panel; j += line) simd::prefetch_write(row + j);
    }

    /// Stores `count` pixels of each channel from a buffer.
    static void store(const DirectTarget<T>& target, T* buffer, Index position, Index count) {
        if (target.add)
            for (Index i = 0; i < target.channels.size(); ++i) {
                T* sums = buffer + i * Plan::panel;
                simd::for_each_vec<Arch>(
                    count, [](auto a, auto b) LAMINA_INLINE_LAMBDA { return a + b; }, sums, sums,
                    target.y + i * target.plane + position);
            }
        target.move(buffer, Plan::panel, position, count);
    }
    /// The same for what lies within rows: `pixels` from `column` of output row `row` on, rows a pitch apart.
    void store_pieces(const DirectTarget<T>& target, T* buffer, Index row, Index column, Index pixels) const {
        const Index out_w = plan_.g.out_w, pitch = plan_.pitch;
        for (Index at = 0; at < pixels; ++row, column = 0) {
            const Index count = smaller(pixels - at, out_w - column);
            if (count > 0) store(target, buffer + at, row * out_w + column, count);
            at += pitch - column;
        }
    }

    void sweep_channel_lanes(const T* data, const Strip& strip, Index inputs, DirectTask<T>& task,
                             const DirectTarget<T>& target) const {
        constexpr Index most = tile_rows<Arch>;
        const Piece rows = strip.rows;
        const Index out_w = plan_.g.out_w, kernel_h = plan_.g.kernel_h;
        const Index channels = target.channels.size(), width = packed_width(plan_, channels);
        const Index row_terms = inputs * plan_.g.kernel_w;
        const DirectTask<T> whole = task;
        task.out = parallel::scratch<T>(width * (most + Plan::lanes), DirectPolicy::buffer_slot);
        const Index height = plan_.flat ? 1 : rows.size(),
                    length = plan_.flat ? rows.size() * out_w : strip.columns.size();
        const Index pieces = ceil_div(length, most);
        for (Index row = 0, together; row < height; row += together) {
            // Rows of taps in the margin are left out; narrow rows that see the same taps are taken in pairs.
            const auto seen = [&](Index i) {
                return plan_.flat ? Piece{0, kernel_h} : plan_.vertical.seen(rows.begin + i);
            };
            const Piece taps = seen(row);
            together = 1;
            if (row + 1 < height && 2 * out_w <= most) {
                const Piece next = seen(row + 1);
                together = next.begin == taps.begin && next.end == taps.end ? 2 : 1;
            }
            task.depth = taps.size() * row_terms;
            task.offsets = whole.offsets + taps.begin * row_terms;
            task.weights = whole.weights + taps.begin * row_terms * width;
            for (Index i = 0; i < pieces; ++i) {
                const Piece part = piece(length, pieces, i);
                const Index position = (rows.begin + row) * out_w + strip.columns.begin + part.begin,
                            pixels = together * part.size();
                task.strip = data + row * plan_.pitch + part.begin;
                channel_lanes_tile_for<Arch, T>(together, part.size(), channels)(task);
                for (Index c = 0; c < channels; c += Plan::lanes)
                    target.finish.turn(target.finish.epilogue, target.image,
                                       TurnedPixels<T>{.from = task.out + c,
                                                       .step = width,
                                                       .run_step = 0,
                                                       .to = target.y + c * target.plane,
                                                       .plane = target.plane,
                                                       .channel = target.channels.begin + c,
                                                       .channels = smaller(Plan::lanes, channels - c),
                                                       .position = position,
                                                       .runs = 1,
                                                       .length = pixels,
                                                       .distance = 0,
                                                       .add = target.add,
                                                       .stream = false});
            }
        }
        task = whole;
    }

    Plan plan_;
    const T* x_;
    DirectSource<T> w_;
    T* y_;
    bool accumulate_;
    ConvFinish<T> finish_;
    const Index* offsets_ = nullptr;
};

template <class Arch, class T>
void run_direct(const Conv2dGeometry& g, const T* x, const DirectSource<T>& w, T* y, bool accumulate,
                const ConvFinish<T>& finish) {
    DirectForward<Arch, T>(g, x, w, y, accumulate, finish).run();
}

}  // namespace detail

inline bool direct_fits(const Conv2dGeometry& g) { return g.group_in() > 0 && g.taps() > 0; }

template <class Arch, class T>
DirectWeights<T, Arch> direct_prepare(const Conv2dGeometry& g, const T* w) {
    return detail::packed_direct(detail::DirectPlan<Arch, T>(g), detail::DirectSource<T>{nullptr, w});
}

template <class Arch, class T, class Epilogue>
void direct_forward(const Conv2dGeometry& g, const T* x, const DirectWeights<T, Arch>& w, T* y,
                    const Epilogue& epilogue) {
    detail::run_direct<Arch>(g, x, detail::DirectSource<T>{w.panels.data(), nullptr}, y, false,
                             conv_finish<Arch, T>(epilogue));
}

template <class Arch, class T, class Epilogue>
void direct_forward(const Conv2dGeometry& g, const T* x, const T* w, T* y, const Epilogue& epilogue) {
    detail::run_direct<Arch>(g, x, detail::DirectSource<T>{nullptr, w}, y, false, conv_finish<Arch, T>(epilogue));
}

}  // namespace lamina::inline LAMINA_ABI::kernels
