// What training adds: the loss with its gradient, the optimizer, and weights from a file.
#include <fcntl.h>
#include <unistd.h>
#include <lamina/autograd/parameter.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/io/safetensors.hpp>
#include <lamina/losses/cross_entropy.hpp>
#include <lamina/optim/adam.hpp>

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

Contestant ours_for(const AdamWStep& p) {
    return {
        us, "optim::AdamW", [p] {
            auto parameters = std::make_shared<std::vector<lamina::Parameter<float, 2>>>();
            std::vector<lamina::Tensor<float, 2>> gradients;
            std::vector<lamina::NamedTensor> named;
            for (Index i = 0; i < p.tensors; ++i) {
                parameters->emplace_back(lamina::ones<float>(Shape{p.rows, p.cols}));
                gradients.push_back(tensor(p.gradient, Shape{p.rows, p.cols}).clone());
                named.push_back({weight_name(i), lamina::AnyTensor(parameters->back())});
            }
            const lamina::optim::AdamWOptions options{p.learning_rate, p.beta1, p.beta2, p.epsilon, p.weight_decay};
            const auto optimizer = std::make_shared<lamina::optim::AdamW>(named, options);
            const auto run = [=] {
                // A step consumes the gradients; a backward pass would have left new ones.
                for (std::size_t i = 0; i < gradients.size(); ++i)
                    (*parameters)[i].grad_link()->gradient = gradients[i].storage();
                optimizer->step();
            };
            const Index each = p.rows * p.cols;
            return Call{run, [=](Index i) { return double((*parameters)[std::size_t(i / each)].data()[i % each]); }};
        }};
}

Row adamw() {
    constexpr auto w = bench::adamw_weights;
    return {"adamw step 25M (24x1024x1024)", streaming(w.count(), 1, 0, 3), w.count(), 1e-6, [=] {
                const AdamWStep p{.tensors = w.tensors, .rows = w.rows, .cols = w.columns};
                return race(p, {ours_for(p)});
            }};
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
    for (auto& row : {cross_entropy(), adamw(), load_weights()}) rows.push_back(row);
}

}  // namespace peers
