// Trains a network that enlarges photographs threefold (ESPCN: convolutions and PixelShuffle) and shows it beside
// bicubic.
//
// W. Shi et al., Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural
// Network, CVPR 2016. The network works on small pixels until the last layer; here it adds to what bicubic gives.
#include <lamina/io/image.hpp>
#include <lamina/io/pixels.hpp>
#include <lamina/io/plot.hpp>
#include <lamina/losses/regression.hpp>
#include <lamina/nn/conv.hpp>
#include <lamina/nn/init_conv.hpp>
#include <lamina/nn/pixel_shuffle.hpp>
#include <lamina/nn/sequential.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/comparison.hpp>
#include <lamina/ops/concat.hpp>
#include <lamina/ops/interpolate.hpp>
#include <lamina/ops/permute.hpp>
#include <lamina/ops/slice.hpp>
#include <lamina/ops/sort.hpp>
#include <lamina/optim/adam.hpp>
#include <lamina/train/progress.hpp>
#include <lamina/vision/image_similarity.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>

using namespace lamina;

constexpr Index factor = 3;

/// A photograph as bytes [3, H, W], shrunk to a height of 640 pixels, so that every pixel carries detail and no trace
/// of its JPEG compression is learned.
Tensor<std::uint8_t, 3> load_photo(const std::string& path) {
    const auto planes = unsqueeze(io::to_planes<float>(io::load_image(path)), 0);
    const auto sharp = interpolate(
        planes, {.scale_factor = 640.0 / double(planes.dim(2)), .mode = InterpolateMode::cubic, .antialias = true});
    return to<std::uint8_t>(clamp(squeeze(sharp, 0) * 255.0F + 0.5F, 0.0F, 255.0F));
}

/// Squares of `size` pixels cut from photographs, [N, 3, size, size] in [0, 1].
Tensor<float, 4> crops(const std::vector<Tensor<std::uint8_t, 3>>& photos, Index count, Index size, random::Rng& rng) {
    auto out = empty<float>(Shape{count, 3, size, size});
    for (Index n = 0; n < count; ++n) {
        const auto corner = rand<double>(rng, Shape{3});
        const auto& photo = photos[std::size_t(corner(0) * double(photos.size()))];
        const Index y = Index(corner(1) * double(photo.dim(1) - size)),
                    x = Index(corner(2) * double(photo.dim(2) - size));
        const auto part = to<float>(slice(slice(photo, 1, y, y + size), 2, x, x + size)) / 255.0F;
        std::copy_n(contiguous(part).data(), part.numel(), out.mutable_data() + n * part.numel());
    }
    return out;
}

Tensor<float, 4> shrink(const Tensor<float, 4>& x) {
    return interpolate(x, {.scale_factor = 1.0 / factor, .mode = InterpolateMode::cubic, .antialias = true});
}
Tensor<float, 4> bicubic(const Tensor<float, 4>& x) {
    return interpolate(x, {.scale_factor = factor, .mode = InterpolateMode::cubic});
}

auto make_network() {
    const auto layer = [](Index in, Index out, Index kernel) {
        return nn::Conv2d(in, out, {.kernel = kernel, .padding = kernel / 2, .padding_mode = PadMode::replicate});
    };
    const nn::LeakyReLU leaky{{.slope = 0.2}};
    return nn::Sequential{layer(3, 64, 5),
                          leaky,
                          layer(64, 64, 3),
                          leaky,
                          layer(64, 32, 3),
                          leaky,
                          layer(32, 3 * factor * factor, 3),
                          nn::PixelShuffle{factor}};
}

Tensor<float, 4> enlarge(const auto& network, const Tensor<float, 4>& x) { return bicubic(x) + network(x - 0.5F); }

/// PSNR, the mean over images.
double decibels(const Tensor<float, 4>& x, const Tensor<float, 4>& truth) {
    const auto shown = clamp(x, 0.0F, 1.0F);
    double sum = 0;
    for (Index i = 0; i < x.dim(0); ++i) sum += vision::psnr(select(shown, 0, i), select(truth, 0, i));
    return sum / double(x.dim(0));
}

/// The `count` crops that bicubic renders worst.
Tensor<float, 4> detailed(const Tensor<float, 4>& truth, Index count) {
    const auto smooth = bicubic(shrink(truth));
    auto loss = empty<float>(Shape{truth.dim(0)});
    for (Index i = 0; i < truth.dim(0); ++i)
        loss.mutable_at(i) = float(decibels(slice(smooth, 0, i, i + 1), slice(truth, 0, i, i + 1)));
    return index_select(truth, 0, slice(argsort(loss), 0, 0, count));
}

/// A row for each crop: small pixels, bicubic, the network, the original.
void save_picture(const auto& network, const Tensor<float, 4>& truth) {
    const auto small = shrink(truth);
    const auto nearest = interpolate(small, {.scale_factor = factor});
    std::vector<Tensor<float, 4>> cells;
    std::vector<std::string> labels;
    const auto add = [&](const Tensor<float, 4>& x, Index i, const std::string& name) {
        cells.push_back(slice(x, 0, i, i + 1));
        char text[64];
        std::snprintf(text, sizeof text, "%s\n%.2f dB", name.c_str(),
                      decibels(cells.back(), slice(truth, 0, i, i + 1)));
        labels.push_back(name == "original" ? name : text);
    };
    const auto smooth = bicubic(small), ours = enlarge(network, small);
    for (Index i = 0; i < truth.dim(0); ++i) {
        add(nearest, i, "low resolution");
        add(smooth, i, "bicubic");
        add(ours, i, "ESPCN");
        add(truth, i, "original");
    }
    const auto pixels = to<std::uint8_t>(clamp(cat(cells) * 255.0F + 0.5F, 0.0F, 255.0F));
    io::save_png("superres.png",
                 io::image_grid(contiguous(permute(pixels, {0, 2, 3, 1})), labels, {}, {.columns = 4, .scale = 1}));
}

int main(int argc, char** argv) try {
    const bool smoke = argc > 1 && std::strcmp(argv[1], "--smoke") == 0;  // a few steps that only show that all works
    const std::string folder = argc > 1 && !smoke ? argv[1] : "/usr/share/backgrounds";
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        if (entry.path().extension() == ".jpg" || entry.path().extension() == ".png") files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    require<IoError>(files.size() >= 4, "superres: ", folder, " must hold at least 4 photographs but has ",
                     Index(files.size()), " (.jpg or .png)");
    if (smoke) files.resize(4);

    train::Progress reading("reading", Index(files.size()), "photos");
    std::vector<Tensor<std::uint8_t, 3>> training, held_out;
    for (std::size_t i = 0; i < files.size(); ++i) {
        (i % 4 == 3 ? held_out : training).push_back(load_photo(files[i]));
        reading.update(Index(i) + 1);
    }
    reading.finish();

    random::Rng rng(1);
    const auto truth = crops(held_out, smoke ? 2 : 48, 192, rng), small = shrink(truth);
    const double start = decibels(bicubic(small), truth);
    std::printf("%d photographs to learn from, %d held out; bicubic reaches %.2f dB\n", int(training.size()),
                int(held_out.size()), start);

    auto network = make_network();
    nn::reset_parameters(network, rng);
    for (auto* layer : {&network.get<0>(), &network.get<2>(), &network.get<4>()}) {
        nn::init::kaiming_normal(layer->weight, rng);  // details are not to fade from layer to layer
        layer->bias->fill(0);
    }
    network.get<6>().weight.fill(0);  // what is learned is added to bicubic, nothing at first
    network.get<6>().bias->fill(0);
    optim::Adam optimizer{nn::parameters(network), {}};
    const Index steps = smoke ? 10 : 1600, batch = 16;
    train::Progress progress("training", steps * batch, "crops");
    std::vector<double> curve;
    for (Index step = 0; step < steps; ++step) {
        const double warm = std::min(1.0, double(step + 1) / 100);
        optimizer.set_learning_rate(1e-3 * warm * (1 + std::cos(M_PI * double(step) / double(steps))) / 2);
        const auto wanted = crops(training, batch, 32 * factor, rng), given = shrink(wanted);
        double loss = 0;
        {
            autograd::Tape tape;
            const auto difference = losses::l1(enlarge(network, given), wanted);
            tape.backward(difference);
            optimizer.step();
            loss = difference.item();
        }
        if (step % 50 == 0 || step + 1 == steps) curve.push_back(decibels(enlarge(network, small), truth));
        progress.update((step + 1) * batch,
                        {{"loss", loss}, {"dB", curve.back()}, {"over bicubic", curve.back() - start}});
    }
    progress.finish();
    std::printf("%.1f s, %.0f crops/s; held-out crops: bicubic %.2f dB, ESPCN %.2f dB, %+.2f dB\n", progress.seconds(),
                progress.rate(), start, curve.back(), curve.back() - start);

    save_picture(network, detailed(crops(held_out, 24, 240, rng), 4));
    io::plot_lines("superres_psnr.png", "PSNR on held-out crops",
                   {{"ESPCN", curve}, {"bicubic", std::vector<double>(curve.size(), start)}},
                   {.x_label = "50 steps", .y_label = "dB"});
    std::printf("superres.png: low resolution, bicubic, ESPCN, original\nsuperres_psnr.png: PSNR as it learns\n");
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
