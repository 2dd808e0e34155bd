// What detectors do, in libtorch's own operations as torchvision's Python spells them, and in torchvision's operators
// where its library is installed: it registers them when it is loaded.
#include <ATen/core/dispatch/Dispatcher.h>
#include <dlfcn.h>
#include <glob.h>

#include "peer_torch.hpp"
#include "peers.hpp"

namespace peers::libtorch {

bool torchvision() {
    static const bool loaded = [] {
        for (const char* pattern : {"/usr/lib/python3/dist-packages/torchvision/_C*.so",
                                    "/usr/local/lib/python3*/dist-packages/torchvision/_C*.so"}) {
            glob_t found{};
            if (glob(pattern, 0, nullptr, &found) == 0 && dlopen(found.gl_pathv[0], RTLD_NOW)) return true;
        }
        return bool(dlopen("libtorchvision.so", RTLD_NOW));
    }();
    return loaded;
}

namespace {

// Calls an operator of torchvision; its first result.
template <class... A>
at::Tensor vision(const char* name, A... arguments) {
    const auto op = c10::Dispatcher::singleton().findSchemaOrThrow(name, "");
    torch::jit::Stack stack{c10::IValue(arguments)...};
    op.callBoxed(&stack);
    return stack.front().toTensor();
}
at::Tensor nms(const at::Tensor& boxes, const at::Tensor& scores, double threshold) {
    return vision("torchvision::nms", boxes, scores, threshold);
}

// Kept indices by falling score; -1 behind the last.
template <class F>
Call indices(F f) {
    auto y = std::make_shared<at::Tensor>();
    return {[=] {
                const c10::InferenceMode guard;
                *y = f();
            },
            [=](Index i) { return i < y->numel() ? element(*y, i) : -1; }};
}

// loss(x, …).backward(), the gradient of x being the result.
template <class F>
Call step(at::Tensor x, F loss) {
    return {[=]() mutable {
                x.mutable_grad().reset();
                loss(x).backward();
            },
            [=](Index i) { return element(x.grad(), i); }};
}

at::Tensor box_loss(BoxLoss kind, const at::Tensor& a, const at::Tensor& b) {
    const double eps = 1e-7;
    const auto p = a.unbind(1), g = b.unbind(1);
    const auto iw = (at::min(p[2], g[2]) - at::max(p[0], g[0])).clamp_min(0);
    const auto ih = (at::min(p[3], g[3]) - at::max(p[1], g[1])).clamp_min(0);
    const auto w = p[2] - p[0], h = p[3] - p[1], gw = g[2] - g[0], gh = g[3] - g[1];
    const auto inner = iw * ih, united = w * h + gw * gh - inner, iou = inner / (united + eps);
    const auto cw = at::max(p[2], g[2]) - at::min(p[0], g[0]), ch = at::max(p[3], g[3]) - at::min(p[1], g[1]);
    if (kind == BoxLoss::giou) {
        const auto hull = cw * ch;
        return (1 - (iou - (hull - united) / (hull + eps))).mean();
    }
    const auto diagonal = cw.pow(2) + ch.pow(2) + eps;
    const auto distance =
        ((p[2] + p[0]) / 2 - (g[0] + g[2]) / 2).pow(2) + ((p[3] + p[1]) / 2 - (g[1] + g[3]) / 2).pow(2);
    const auto diou = 1 - iou + distance / diagonal;
    if (kind == BoxLoss::diou) return diou.mean();
    const auto v = 4 / (M_PI * M_PI) * at::pow(at::atan(gw / gh) - at::atan(w / h), 2);
    const auto alpha = (v / (1 - iou + v + eps)).detach();
    return (diou + alpha * v).mean();
}

}  // namespace

Contestants contestants(const BoxPairs& p) {
    const auto a = wrap(p.a, {p.count, 4}), b = wrap(p.b, {p.count, 4});
    if (!p.backward) return {{"libtorch", "formula", [=] { return fresh([=] { return box_loss(p.loss, a, b); }); }}};
    return {{"libtorch", "formula, backward", [=] {
                 return step(a.clone().requires_grad_(), [=](const at::Tensor& x) { return box_loss(p.loss, x, b); });
             }}};
}

Contestants contestants(const PairwiseIou& p) {
    const auto a = wrap(p.a, {p.n, 4}), b = wrap(p.b, {p.m, 4});
    return {{"libtorch", "torchvision's formula", [=] {
                 return fresh([=] {
                     const auto area = [](const at::Tensor& x) {
                         return (x.select(1, 2) - x.select(1, 0)) * (x.select(1, 3) - x.select(1, 1));
                     };
                     const auto low = at::max(a.slice(1, 0, 2).unsqueeze(1), b.slice(1, 0, 2));
                     const auto high = at::min(a.slice(1, 2, 4).unsqueeze(1), b.slice(1, 2, 4));
                     const auto sides = (high - low).clamp_min(0);
                     const auto inner = sides.select(2, 0) * sides.select(2, 1);
                     return inner / (area(a).unsqueeze(1) + area(b) - inner);
                 });
             }}};
}

Contestants contestants(const Suppression& p) {
    if (!torchvision()) return {};
    const auto boxes = wrap(p.boxes, {p.count, 4}), scores = wrap(p.scores, {p.count});
    if (p.classes == 1)
        return {{"torchvision", "nms", [=] { return indices([=] { return nms(boxes, scores, 0.5); }); }}};
    const auto labels = at::from_blob(p.labels.data(), {p.count}, at::kLong);
    const auto shifted = [=] {
        const auto offsets = labels.to(at::kFloat) * (boxes.max() + 1);
        return nms(boxes + offsets.unsqueeze(1), scores, 0.5);
    };
    const auto by_class = [=] {
        auto keep = at::zeros({p.count}, at::kBool);
        for (Index c = 0; c < p.classes; ++c) {
            const auto mine = at::where(labels == c)[0];
            keep.index_fill_(
                0, mine.index_select(0, nms(boxes.index_select(0, mine), scores.index_select(0, mine), 0.5)), true);
        }
        const auto kept = at::where(keep)[0];
        return kept.index_select(0, scores.index_select(0, kept).argsort(-1, true));
    };
    return {{"torchvision", "nms of shifted boxes", [=] { return indices(shifted); }},
            {"torchvision", "nms by class", [=] { return indices(by_class); }}};
}

Contestants contestants(const FocalLoss& p) {
    const auto logits = wrap(p.logits, {p.count}), targets = wrap(p.targets, {p.count});
    const auto focal = [=](const at::Tensor& x) {
        const auto probability = at::sigmoid(x), entropy = at::binary_cross_entropy_with_logits(x, targets, {}, {}, 0);
        if (p.varifocal) {
            const auto negative = (probability - targets).abs().pow(2.0) * targets.le(0).to(at::kFloat);
            return (entropy * (targets * targets.gt(0).to(at::kFloat) + 0.75 * negative)).sum();
        }
        const auto hit = probability * targets + (1 - probability) * (1 - targets);
        return (entropy * (1 - hit).pow(2) * (0.25 * targets + 0.75 * (1 - targets))).sum();
    };
    return {
        {"libtorch", "torchvision's formula, backward", [=] { return step(logits.clone().requires_grad_(), focal); }}};
}

Contestants contestants(const RoiAlign& p) {
    if (!torchvision()) return {};
    const auto x = wrap(p.x, {1, p.channels, p.height, p.width}), rois = wrap(p.rois, {p.regions, 5});
    const auto call = [=](const at::Tensor& from) {
        return p.sensitive ? vision("torchvision::ps_roi_align", from, rois, p.scale, p.bins, p.bins, Index(2))
                           : vision("torchvision::roi_align", from, rois, p.scale, p.bins, p.bins, Index(2), false);
    };
    if (!p.backward) return {{"torchvision", "operator", [=] { return fresh([=] { return call(x); }); }}};
    return {{"torchvision", "operator, backward", [=] {
                 return step(x.clone().requires_grad_(), [=](const at::Tensor& from) { return call(from).sum(); });
             }}};
}

Contestants contestants(const DecodePoints& p) {
    const auto heat = wrap(p.heat, {1, p.classes, p.size, p.size});
    const auto extents = wrap(p.extents, {2, p.size * p.size}), offsets = wrap(p.offsets, {2, p.size * p.size});
    return {{"libtorch", "formula", [=] {
                 return fresh([=] {
                     const auto sure = at::sigmoid(heat);
                     const auto peaks = sure * (at::max_pool2d(sure, 3, 1, 1) == sure).to(at::kFloat);
                     const auto by_class = at::topk(peaks.view({p.classes, p.size * p.size}), p.most);
                     const auto best = at::topk(std::get<0>(by_class).flatten(), p.most);
                     const auto place = std::get<1>(by_class).flatten().index_select(0, std::get<1>(best));
                     const auto x = place % p.size, y = at::div(place, p.size, "floor");
                     const auto offset = offsets.index_select(1, place), half = extents.index_select(1, place) / 2;
                     const auto cx = x.to(at::kFloat) + offset[0], cy = y.to(at::kFloat) + offset[1];
                     return at::stack({cx - half[0], cy - half[1], cx + half[0], cy + half[1]}, 1);
                 });
             }}};
}

Contestants contestants(const DeformedConvolution& p) {
    if (!torchvision()) return {};
    const auto x = wrap(p.x, {1, p.channels, p.size, p.size}), offset = wrap(p.offset, {1, 18, p.size, p.size}),
               weight = wrap(p.weight, {p.channels, p.channels, 3, 3});
    const auto mask = at::zeros({1, 1}), bias = at::zeros({p.channels});
    const std::int64_t one = 1;
    return {{"torchvision", "deform_conv2d", [=] {
                 return fresh([=] {
                     return vision("torchvision::deform_conv2d", x, weight, offset, mask, bias, one, one, one, one, one,
                                   one, one, one, false);
                 });
             }}};
}

}  // namespace peers::libtorch
