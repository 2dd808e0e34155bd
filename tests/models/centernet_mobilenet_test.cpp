#include <lamina/models/centernet_mobilenet_weights.hpp>
#include <lamina/ops/slice.hpp>

#include <doctest/doctest.h>
#include <cstdlib>
#include <tests/support/compare.hpp>

using namespace lamina;

namespace {

models::CenterNetMobileNet random_network() {
    models::CenterNetMobileNet net;
    random::Rng rng(7);
    nn::reset_parameters(net, rng);
    return net;
}

/// The image whose colour at (y, x, channel) is value(y, x, c).
template <class F>
Tensor<float, 4> image(Index side, F&& value) {
    auto out = empty<float>(Shape{1, 3, side, side});
    float* to = out.mutable_data();
    for (int c = 0; c < 3; ++c)
        for (int y = 0; y < int(side); ++y)
            for (int x = 0; x < int(side); ++x) *to++ = float(value(y, x, c));
    return out;
}
Tensor<float, 4> texture(Index side) {
    return image(side, [](int y, int x, int c) { return (7 * x + 13 * y + 29 * c) % 256; });
}
Tensor<float, 4> orange_disc(bool swapped) {
    return image(512, [&](int y, int x, int c) {
        const int rgb[] = {255, 128, 0};
        return (x - 256) * (x - 256) + (y - 256) * (y - 256) < 10000 ? rgb[swapped ? 2 - c : c] : 114;
    });
}

double total(const Tensor<float, 4>& x) {
    double sum = 0;
    for (Index i = 0; i < x.numel(); ++i) sum += double(x.data()[i]);
    return sum;
}
double largest(const Tensor<float, 4>& x) { return double(*std::max_element(x.data(), x.data() + x.numel())); }

/// The folder of the published weights, empty where they are not: $LAMINA_CENTERNET, or where cmake/centernet.sh puts
/// them.
std::string weights_file() {
    const char *const named = std::getenv("LAMINA_CENTERNET"), *const cache = std::getenv("XDG_CACHE_HOME"),
                      *const home = std::getenv("HOME");
    const std::string base = cache ? std::string(cache) : std::string(home ? home : "") + "/.cache";
    const std::string file = (named ? std::string(named) : base + "/lamina/centernet") + "/centernet.json";
    if (::access(file.c_str(), R_OK) == 0) return file;
    MESSAGE("skipped: there is no ", file, "; sh cmake/centernet.sh fetches it");
    return {};
}

/// Keeps what the layers of some kinds answer, in order.
struct Outputs : nn::Observer {
    std::vector<std::pair<std::string, Tensor<float, 4>>> seen;
    void on_output(const void*, std::string_view kind, const AnyTensor& y) override {
        if (kind == "MobileNetBlock" || kind == "half_hardswish" || kind == "CenterNetMobileNetStep" ||
            kind == "CenterNetMobileNetGate")
            seen.emplace_back(kind, y.as<float, 4>());
    }
    /// The n-th of its kind; -1 is the last.
    const Tensor<float, 4>& get(std::string_view kind, int n) const {
        std::vector<const Tensor<float, 4>*> all;
        for (const auto& [k, y] : seen)
            if (k == kind) all.push_back(&y);
        return *all.at(std::size_t(n < 0 ? int(all.size()) + n : n));
    }
};

void check_map(const Tensor<float, 4>& y, const double (&first)[3], double mean, double mean_abs) {
    double sum = 0, sum_abs = 0;
    for (Index i = 0; i < y.numel(); ++i) {
        sum += double(y.data()[i]);
        sum_abs += std::abs(double(y.data()[i]));
    }
    const double n = double(y.numel());
    for (Index c = 0; c < 3; ++c) CHECK(double(y(0, c, 0, 0)) == doctest::Approx(first[c]).epsilon(1e-3));
    CHECK(sum_abs / n == doctest::Approx(mean_abs).epsilon(1e-4));
    CHECK(std::abs(sum / n - mean) < 1e-4 * mean_abs);
}

}  // namespace

TEST_CASE("CenterNetMobileNet: parameters counted as published, names of the graph") {
    const models::CenterNetMobileNet net;
    CHECK(nn::count_parameters(net) == 2014924);
    const auto state = nn::state_dict(net);
    for (const char* name :
         {"MobilenetV3.Conv.weight", "MobilenetV3.expanded_conv.depthwise.bias",
          "MobilenetV3.expanded_conv_3.squeeze_excite.Conv_1.bias", "MobilenetV3.expanded_conv_14.project.weight",
          "extern1.bias", "CenternetHead.c2_reverse.1x1.weight", "CenternetHead.c4_reverse.3x3.pointwise.bias",
          "CenternetHead.c5_upsample.branch_y_upsample_resize.depthwise.weight", "CenternetHead.conv1x1_se_b.weight",
          "CenternetHead.centernet_wh_output.pointwise.bias"})
        CHECK_MESSAGE(state.find(name), name);
    CHECK(state.find("MobilenetV3.expanded_conv.expand.weight") == nullptr);
    CHECK(state.find("CenternetHead.conv1x1_se_b.bias") == nullptr);
}

TEST_CASE("CenterNetMobileNet: weights of the graph by the network's names") {
    const auto name = models::detail::centernet_mobilenet_name;
    CHECK(name("tower_0/MobilenetV3/Conv/Conv2D_weights") == "MobilenetV3.Conv.weight");
    CHECK(name("tower_0/MobilenetV3/expanded_conv_4/depthwise/depthwise_bn_offset") ==
          "MobilenetV3.expanded_conv_4.depthwise.bias");
    CHECK(name("MobilenetV3/expanded_conv_4/squeeze_excite/Conv/biases") ==
          "MobilenetV3.expanded_conv_4.squeeze_excite.Conv.bias");
    CHECK(name("CenternetHead/c2_reverse/3x3/depthwise_weights") == "CenternetHead.c2_reverse.3x3.depthwise.weight");
    CHECK(name("tower_0/CenternetHead/c2_reverse/3x3/separable_conv2d_bn_offset") ==
          "CenternetHead.c2_reverse.3x3.pointwise.bias");
    CHECK(name("CenternetHead/centernet_cls_output/pointwise_weights") ==
          "CenternetHead.centernet_cls_output.pointwise.weight");
    CHECK(name("CenternetHead/centernet_cls_output/biases") == "CenternetHead.centernet_cls_output.pointwise.bias");
    CHECK(name("CenternetHead/conv1x1_se_b/weights") == "CenternetHead.conv1x1_se_b.weight");
    CHECK(name("tower_0/extern1/hard_swish/mul_1/y").empty());
    CHECK(name("tower_0/Reshape/shape").empty());
    CHECK(name("scalar").empty());

    StateDict graph;
    graph.insert("tower_0/a/Conv2D_weights", test::wave<float>(Shape{2, 3, 4, 5}));
    graph.insert("b/depthwise_weights", test::wave<float>(Shape{3, 3, 7, 1}));
    graph.insert("tower_0/axis", scalar(1.0F));
    const auto state = models::centernet_mobilenet_state(graph);
    CHECK(state.size() == 2);
    const auto a = state["a.weight"].as<float, 4>(), b = state["b.depthwise.weight"].as<float, 4>();
    REQUIRE(a.shape() == Shape{5, 4, 2, 3});
    REQUIRE(b.shape() == Shape{7, 1, 3, 3});
    const auto from_a = test::wave<float>(Shape{2, 3, 4, 5}), from_b = test::wave<float>(Shape{3, 3, 7, 1});
    CHECK(a(4, 1, 0, 2) == from_a(0, 2, 1, 4));
    CHECK(b(5, 0, 2, 1) == from_b(2, 1, 5, 0));
}

TEST_CASE("CenterNetMobileNet: images one by one and together, fused, watched and recorded (large)") {
    const auto net = random_network();
    const auto one = texture(64), two = orange_disc(false);
    const auto both = cat({one, contiguous(slice(slice(two, 2, 200, 264), 3, 330, 394))}, 0);
    const auto y = net(both);
    CHECK(y.keypoints.shape() == Shape{2, 80, 16, 16});
    CHECK(y.sides.shape() == Shape{2, 4, 16, 16});
    const auto alone = net(one);
    CHECK(test::max_error(slice(y.keypoints, 0, 0, 1), alone.keypoints) < 1e-5);
    CHECK(test::max_error(slice(y.sides, 0, 0, 1), alone.sides) < 1e-4);
    {
        const Outputs watching;
        CHECK(test::max_error(net(one).keypoints, alone.keypoints) < 1e-5);
    }
    autograd::Tape tape;
    const auto recorded = net(one);
    CHECK(test::max_error(recorded.keypoints, alone.keypoints) < 1e-5);
    CHECK(test::max_error(recorded.sides, alone.sides) < 1e-4);
}

TEST_CASE("CenterNetMobileNet: blocks of large maps run in bands as they do at once") {
    random::Rng rng(3);
    for (const Index kernel : {3, 5})
        for (const Index stride : {1, 2})
            for (const Index squeezed : {0, 8}) {
                models::MobileNetBlock block({12, 96, 12, kernel, stride, true, squeezed});
                nn::reset_parameters(block, rng);
                const auto x = test::wave<float>(Shape{1, 12, 107, 112});
                CHECK(test::max_error(block(x), block(x, block.expanded(x))) < 1e-5);
            }
}

TEST_CASE("CenterNetMobileNet: misfits") {
    const models::CenterNetMobileNet net;
    CHECK_THROWS_WITH_AS(net(zeros<float>(Shape{1, 3, 64, 48})),
                         "CenterNetMobileNet: images must have shape [N, 3, H, W] with sides that are multiples of 32 "
                         "but have [1, 3, 64, 48]",
                         ShapeError);
    CHECK_THROWS_AS(net(zeros<float>(Shape{1, 4, 64, 64})), ShapeError);
    CHECK_THROWS_AS(models::load_centernet_mobilenet("/nonexistent/centernet.json"), IoError);
}

TEST_CASE("CenterNetMobileNet: boxes lie around the peaks, the best of those that overlap stays") {
    models::CenterNetMaps maps{zeros<float>(Shape{2, 80, 8, 8}), zeros<float>(Shape{2, 4, 8, 8})};
    const auto put = [&](Index n, Index c, Index y, Index x, float score, std::initializer_list<float> sides) {
        maps.keypoints.mutable_at(n, c, y, x) = score;
        Index i = 0;
        for (const float side : sides) maps.sides.mutable_at(n, i++, y, x) = side;
    };
    put(1, 49, 3, 5, 0.9F, {1, 2, 3, 4});
    put(1, 29, 3, 5, 0.8F, {1, 2, 3, 4});  // another class at the same place
    put(1, 7, 6, 1, 0.3F, {4, 8, 2, 2});
    put(1, 7, 7, 1, 0.25F, {1, 1, 1, 1});   // no peak: its neighbour is higher
    put(1, 70, 0, 7, 0.19F, {1, 1, 1, 1});  // not above the threshold
    const auto found = models::centernet_mobilenet_decode(maps);
    REQUIRE(found.size() == 2);
    CHECK(found[0].boxes.shape() == Shape{0, 4});
    CHECK(test::bitwise_equal(found[1].boxes, Tensor<float, 2>{{19, 10, 23, 16}, {0, 16, 6, 26}}));
    CHECK(test::bitwise_equal(found[1].scores, Tensor<float, 1>{0.9F, 0.3F}));
    CHECK(test::bitwise_equal(found[1].classes, Tensor<std::int64_t, 1>{49, 7}));
    CHECK(models::centernet_mobilenet_decode(maps, {.iou_threshold = 1})[1].scores.dim(0) == 3);
    CHECK(models::centernet_mobilenet_decode(maps, {.most = 1})[1].scores.dim(0) == 1);
    CHECK(models::centernet_mobilenet_decode(maps, {.threshold = 0.1})[1].scores.dim(0) == 3);
}

TEST_CASE("CenterNetMobileNet: published weights on a texture, map by map (large)") {
    const auto file = weights_file();
    if (file.empty()) return;
    const auto net = models::load_centernet_mobilenet(file);
    const auto check = [](const models::CenterNetMaps& y) {
        CHECK(total(y.keypoints) == doctest::Approx(1969.852).epsilon(1e-4));
        CHECK(largest(y.keypoints) == doctest::Approx(0.286687).epsilon(1e-4));
        CHECK(total(y.sides) == doctest::Approx(8590272.4).epsilon(1e-4));
        const double keypoints[] = {0.01131076, 0.01945918, 0.00451097, 0.00795410};
        const double sides[] = {253.3239, 250.9611, 256.2374, 241.3936};
        for (Index c = 0; c < 4; ++c) {
            CHECK(double(y.keypoints(0, c, 64, 64)) == doctest::Approx(keypoints[c]).epsilon(1e-3));
            CHECK(double(y.sides(0, c, 64, 64)) == doctest::Approx(sides[c]).epsilon(1e-4));
        }
    };
    check(net(texture(512)));

    Outputs outputs;
    check(net(texture(512)));
    check_map(outputs.get("half_hardswish", 0), {6.959946, 3.000658, 17.104700}, 4.071263, 4.091407);
    check_map(outputs.get("MobileNetBlock", 1), {-23.425251, .284100, 2.955078}, -3.804106, 10.806523);
    check_map(outputs.get("MobileNetBlock", 5), {-1.133270, 20.562378, -40.826614}, 1.965623, 15.886796);
    check_map(outputs.get("MobileNetBlock", 11), {-16.408747, 15.193763, -.101231}, .081544, 3.889618);
    check_map(outputs.get("half_hardswish", -1), {.461426, -.185820, -.255978}, -.148970, .295307);
    check_map(outputs.get("CenterNetMobileNetStep", 2), {1.759590, .560773, 1.124373}, .341526, .341526);
    check_map(outputs.get("CenterNetMobileNetGate", 0), {.00140557, .01223667, .26402596}, .226312, .226312);
}

TEST_CASE("CenterNetMobileNet: an orange disc is an orange, in RGB (large)") {
    const auto file = weights_file();
    if (file.empty()) return;
    const auto net = models::load_centernet_mobilenet(file);
    const auto y = net(orange_disc(false));
    CHECK(total(y.keypoints) == doctest::Approx(1264.566).epsilon(1e-4));
    CHECK(largest(y.keypoints) == doctest::Approx(0.400031).epsilon(1e-4));
    CHECK(total(y.sides) == doctest::Approx(6831110.8).epsilon(1e-4));
    const auto all = models::centernet_mobilenet_decode(y, {.threshold = 0.19, .iou_threshold = 1})[0];
    REQUIRE(all.scores.dim(0) == 3);
    const double scores[] = {0.40003, 0.28651, 0.19061}, box[] = {156.46, 155.74, 361.58, 360.25};
    const std::int64_t classes[] = {49, 29, 32};
    for (Index k = 0; k < 3; ++k) {
        CHECK(all.classes(k) == classes[k]);
        CHECK(double(all.scores(k)) == doctest::Approx(scores[k]).epsilon(1e-4));
        for (Index i = 0; i < 4; ++i) CHECK(std::abs(double(all.boxes(k, i)) - box[i]) < 0.01);
    }
    CHECK(models::centernet_mobilenet_decode(y)[0].scores.dim(0) == 1);
    const auto swapped = models::centernet_mobilenet_decode(net(orange_disc(true)))[0];
    CHECK(swapped.classes(0) == 64);
    CHECK(double(swapped.scores(0)) == doctest::Approx(0.41586).epsilon(1e-4));
}
