// ONNX Runtime's operators, one to a model: products, rows, pictures, boxes.
#include <algorithm>

#include "peer_onnxruntime.hpp"

namespace peers::onnxruntime {
namespace {

// A problem of one array in and one of the same sizes out.
Contestants one_to_one(const Array<float>& x, const Dims& dims, const char* op, const Attributes& attributes = {}) {
    Plan plan;
    plan.output(plan.graph.node(op, {plan.input(x, dims)}, attributes), dims);
    return plan.race(op);
}

template <class T>
Contestants product(const Product<T>& p) {
    const auto dims = [&](Index rows, Index cols) {
        return p.batch > 1 ? Dims{p.batch, rows, cols} : Dims{rows, cols};
    };
    Plan plan;
    const auto b = p.weight ? plan.weight(p.b, dims(p.k, p.n)) : plan.input(p.b, dims(p.k, p.n));
    plan.output<T>(plan.graph.node("MatMul", {plan.input(p.a, dims(p.m, p.k)), b}), dims(p.m, p.n));
    return plan.race(p.weight ? "MatMul, packed weight" : "MatMul");
}

}  // namespace

Contestants contestants(const Product<float>& p) { return product(p); }
Contestants contestants(const Product<double>& p) { return product(p); }

Contestants contestants(const LinearGelu& p) {
    const auto plan = [&](bool gemm) {
        Plan plan;
        const auto x = plan.input(p.x, {p.rows, p.in});
        const auto bias = plan.weight(p.bias, {p.out});
        std::string y;
        if (gemm) {
            y = plan.graph.node("Gemm", {x, plan.weight(p.weight, {p.out, p.in}), bias}, {{"transB", Index(1)}});
        } else {
            // The optimiser joins the sum and GELU, and transposes the weight once.
            const auto w = plan.graph.node("Transpose", {plan.weight(p.weight, {p.out, p.in})}, {{"perm", Dims{1, 0}}});
            y = plan.graph.node("Add", {plan.graph.node("MatMul", {x, w}), bias});
        }
        plan.output(plan.graph.node("Gelu", {y}), {p.rows, p.out});
        return plan.race(gemm ? "Gemm, Gelu" : "MatMul, Add, Gelu");
    };
    return both(plan(true), plan(false));
}

Contestants contestants(const Softmax& p) {
    return one_to_one(p.x, {p.rows, p.cols}, p.log ? "LogSoftmax" : "Softmax");
}

Contestants contestants(const LayerNorm& p) {
    Plan plan;
    const auto scale = plan.weight(p.scale, {p.cols}), shift = plan.weight(p.shift, {p.cols});
    const auto x = plan.input(p.x, {p.rows, p.cols});
    plan.output(plan.graph.node("LayerNormalization", {x, scale, shift}), {p.rows, p.cols});
    return plan.race("LayerNormalization");
}

Contestants contestants(const Gelu& p) { return one_to_one(p.x, {p.rows, p.cols}, "Gelu"); }

Contestants contestants(const AddRelu& p) {
    Plan plan;
    const auto sum = plan.graph.node("Add", {plan.input(p.x, {p.count}), plan.input(p.y, {p.count})});
    plan.output(plan.graph.node("Relu", {sum}), {p.count});
    return plan.race("Add, Relu");
}

Contestants contestants(const Sum& p) {
    Plan plan;
    const auto x = plan.input(p.x, {p.shape.begin(), p.shape.end()});
    const auto axis = plan.graph.constant<Index>({p.axis});
    plan.output(plan.graph.node("ReduceSum", {x, axis}, {{"keepdims", Index(0)}}), [&] {
        Dims left(p.shape.begin(), p.shape.end());
        left.erase(left.begin() + p.axis);
        return left;
    }());
    return plan.race("ReduceSum");
}

Contestants contestants(const Permute& p) {
    Plan plan;
    const auto x = plan.input(p.x, {p.shape.begin(), p.shape.end()});
    Dims dims;
    for (const Index axis : p.order) dims.push_back(p.shape[std::size_t(axis)]);
    plan.output(plan.graph.node("Transpose", {x}, {{"perm", Dims(p.order.begin(), p.order.end())}}), dims);
    return plan.race("Transpose");
}

Contestants contestants(const PixelShuffle& p) {
    Plan plan;
    const auto x = plan.input(p.x, {1, p.channels, p.size, p.size});
    const auto y = plan.graph.node("DepthToSpace", {x}, {{"blocksize", p.factor}, {"mode", std::string("CRD")}});
    plan.output(y, {1, p.channels / (p.factor * p.factor), p.factor * p.size, p.factor * p.size});
    return plan.race("DepthToSpace");
}

Contestants contestants(const Upsample& p) {
    using Text = std::string;
    const bool nearest = p.mode == Upsample::Mode::nearest, cubic = p.mode == Upsample::Mode::bicubic;
    Attributes attributes{{"mode", Text(nearest ? "nearest"
                                        : cubic ? "cubic"
                                                : "linear")},
                          {"coordinate_transformation_mode", Text(nearest ? "asymmetric" : "half_pixel")}};
    if (nearest) attributes.push_back({"nearest_mode", Text("floor")});
    if (cubic) attributes.push_back({"cubic_coeff_a", -0.75f});
    Plan plan;
    const auto x = plan.input(p.x, {1, p.channels, p.size, p.size});
    const auto scales = plan.graph.constant<float>({1, 1, 2, 2});
    plan.output(plan.graph.node("Resize", {x, "", scales}, attributes), {1, p.channels, 2 * p.size, 2 * p.size});
    return plan.race("Resize");
}

// As PyTorch exports it: the groups as instances, then scale and shift.
Contestants contestants(const GroupNormSilu& p) {
    Plan plan;
    auto& g = plan.graph;
    const Array<float> one(p.groups), zero(p.groups);
    std::fill_n(one.data(), p.groups, 1.0f);
    const Dims dims{1, p.channels, p.size, p.size};
    const auto x = g.node("Reshape", {plan.input(p.x, dims), g.constant<Index>({0, p.groups, -1})});
    const auto normal = g.node("InstanceNormalization",
                               {x, plan.weight(one, {p.groups}), plan.weight(zero, {p.groups})}, {{"epsilon", 1e-5f}});
    const auto back = g.node("Reshape", {normal, g.constant<Index>({1, p.channels, p.size, p.size})});
    const auto scaled = g.node("Mul", {back, plan.weight(p.scale, {p.channels, 1, 1})});
    const auto y = g.node("Add", {scaled, plan.weight(p.shift, {p.channels, 1, 1})});
    plan.output(g.node("Mul", {y, g.node("Sigmoid", {y})}), dims);
    return plan.race("InstanceNormalization, Mul, Add, SiLU");
}

Contestants contestants(const MaxPool& p) {
    Plan plan;
    const auto x = plan.input(p.x, {1, p.channels, p.size, p.size});
    const auto y = plan.graph.node("MaxPool", {x},
                                   {{"kernel_shape", Dims{3, 3}}, {"strides", Dims{2, 2}}, {"pads", Dims{1, 1, 1, 1}}});
    plan.output(y, {1, p.channels, p.result(), p.result()});
    return both(plan.race("MaxPool", Level::plain), plan.race("MaxPool, blocked"));
}

Contestants contestants(const Suppression& p) {
    // Every class has scores of all boxes: those of another class lie under the threshold.
    const Array<float> scores(p.classes * p.count);
    std::fill_n(scores.data(), scores.size(), -2.0f);
    for (Index i = 0; i < p.count; ++i) scores[(p.classes > 1 ? p.labels[i] : 0) * p.count + i] = p.scores[i];
    Plan plan;
    auto& g = plan.graph;
    const auto y = g.node("NonMaxSuppression",
                          {plan.input(p.boxes, {1, p.count, 4}), plan.input(scores, {1, p.classes, p.count}),
                           g.constant<Index>({p.count}), g.constant<float>({0.5f}), g.constant<float>({-1.5f})});
    plan.found(y, [scores = p.scores](const Index* found, Index elements) {
        std::vector<Index> boxes;  // [batch, class, box] each, by falling score within a class
        for (Index i = 0; i < elements; i += 3) boxes.push_back(found[i + 2]);
        std::stable_sort(boxes.begin(), boxes.end(), [&](Index a, Index b) { return scores[a] > scores[b]; });
        return boxes;
    });
    return plan.race(p.classes > 1 ? "NonMaxSuppression, by class" : "NonMaxSuppression");
}

Contestants contestants(const RoiAlign& p) {
    if (p.sensitive || p.backward) return {};
    const Array<float> rois(4 * p.regions);
    const Array<Index> images(p.regions);
    for (Index i = 0; i < p.regions; ++i) {
        images[i] = Index(p.rois[5 * i]);
        std::copy_n(&p.rois[5 * i + 1], 4, &rois[4 * i]);
    }
    Plan plan;
    const auto y = plan.graph.node("RoiAlign",
                                   {plan.input(p.x, {1, p.channels, p.height, p.width}),
                                    plan.input(rois, {p.regions, 4}), plan.input(images, {p.regions})},
                                   {{"coordinate_transformation_mode", std::string("output_half_pixel")},
                                    {"output_height", p.bins},
                                    {"output_width", p.bins},
                                    {"sampling_ratio", Index(2)},
                                    {"spatial_scale", float(p.scale)}});
    plan.output(y, {p.regions, p.channels, p.bins, p.bins});
    return plan.race("RoiAlign");
}

}  // namespace peers::onnxruntime
