// Trains a byte-level language model on the fortune files and writes text with it; the mixer of tokens is one type.
//
// language_model [--mixer softmax|linear|gau|flash | --compare] [--seconds S | --steps N] [--resume] [--prompt TEXT]
//                [--temperature T] [--top-k K] [--length BYTES] [--text FOLDER] [--width W] [--layers L] ...
//
// Must attention have a softmax? --compare trains the four with as many parameters for as long and draws their losses.
// A run saves itself each minute; with --steps, one that was killed and resumed learns the same bits as one that was
// not. `--resume --seconds 0` only writes.
#include <lamina/io/checkpoint.hpp>
#include <lamina/io/plot.hpp>
#include <lamina/losses/cross_entropy.hpp>
#include <lamina/models/language_model.hpp>
#include <lamina/models/sampling.hpp>
#include <lamina/optim/adam.hpp>
#include <lamina/optim/clip.hpp>
#include <lamina/optim/schedule_compose.hpp>
#include <lamina/optim/schedule_cosine.hpp>
#include <lamina/train/progress.hpp>
#include <lamina/train/smoothed.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>

using namespace lamina;
using Tokens = Tensor<std::int64_t, 2>;

struct Settings {
    std::string mixer = "softmax", text = "/usr/share/games/fortunes", prompt = "The ";
    bool compare = false, resume = false, smoke = false;
    double seconds = 180, temperature = 0.7;
    Index steps = 0, top_k = 40, length = 400;  // steps instead of seconds, where given
    Index width = 128, layers = 2, window = 4, context = 128, batch = 8;
    double rate = 3e-3;
};

/// Fortunes as bytes, a zero in front of each. Every 20th is held out: training never sees it.
struct Text {
    std::string training, held_out;

    explicit Text(const std::string& folder) {
        std::vector<std::filesystem::path> files;
        for (const auto& entry : std::filesystem::directory_iterator(folder))
            if (entry.path().extension().empty()) files.push_back(entry.path());
        std::sort(files.begin(), files.end());
        std::set<std::string> known;  // some stand in several files
        for (const auto& file : files) {
            std::ifstream in(file);
            std::string fortune;
            for (std::string line; std::getline(in, line);) {
                if (line != "%") {
                    fortune += line + '\n';
                    continue;
                }
                if (known.insert(fortune).second) (known.size() % 20 ? training : held_out) += '\0' + fortune;
                fortune.clear();
            }
        }
        require<IoError>(held_out.size() > 10000, "language_model: ", folder, " must hold fortunes but has ",
                         Index(training.size() + held_out.size()), " bytes of them");
    }
};

struct Batch {
    Tokens bytes, next;
};
/// Windows of `text` at these places.
Batch windows(const std::string& text, const std::vector<Index>& places, Index length) {
    const Shape shape{Index(places.size()), length};
    Batch batch{empty<std::int64_t>(shape), empty<std::int64_t>(shape)};
    std::int64_t *bytes = batch.bytes.mutable_data(), *next = batch.next.mutable_data();
    for (const Index place : places)
        for (Index i = 0; i < length; ++i) {
            *bytes++ = static_cast<unsigned char>(text[std::size_t(place + i)]);
            *next++ = static_cast<unsigned char>(text[std::size_t(place + i + 1)]);
        }
    return batch;
}
Batch random_windows(const std::string& text, const Settings& s, random::Rng& rng) {
    std::vector<Index> places(std::size_t(s.batch));
    for (Index& place : places) place = rng.integer(0, Index(text.size()) - s.context);
    return windows(text, places, s.context);
}

template <losses::Reduction reduction = losses::Reduction::mean>
auto loss_of(const auto& model, const Batch& batch) {
    const auto logits = model(batch.bytes);
    const Index count = batch.next.numel();
    return losses::cross_entropy<reduction>(reshape(logits, Shape{count, logits.dim(2)}),
                                            reshape(batch.next, Shape{count}));
}

/// Bits per byte of text that the model has not seen. Each window counts by its second half, so that bytes have at
/// least half a window before them.
double evaluate(const auto& model, const std::string& text, const Settings& s) {
    const Index half = s.context / 2, count = (Index(text.size()) - 1) / half - 1;
    double sum = 0;
    for (Index first = 0; first < count; first += s.batch) {
        std::vector<Index> places;
        for (Index i = first; i < std::min(count, first + s.batch); ++i) places.push_back(i * half);
        const auto loss = loss_of<losses::Reduction::none>(model, windows(text, places, s.context));
        for (Index i = 0; i < loss.numel(); ++i)
            if (i % s.context >= half) sum += double(loss.data()[i]);
    }
    return sum / double(count * half) / std::log(2.0);
}

struct Run {
    Index parameters = 0, steps = 0;
    double rate = 0, training = 0, held_out = 0;  // bytes per second, bits per byte
    std::vector<double> seconds = {}, curve = {};
};

void initialize(auto& model, random::Rng& rng) {
    nn::reset_parameters(model, rng);
    model.head.weight.fill(0);  // all bytes equally likely
    model.head.bias->fill(0);
    nn::for_each_tensor(model, [&](const std::string& name, auto& x) {
        if (name.ends_with("gamma")) normal_(x, rng, 4, 0.02);  // squares of small scores would let nothing through
    });
}

/// Trains until the time or the steps of `s` are used up.
template <class Model>
Run train_model(Model& model, const Text& text, const Settings& s, const std::string& file) {
    random::Rng rng(1);
    initialize(model, rng);
    optim::AdamW optimizer{nn::parameters(model), {.learning_rate = s.rate, .beta2 = 0.99}};
    // The schedule counts ten-thousandths of the time.
    const optim::schedule::WarmUp schedule{300, optim::schedule::Cosine{9700, 0.02 * s.rate}};
    Run run{.parameters = nn::count_parameters(model)};
    Index step = 0;
    double spent = 0;  // seconds, over all sessions
    const auto save = [&] {
        io::save_checkpoint(file, io::part("model", model), io::part("optimizer", optimizer), io::part("rng", rng),
                            io::part("step", step), io::part("seconds", spent));
    };
    if (s.resume)
        io::load_checkpoint(file, io::part("model", model), io::part("optimizer", optimizer), io::part("rng", rng),
                            io::part("step", step), io::part("seconds", spent));

    const Index first = step, bytes = s.batch * s.context;
    const double before = spent;
    const auto done = [&] { return s.steps > 0 ? double(step) / double(s.steps) : spent / s.seconds; };
    train::Progress progress(s.mixer, (s.steps - first) * bytes, "bytes");
    train::Smoothed bits(0.99);
    double saved = spent;
    while (done() < 1) {
        optimizer.set_learning_rate(schedule(s.rate, Index(1e4 * done())));
        const Batch batch = random_windows(text.training, s, rng);
        {
            autograd::Tape tape;
            const auto loss = loss_of(model, batch);
            tape.backward(loss);
            bits(double(loss.item()) / std::log(2.0));
        }
        optimizer.step(optim::clip_scale(optim::grad_norm(optimizer.parameters()), 1));
        ++step;
        spent = before + progress.seconds();
        // The first fall from 8 bits would leave no room for what follows.
        if (done() > 0.05 && (run.seconds.empty() || spent - run.seconds.back() > s.seconds / 400)) {
            run.seconds.push_back(spent);
            run.curve.push_back(bits.value());
        }
        const Index trained = (step - first) * bytes;
        if (s.steps == 0) progress.set_total(Index(double(trained) * (s.seconds - before) / (spent - before)));
        progress.update(trained, {{"bits per byte", bits.value()}});
        if (spent - saved > 60) {
            save();
            saved = spent;
        }
    }
    progress.finish();
    save();
    run.steps = step;
    run.rate = progress.rate();
    run.training = bits.value();
    run.held_out = evaluate(model, text.held_out, s);
    return run;
}

/// Writes text behind the prompt, byte by byte through the model's caches.
template <class Model>
void write(const Model& model, const Settings& s) {
    random::Rng rng(2);
    typename Model::Cache cache;
    auto bytes = zeros<std::int64_t>(Shape{Index(1), Index(s.prompt.size()) + 1});  // a zero, then the prompt
    for (std::size_t i = 0; i < s.prompt.size(); ++i)
        bytes.mutable_data()[i + 1] = static_cast<unsigned char>(s.prompt[i]);
    train::Progress progress("writing", s.length, "bytes");
    std::string out = s.prompt;
    for (Index i = 0; i < s.length; ++i) {
        const auto logits = model.step(bytes, cache);
        const Index byte =
            models::sample(reshape(slice(logits, 1, logits.dim(1) - 1, logits.dim(1)), Shape{Index(256)}), rng,
                           {.temperature = s.temperature, .top_k = s.top_k});
        if (byte == 0) break;  // the fortune ends
        out += char(byte);
        bytes = full<std::int64_t>(Shape{1, 1}, byte);
        progress.update(i + 1);
    }
    progress.finish();
    std::printf("\n%s\n\nwritten at %.0f bytes/s\n", out.c_str(), progress.rate());
}

template <class Make>
io::Series train_and_write(Index layers, const Make& make, const Text& text, const Settings& s) {
    models::LanguageModel<decltype(make())> model({.width = s.width, .layers = layers, .window = s.window}, make);
    const Run run = train_model(model, text, s, "language_model_" + s.mixer + ".safetensors");
    std::printf("%-8s  %10td  %6td  %8.0f  %15.3f  %8.3f\n", s.mixer.c_str(), run.parameters, run.steps, run.rate,
                run.training, run.held_out);
    std::fflush(stdout);
    if (!s.compare) write(model, s);
    return {s.mixer, run.curve, run.seconds};
}

/// A block of softmax or linear attention with its feed-forward part has as many parameters as two gated units.
io::Series run_mixer(const Text& text, const Settings& s) {
    const Index width = s.width, heads = width / 32, features = width * 3 / 8;
    const double expansion = 2 - double(features) / double(3 * width);
    if (s.mixer == "softmax")
        return train_and_write(
            s.layers, [&] { return nn::SelfAttention<>(width, heads, {.causal = true, .rotary = true}); }, text, s);
    if (s.mixer == "linear")
        return train_and_write(
            s.layers, [&] { return nn::LinearSelfAttention<>(width, heads, {.causal = true}); }, text, s);
    if (s.mixer == "gau")
        return train_and_write(
            2 * s.layers,
            [&] {
                return nn::GAU<>(
                    width,
                    {.query_key_dim = features, .expansion = expansion, .causal = true, .rotary_width = features});
            },
            text, s);
    if (s.mixer == "flash")
        return train_and_write(
            2 * s.layers,
            [&] {
                return nn::FLASH<>(
                    width, {.group_size = 64, .query_key_dim = features, .expansion = expansion, .causal = true});
            },
            text, s);
    fail<ValueError>("language_model: --mixer must be softmax, linear, gau or flash but is ", s.mixer);
}

void read(const std::string&, const std::string& text, std::string& to) { to = text; }
template <class Number>
void read(const std::string& name, const std::string& text, Number& to) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), to);
    require<ValueError>(error == std::errc() && end == text.data() + text.size(), "language_model: ", name,
                        " must be a number but is ", text);
}

Settings read_arguments(int argc, char** argv) {
    Settings s;
    for (int i = 1; i < argc; ++i) {
        const std::string name = argv[i];
        bool known = false;
        const auto flag = [&](const char* option, bool& to) {
            if (name == option) known = to = true;
        };
        const auto value = [&](const char* option, auto& to) {
            if (name != option) return;
            known = true;
            require<ValueError>(i + 1 < argc, "language_model: ", name, " needs a value");
            read(name, argv[++i], to);
        };
        flag("--compare", s.compare);
        flag("--resume", s.resume);
        flag("--smoke", s.smoke);
        value("--mixer", s.mixer);
        value("--text", s.text);
        value("--prompt", s.prompt);
        value("--seconds", s.seconds);
        value("--steps", s.steps);
        value("--temperature", s.temperature);
        value("--top-k", s.top_k);
        value("--length", s.length);
        value("--width", s.width);
        value("--layers", s.layers);
        value("--window", s.window);
        value("--context", s.context);
        value("--batch", s.batch);
        value("--rate", s.rate);
        require<ValueError>(known, "language_model: there is no option ", name);
    }
    require<ValueError>(s.width >= 32 && s.width % 32 == 0 && s.layers >= 1 && s.context >= 2 && s.batch >= 1,
                        "language_model: the width must be a multiple of 32, layers and batch at least 1, the context "
                        "at least 2, but they are ",
                        s.width, ", ", s.layers, ", ", s.batch, " and ", s.context);
    if (s.smoke) s.steps = 3, s.length = 8, s.width = 32, s.layers = 1, s.compare = true;  // only shows that all works
    return s;
}

int main(int argc, char** argv) try {
    Settings s = read_arguments(argc, argv);
    Text text(s.text);
    if (s.smoke) text.held_out.resize(2000);
    std::printf("%.2f MB to learn from, %.2f held out\n", double(text.training.size()) * 1e-6,
                double(text.held_out.size()) * 1e-6);
    std::printf("%-8s  %10s  %6s  %8s  %14s  %8s\n", "mixer", "parameters", "steps", "bytes/s", "bits/byte: loss",
                "held out");
    if (!s.compare) {
        run_mixer(text, s);
        return 0;
    }
    std::vector<io::Series> curves;
    for (const char* mixer : {"softmax", "linear", "gau", "flash"}) {
        s.mixer = mixer;
        curves.push_back(run_mixer(text, s));
    }
    io::plot_lines("language_model.png", "training loss by mixer", curves,
                   {.x_label = "seconds", .y_label = "bits per byte"});
    std::printf("language_model.png: the losses as they learn\n");
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
