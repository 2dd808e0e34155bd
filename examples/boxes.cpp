// Fits boxes to targets by gradient descent on IoU, GIoU, DIoU and CIoU: the simulation of Z. Zheng et al., AAAI 2020.
// boxes [points]: 500 starting points unless given, 5000 in the paper; 343 fits each.
#include <lamina/io/plot.hpp>
#include <lamina/losses/iou.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/extrema.hpp>
#include <lamina/ops/random.hpp>
#include <lamina/ops/reduce.hpp>
#include <lamina/ops/reshape.hpp>
#include <lamina/ops/slice.hpp>
#include <lamina/ops/unary.hpp>
#include <lamina/vision/boxes.hpp>
#include <lamina/vision/boxes_iou.hpp>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace lamina;
using vision::BoxFormat;

/// Every start with every target, as rows (x1, y1, x2, y2).
struct Cases {
    Tensor<float, 2> starts, targets;

    explicit Cases(Index points) {
        const double ratios[] = {0.25, 1.0 / 3, 0.5, 1, 2, 3, 4}, areas[] = {0.5, 0.67, 0.75, 1, 1.33, 1.5, 2};
        const Index count = points * 7 * 7 * 7;
        starts = empty<float>(Shape{count, 4});
        targets = empty<float>(Shape{count, 4});
        float *start = starts.mutable_data(), *target = targets.mutable_data();
        const auto fill = [](float*& to, double x, double y, double area, double ratio) {
            const double w = std::sqrt(area * ratio), h = std::sqrt(area / ratio);
            for (const double side : {x - w / 2, y - h / 2, x + w / 2, y + h / 2}) *to++ = float(side);
        };
        random::Rng rng(1);
        const auto uniform = rand<float>(rng, Shape{points, 2});
        for (Index p = 0; p < points; ++p) {
            // Evenly over the disc of radius 3 around the targets' centre.
            const double radius = 3 * std::sqrt(double(uniform(p, 0))), angle = 2 * M_PI * double(uniform(p, 1));
            for (const double area : areas)
                for (const double ratio : ratios)
                    for (const double wanted : ratios) {
                        fill(start, 10 + radius * std::cos(angle), 10 + radius * std::sin(angle), area, ratio);
                        fill(target, 10, 10, 1, wanted);
                    }
        }
    }
};

constexpr auto total = losses::Reduction::sum;

struct Fit {
    std::vector<double> errors;  // after each step: mean over the cases of |dx| + |dy| + |dw| + |dh|
    Tensor<float, 1> iou;        // at the end
};

double error_of(const Tensor<float, 2>& boxes, const Tensor<float, 2>& targets) {
    constexpr auto from = BoxFormat::xyxy, to = BoxFormat::cxcywh;
    const auto distance = vision::convert_boxes<from, to>(boxes) - vision::convert_boxes<from, to>(targets);
    return double(sum(abs(distance)).item()) / double(boxes.dim(0));
}

/// Moves the corners of the boxes down the gradient, with the learning rates of the paper.
template <class Loss>
Fit fit(const Cases& cases, Index steps, Loss&& loss) {
    auto boxes = cases.starts.clone();
    Fit out{{error_of(boxes, cases.targets)}, {}};
    for (Index step = 1; step <= steps; ++step) {
        const float rate = 10 * step <= 8 * steps ? 0.1f : 10 * step <= 9 * steps ? 0.01f : 0.001f;
        autograd::require_grad(boxes);
        {
            autograd::Tape tape;
            tape.backward(loss(boxes, cases.targets));
        }
        // Boxes that overlap less take larger steps, as in the paper.
        const auto pace = rate * (2 - vision::elementwise_iou(boxes.detach(), cases.targets));
        boxes = boxes.detach() - reshape(pace, Shape{boxes.dim(0), 1}) * autograd::grad(boxes);
        auto far = slice(boxes, 1, 2, 4);
        far.assign(maximum(far, slice(boxes, 1, 0, 2) + 1e-2f));  // sides stay positive
        out.errors.push_back(error_of(boxes, cases.targets));
    }
    out.iou = vision::elementwise_iou(boxes, cases.targets);
    return out;
}

int main(int argc, char** argv) try {
    const bool smoke = argc > 1 && std::strcmp(argv[1], "--smoke") == 0;  // a few steps that only show that all works
    const Index points = smoke ? 10 : argc > 1 ? std::max(1, std::atoi(argv[1])) : 500, steps = smoke ? 20 : 200;
    const Cases cases(points);
    const auto before = vision::elementwise_iou(cases.starts, cases.targets);
    std::printf("%lld boxes, %lld steps for each loss\n\n", static_cast<long long>(cases.starts.dim(0)),
                static_cast<long long>(steps));

    const auto begin = std::chrono::steady_clock::now();
    const std::vector<std::pair<std::string, Fit>> fits{
        {"IoU", fit(cases, steps, [](const auto& a, const auto& b) { return losses::iou<total>(a, b); })},
        {"GIoU", fit(cases, steps, [](const auto& a, const auto& b) { return losses::giou<total>(a, b); })},
        {"DIoU", fit(cases, steps, [](const auto& a, const auto& b) { return losses::diou<total>(a, b); })},
        {"CIoU", fit(cases, steps, [](const auto& a, const auto& b) { return losses::ciou<total>(a, b); })}};
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();

    std::printf("mean regression error\n%-9s", "step");
    for (const auto& [name, result] : fits) std::printf("%9s", name.c_str());
    for (const Index step : {0, 5, 10, 20, 40, 60, 80, 100, 120, 160, 200}) {
        if (step > steps) break;
        std::printf("\n%-9lld", static_cast<long long>(step));
        for (const auto& [name, result] : fits) std::printf("%9.4f", result.errors[std::size_t(step)]);
    }
    for (const bool disjoint : {false, true}) {
        std::printf("\n\n%s at first: IoU at the end\n", disjoint ? "disjoint" : "overlapping");
        for (const double least : {0.5, 0.75, 0.9}) {
            std::printf("%s%.2f   ", least > 0.5 ? "\nabove " : "above ", least);
            for (const auto& [name, result] : fits) {
                Index count = 0, reached = 0;
                for (Index i = 0; i < before.dim(0); ++i) {
                    if ((before(i) > 0) == disjoint) continue;
                    ++count;
                    reached += double(result.iou(i)) > least;
                }
                std::printf("%8.1f%%", 100 * double(reached) / double(std::max<Index>(count, 1)));
            }
        }
    }
    std::vector<io::Series> curves;
    for (const auto& [name, result] : fits) curves.push_back({name, result.errors});
    io::plot_lines("boxes.png", "regression error of boxes fitted by gradient descent", curves,
                   {.x_label = "step", .y_label = "mean |dx| + |dy| + |dw| + |dh|"});
    std::printf("\n\n%.1f s; boxes.png: the curves\n", seconds);
} catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
