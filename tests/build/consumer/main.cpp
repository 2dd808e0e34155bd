// Uses the library as any program would; exits with 0 only when the numbers are right.
#include <lamina/core/build_info.hpp>
#include <lamina/core/create.hpp>

#include <cstdio>

int main() {
    const auto x = lamina::full<float>(lamina::Shape{2, 3}, 0.5f);
    float total = 0;
    for (lamina::Index i = 0; i < x.numel(); ++i) total += x.data()[i];
    std::printf("%s\n", std::string(lamina::build_info()).c_str());
    return total == 3.0f ? 0 : 1;
}
