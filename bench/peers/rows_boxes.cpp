// Detectors around their network: losses and overlaps of boxes, suppression, features of regions, assignment.
#include <lamina/losses/focal.hpp>
#include <lamina/losses/iou.hpp>
#include <lamina/ops/activation.hpp>
#include <lamina/ops/reduce.hpp>
#include <lamina/vision/boxes_iou.hpp>
#include <lamina/vision/hungarian.hpp>
#include <lamina/vision/nms.hpp>
#include <lamina/vision/ps_roi_align.hpp>
#include <lamina/vision/roi_align.hpp>
#include <lamina/vision/suppression.hpp>
#include <lamina/vision/suppression_peaks.hpp>

#include "ours.hpp"
#include "peers.hpp"

namespace peers {
namespace {

using lamina::Shape;

std::string text(Index n) {
    return n % 1000000 == 0 ? std::to_string(n / 1000000) + "M"
           : n % 1000 == 0  ? std::to_string(n / 1000) + "k"
                            : std::to_string(n);
}

// The contestants with the problem whose arrays they borrow.
template <class Problem>
Contestants holding(const Problem& p, Contestants all) {
    for (auto& c : all) c.prepare = [p, prepare = c.prepare] { return prepare(); };
    return all;
}

// loss(x).backward(), the gradient of x being the result.
template <class X, class F>
Contestant step(std::string variant, X x, F loss) {
    return {us, std::move(variant), [=] {
                const auto leaf = lamina::autograd::leaf(x);
                return Call{[=] {
                                lamina::autograd::zero_grad(leaf);
                                lamina::autograd::Tape tape;
                                tape.backward(loss(leaf));
                            },
                            [=](Index i) { return double(lamina::autograd::grad(leaf).data()[i]); }};
            }};
}

// Kept indices by falling score; -1 behind the last.
template <class F>
Contestant indices(std::string library, std::string variant, F f) {
    return {std::move(library), std::move(variant), [=] {
                auto y = std::make_shared<decltype(f())>();
                return Call{[=] { *y = f(); }, [=](Index i) { return i < y->numel() ? double(y->data()[i]) : -1; }};
            }};
}

Row box_loss(BoxLoss kind, bool backward) {
    constexpr Index count = 1000000;
    const char* const name = kind == BoxLoss::giou ? "giou" : kind == BoxLoss::diou ? "diou" : "ciou";
    return {std::string(name) + " loss 1M pairs" + (backward ? " with gradient" : ""),
            backward ? streaming(4 * count, 2, 1) : streaming(8 * count, 1, 0), backward ? 4 * count : 1, 1e-4, [=] {
                const BoxPairs p{.count = count, .loss = kind, .backward = backward};
                const auto a = tensor(p.a, Shape{count, 4}), b = tensor(p.b, Shape{count, 4});
                const auto loss = [=](const auto& x) {
                    if (kind == BoxLoss::giou) return lamina::losses::giou(x, b);
                    return kind == BoxLoss::diou ? lamina::losses::diou(x, b) : lamina::losses::ciou(x, b);
                };
                return race(p, holding(p, {backward ? step("losses::iou family, backward", a, loss)
                                                    : ours("losses::iou family", [=] { return loss(a); })}));
            }};
}

Row pairwise() {
    constexpr Index n = 5000;
    return {"pairwise iou 5000x5000", streaming(n * n, 0, 1), n * n, 1e-5, [] {
                const PairwiseIou p{.n = n, .m = n};
                const auto a = tensor(p.a, Shape{n, 4}), b = tensor(p.b, Shape{n, 4});
                return race(p, holding(p, {ours("pairwise_iou", [=] { return lamina::vision::pairwise_iou(a, b); })}));
            }};
}

Row suppression(Index count, Index objects, Index classes = 1) {
    const std::string kind = objects ? "clustered" : "uniform";
    const std::string name = classes > 1 ? "batched_nms " + text(count) + " in " + std::to_string(classes) + " classes"
                                         : "nms " + text(count) + " " + kind;
    return {name, {}, count, 1e-9, [=] {
                const Suppression p{.count = count, .objects = objects, .classes = classes};
                const auto boxes = tensor(p.boxes, Shape{count, 4});
                const auto scores = tensor(p.scores, Shape{count});
                const auto labels = tensor(p.labels, Shape{count});
                return race(p, holding(p, {indices(us, classes > 1 ? "batched_nms" : "nms", [=] {
                                           return classes > 1 ? lamina::vision::batched_nms(boxes, scores, labels, 0.5)
                                                              : lamina::vision::nms(boxes, scores, 0.5);
                                       })}));
            }};
}

// The loop of the paper: the largest score, then every other box against it.
std::vector<Index> plain_soft_nms(const SoftSuppression& p) {
    std::vector<float> scores(p.scores.data(), p.scores.data() + p.count);
    std::vector<Index> order, left;
    for (Index i = 0; i < p.count; ++i) left.push_back(i);
    while (!left.empty()) {
        std::size_t best = 0;
        for (std::size_t k = 1; k < left.size(); ++k)
            if (scores[std::size_t(left[k])] > scores[std::size_t(left[best])]) best = k;
        const Index chosen = left[best];
        order.push_back(chosen);
        left.erase(left.begin() + std::ptrdiff_t(best));
        const float* const a = &p.boxes[4 * chosen];
        std::size_t kept = 0;
        for (const Index i : left) {
            const float* const b = &p.boxes[4 * i];
            const float w = std::max(0.0f, std::min(a[2], b[2]) - std::max(a[0], b[0]));
            const float h = std::max(0.0f, std::min(a[3], b[3]) - std::max(a[1], b[1]));
            const float inner = w * h, united = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inner;
            if (inner / united > 0.3f) scores[std::size_t(i)] *= 1 - inner / united;
            if (scores[std::size_t(i)] >= 0.001f) left[kept++] = i;
        }
        left.resize(kept);
    }
    return order;
}

Row soft_suppression() {
    constexpr Index count = 5000;
    return {"soft_nms 5k", {}, count, 0, [] {
                const SoftSuppression p{.count = count, .objects = 200};
                const auto boxes = tensor(p.boxes, Shape{count, 4});
                const auto scores = tensor(p.scores, Shape{count});
                const lamina::vision::SoftNmsOptions options{.decay = lamina::vision::Decay::linear};
                const auto soft = [=] { return lamina::vision::soft_nms(boxes, scores, options).indices; };
                const auto plain = [p] {
                    auto y = std::make_shared<std::vector<Index>>();
                    return Call{[=] { *y = plain_soft_nms(p); }, [=](Index i) { return double((*y)[std::size_t(i)]); }};
                };
                return race(p, holding(p, {indices(us, "soft_nms", soft), {"plain loop", "soft_nms", plain}}));
            }};
}

Row focal(bool varifocal) {
    constexpr Index count = 8 * 80 * 8525;
    return {std::string(varifocal ? "varifocal" : "sigmoid focal") + " 8x80x8525 with gradient", streaming(count, 2, 1),
            count, 1e-4, [=] {
                const FocalLoss p{.count = count, .varifocal = varifocal};
                const auto logits = tensor(p.logits, Shape{count}), targets = tensor(p.targets, Shape{count});
                constexpr auto sum = lamina::losses::Reduction::sum;
                return race(
                    p, {step(varifocal ? "varifocal, backward" : "sigmoid_focal, backward", logits, [=](const auto& x) {
                        return varifocal ? lamina::losses::varifocal<sum>(x, targets)
                                         : lamina::losses::sigmoid_focal<sum>(x, targets);
                    })});
            }};
}

Row roi_align(bool sensitive, bool backward) {
    const auto make = [=] {
        return sensitive ? RoiAlign{.channels = 245,
                                    .height = 20,
                                    .width = 20,
                                    .regions = 200,
                                    .bins = 7,
                                    .sensitive = true,
                                    .backward = backward}
                         : RoiAlign{.channels = 256,
                                    .height = 50,
                                    .width = 68,
                                    .regions = 1000,
                                    .bins = 7,
                                    .sensitive = false,
                                    .backward = backward};
    };
    const Index in = sensitive ? 245 * 20 * 20 : 256 * 50 * 68, out = (sensitive ? 200 * 5 : 1000 * 256) * 49;
    return {std::string(sensitive ? "ps_roi_align 245x20x20, 200 boxes" : "roi_align 256x50x68, 1000 boxes") +
                (backward ? " with gradient" : ""),
            streaming(out, 0, 1), backward ? in : out, 1e-4, [=] {
                const RoiAlign p = make();
                const auto x = tensor(p.x, Shape{1, p.channels, p.height, p.width});
                const auto rois = tensor(p.rois, Shape{p.regions, 5});
                const auto call = [=](const auto& from) {
                    const lamina::Size2 bins = p.bins;
                    return p.sensitive ? lamina::vision::ps_roi_align(
                                             from, rois, {.output = bins, .scale = p.scale, .sampling_ratio = 2})
                                       : lamina::vision::roi_align(
                                             from, rois, {.output = bins, .scale = p.scale, .sampling_ratio = 2});
                };
                const char* const name = sensitive ? "ps_roi_align" : "roi_align";
                return race(p, holding(p, {backward ? step(std::string(name) + ", backward", x,
                                                           [=](const auto& from) { return lamina::sum(call(from)); })
                                                    : ours(name, [=] { return call(x); })}));
            }};
}

// The textbook's form with potentials, one row after the other, for rows <= columns.
double plain_assignment(const Assign& p) {
    const auto n = std::size_t(p.rows), m = std::size_t(p.columns);
    std::vector<double> u(n + 1), v(m + 1);
    std::vector<std::size_t> match(m + 1), way(m + 1);
    for (std::size_t i = 1; i <= n; ++i) {
        match[0] = i;
        std::size_t j0 = 0;
        std::vector<double> least(m + 1, INFINITY);
        std::vector<char> used(m + 1);
        do {
            used[j0] = true;
            const std::size_t row = match[j0];
            double delta = INFINITY;
            std::size_t j1 = 0;
            for (std::size_t j = 1; j <= m; ++j) {
                if (used[j]) continue;
                const double reduced = p.costs[Index((row - 1) * m + j - 1)] - u[row] - v[j];
                if (reduced < least[j]) least[j] = reduced, way[j] = j0;
                if (least[j] < delta) delta = least[j], j1 = j;
            }
            for (std::size_t j = 0; j <= m; ++j)
                if (used[j]) u[match[j]] += delta, v[j] -= delta;
                else least[j] -= delta;
            j0 = j1;
        } while (match[j0] != 0);
        do {
            const std::size_t j1 = way[j0];
            match[j0] = match[j1];
            j0 = j1;
        } while (j0);
    }
    return -v[0];
}

Row assignment(Index rows, Index columns) {
    return {"hungarian " + std::to_string(rows) + "x" + std::to_string(columns), {}, 1, 1e-9, [=] {
                const Assign p{.rows = rows, .columns = columns};
                const auto ours_for = [p] {
                    const auto costs = tensor(p.costs, Shape{p.rows, p.columns});
                    auto total = std::make_shared<double>();
                    return Call{[=] { *total = lamina::vision::hungarian(costs).cost; }, [=](Index) { return *total; }};
                };
                const auto plain = [p] {
                    Assign turned{.rows = std::min(p.rows, p.columns), .columns = std::max(p.rows, p.columns)};
                    for (Index i = 0; i < p.rows; ++i)
                        for (Index j = 0; j < p.columns; ++j)
                            turned.costs[p.rows <= p.columns ? i * p.columns + j : j * p.rows + i] =
                                p.costs[i * p.columns + j];
                    auto total = std::make_shared<double>();
                    return Call{[=] { *total = plain_assignment(turned); }, [=](Index) { return *total; }};
                };
                return race(p, holding(p, {{us, "hungarian", ours_for}, {"plain loop", "textbook", plain}}));
            }};
}

Row decode() {
    constexpr Index classes = 80, size = 128, most = 100;
    return {"centre-point decode 80x128x128 top 100", streaming(classes * size * size, 1, 0), 4 * most, 1e-5, [] {
                const DecodePoints p{.classes = classes, .size = size, .most = most};
                const auto heat = tensor(p.heat, Shape{1, classes, size, size});
                const auto extents = tensor(p.extents, Shape{1, 2, size, size});
                const auto offsets = tensor(p.offsets, Shape{1, 2, size, size});
                return race(p, holding(p, {ours("find_peaks, decode_peaks", [=] {
                                           const auto peaks = lamina::vision::find_peaks(lamina::sigmoid(heat), most);
                                           return lamina::vision::decode_peaks(peaks, extents, offsets);
                                       })}));
            }};
}

}  // namespace

void add_boxes_rows(Rows& rows) {
    for (const auto kind : {BoxLoss::giou, BoxLoss::diou, BoxLoss::ciou})
        for (const bool backward : {false, true}) rows.push_back(box_loss(kind, backward));
    for (auto& row :
         {pairwise(), suppression(1000, 50), suppression(1000, 0), suppression(10000, 200), suppression(10000, 0),
          suppression(100000, 1000), suppression(100000, 0), suppression(20000, 400, 80), soft_suppression(),
          focal(false), focal(true), roi_align(false, false), roi_align(false, true), roi_align(true, false),
          assignment(100, 100), assignment(300, 50), assignment(1000, 1000), decode()})
        rows.push_back(row);
}

}  // namespace peers
