// The benchmark program's main: prints what it was compiled into before any number.
#include <benchmark/benchmark.h>
#include <lamina/core/build_info.hpp>

#include <string>

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    benchmark::AddCustomContext("library", std::string(lamina::build_info()));
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
}
