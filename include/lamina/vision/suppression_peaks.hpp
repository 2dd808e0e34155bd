#pragma once
// Objects as points: peaks of heat maps become boxes, without suppression of boxes. The 3x3 comparison and the choice
// of the best run in one pass over each map, so that no pooled map is stored.
#include <lamina/core/create.hpp>
#include <lamina/parallel/for.hpp>

#include <vector>

namespace lamina::inline LAMINA_ABI::vision {

/// Peaks of heat maps, the best K of each image, by falling score; equal scores by class, then by place.
template <class T>
struct Peaks {
    Tensor<T, 2> scores;              ///< [N, K]; 0 where an image has fewer peaks
    Tensor<std::int64_t, 2> classes;  ///< [N, K]
    Tensor<std::int64_t, 2> places;   ///< [N, K]: y * W + x
};

namespace detail {

template <class T>
struct Peak {
    T score;
    Index channel, place;
    bool operator<(const Peak& o) const {  // the better one first
        if (score != o.score) return score > o.score;
        return channel != o.channel ? channel < o.channel : place < o.place;
    }
};

/// Keeps the `most` best of what it is offered.
template <class T>
struct BestPeaks {
    std::vector<Peak<T>> heap;
    std::size_t most;
    void offer(const Peak<T>& peak) {
        if (heap.size() < most) {
            heap.push_back(peak);
            std::push_heap(heap.begin(), heap.end());
        } else if (peak < heap.front()) {
            std::pop_heap(heap.begin(), heap.end());
            heap.back() = peak;
            std::push_heap(heap.begin(), heap.end());
        }
    }
    bool full() const { return heap.size() == most; }
};

/// Whether no neighbour in the 3x3 window is above the element: on a plateau all are peaks.
template <class T>
bool is_peak(const T* map, Index height, Index width, Index y, Index x) {
    const T value = map[y * width + x];
    for (Index v = y > 0 ? y - 1 : 0; v <= y + 1 && v < height; ++v)
        for (Index u = x > 0 ? x - 1 : 0; u <= x + 1 && u < width; ++u)
            if (!(map[v * width + u] <= value)) return false;
    return true;
}

}  // namespace detail

/// The `most` highest positive peaks of heat maps [N, C, H, W] of probabilities: elements that no 3x3 neighbour
/// exceeds. Throws ValueError for a negative number.
template <Real T>
Peaks<T> find_peaks(const Tensor<T, 4>& heat, Index most = 100) {
    require<ValueError>(most >= 0, "find_peaks: the number of peaks must not be negative but is ", most);
    const Tensor<T, 4> h = heat.is_contiguous() ? heat.detach() : heat.clone();
    const Index n = h.shape()[0], channels = h.shape()[1], height = h.shape()[2], width = h.shape()[3];
    Peaks<T> out{zeros<T>(Shape{n, most}), zeros<std::int64_t>(Shape{n, most}), zeros<std::int64_t>(Shape{n, most})};
    T* const scores = out.scores.mutable_data();
    std::int64_t* const classes = out.classes.mutable_data();
    std::int64_t* const places = out.places.mutable_data();
    if (most == 0) return out;
    parallel::for_each(n, [&](Index image) {
        detail::BestPeaks<T> best{{}, std::size_t(most)};
        for (Index c = 0; c < channels; ++c) {
            const T* const map = h.data() + (image * channels + c) * height * width;
            for (Index place = 0; place < height * width; ++place) {
                // Almost every element fails here, before its neighbours are looked at.
                if (!(map[place] > (best.full() ? best.heap.front().score : T(0)))) continue;
                if (detail::is_peak(map, height, width, place / width, place % width))
                    best.offer({map[place], c, place});
            }
        }
        std::sort_heap(best.heap.begin(), best.heap.end());
        for (std::size_t k = 0; k < best.heap.size(); ++k) {
            const auto at = std::size_t(image * most) + k;
            scores[at] = best.heap[k].score, classes[at] = best.heap[k].channel, places[at] = best.heap[k].place;
        }
    });
    return out;
}

/// Boxes [N, K, 4] (x1, y1, x2, y2) in cells of the map: centres at the peaks plus `offset` [N, 2, H, W] (0.5 without
/// one), sides `size` [N, 2, H, W], or [N, 2 C, H, W] with sides for each class: X. Zhou et al., Objects as Points,
/// 2019. Throws ShapeError.
template <Real T>
Tensor<T, 3> decode_peaks(const Peaks<T>& peaks, const Tensor<T, 4>& size, const Optional<T, 4>& offset = {}) {
    const Index n = peaks.scores.shape()[0], most = peaks.scores.shape()[1];
    require(size.shape()[0] == n && size.shape()[1] % 2 == 0, "decode_peaks: size must have shape [", n,
            ", 2 or 2 C, H, W] but has ", size.shape());
    const Index height = size.shape()[2], width = size.shape()[3], pairs = size.shape()[1] / 2;
    if (offset)
        require(offset->shape() == Shape{n, Index(2), height, width}, "decode_peaks: offset must have shape ",
                Shape{n, Index(2), height, width}, " but has ", offset->shape());
    auto boxes = empty<T>(Shape{n, most, 4});
    T* to = boxes.mutable_data();
    for (Index i = 0; i < n; ++i)
        for (Index k = 0; k < most; ++k, to += 4) {
            const Index place = peaks.places(i, k), y = place / width, x = place % width;
            const Index channel = pairs > 1 ? 2 * peaks.classes(i, k) : 0;
            const T cx = T(x) + (offset ? (*offset)(i, 0, y, x) : T(0.5));
            const T cy = T(y) + (offset ? (*offset)(i, 1, y, x) : T(0.5));
            const T half_w = size(i, channel, y, x) / 2, half_h = size(i, channel + 1, y, x) / 2;
            to[0] = cx - half_w, to[1] = cy - half_h, to[2] = cx + half_w, to[3] = cy + half_h;
        }
    return boxes;
}

}  // namespace lamina::inline LAMINA_ABI::vision
