// Time of a training step by data-parallel processes, and what of it is communication:
//   mpicxx -std=c++20 -O3 -march=native -Iinclude bench/distributed/scaling.cpp -o scaling && mpirun -n 2 ./scaling
// Each process keeps its batch as processes are added and computes with one thread.
#include <lamina/distributed/mpi.hpp>
#include <lamina/losses/cross_entropy.hpp>
#include <lamina/nn/conv.hpp>
#include <lamina/nn/flatten.hpp>
#include <lamina/nn/linear.hpp>
#include <lamina/nn/pool.hpp>
#include <lamina/nn/sequential.hpp>
#include <lamina/ops/random.hpp>
#include <lamina/optim/sgd.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>

using namespace lamina;

/// Median milliseconds of `f`, the slowest process' of each round; the ways to do it take turns.
template <class... F>
std::vector<double> measure(const distributed::Session& world, int rounds, F&&... f) {
    std::vector<std::vector<double>> times(sizeof...(F));
    for (int round = -2; round < rounds; ++round) {
        std::size_t way = 0;
        const auto once = [&](auto& g) {
            world.barrier();
            const auto begin = std::chrono::steady_clock::now();
            g();
            double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
            distributed::check(MPI_Allreduce(MPI_IN_PLACE, &ms, 1, MPI_DOUBLE, MPI_MAX, world.communicator()),
                               "MPI_Allreduce");
            if (round >= 0) times[way].push_back(ms);
            ++way;
        };
        (once(f), ...);
    }
    std::vector<double> medians;
    for (auto& t : times) {
        std::nth_element(t.begin(), t.begin() + rounds / 2, t.end());
        medians.push_back(t[std::size_t(rounds / 2)]);
    }
    return medians;
}

template <class Network, int R>
void report(const distributed::Session& world, const char* name, Network network, const Shape<R>& input, int rounds) {
    random::Rng rng(1);
    nn::reset_parameters(network, rng);
    distributed::broadcast(world, network);
    const auto images = randn<float>(rng, input);
    const auto labels = randint(rng, 0, 10, Shape{input[0]});
    optim::SGD optimizer(nn::parameters(network), {.learning_rate = 1e-3, .momentum = 0.9});
    distributed::GradientReducer during(world, nn::parameters(network));
    distributed::GradientReducer after(world, nn::parameters(network), {.overlap = false});
    const auto step = [&](auto&& backward) {
        autograd::Tape tape;
        const auto loss = losses::cross_entropy(network(images), labels);
        backward(tape, loss);
        optimizer.step();
    };
    std::vector<float> flat(std::size_t(nn::count_parameters(network)));
    const auto ms = measure(
        world, rounds, [&] { step([](auto& tape, const auto& loss) { tape.backward(loss); }); },
        [&] { step([&](auto& tape, const auto& loss) { after.backward(tape, loss); }); },
        [&] { step([&](auto& tape, const auto& loss) { during.backward(tape, loss); }); },
        [&] {
            distributed::check(
                MPI_Allreduce(MPI_IN_PLACE, flat.data(), int(flat.size()), MPI_FLOAT, MPI_SUM, world.communicator()),
                "MPI_Allreduce");
        });
    if (world.rank() == 0)
        std::printf("| %s | %.1f MB | %d | %.2f | %.2f | %.2f | %.2f | %ld of %ld |\n", name,
                    double(flat.size()) * 4e-6, world.size(), ms[0], ms[1], ms[2], ms[3], long(during.early()),
                    long(during.buckets()));
}

int main() {
    return distributed::run([](const distributed::Session& world) {
        parallel::set_num_threads(1);
        if (world.rank() == 0)
            std::printf(
                "| network | gradients | processes | alone, ms | reduced after | reduced during | all-reduce | "
                "buckets sent early |\n|---|---|---|---|---|---|---|---|\n");
        report(world, "convolutions, batch 128",
               nn::Sequential{nn::Conv2d(1, 16, {.kernel = 3, .padding = 1}), nn::BatchNorm2d(16), nn::ReLU{},
                              nn::MaxPool2d{{.kernel = 2}}, nn::Conv2d(16, 32, {.kernel = 3, .padding = 1}),
                              nn::BatchNorm2d(32), nn::ReLU{}, nn::MaxPool2d{{.kernel = 2}}, nn::Flatten{},
                              nn::Linear(32 * 7 * 7, 128), nn::ReLU{}, nn::Linear(128, 10)},
               Shape{128, 1, 28, 28}, 41);
        report(world, "linear layers, batch 256",
               nn::Sequential{nn::Linear(784, 2048), nn::ReLU{}, nn::Linear(2048, 2048), nn::ReLU{},
                              nn::Linear(2048, 2048), nn::ReLU{}, nn::Linear(2048, 10)},
               Shape{256, 784}, 15);
    });
}
