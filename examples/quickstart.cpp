// Trains a small convolutional network on Fashion-MNIST: 60,000 images of clothes, ten classes, under a minute.
#include <lamina/io/idx.hpp>
#include <lamina/io/plot.hpp>
#include <lamina/io/safetensors.hpp>
#include <lamina/losses/cross_entropy.hpp>
#include <lamina/nn/conv.hpp>
#include <lamina/nn/flatten.hpp>
#include <lamina/nn/linear.hpp>
#include <lamina/nn/pool.hpp>
#include <lamina/nn/sequential.hpp>
#include <lamina/nn/summary.hpp>
#include <lamina/ops/comparison.hpp>
#include <lamina/ops/concat.hpp>
#include <lamina/ops/extrema.hpp>
#include <lamina/ops/index.hpp>
#include <lamina/ops/reduce.hpp>
#include <lamina/ops/slice.hpp>
#include <lamina/optim/adam.hpp>
#include <lamina/train/progress.hpp>

#include <cmath>
#include <cstdio>
#include <cstring>

using namespace lamina;

const std::vector<std::string> classes = {"T-shirt", "Trouser", "Pullover", "Dress", "Coat",
                                          "Sandal",  "Shirt",   "Sneaker",  "Bag",   "Boot"};

struct Split {
    Tensor<std::uint8_t, 3> pixels;  // [N, 28, 28]
    Tensor<std::int64_t, 1> labels;  // [N]

    explicit Split(const std::string& path)
        : pixels(io::load_idx<std::uint8_t, 3>(path + "-images-idx3-ubyte.gz")),
          labels(io::load_idx<std::int64_t, 1>(path + "-labels-idx1-ubyte.gz")) {}
    Tensor<float, 4> images(const Tensor<std::int64_t, 1>& chosen) const {
        return unsqueeze(to<float>(index_select(pixels, 0, chosen)), 1) / 255;
    }
};

auto make_network() {
    return nn::Sequential{nn::Conv2d(1, 16, {.kernel = 3, .padding = 1}),
                          nn::BatchNorm2d(16),
                          nn::ReLU{},
                          nn::MaxPool2d{{.kernel = 2}},
                          nn::Conv2d(16, 32, {.kernel = 3, .padding = 1}),
                          nn::BatchNorm2d(32),
                          nn::ReLU{},
                          nn::MaxPool2d{{.kernel = 2}},
                          nn::Flatten{},
                          nn::Linear(32 * 7 * 7, 128),
                          nn::ReLU{},
                          nn::Linear(128, 10)};
}

Tensor<std::int64_t, 1> predict(const auto& network, const Split& split) {
    std::vector<Tensor<std::int64_t, 1>> parts;
    for (Index begin = 0, n = split.labels.numel(); begin < n; begin += 500)
        parts.push_back(argmax(network(split.images(arange<std::int64_t>(begin, std::min(begin + 500, n)))), axes<1>));
    return cat(parts);
}

double accuracy(const Tensor<std::int64_t, 1>& predicted, const Tensor<std::int64_t, 1>& labels) {
    return double(count_nonzero(eq(predicted, labels)).item()) / double(labels.numel());
}

void save_pictures(const Split& test, const Tensor<std::int64_t, 1>& predicted, const std::vector<double>& losses) {
    std::vector<std::string> text;
    std::vector<bool> mistakes;
    for (Index i = 0; i < 40; ++i) {
        const auto said = std::size_t(predicted(i)), is = std::size_t(test.labels(i));
        text.push_back(classes[said] + (said == is ? "" : "\nis " + classes[is]));
        mistakes.push_back(said != is);
    }
    io::save_png("fashion.png", io::image_grid(slice(test.pixels, 0, 0, 40), text, mistakes));
    io::plot_lines("loss.png", "training loss", {{"loss of each batch", losses}},
                   {.x_label = "step", .y_label = "loss"});
}

int main(int argc, char** argv) try {
    const bool smoke = argc > 1 && std::strcmp(argv[1], "--smoke") == 0;  // a few steps that only show that all works
    const std::string folder = "/usr/share/datasets/fashion-mnist/";
    const Split training(folder + "train"), test(folder + "t10k");
    const Index epochs = smoke ? 1 : 4, batch = 128, steps = smoke ? 20 : training.labels.numel() / batch;

    random::Rng rng(1);
    auto network = make_network();
    nn::reset_parameters(network, rng);
    std::printf("%s\n", nn::summary(network, Shape{batch, 1, 28, 28}).c_str());

    optim::AdamW optimizer{nn::parameters(network), {.weight_decay = 0.05}};
    train::Progress progress("training", epochs * steps * batch, "images");
    std::vector<double> losses;
    for (Index epoch = 0; epoch < epochs; ++epoch) {
        const auto order = randperm(rng, training.labels.numel());
        for (Index step = 0; step < steps; ++step) {
            const auto chosen = slice(order, 0, step * batch, (step + 1) * batch);
            const auto labels = index_select(training.labels, 0, chosen);
            const double done = double(losses.size()) / double(epochs * steps);
            optimizer.set_learning_rate(3e-3 * (1 + std::cos(M_PI * done)) / 2);

            autograd::Tape tape;
            const auto logits = network(training.images(chosen));
            const auto loss = losses::cross_entropy(logits, labels);
            tape.backward(loss);
            optimizer.step();

            losses.push_back(loss.item());
            progress.update(Index(losses.size()) * batch,
                            {{"loss", loss.item()}, {"accuracy", accuracy(argmax(logits, axes<1>), labels)}});
        }
    }
    progress.finish();
    const auto predicted = predict(network, test);
    std::printf("%.1f s, %.0f images/s, test accuracy %.4f\n", progress.seconds(), progress.rate(),
                accuracy(predicted, test.labels));

    io::save_safetensors("fashion.safetensors", nn::state_dict(network));
    auto loaded = make_network();
    nn::load_state_dict(loaded, io::load_safetensors("fashion.safetensors"));
    std::printf("fashion.safetensors: the weights; loaded into a fresh network: test accuracy %.4f\n",
                accuracy(predict(loaded, test), test.labels));
    save_pictures(test, predicted, losses);
    std::printf("fashion.png: test images with what the network says, mistakes framed\nloss.png: the loss curve\n");
} catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
