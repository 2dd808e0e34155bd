// Run by mpirun: every process runs every case, and all must hold on each.
#define DOCTEST_CONFIG_IMPLEMENT
#include <lamina/data/loader.hpp>
#include <lamina/distributed/mpi.hpp>
#include <lamina/losses/cross_entropy.hpp>
#include <lamina/nn/conv.hpp>
#include <lamina/nn/flatten.hpp>
#include <lamina/nn/linear.hpp>
#include <lamina/nn/sequential.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/random.hpp>
#include <lamina/ops/reduce.hpp>
#include <lamina/optim/adam.hpp>
#include <lamina/optim/sgd.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

const distributed::Session* world = nullptr;

using Samples = data::Rows<Tensor<float, 4>, Tensor<std::int64_t, 1>>;

Samples make_samples(Index count) {
    random::Rng rng(5);
    return Samples(randn<float>(rng, Shape{count, 2, 6, 6}), randint(rng, 0, 5, Shape{count}));
}
auto make_network(std::uint64_t seed) {
    nn::Sequential network{nn::Conv2d(2, 8, {.kernel = 3, .padding = 1}),
                           nn::ReLU{},
                           nn::Flatten{},
                           nn::Linear(8 * 6 * 6, 32),
                           nn::ReLU{},
                           nn::Linear(32, 5)};
    random::Rng rng(seed);
    nn::reset_parameters(network, rng);
    return network;
}

/// Largest difference of any element between two networks of one kind.
double distance(const auto& a, const auto& b) {
    const auto x = nn::parameters(a), y = nn::parameters(b);
    double largest = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        const auto* p = reinterpret_cast<const float*>(x[i].tensor.data());
        const auto* q = reinterpret_cast<const float*>(y[i].tensor.data());
        for (Index k = 0; k < x[i].tensor.numel(); ++k) {
            const double d = std::abs(double(p[k]) - double(q[k]));
            largest = d <= largest ? largest : d;  // NaN counts as the largest
        }
    }
    return largest;
}

/// Two epochs over the share of `rank`; `backward(tape, loss)` finds the gradients.
void train(auto& network, auto&& optimizer, Index batch, Index rank, Index ranks, auto&& backward) {
    const data::Loader loader(
        make_samples(100),
        {.batch_size = batch, .shuffle = true, .drop_last = true, .seed = 7, .rank = rank, .ranks = ranks});
    for (Index epoch = 0; epoch < 2; ++epoch)
        for (const auto& [images, labels] : loader.epoch(epoch)) {
            autograd::Tape tape;
            const auto loss = losses::cross_entropy(network(images), labels);
            backward(tape, loss);
            optimizer.step();
        }
}

/// Trains by all processes and by one on all samples; returns how far the results lie apart.
double difference(auto&& make_optimizer, const distributed::ReducerOptions& options) {
    const Index ranks = world->size(), batch = 8;
    auto together = make_network(std::uint64_t(100 + world->rank()));
    distributed::broadcast(*world, together);
    distributed::GradientReducer reducer(*world, nn::parameters(together), options);
    train(together, make_optimizer(nn::parameters(together)), batch, world->rank(), ranks,
          [&](auto& tape, const auto& loss) { reducer.backward(tape, loss); });
    if (ranks > 1 && options.bucket_bytes < 1000) {
        CHECK(reducer.buckets() > 2);
        if (options.overlap) CHECK(reducer.early() >= 1);
        else CHECK(reducer.early() == 0);
    }

    auto first = make_network(0);
    nn::load_state_dict(first, nn::state_dict(together));
    distributed::broadcast(*world, first);
    CHECK(distance(together, first) == 0);  // the same bits everywhere

    auto alone = make_network(100);
    train(alone, make_optimizer(nn::parameters(alone)), batch * ranks, 0, 1,
          [](auto& tape, const auto& loss) { tape.backward(loss); });
    CHECK(distance(alone, make_network(100)) > 1e-3);
    return distance(together, alone);
}

auto sgd(std::vector<NamedTensor> p) {
    return optim::SGD(std::move(p), {.learning_rate = 0.05, .momentum = 0.9, .nesterov = true});
}
auto adam(std::vector<NamedTensor> p) { return optim::AdamW(std::move(p), {.learning_rate = 1e-3, .eps = 1e-4}); }

/// Mean over the ranks of f(rank).
template <class F>
double mean_of(F&& f) {
    double sum = 0;
    for (int rank = 0; rank < world->size(); ++rank) sum += f(rank);
    return sum / world->size();
}

}  // namespace

TEST_CASE("mpi: several processes find the parameters that one finds with the whole batch") {
    for (const Index bytes : {Index(1), Index(500), Index(4) << 20})
        for (const bool overlap : {false, true}) {
            CAPTURE(bytes);
            CAPTURE(overlap);
            CHECK(difference(sgd, {.bucket_bytes = bytes, .overlap = overlap}) < 1e-6);
            CHECK(difference(adam, {.bucket_bytes = bytes, .overlap = overlap}) < 1e-6);
        }
}

TEST_CASE("mpi: parameters used again, unused, of both types, and gradients gathered before") {
    const double rank = world->rank();
    Parameter<float, 1> often(Tensor<float, 1>{1, 2}), once(Tensor<float, 1>{3, 4}), unused(Tensor<float, 1>{5});
    Parameter<float, 1> sometimes(Tensor<float, 1>{6});
    Parameter<double, 1> wide(Tensor<double, 1>{7});
    const std::vector<NamedTensor> all = {
        {"unused", unused}, {"sometimes", sometimes}, {"wide", wide}, {"once", once}, {"often", often}};
    distributed::GradientReducer single(*world, all, {.bucket_bytes = 1}), shared(*world, all);
    CHECK(single.buckets() == 5);
    CHECK(shared.buckets() == 3);
    for (int pass = 0; pass < 6; ++pass) {
        CAPTURE(pass);
        auto& reducer = pass < 3 ? single : shared;
        for (const auto& [name, tensor] : all) tensor.grad_link()->gradient.reset();
        {  // d/d once = 2 once, on each process; stays until the pass below
            autograd::Tape tape;
            tape.backward(sum(once * once));
        }
        {
            autograd::Tape tape;
            auto x = sum(often * float(rank + 1));
            if (rank == 0) x = x + sum(sometimes * 2.f);
            x = x + sum(once * float(rank));
            x = x + sum(often * 10.f);
            reducer.backward(tape, x);
        }
        for (Index i = 0; i < 2; ++i) {
            CHECK(autograd::grad(often)(i) == doctest::Approx(mean_of([](int r) { return r + 11.; })));
            CHECK(autograd::grad(once)(i) == doctest::Approx(mean_of([](int r) { return r; }) + 2. * once(i)));
        }
        CHECK(autograd::grad(sometimes)(0) == doctest::Approx(2. / world->size()));
        CHECK(!autograd::has_grad(unused));
        CHECK(!autograd::has_grad(wide));
    }
    autograd::Tape tape;
    shared.backward(tape, sum(wide * double(rank)));
    CHECK(autograd::grad(wide)(0) == doctest::Approx(mean_of([](int r) { return r; })));
}

TEST_CASE("mpi: broadcast, mean and what is refused") {
    CHECK(world->mean(world->rank()) == mean_of([](int r) { return r; }));
    Buffer<std::int64_t, 1> numbers(Tensor<std::int64_t, 1>{world->rank(), 7});
    distributed::broadcast(*world, {{"numbers", numbers}}, world->size() - 1);
    CHECK(numbers(0) == world->size() - 1);
    CHECK(numbers(1) == 7);
    const std::string size = message(world->size());
    CHECK(test::message_of<ValueError>([&] {
              distributed::broadcast(*world, std::vector<NamedTensor>(), world->size());
          }) == "broadcast: root must lie in [0, " + message(world->size() - 1) + "] but is " + size);

    Parameter<float, 1> some(Shape{3 + world->rank()});
    const std::vector<NamedTensor> mine = {{"some", some}};
    if (world->size() > 1) {
        CHECK(test::message_of<distributed::CommunicationError>([&] { distributed::broadcast(*world, mine); }) ==
              "broadcast: all processes must have the same tensors but have 1 to 1 of 12 to " +
                  message(4 * (2 + world->size())) + " bytes together");
        CHECK(test::message_of<distributed::CommunicationError>([&] { distributed::GradientReducer(*world, mine); }) ==
              "GradientReducer: the number of elements must be the same on all processes but is 3 to " +
                  message(2 + world->size()));
    }
    CHECK(test::message_of<ValueError>([&] { distributed::plan_buckets(mine, 0); }) ==
          "plan_buckets: bytes must be at least 1 but is 0");
    CHECK(test::message_of<GradError>([&] {
              distributed::plan_buckets({{"numbers", numbers}}, 1);
          }) == "plan_buckets: parameter numbers must have a gradient slot");
}

TEST_CASE("mpi: buckets hold the parameters last first, by type and size") {
    std::vector<NamedTensor> p;
    for (const Index n : {3, 5, 2, 100}) p.push_back({"p", Parameter<float, 1>(Shape{n})});
    p.push_back({"wide", Parameter<double, 1>(Shape{1})});
    const auto buckets = distributed::plan_buckets(p, 32);
    REQUIRE(buckets.size() == 4);
    CHECK(buckets[0].members == std::vector<Index>{4});
    CHECK(buckets[0].type == DType::f64);
    CHECK(buckets[1].members == std::vector<Index>{3});
    CHECK(buckets[1].count == 100);
    CHECK(buckets[2].members == std::vector<Index>{2, 1});
    CHECK(buckets[2].count == 7);
    CHECK(buckets[3].members == std::vector<Index>{0});
}

int main(int argc, char** argv) {
    parallel::set_num_threads(1);
    const distributed::Session session;
    world = &session;
    return doctest::Context(argc, argv).run();
}
