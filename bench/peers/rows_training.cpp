// What training adds: the loss with its gradient, the optimizer, and weights from a file.
#include <fcntl.h>
#include <unistd.h>
#include <lamina/autograd/parameter.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/io/safetensors.hpp>
#include <lamina/losses/cross_entropy.hpp>
#include <lamina/optim/adam.hpp>
#include <lamina/optim/clip.hpp>
#include <lamina/optim/lion.hpp>
#include <lamina/optim/sgd.hpp>

#include <filesystem>
#include <fstream>

#include "../shapes.hpp"
#include "ours.hpp"
#include "peers.hpp"

namespace peers {
namespace {

using lamina::Shape;

std::string weight_name(Index i) { return "layers." + std::to_string(i) + ".weight"; }

// Two passes over the logits, since the gradient of the loss comes after the loss, and one over their gradient.
Row cross_entropy() {
    constexpr Index rows = bench::cross_entropy_rows.rows, classes = bench::cross_entropy_rows.columns;
    return {"cross_entropy 4096x32000 with gradient", streaming(rows * classes, 2, 1), rows * classes, 1e-5, [] {
                const CrossEntropy p{.rows = rows, .classes = classes};
                const auto prepare = [p] {
                    const auto logits = lamina::autograd::leaf(tensor(p.logits, Shape{p.rows, p.classes}));
                    const auto labels = tensor(p.labels, Shape{p.rows});
                    const auto run = [=] {
                        lamina::autograd::zero_grad(logits);
                        lamina::autograd::Tape tape;
                        tape.backward(lamina::losses::cross_entropy(logits, labels));
                    };
                    return Call{run, [=](Index i) { return double(lamina::autograd::grad(logits).data()[i]); }};
                };
                return race(p, {{us, "cross_entropy, backward", prepare}});
            }};
}

// Parameters of ones, and their gradients as a backward pass would leave them.
struct Parameters {
    std::vector<lamina::NamedTensor> named;
    std::vector<lamina::Ref<lamina::Storage>> gradients;

    explicit Parameters(const OptimizerStep& p) {
        for (const Index n : p.sizes) {
            auto parameter = lamina::autograd::leaf(lamina::ones<float>(Shape{n}));
            named.push_back({weight_name(Index(named.size())), lamina::AnyTensor(parameter)});
            gradients.push_back(lamina::borrow<float>(Shape{n}, p.gradient.data()).clone().storage());
        }
    }
    // A step consumes the gradients.
    void give() {
        for (std::size_t i = 0; i < named.size(); ++i) named[i].tensor.grad_link()->gradient = gradients[i];
    }
};

template <class Optimizer>
Contestant step_of(std::string name, const OptimizerStep& p, const typename Optimizer::Options& options) {
    return {us, std::move(name), [=] {
                const auto parameters = std::make_shared<Parameters>(p);
                const auto optimizer = std::make_shared<Optimizer>(parameters->named, options);
                const auto run = [=] {
                    parameters->give();
                    optimizer->step();
                };
                const auto at = [=](std::size_t array, Index i) {
                    return double(reinterpret_cast<const float*>(parameters->named[array].tensor.data())[i]);
                };
                return Call{run, [=](Index i) { return p.element(i, at); }};
            }};
}

Contestant clipping(const OptimizerStep& p) {
    return {us, "optim::clip_grad_norm_", [=] {
                const auto parameters = std::make_shared<Parameters>(p);
                parameters->give();
                const auto calls = std::make_shared<int>(0);
                const auto run = [=] {
                    lamina::optim::clip_grad_norm_(parameters->named, OptimizerStep::max_norm((*calls)++));
                };
                const auto at = [=](std::size_t array, Index i) {
                    return double(reinterpret_cast<const float*>(parameters->gradients[array]->data())[i]);
                };
                return Call{run, [=](Index i) { return p.element(i, at); }};
            }};
}

Contestant ours_for(const OptimizerStep& p) {
    using namespace lamina::optim;
    if (p.method == "clip") return clipping(p);
    if (p.method == "SGD")
        return step_of<SGD>("optim::SGD", p, {.learning_rate = p.learning_rate, .momentum = p.momentum});
    if (p.method == "Lion") return step_of<Lion>("optim::Lion", p, {p.learning_rate, p.beta1, p.beta2, p.weight_decay});
    if (p.method == "Adam")
        return step_of<Adam>("optim::Adam", p, {p.learning_rate, p.beta1, p.beta2, p.epsilon, p.weight_decay});
    return step_of<AdamW>("optim::AdamW", p, {p.learning_rate, p.beta1, p.beta2, p.epsilon, p.weight_decay});
}

Row optimizer_row(const std::string& method, const std::string& name, const std::vector<Index>& sizes) {
    Index count = 0;
    for (const Index n : sizes) count += n;
    const int updated = method == "clip" ? 1 : method == "SGD" || method == "Lion" ? 2 : 3;
    // libtorch adds up squares in float: its norm of 25 M gradients is off by 1e-3.
    const double tolerance = method == "clip" ? 2e-3 : 1e-5;
    return {name, streaming(count, 1, 0, updated), count, tolerance, [=] {
                const OptimizerStep p{.method = method, .sizes = sizes};
                return race(p, {ours_for(p)});
            }};
}

void add_optimizer_rows(Rows& rows) {
    constexpr auto w = bench::adamw_weights;
    const std::vector<Index> matrices(std::size_t(w.tensors), w.rows * w.columns), one{w.count()};
    rows.push_back(optimizer_row("AdamW", "adamw step 25M (24x1024x1024)", matrices));
    constexpr struct {
        const char *method, *name;
    } kinds[] = {{"AdamW", "adamw step"},
                 {"Adam", "adam step"},
                 {"SGD", "sgd momentum step"},
                 {"Lion", "lion step"},
                 {"clip", "clip_grad_norm"}};
    for (const auto& kind : kinds) {
        rows.push_back(optimizer_row(kind.method, std::string(kind.name) + " 25M, one tensor", one));
        rows.push_back(optimizer_row(kind.method, std::string(kind.name) + " 53M, 400 tensors of resnet-50",
                                     bench::resnet50_sizes()));
    }
}

void save(const LoadWeights& p, const std::string& path) {
    lamina::StateDict state;
    for (Index i = 0; i < p.tensors; ++i)
        state.insert(weight_name(i), lamina::full<float>(Shape{p.rows, p.cols}, float(i)));
    lamina::io::save_safetensors(path, state);
}

// Maps the file and touches every page of it, so that the weights are as ready to be used as in the other contestants.
Contestant map_file(const LoadWeights& p) {
    return {us, "load_safetensors, all pages touched", [p] {
                const auto path = p.folder + "/mapped.safetensors";
                save(p, path);
                const auto loaded = std::make_shared<lamina::StateDict>();
                const auto run = [=] {
                    *loaded = lamina::StateDict();
                    *loaded = lamina::io::load_safetensors(path);
                    int sum = 0;
                    for (const auto& item : *loaded)
                        for (std::size_t i = 0; i < item.tensor.bytes(); i += 4096) sum += int(item.tensor.data()[i]);
                    volatile int sink = sum;
                    static_cast<void>(sink);
                };
                const Index each = p.rows * p.cols;
                return Call{run, [=](Index i) {
                                const auto& tensor = (*loaded)[weight_name(i / each)];
                                return double(reinterpret_cast<const float*>(tensor.data())[i % each]);
                            }};
            }};
}

// Copies what the file holds into weights that exist, as load_state_dict does.
Contestant copy_file(const LoadWeights& p) {
    return {us, "load_safetensors, assigned to weights", [p] {
                const auto path = p.folder + "/copied.safetensors";
                save(p, path);
                auto weights = std::make_shared<std::vector<lamina::AnyTensor>>();
                for (Index i = 0; i < p.tensors; ++i)
                    weights->emplace_back(lamina::zeros<float>(Shape{p.rows, p.cols}));
                const auto run = [=] {
                    const auto loaded = lamina::io::load_safetensors(path);
                    for (Index i = 0; i < p.tensors; ++i) (*weights)[std::size_t(i)].assign(loaded[weight_name(i)]);
                };
                const Index each = p.rows * p.cols;
                return Call{run, [=](Index i) {
                                const auto& tensor = (*weights)[std::size_t(i / each)];
                                return double(reinterpret_cast<const float*>(tensor.data())[i % each]);
                            }};
            }};
}

// No other library here reads safetensors; the least anyone can do is to read(2) the same bytes into memory it keeps.
Contestant plain_read(const LoadWeights& p) {
    return {"read(2)", "one call per tensor, memory kept", [p] {
                const auto path = p.folder + "/weights.raw";
                Array<float> weights(p.bytes() / 4);
                const Index each = p.rows * p.cols;
                for (Index i = 0; i < p.bytes() / 4; ++i) weights[i] = float(i / each);
                std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(weights.data()), p.bytes());
                const auto run = [=] {
                    const int file = ::open(path.c_str(), O_RDONLY);
                    for (Index i = 0; i < p.tensors; ++i)
                        if (::read(file, weights.data() + i * each, std::size_t(each) * 4) != each * 4) std::abort();
                    ::close(file);
                };
                return Call{run, [=](Index i) { return double(weights[i]); }};
            }};
}

Row load_weights() {
    constexpr auto w = bench::checkpoint_weights;
    return {"load weights 200 MB", {}, w.count(), 1e-6, [=] {
                const auto folder = std::filesystem::temp_directory_path() / "lamina_peers";
                std::filesystem::create_directories(folder);
                const LoadWeights p{.tensors = w.tensors, .rows = w.rows, .cols = w.columns, .folder = folder};
                auto contestants = race(p, {map_file(p), copy_file(p)});
                contestants.push_back(plain_read(p));
                return contestants;
            }};
}

}  // namespace

void add_training_rows(Rows& rows) {
    rows.push_back(cross_entropy());
    add_optimizer_rows(rows);
    rows.push_back(load_weights());
}

}  // namespace peers
