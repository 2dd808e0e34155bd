// Where attention without softmax overtakes: time and memory of one layer against the length of the sequence, for the
// four mixers at equal width and about equal parameters (softmax and linear attention with their feed-forward part, two
// gated units, two FLASH layers), all causal.
//   sh bench/run.sh --crossover [--threads T] [--largest N] [--width D] [--training] [--out FOLDER]
// writes crossover.csv, crossover.png (time) and crossover_memory.png to FOLDER (build/crossover), in about 2 minutes.
// A length is left out where the one before lets expect more than 40 s.
#include <sys/wait.h>
#include <unistd.h>
#include <lamina/io/plot.hpp>
#include <lamina/nn/module.hpp>
#include <lamina/nn/sequence_mixer.hpp>
#include <lamina/ops/random.hpp>
#include <lamina/parallel/pool.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>

using namespace lamina;

namespace {

struct Arguments {
    Index largest = 32768, width = 512;
    int threads = 0;  // 0: the library's choice
    bool training = false;
    std::string out = "build/crossover";
};

struct Cost {
    double milliseconds = 0, bytes = 0;  // of one call; bytes beyond input and parameters at its peak
};

// A line "name: 123 kB" of /proc/self/status, in bytes.
double status(const std::string& name) {
    std::ifstream file("/proc/self/status");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with(name + ":")) return 1024 * std::atof(line.c_str() + name.size() + 1);
    return 0;
}

// With one thread that thread's own time, which does not tick while another process has the core.
double now(int threads) {
    timespec t;
    ::clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

// A call of a layer on n tokens: the quickest of as many as fit into a second, at least two unless they are long (the
// first touches fresh memory).
template <class Layer>
Cost measure(const Layer& layer, Index n, const Arguments& a) {
    random::Rng rng(2);
    const auto x = autograd::leaf(randn<float>(rng, Shape{Index(1), n, a.width}));
    const auto dy = a.training ? randn<float>(rng, x.shape()) : Tensor<float, 3>();
    const auto call = [&] {
        if (!a.training) return void(layer(x));
        autograd::Tape tape;
        tape.backward(layer(x), dy);
    };
    static_cast<void>(
        layer(Tensor<float, 3>(randn<float>(rng, Shape{Index(1), Index(16), a.width}))));  // prepares weights
    const double before = status("VmRSS");
    Cost cost;
    double total = 0;
    for (int calls = 0; calls == 0 || (total < 1 && calls < 50) || (calls == 1 && total < 8); ++calls) {
        const double begin = now(parallel::num_threads());
        call();
        const double seconds = now(parallel::num_threads()) - begin;
        if (calls == 0) cost.bytes = status("VmHWM") - before;
        if (calls == 0 || 1e3 * seconds < cost.milliseconds) cost.milliseconds = 1e3 * seconds;
        total += seconds;
    }
    return cost;
}

// The same in a process of its own, whose memory is that of this call alone.
template <class Make>
Cost apart(const Make& make, Index n, const Arguments& a) {
    int ends[2];
    if (::pipe(ends) != 0) throw std::runtime_error("crossover: no pipe");
    const pid_t child = ::fork();
    if (child == 0) {
        Cost cost;
        try {
            if (a.threads > 0) parallel::set_num_threads(a.threads);
            auto layer = make();
            random::Rng rng(1);
            nn::reset_parameters(layer, rng);
            cost = measure(layer, n, a);
        } catch (const std::exception& e) { std::fprintf(stderr, "%s\n", e.what()); }
        ::_exit(::write(ends[1], &cost, sizeof cost) == sizeof cost ? 0 : 1);
    }
    ::close(ends[1]);
    Cost cost;
    if (::read(ends[0], &cost, sizeof cost) != sizeof cost) cost = {};
    ::close(ends[0]);
    ::waitpid(child, nullptr, 0);
    return cost;
}

// Two layers, one after the other.
template <class Block>
struct Pair {
    static constexpr std::string_view kind = "Pair";
    Block first, second;
    Tensor<float, 3> operator()(const Tensor<float, 3>& x) const { return second(first(x)); }
    static void members(auto& self, auto&& visit) {
        visit("first", self.first);
        visit("second", self.second);
    }
};

struct Curve {
    std::string name;
    std::vector<double> lengths, costs, bytes;  // logarithms
};

template <class Make>
Curve run(const char* name, const Arguments& a, std::ofstream& csv, const Make& make) {
    Curve curve{.name = name, .lengths = {}, .costs = {}, .bytes = {}};
    double last = 0;
    for (Index n = 128; n <= a.largest; n *= 2) {
        if (4 * last > 40e3) break;
        const Cost c = apart(make, n, a);
        if (c.milliseconds == 0) break;
        last = c.milliseconds;
        const double inputs = 4.0 * double(n * a.width);
        std::printf("%-8s n %6lld %10.2f ms %8.2f us a token %9.1f MB, %.1f times the input\n", name, (long long)n,
                    c.milliseconds, 1e3 * c.milliseconds / double(n), c.bytes / 1e6, c.bytes / inputs);
        std::fflush(stdout);
        csv << name << ',' << n << ',' << c.milliseconds << ',' << c.bytes / 1e6 << ',' << c.bytes / inputs << '\n';
        curve.lengths.push_back(std::log2(double(n)));
        curve.costs.push_back(std::log10(c.milliseconds));
        curve.bytes.push_back(std::log10(c.bytes / 1e6));
    }
    return curve;
}

Arguments parse(int argc, char** argv) {
    Arguments a;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--training") {
            a.training = true;
            continue;
        }
        if (i + 1 == argc) {
            std::fprintf(stderr, "crossover: %s needs a value\n", word.c_str());
            std::exit(2);
        }
        const char* value = argv[++i];
        if (word == "--threads") a.threads = std::atoi(value);
        else if (word == "--largest") a.largest = std::atoll(value);
        else if (word == "--width") a.width = std::atoll(value);
        else if (word == "--out") a.out = value;
        else {
            std::fprintf(stderr, "crossover: unknown option %s\n", word.c_str());
            std::exit(2);
        }
    }
    return a;
}

}  // namespace

int main(int argc, char** argv) {
    const Arguments a = parse(argc, argv);
    const Index heads = std::max<Index>(1, a.width / 64);
    std::filesystem::create_directories(a.out);
    std::ofstream csv(a.out + "/crossover.csv");
    csv << "layer,n,ms,peak_mb,peak_over_input\n";
    // Positions rotate in all but the linear one, whose features must stay positive.
    const std::vector<Curve> curves{
        run("softmax", a, csv,
            [&] {
                return nn::MixerBlock<nn::SelfAttention<>>(
                    a.width, nn::SelfAttention<>(a.width, heads, {.causal = true, .rotary = true}));
            }),
        run("linear", a, csv,
            [&] {
                return nn::MixerBlock<nn::LinearSelfAttention<>>(
                    a.width, nn::LinearSelfAttention<>(a.width, heads, {.causal = true}));
            }),
        run("gau", a, csv,
            [&] {
                const nn::GauConfig config{.causal = true, .relative_bias = false, .rotary_width = 32};
                return Pair<nn::GAU<>>{nn::GAU<>(a.width, config), nn::GAU<>(a.width, config)};
            }),
        run("flash", a, csv, [&] {
            const nn::FlashConfig config{.causal = true};
            return Pair<nn::FLASH<>>{nn::FLASH<>(a.width, config), nn::FLASH<>(a.width, config)};
        })};
    const auto plot = [&](const std::string& file, const std::string& title, const std::string& label, auto values) {
        std::vector<io::Series> series;
        for (const Curve& c : curves) series.push_back({c.name, c.*values, c.lengths});
        io::plot_lines(a.out + file, title, series, {.x_label = "log2 of the number of tokens", .y_label = label});
    };
    const std::string what = a.training ? "forward and backward" : "forward";
    plot("/crossover.png", "Time of a causal layer of width " + std::to_string(a.width) + ", " + what,
         "log10 of milliseconds", &Curve::costs);
    plot("/crossover_memory.png", "Memory beyond input and weights, " + what, "log10 of megabytes", &Curve::bytes);
    std::printf("written to %s\n", a.out.c_str());
    return 0;
}
