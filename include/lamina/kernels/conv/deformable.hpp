#pragma once
// Deformable convolution, plain (Dai et al. 2017) and modulated by a mask (Zhu et al. 2019): taps read the image at
// places moved by learned offsets, between its elements. The matrix of what they read is made and used piece by piece.
#include <lamina/kernels/conv/deformable/scatter.hpp>
#include <lamina/kernels/copy.hpp>
#include <lamina/kernels/gemm/gemm.hpp>

#include <vector>

namespace lamina::inline LAMINA_ABI::kernels {

/// Weights laid out once for many calls, group by group.
template <class T, class Arch = simd::native>
using DeformWeights = std::vector<PackedMatrix<T, Arch>>;
template <class Arch = simd::native, class T>
DeformWeights<T, Arch> deform_conv2d_prepare(const DeformGeometry& g, const T* w);

/// y = w * (what x holds at the moved places, times the mask), then the epilogue on lanes of y as `epilogue(y, output
/// channel, position in the plane, count)`. `mask` may be null.
template <class Arch = simd::native, class T, class Epilogue = NoEpilogue>
void deform_conv2d_forward(const DeformGeometry& g, const T* x, const T* offset, const T* mask, const T* w, T* y,
                           const Epilogue& epilogue = {});
/// The same with prepared weights.
template <class Arch = simd::native, class T, class Epilogue = NoEpilogue>
void deform_conv2d_forward(const DeformGeometry& g, const T* x, const T* offset, const T* mask,
                           const DeformWeights<T, Arch>& w, T* y, const Epilogue& epilogue = {});

/// Where the gradients of a deformable convolution go.
template <class T>
struct DeformGradients {
    DeformGradient<T> x, offset, mask, weight;
};
template <class Arch = simd::native, class T>
void deform_conv2d_backward(const DeformGeometry& g, const T* dy, const T* x, const T* offset, const T* mask,
                            const T* w, const DeformGradients<T>& grads);

namespace detail {

struct DeformPolicy {
    static constexpr Index bytes = 256 << 10;  ///< of the matrix of columns at a time
    static constexpr Index parts = 4;          ///< of an image whose gradients are summed apart
    static constexpr int column_slot = 10, out_slot = 11, image_slot = 12, weight_slot = 13, sum_slot = 14,
                         grad_slot = 15;  ///< of parallel::scratch
};

/// How an image's outputs are cut into strips.
template <class T>
Index deform_strip(const DeformGeometry& g) {
    const Index room = DeformPolicy::bytes / Index(sizeof(T)) / larger(1, g.columns());
    return larger(1, smaller(g.plane(), larger(14, room / 14 * 14)));
}

/// w [out_channels, group_in, taps] as [out_channels, taps, group_in], or back.
template <class Arch, class T>
void turn_weights(const DeformGeometry& g, const T* w, T* to) {
    const Index in = g.group_in(), taps = g.taps();
    for (Index o = 0; o < g.out_channels; ++o)
        transpose_block<Write::assign, Arch>(w + o * in * taps, taps, to + o * in * taps, in, taps, in, false);
}

/// An image with its channels side by side, in this thread's scratch, and a row of zeros behind.
template <class Arch, class T>
T* turn_image(const DeformGeometry& g, const T* x) {
    const Index size = g.in_channels * g.in_plane();
    T* image = parallel::scratch<T>(size + g.in_channels, DeformPolicy::image_slot);
    parallel::for_range(g.in_plane(), parallel::grain_for(g.in_channels), [&](Index begin, Index end) {
        transpose_block<Write::assign, Arch>(x + begin, g.in_plane(), image + begin * g.in_channels, g.in_channels,
                                             end - begin, g.in_channels, false);
    });
    for (Index c = 0; c < g.in_channels; ++c) image[size + c] = T(0);
    return image;
}

/// The gradients of a deformable convolution.
template <class Arch, class T>
class DeformBackward {
public:
    DeformBackward(const DeformGeometry& g, const T* dy, const T* x, const T* offset, const T* mask, const T* w,
                   const DeformGradients<T>& grads)
        : g_(g),
          dy_(dy),
          x_(x),
          offset_(offset),
          mask_(mask),
          grads_(grads),
          strip_(deform_strip<T>(g)),
          strips_(ceil_div(g.plane(), strip_)),
          parts_(smaller(strips_, DeformPolicy::parts)),
          weight_size_(g.out_channels * g.depth()),
          image_size_(g.in_channels * g.in_plane()) {
        T* turned = parallel::scratch<T>(weight_size_, DeformPolicy::weight_slot);
        turn_weights<Arch>(g, w, turned);
        w_ = turned;
    }

    void run() {
        // Each part of an image has sums of its own, which are added in order.
        const Index sums = grads_.weight.data ? parts_ * weight_size_ : 0;
        weight_sums_ = parallel::scratch<T>(sums, DeformPolicy::sum_slot);
        fill(weight_sums_, sums);
        const Index spread = image_size_ + g_.in_channels;
        T* dx = parallel::scratch<T>(parts_ * spread, DeformPolicy::grad_slot);
        for (Index n = 0; n < g_.batch; ++n) {
            const T* image = turn_image<Arch>(g_, x_ + n * image_size_);
            parallel::for_each(parts_, [&](Index part) {
                if (grads_.x.data) fill(dx + part * spread, spread);
                run_part(n, part, image, dx + part * spread);
            });
            if (grads_.x.data) finish_image(n, dx, spread);
        }
        if (grads_.weight.data) finish_weights();
    }

private:
    static void fill(T* to, Index n) {
        simd::for_each_vec<Arch>(
            n, []() LAMINA_INLINE_LAMBDA { return simd::Vec<T, Arch>(T(0)); }, to);
    }
    static void add(T* to, const T* from, Index n) {
        simd::for_each_vec<Arch>(
            n, [](auto a, auto b) LAMINA_INLINE_LAMBDA { return a + b; }, to, (const T*)to, from);
    }

    void run_part(Index n, Index part, const T* image, T* dx) const {
        const Piece strips = piece(strips_, parts_, part);
        const Index shifts = g_.offset_groups * g_.taps() * g_.plane(), columns = g_.columns();
        const DeformField<T> field{offset_ + n * 2 * shifts, mask_ ? mask_ + n * shifts : nullptr};
        const auto of_image = [&](const DeformGradient<T>& grad, Index size) {
            return DeformGradient<T>{grad.data ? grad.data + n * size : nullptr, grad.accumulate};
        };
        const DeformScatter<T> scatter{image,
                                       image + image_size_,
                                       grads_.x.data ? dx : nullptr,
                                       dx + image_size_,
                                       of_image(grads_.offset, 2 * shifts),
                                       of_image(grads_.mask, shifts)};
        T* buffer = parallel::scratch<T>(strip_ * columns, DeformPolicy::column_slot);
        for (Index s = strips.begin; s < strips.end; ++s) {
            const Piece at{s * strip_, smaller((s + 1) * strip_, g_.plane())};
            const T* dy = dy_ + n * g_.out_channels * g_.plane() + at.begin;
            const Index out = g_.group_out(), depth = g_.depth();
            if (grads_.x.data || grads_.offset.data || grads_.mask.data) {
                for (Index group = 0; group < g_.groups; ++group)
                    gemm<Arch>({at.size(), depth, out}, transposed(dy + group * out * g_.plane(), g_.plane()),
                               row_major(w_ + group * out * depth, depth), buffer + group * depth, columns);
                deform_scatter<Arch>(g_, field, scatter, at, (const T*)buffer);
            }
            if (!grads_.weight.data) continue;
            deform_columns<Arch>(g_, field, image, image + image_size_, at, buffer);
            for (Index group = 0; group < g_.groups; ++group)
                gemm<Arch>({out, depth, at.size()}, row_major(dy + group * out * g_.plane(), g_.plane()),
                           row_major((const T*)buffer + group * depth, columns),
                           weight_sums_ + part * weight_size_ + group * out * depth, depth, true);
        }
    }

    void finish_image(Index n, T* dx, Index spread) const {
        const Index channels = g_.in_channels;
        T* to = grads_.x.data + n * image_size_;
        parallel::for_range(g_.in_plane(), parallel::grain_for(channels * parts_), [&](Index begin, Index end) {
            T* from = dx + begin * channels;
            for (Index p = 1; p < parts_; ++p) add(from, dx + p * spread + begin * channels, (end - begin) * channels);
            if (grads_.x.accumulate)
                transpose_block<Write::add, Arch>((const T*)from, channels, to + begin, g_.in_plane(), channels,
                                                  end - begin, false);
            else
                transpose_block<Write::assign, Arch>((const T*)from, channels, to + begin, g_.in_plane(), channels,
                                                     end - begin, false);
        });
    }

    void finish_weights() const {
        for (Index p = 1; p < parts_; ++p) add(weight_sums_, weight_sums_ + p * weight_size_, weight_size_);
        const Index in = g_.group_in(), taps = g_.taps();
        for (Index o = 0; o < g_.out_channels; ++o) {
            const T* from = weight_sums_ + o * in * taps;
            T* to = grads_.weight.data + o * in * taps;
            if (grads_.weight.accumulate) transpose_block<Write::add, Arch>(from, in, to, taps, in, taps, false);
            else transpose_block<Write::assign, Arch>(from, in, to, taps, in, taps, false);
        }
    }

    const DeformGeometry& g_;
    const T *dy_, *x_, *offset_, *mask_, *w_ = nullptr;
    DeformGradients<T> grads_;
    Index strip_, strips_, parts_, weight_size_, image_size_;
    T* weight_sums_ = nullptr;
};

}  // namespace detail

template <class Arch, class T>
DeformWeights<T, Arch> deform_conv2d_prepare(const DeformGeometry& g, const T* w) {
    const Index out = g.group_out(), depth = g.depth();
    DeformWeights<T, Arch> weights;
    T* turned = parallel::scratch<T>(g.out_channels * depth, detail::DeformPolicy::weight_slot);
    detail::turn_weights<Arch>(g, w, turned);
    for (Index group = 0; group < g.groups; ++group)
        weights.push_back(pack_b<Arch>(depth, out, transposed((const T*)turned + group * out * depth, depth)));
    return weights;
}

template <class Arch, class T, class Epilogue>
void deform_conv2d_forward(const DeformGeometry& g, const T* x, const T* offset, const T* mask, const T* w, T* y,
                           const Epilogue& epilogue) {
    deform_conv2d_forward<Arch>(g, x, offset, mask, deform_conv2d_prepare<Arch>(g, w), y, epilogue);
}
template <class Arch, class T, class Epilogue>
void deform_conv2d_forward(const DeformGeometry& g, const T* x, const T* offset, const T* mask,
                           const DeformWeights<T, Arch>& weights, T* y, const Epilogue& epilogue) {
    const Index out = g.group_out(), depth = g.depth(), plane = g.plane(), columns = g.columns();
    const Index strip = detail::deform_strip<T>(g), shifts = g.offset_groups * g.taps() * plane;
    for (Index n = 0; n < g.batch; ++n) {
        const T* image = detail::turn_image<Arch>(g, x + n * g.in_channels * g.in_plane());
        const T* zeros = image + g.in_channels * g.in_plane();
        const detail::DeformField<T> field{offset + n * 2 * shifts, mask ? mask + n * shifts : nullptr};
        T* result = y + n * g.out_channels * plane;
        const auto& of_image = detail::epilogue_of_image(epilogue, n);
        const auto finish = detail::erase_epilogue<Arch, T>(of_image);
        parallel::for_each(detail::ceil_div(plane, strip), [&](Index i) {
            const detail::Piece at{i * strip, detail::smaller((i + 1) * strip, plane)};
            T* read = parallel::scratch<T>(strip * columns, detail::DeformPolicy::column_slot);
            T* sums = parallel::scratch<T>(strip * out, detail::DeformPolicy::out_slot);
            detail::deform_columns<Arch>(g, field, image, zeros, at, read);
            for (Index group = 0; group < g.groups; ++group) {
                gemm_packed<Arch>(at.size(), row_major((const T*)read + group * depth, columns),
                                  weights[std::size_t(group)], sums, out);
                detail::transpose_block<Write::assign, Arch>(
                    (const T*)sums, out, result + group * out * plane + at.begin, plane, out, at.size(), false);
            }
            if (finish.apply) finish.apply(finish.self, result, plane, {0, g.out_channels}, at);
        });
    }
}

template <class Arch, class T>
void deform_conv2d_backward(const DeformGeometry& g, const T* dy, const T* x, const T* offset, const T* mask,
                            const T* w, const DeformGradients<T>& grads) {
    detail::DeformBackward<Arch, T>(g, dy, x, offset, mask, w, grads).run();
}

}  // namespace lamina::inline LAMINA_ABI::kernels
