// Compiled against the amalgamated header alone.
#include "lamina.hpp"

#include <cstdio>

int main() {
    const auto x = lamina::full<float>(lamina::Shape{2, 3}, 0.5f);
    std::printf("%s\n", std::string(lamina::build_info()).c_str());
    return x.numel() == 6 && x.data()[5] == 0.5f ? 0 : 1;
}
