// Trains a small CenterNet from nothing on scenes made of Fashion-MNIST: up to six clothes on a textured background.
#include <lamina/data/idx.hpp>
#include <lamina/data/loader.hpp>
#include <lamina/data/scenes.hpp>
#include <lamina/io/checkpoint.hpp>
#include <lamina/io/pixels.hpp>
#include <lamina/io/plot.hpp>
#include <lamina/models/centernet_decode.hpp>
#include <lamina/models/centernet_loss.hpp>
#include <lamina/models/centernet_small.hpp>
#include <lamina/ops/index.hpp>
#include <lamina/ops/slice.hpp>
#include <lamina/optim/adam.hpp>
#include <lamina/optim/average.hpp>
#include <lamina/optim/schedule_cosine.hpp>
#include <lamina/train/progress.hpp>
#include <lamina/train/smoothed.hpp>
#include <lamina/vision/draw.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>

using namespace lamina;

const std::vector<std::string> class_names = {"T-shirt", "Trouser", "Pullover", "Dress", "Coat",
                                              "Sandal",  "Shirt",   "Sneaker",  "Bag",   "Boot"};
constexpr Index classes = 10, batch_size = 8;

struct Settings {
    Index epochs = 26, scenes = 2048, held_out = 512;
    double seconds = 0;  // when positive: as many epochs as take about so long
    models::CenterNetSizeLoss size_loss = models::CenterNetSizeLoss::giou;
    std::string evaluated = {};  // a checkpoint to look at instead of training
};

data::Scenes scenes_of(const std::string& split, Index count, Index fewest = 1) {
    const std::string path = "/usr/share/datasets/fashion-mnist/" + split;
    const data::Idx items(path + "-images-idx3-ubyte.gz", path + "-labels-idx1-ubyte.gz");
    return data::Scenes(items.images(), items.labels(), {.scenes = count, .fewest = fewest});
}

/// The objects of each scene of a batch.
std::vector<vision::Objects<float>> objects_of(const Tensor<float, 3>& boxes, const Tensor<std::int64_t, 2>& labels) {
    std::vector<vision::Objects<float>> out;
    for (Index i = 0; i < labels.dim(0); ++i) {
        Index count = 0;
        while (count < labels.dim(1) && labels(i, count) >= 0) ++count;
        out.push_back({slice(select(boxes, 0, i), 0, 0, count), slice(select(labels, 0, i), 0, 0, count)});
    }
    return out;
}

/// Scenes with their objects.
struct HeldOut {
    std::vector<Tensor<float, 4>> images;  // batch by batch
    std::vector<vision::Objects<float>> objects;

    explicit HeldOut(Index count) {
        const data::Loader loader(scenes_of("t10k", count), {.batch_size = 64, .workers = 2, .seed = 1});
        for (const auto& [image, boxes, labels] : loader.epoch(0)) {
            images.push_back(image);
            for (auto& each : objects_of(boxes, labels)) objects.push_back(std::move(each));
        }
    }
};

vision::PrecisionAndRecall evaluate(const models::SmallCenterNet& network, const HeldOut& scenes) {
    vision::AveragePrecision metric(classes);
    std::size_t at = 0;
    for (const auto& images : scenes.images)
        for (const auto& found : models::centernet_detect(network, images - 0.5F, {.threshold = 0.01}))
            metric.add(found, scenes.objects[at++]);
    return metric.compute();
}

/// A scene with boxes, enlarged so that the lines are thin: [1, H, W, 3].
Tensor<std::uint8_t, 4> drawn(const Tensor<float, 4>& scene, const Tensor<float, 2>& boxes,
                              const Tensor<std::int64_t, 1>& labels, const Tensor<float, 1>* scores) {
    const Index scale = 2;
    const auto large = interpolate(scene, {.scale_factor = scale, .mode = InterpolateMode::cubic});
    vision::DrawBoxesOptions o{.thickness = 1};
    for (Index i = 0; i < labels.numel(); ++i) {
        o.labels.push_back(class_names[std::size_t(labels(i))]);
        if (scores) o.labels.back() += message(" ", Index(100 * (*scores)(i) + 0.5F));
        o.colors.push_back(labels(i));
    }
    return unsqueeze(vision::draw_boxes(io::to_pixels(select(large, 0, 0)), boxes * float(scale), o), 0);
}

/// Held-out scenes in pairs: what is there, and what the network finds with a score of 0.3 and more.
void save_picture(const models::SmallCenterNet& network, const HeldOut& held_out, Index count) {
    std::vector<Tensor<std::uint8_t, 4>> cells;
    std::vector<std::string> text;
    for (Index i = 0; i < count; ++i) {
        const auto scene = slice(held_out.images[0], 0, i, i + 1);
        const auto& truth = held_out.objects[std::size_t(i)];
        cells.push_back(drawn(scene, truth.boxes, truth.classes, nullptr));
        text.push_back("ground truth");
        const auto found = models::centernet_detect(network, scene - 0.5F, {.threshold = 0.3}).front();
        // Where classes compete for an object the surest one is shown.
        const auto best = vision::nms(found.boxes, found.scores, 0.6);
        const auto scores = index_select(found.scores, 0, best);
        cells.push_back(
            drawn(scene, index_select(found.boxes, 0, best), index_select(found.classes, 0, best), &scores));
        text.push_back("detections");
    }
    io::save_png("centernet.png", io::image_grid(cat(cells), text, {}, {.columns = 6, .scale = 1}));
}

/// A network, what moves its weights, and the mean of these that is evaluated.
struct Training {
    models::SmallCenterNet& network;
    models::CenterNetLossOptions loss;
    optim::AdamW optimizer{nn::parameters(network), {.weight_decay = 0.02}};
    optim::EMA average{nn::parameters(network), 0.998, true};
    train::Smoothed heat{}, size{}, offset{};

    void step(const Tensor<float, 4>& images, const Tensor<float, 3>& boxes, const Tensor<std::int64_t, 2>& labels,
              double rate) {
        const models::CenterNetTargetOptions o{
            .classes = classes, .map = {images.dim(2) / 4, images.dim(3) / 4}, .most = labels.dim(1)};
        const auto targets = models::centernet_targets(objects_of(boxes, labels), o);
        optimizer.set_learning_rate(rate);
        autograd::Tape tape;
        const auto parts = models::centernet_loss(network(images - 0.5F), targets, loss);
        tape.backward(parts.total);
        optimizer.step();
        average.update();
        heat(parts.heat.item()), size(parts.size.item()), offset(parts.offset.item());
    }
};

/// As many epochs as fit into the seconds, by the time that a few steps and one evaluation take.
Index epochs_within(double seconds, const HeldOut& held_out, const Settings& s) {
    models::SmallCenterNet network({.classes = classes, .hidden = 32});
    random::Rng rng(1);
    nn::reset_parameters(network, rng);
    Training training{network, {.size_loss = s.size_loss}};
    const data::Loader loader(scenes_of("train", 40 * batch_size, 6), {.batch_size = batch_size, .workers = 1});
    const auto clock = train::Progress("", 1, "", train::Progress::Output::never);
    double start = 0;
    Index step = 0;
    for (const auto& [images, boxes, labels] : loader.epoch(0)) {
        training.step(images, boxes, labels, 0);
        if (++step == 4) start = clock.seconds();
    }
    const double each = (clock.seconds() - start) / double(loader.size() - 4), trained = clock.seconds();
    evaluate(network, held_out);
    const double epoch = each * double(s.scenes / batch_size) + clock.seconds() - trained;
    return std::max<Index>(1, Index(seconds / epoch));
}

void fit(models::SmallCenterNet& network, const HeldOut& held_out, const Settings& s) {
    const Index epochs = s.seconds > 0 ? epochs_within(s.seconds, held_out, s) : s.epochs;
    const Index steps_per_epoch = s.scenes / batch_size, steps = epochs * steps_per_epoch;
    // One pass over as many scenes as the training takes: none comes twice, and the worker never pauses. They are full
    // of objects, since a scene with six takes no longer than one with a single object.
    const data::Loader loader(scenes_of("train", steps * batch_size, 6),
                              {.batch_size = batch_size, .workers = 1, .prefetch = 8, .seed = 2});
    random::Rng rng(1);
    nn::reset_parameters(network, rng);
    Training training{network, {.size_loss = s.size_loss}};
    const optim::schedule::OneCycle rate{6e-3, steps, {.rising = 0.15}};
    std::printf("epoch  seconds      hm    size  offset      AP    AP50    AP75\n");
    train::Progress progress("training", steps * batch_size, "scenes");
    vision::PrecisionAndRecall result;
    double waited = 0, before = progress.seconds();
    Index step = 0;
    for (const auto& [images, boxes, labels] : loader.epoch(0)) {
        waited += progress.seconds() - before;
        training.step(images, boxes, labels, rate(0, step++));
        const auto shown = [](const train::Smoothed& number) { return std::round(number.value() * 1000) / 1000; };
        const double heat = shown(training.heat), size = shown(training.size), offset = shown(training.offset);
        progress.update(step * batch_size, {{"hm", heat}, {"size", size}, {"offset", offset}});
        if (step % steps_per_epoch == 0) {
            training.average.apply();
            result = evaluate(network, held_out);
            if (step < steps) training.average.restore();
            progress.clear();
            std::printf("%5d  %7.1f  %6.3f  %6.3f  %6.3f  %6.3f  %6.3f  %6.3f\n", int(step / steps_per_epoch),
                        progress.seconds(), heat, size, offset, result.ap, result.ap50, result.ap75);
            std::fflush(stdout);
        }
        before = progress.seconds();
    }
    progress.finish();
    std::printf("%.1f s, %.0f scenes/s with the evaluations, %.2f s of waiting for scenes\n", progress.seconds(),
                progress.rate(), waited);
}

Settings parse(int argc, char** argv) {
    Settings s;
    for (int i = 1; i < argc; ++i) {
        const std::string option = argv[i];
        if (option == "--smoke") {  // a few steps that only show that all works
            s.epochs = 2, s.scenes = 4 * batch_size, s.held_out = 12;
            continue;
        }
        require<ValueError>(option == "--epochs" || option == "--seconds" || option == "--loss" || option == "--eval",
                            "train_centernet: options are --epochs N, --seconds S, --loss iou|giou|diou|ciou|l1 and "
                            "--eval FILE, but one is ",
                            option);
        require<ValueError>(i + 1 < argc, "train_centernet: ", option, " must have a value behind it");
        const std::string value = argv[++i];
        char* end = nullptr;
        const double number = std::strtod(value.c_str(), &end);
        const bool positive = *end == '\0' && number > 0 && number < 1e6;
        if (option == "--eval") {
            s.evaluated = value;
        } else if (option == "--seconds") {
            require<ValueError>(positive, "train_centernet: --seconds must be a positive number but is ", value);
            s.seconds = number;
        } else if (option == "--epochs") {
            s.epochs = positive ? Index(number) : 0;
            require<ValueError>(s.epochs > 0 && double(s.epochs) == number,
                                "train_centernet: --epochs must be a positive whole number but is ", value);
        } else {
            const char* const names[] = {"l1", "iou", "giou", "diou", "ciou"};  // in the order of CenterNetSizeLoss
            std::size_t kind = 0;
            while (kind < 5 && value != names[kind]) ++kind;
            require<ValueError>(kind < 5, "train_centernet: --loss must be iou, giou, diou, ciou or l1 but is ", value);
            s.size_loss = models::CenterNetSizeLoss(kind);
        }
    }
    return s;
}

int main(int argc, char** argv) try {
    const Settings s = parse(argc, argv);
    const bool training = s.evaluated.empty();
    const std::string weights = training ? "centernet.safetensors" : s.evaluated;
    const HeldOut held_out(s.held_out);
    if (training) {
        models::SmallCenterNet network({.classes = classes, .hidden = 32});
        std::printf("%lld parameters; %lld scenes to an epoch, %lld held out\n",
                    static_cast<long long>(nn::count_parameters(network)), static_cast<long long>(s.scenes),
                    static_cast<long long>(s.held_out));
        fit(network, held_out, s);
        io::save_checkpoint(weights, io::part("model", network));
    }
    models::SmallCenterNet network({.classes = classes, .hidden = 32});
    io::load_checkpoint(weights, io::part("model", network));
    const auto result = evaluate(network, held_out);
    std::printf("%s: the weights; loaded into a fresh network, on held-out scenes: AP %.4f, AP50 %.4f, AP75 %.4f\n",
                weights.c_str(), result.ap, result.ap50, result.ap75);
    for (Index c = 0; c < classes; ++c)
        std::printf("%s%s %.3f", c ? ", " : "AP by class: ", class_names[std::size_t(c)].c_str(),
                    result.ap_by_class[std::size_t(c)]);
    save_picture(network, held_out, 12);
    std::printf("\ncenternet.png: held-out scenes, what is there and what the network finds\n");
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
