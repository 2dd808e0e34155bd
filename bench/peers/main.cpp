// lamina_peers [--threads 1,2] [--seconds S] [--json FILE] [--list] [--peaks] [--memory] [filter]
// Races the library against the peers it was built with; the filter is a part of a row's name.
// The JSON file lies beside the program unless named. --memory prints peak memory instead of times.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <lamina/parallel/pool.hpp>

#include "machine.hpp"
#include "memory.hpp"
#include "peers.hpp"
#include "probe.hpp"

namespace peers {

void set_threads(int threads) {
    lamina::parallel::set_num_threads(threads);
    onednn::set_threads(threads);
    openblas::set_threads(threads);
    libtorch::set_threads(threads);
    onnxruntime::set_threads(threads);
}

namespace {

struct Arguments {
    std::vector<int> threads{1, machine::processors()};
    std::string json = std::filesystem::read_symlink("/proc/self/exe").replace_filename("peers.json"), filter;
    bool list = false, only_peaks = false, memory = false;
    Options options;
};

Arguments parse(int argc, char** argv) {
    Arguments a;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        const auto value = [&]() -> std::string {
            if (i + 1 < argc) return argv[++i];
            std::fprintf(stderr, "lamina_peers: %s needs a value\n", word.c_str());
            std::exit(2);
        };
        if (word == "--list") a.list = true;
        else if (word == "--peaks") a.only_peaks = true;
        else if (word == "--memory") a.memory = true;
        else if (word == "--json") a.json = value();
        else if (word == "--seconds") a.options.seconds_per_row = std::stod(value());
        else if (word == "--threads") {
            a.threads.clear();
            std::stringstream list(value());
            for (std::string n; std::getline(list, n, ',');) a.threads.push_back(std::stoi(n));
        } else a.filter = word;
    }
    if (a.threads.size() == 2 && a.threads[0] == a.threads[1]) a.threads.pop_back();
    return a;
}

std::map<std::string, std::string> describe() {
    std::map<std::string, std::string> m{{"cpu", machine::cpu_name()},
                                         {"processors", std::to_string(machine::processors())}};
#if LAMINA_PEER_ONEDNN
    m["oneDNN"] = onednn::version();
#endif
#if LAMINA_PEER_OPENBLAS
    m["OpenBLAS"] = openblas::version();
#endif
#if LAMINA_PEER_LIBTORCH
    m["libtorch"] = libtorch::version();
#endif
    if (const auto version = onnxruntime::version(); !version.empty()) m["ONNX Runtime"] = version;
    return m;
}

int run(int argc, char** argv) {
    const auto arguments = parse(argc, argv);
    Rows rows;
    add_gemm_rows(rows);
    add_stream_rows(rows);
    add_training_rows(rows);
    add_random_rows(rows);
    add_end_to_end_rows(rows);
    add_conv_rows(rows);
    add_image_rows(rows);
    add_boxes_rows(rows);
    add_detector_rows(rows);
    add_centernet_mobilenet_rows(rows);
    add_attention_rows(rows);
    add_model_rows(rows);
    if (arguments.list) {
        for (const auto& row : rows) std::puts(row.name.c_str());
        return 0;
    }
    if (arguments.memory) {
        set_threads(arguments.threads.front());
        for (const auto& row : rows)
            if (row.name.find(arguments.filter) != std::string::npos) print_memory(row);
        return 0;
    }
    auto about = describe();
    for (const auto& [key, value] : about) std::printf("%s: %s\n", key.c_str(), value.c_str());
    about["peaks"] = machine::peaks();
    std::printf("%s\n", about["peaks"].c_str());
    if (arguments.only_peaks) return 0;

    std::vector<Measurement> results;
    for (const auto& row : rows) {
        if (row.name.find(arguments.filter) == std::string::npos) continue;
        for (int threads : arguments.threads) {
            std::fprintf(stderr, "%s, %d ...\n", row.name.c_str(), threads);
            results.push_back(measure(row, threads, arguments.options));
        }
    }
    if (results.empty()) {
        std::fprintf(stderr, "lamina_peers: no row matches '%s'\n", arguments.filter.c_str());
        return 2;
    }
    std::ofstream(arguments.json) << json(results, about);
    std::printf("%s\nwritten to %s\n%s", markdown(results).c_str(), arguments.json.c_str(), summary(results).c_str());
    std::filesystem::remove_all(std::filesystem::temp_directory_path() / "lamina_peers");
    return 0;
}

}  // namespace
}  // namespace peers

int main(int argc, char** argv) {
    peers::restart_with_best_settings(argc, argv);
    return peers::run(argc, argv);
}
