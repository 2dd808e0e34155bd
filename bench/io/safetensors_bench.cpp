// Loading and saving a checkpoint of 200 MB, beside the least that any program could do with the same bytes.
#include <benchmark/benchmark.h>
#include <lamina/core/create.hpp>
#include <lamina/io/safetensors.hpp>

#include <cstdlib>

using namespace lamina;

namespace {

constexpr Index tensors = 48, rows = 1024, columns = 1024;
constexpr Index bytes = tensors * rows * columns * Index(sizeof(float));

std::string path() {
    const char* folder = std::getenv("TMPDIR");
    return std::string(folder ? folder : "/tmp") + "/lamina-bench.safetensors";
}

/// The file, present while a benchmark runs.
class Checkpoint {
public:
    Checkpoint() {
        for (Index i = 0; i < tensors; ++i)
            state.insert(message("layers.", i, ".weight"), full<float>(Shape{rows, columns}, float(i)));
        io::save_safetensors(path(), state);
    }
    Checkpoint(const Checkpoint&) = delete;
    Checkpoint& operator=(const Checkpoint&) = delete;
    ~Checkpoint() { std::remove(path().c_str()); }
    StateDict state;
};

void count_bytes(benchmark::State& state) { state.SetBytesProcessed(state.iterations() * bytes); }

/// One byte of every page, so that the kernel has to provide it.
int touch(const std::byte* data, std::size_t size) {
    int sum = 0;
    for (std::size_t i = 0; i < size; i += 4096) sum += int(data[i]);
    return sum;
}

}  // namespace

static void safetensors_load(benchmark::State& state) {
    const Checkpoint file;
    for (auto _ : state) benchmark::DoNotOptimize(io::load_safetensors(path()).size());
    count_bytes(state);
}
BENCHMARK(safetensors_load)->Unit(benchmark::kMillisecond);

static void safetensors_load_and_touch(benchmark::State& state) {
    const Checkpoint file;
    for (auto _ : state)
        for (const auto& item : io::load_safetensors(path()))
            benchmark::DoNotOptimize(touch(item.tensor.data(), item.tensor.bytes()));
    count_bytes(state);
}
BENCHMARK(safetensors_load_and_touch)->Unit(benchmark::kMillisecond);

static void safetensors_load_into_weights(benchmark::State& state) {
    const Checkpoint file;
    for (auto _ : state) {
        const auto loaded = io::load_safetensors(path());
        auto source = loaded.begin();
        for (const auto& item : file.state) {
            AnyTensor weight = item.tensor;
            weight.assign((source++)->tensor);
        }
    }
    count_bytes(state);
}
BENCHMARK(safetensors_load_into_weights)->Unit(benchmark::kMillisecond);

/// The baseline: read(2) of the whole file into memory that is there already.
static void plain_read(benchmark::State& state) {
    const Checkpoint file;
    auto memory = full<std::uint8_t>(Shape{bytes + 1'000'000}, 1);
    for (auto _ : state) {
        const io::detail::Descriptor descriptor(::open(path().c_str(), O_RDONLY));
        io::detail::read_all(descriptor.fd, memory.mutable_data(), std::size_t(bytes), "read", path());
        benchmark::DoNotOptimize(memory.data());
    }
    count_bytes(state);
}
BENCHMARK(plain_read)->Unit(benchmark::kMillisecond);

/// Durable saving waits for the disk; its speed is the disk's.
static void safetensors_save(benchmark::State& state) {
    const Checkpoint file;
    for (auto _ : state) io::save_safetensors(path(), file.state);
    count_bytes(state);
}
BENCHMARK(safetensors_save)->Unit(benchmark::kMillisecond);

/// The baseline: the same bytes written to a new file and flushed, without a rename.
static void plain_write(benchmark::State& state) {
    const Checkpoint file;
    const std::string other = path() + ".plain";
    for (auto _ : state) {
        const io::detail::Descriptor descriptor(::open(other.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600));
        for (const auto& item : file.state)
            if (::write(descriptor.fd, item.tensor.data(), item.tensor.bytes()) < 0)
                state.SkipWithError("write failed");
        ::fsync(descriptor.fd);
    }
    std::remove(other.c_str());
    count_bytes(state);
}
BENCHMARK(plain_write)->Unit(benchmark::kMillisecond);
