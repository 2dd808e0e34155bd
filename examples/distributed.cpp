// Trains a network on Fashion-MNIST by several processes, then by one that takes all their batches: the same weights.
#include <lamina/data/idx.hpp>
#include <lamina/data/loader.hpp>
#include <lamina/distributed/mpi.hpp>
#include <lamina/io/safetensors.hpp>
#include <lamina/losses/cross_entropy.hpp>
#include <lamina/nn/conv.hpp>
#include <lamina/nn/flatten.hpp>
#include <lamina/nn/linear.hpp>
#include <lamina/nn/pool.hpp>
#include <lamina/nn/sequential.hpp>
#include <lamina/optim/sgd.hpp>
#include <lamina/train/progress.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace lamina;

// No batch normalisation: its mean would be that of each process' own part of the batch.
auto make_network(std::uint64_t seed) {
    nn::Sequential network{nn::Conv2d(1, 16, {.kernel = 3, .padding = 1}),
                           nn::ReLU{},
                           nn::MaxPool2d{{.kernel = 2}},
                           nn::Conv2d(16, 32, {.kernel = 3, .padding = 1}),
                           nn::ReLU{},
                           nn::MaxPool2d{{.kernel = 2}},
                           nn::Flatten{},
                           nn::Linear(32 * 7 * 7, 10)};
    random::Rng rng(seed);
    nn::reset_parameters(network, rng);
    return network;
}

/// `steps` steps over the share of one of `ranks` processes; `backward(tape, loss)` finds the gradients.
void fit(auto& network, const data::Idx& clothes, const data::LoaderOptions& share, Index steps, bool talks,
         auto&& backward) {
    const data::Loader loader(clothes, share);
    optim::SGD optimizer{nn::parameters(network), {.learning_rate = 0.01, .momentum = 0.9}};
    train::Progress progress(share.ranks > 1 ? "together" : "alone", steps * share.batch_size * share.ranks, "images",
                             talks ? train::Progress::Output::automatic : train::Progress::Output::never);
    Index step = 0;
    for (const auto& [images, labels] : loader.epoch(0)) {
        autograd::Tape tape;
        const auto loss = losses::cross_entropy(network(images), labels);
        backward(tape, loss);
        optimizer.step();
        progress.update(++step * share.batch_size * share.ranks, {{"loss", loss.item()}});
        if (step == steps) break;
    }
    progress.finish();
    if (talks) std::printf("%.1f s, %.0f images/s\n", progress.seconds(), progress.rate());
}

/// Largest difference of any two parameters.
double distance(const auto& a, const auto& b) {
    const auto x = nn::parameters(a), y = nn::parameters(b);
    double largest = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        const auto* p = reinterpret_cast<const float*>(x[i].tensor.data());
        const auto* q = reinterpret_cast<const float*>(y[i].tensor.data());
        for (Index k = 0; k < x[i].tensor.numel(); ++k)
            largest = std::fmax(largest, std::abs(double(p[k]) - double(q[k])));
    }
    return largest;
}

int main(int argc, char** argv) {
    const bool smoke = argc > 1 && std::strcmp(argv[1], "--smoke") == 0;  // a few steps that only show that all works
    const bool chosen = argc > 2 && std::strcmp(argv[1], "--steps") == 0;
    return distributed::run([&](const distributed::Session& world) {
        const std::string folder = "/usr/share/datasets/fashion-mnist/";
        const data::Idx clothes(folder + "train-images-idx3-ubyte.gz", folder + "train-labels-idx1-ubyte.gz");
        const Index ranks = world.size(), batch = 64, steps = smoke ? 5 : chosen ? std::atoi(argv[2]) : 20;
        const bool first = world.rank() == 0;
        data::LoaderOptions share{
            .batch_size = batch, .shuffle = true, .seed = 1, .rank = world.rank(), .ranks = ranks};

        parallel::set_num_threads(1);                    // as many processes as processors
        auto together = make_network(1 + world.rank());  // everybody's own weights,
        distributed::broadcast(world, together);         // until all take those of the first
        distributed::GradientReducer reducer(world, nn::parameters(together));
        if (first) std::printf("%ld processes, batches of %ld\n", long(ranks), long(batch));
        fit(together, clothes, share, steps, first,
            [&](auto& tape, const auto& loss) { reducer.backward(tape, loss); });
        if (!first) return;

        io::save_safetensors("distributed.safetensors", nn::state_dict(together));
        std::printf("distributed.safetensors: the weights\n1 process, batches of %ld\n", long(batch * ranks));
        share.batch_size = batch * ranks;
        share.rank = 0, share.ranks = 1;
        auto alone = make_network(1);
        fit(alone, clothes, share, steps, first, [](auto& tape, const auto& loss) { tape.backward(loss); });
        const double apart = distance(together, alone);
        std::printf("after %ld steps the parameters differ by at most %.1g\n", long(steps), apart);
        // Sums over batches cut otherwise are rounded otherwise, and training magnifies that from step to step.
        require<ValueError>(apart < 1e-6 || steps > 20, "distributed: after ", steps,
                            " steps the parameters must agree to 1e-6 but differ by ", apart);
    });
}
