#pragma once
// From a CenterNet's maps to the objects of each image: peaks, without suppression of boxes; and the mean with what it
// answers for the mirrored image.
#include <lamina/models/centernet_heads.hpp>
#include <lamina/ops/activation.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/flip.hpp>
#include <lamina/vision/nms.hpp>
#include <lamina/vision/suppression_peaks.hpp>

namespace lamina::inline LAMINA_ABI::models {

/// Options of centernet_decode.
struct CenterNetDecodeOptions {
    Index most = 100;      ///< objects of an image
    double threshold = 0;  ///< objects of a lower score are left out
    double stride = 4;     ///< pixels to a cell
};

/// Objects of each image by falling score from probabilities [N, classes, H, W], sizes and offsets [N, 2, H, W]; boxes
/// (x1, y1, x2, y2) in pixels of the network's input.
inline std::vector<vision::Detections<float>> centernet_decode(const Tensor<float, 4>& probability,
                                                               const Tensor<float, 4>& size,
                                                               const Tensor<float, 4>& offset,
                                                               const CenterNetDecodeOptions& o = {}) {
    const auto peaks = vision::find_peaks(probability, o.most);
    const auto boxes = vision::decode_peaks(peaks, size, offset);
    std::vector<vision::Detections<float>> images;
    for (Index i = 0; i < probability.dim(0); ++i) {
        Index count = 0;  // scores fall; rows without a peak have 0
        while (count < o.most && peaks.scores(i, count) > 0 && double(peaks.scores(i, count)) >= o.threshold) ++count;
        vision::Detections<float> found{empty<float>(Shape{count, 4}), empty<float>(Shape{count}),
                                        empty<std::int64_t>(Shape{count})};
        for (Index k = 0; k < count; ++k) {
            for (Index d = 0; d < 4; ++d) found.boxes.mutable_at(k, d) = boxes(i, k, d) * float(o.stride);
            found.scores.mutable_at(k) = peaks.scores(i, k);
            found.classes.mutable_at(k) = peaks.classes(i, k);
        }
        images.push_back(std::move(found));
    }
    return images;
}
/// The same from a network's maps.
inline std::vector<vision::Detections<float>> centernet_decode(const CenterNetOutput& y,
                                                               const CenterNetDecodeOptions& o = {}) {
    return centernet_decode(sigmoid(y.heat.detach()), y.size.detach(), y.offset.detach(), o);
}
/// The same with the maps of the mirrored images: probabilities and sizes are means of both, offsets the first ones.
inline std::vector<vision::Detections<float>> centernet_decode(const CenterNetOutput& y,
                                                               const CenterNetOutput& mirrored,
                                                               const CenterNetDecodeOptions& o = {}) {
    const auto mean = [](const Tensor<float, 4>& a, const Tensor<float, 4>& b) { return (a + flip(b, {3})) * 0.5F; };
    return centernet_decode(mean(sigmoid(y.heat.detach()), sigmoid(mirrored.heat.detach())),
                            mean(y.size.detach(), mirrored.size.detach()), y.offset.detach(), o);
}

/// The objects that `network`, from images to CenterNetOutput, sees in `images` [N, 3, H, W]; with `flip_test` in their
/// mirror images too.
template <class Network>
std::vector<vision::Detections<float>> centernet_detect(const Network& network, const Tensor<float, 4>& images,
                                                        const CenterNetDecodeOptions& o = {}, bool flip_test = false) {
    if (!flip_test) return centernet_decode(network(images), o);
    return centernet_decode(network(images), network(flip(images, {3})), o);
}

}  // namespace lamina::inline LAMINA_ABI::models
