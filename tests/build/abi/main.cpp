// Files that include everything, compiled for different instruction sets, in one program: each one this machine can
// run is called, and all have to agree within rounding.
#include <cmath>
#include <cstdio>
#include <string>

std::string compute_base(double* out);
std::string compute_v3(double* out);
std::string compute_v4(double* out);

namespace {

constexpr int count = 64;
int failures = 0;

void compare(const char* name, std::string (*compute)(double*), const double* expected) {
    double out[count];
    std::printf("%s: %s\n", name, compute(out).c_str());
    for (int i = 0; i < count; ++i)
        if (!(std::fabs(out[i] - expected[i]) <= 1e-5 * (1 + std::fabs(expected[i])))) {
            std::printf("%s: number %d is %.9g, not %.9g\n", name, i, out[i], expected[i]);
            ++failures;
        }
}

}  // namespace

int main() {
    double expected[count];
    std::printf("base: %s\n", compute_base(expected).c_str());
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) compare("v3", compute_v3, expected);
    else std::puts("v3: not run, this machine has no AVX2");
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) compare("v4", compute_v4, expected);
    else std::puts("v4: not run, this machine has no AVX-512");
#endif
    return failures ? 1 : 0;
}
