// What training adds: the loss with its gradient, the optimizer, and weights from a file.
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "peers.hpp"

namespace peers {
namespace {

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

}  // namespace

void add_training_rows(Rows& rows) {
    rows.push_back({"cross_entropy 4096x32000 with gradient", streaming(4096 * 32000, 1, 1), 4096 * 32000, 1e-5,
                    [] { return race(CrossEntropy{.rows = 4096, .classes = 32000}, {}); }});
    rows.push_back({"adamw step 25M (24x1024x1024)", streaming(24 << 20, 1, 0, 3), 24 << 20, 0,
                    [] { return race(AdamWStep{.tensors = 24, .rows = 1024, .cols = 1024}, {}); }});
    rows.push_back({"load weights 200 MB", streaming(50 << 20, 1, 1), 50 << 20, 1e-6, [] {
                        LoadWeights p{.tensors = 50,
                                      .rows = 1024,
                                      .cols = 1024,
                                      .folder = std::filesystem::temp_directory_path() / "lamina_peers"};
                        std::filesystem::create_directories(p.folder);
                        auto contestants = race(p, {});
                        contestants.push_back(plain_read(p));
                        return contestants;
                    }});
}

}  // namespace peers
