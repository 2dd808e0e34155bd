// Operations that touch every element once or twice: the memory is the limit.
#include "peers.hpp"

namespace peers {
namespace {

Row softmax(const char* name, bool log) {
    return {name, streaming(4096 * 4096, 1, 1), 4096 * 4096, 1e-5,
            [=] { return race(Softmax{.rows = 4096, .cols = 4096, .log = log}, {}); }};
}

Row sum(int axis) {
    const std::array<Index, 4> shape{256, 64, 64, 16};
    return {"sum 256x64x64x16 axis " + std::to_string(axis), streaming(256 * 64 * 64 * 16, 1, 0),
            256 * 64 * 64 * 16 / shape[std::size_t(axis)], 1e-5,
            [=] { return race(Sum{.shape = shape, .axis = axis}, {}); }};
}

}  // namespace

void add_stream_rows(Rows& rows) {
    rows.push_back(softmax("softmax 4096x4096", false));
    rows.push_back(softmax("log_softmax 4096x4096", true));
    rows.push_back({"layer_norm 4096x320", streaming(4096 * 320, 1, 1), 4096 * 320, 1e-5,
                    [] { return race(LayerNorm{.rows = 4096, .cols = 320}, {}); }});
    rows.push_back({"gelu 4096x1280", streaming(4096 * 1280, 1, 1), 4096 * 1280, 1e-5,
                    [] { return race(Gelu{.rows = 4096, .cols = 1280}, {}); }});
    rows.push_back(
        {"relu(x+y) 4M", streaming(4 << 20, 2, 1), 4 << 20, 1e-6, [] { return race(AddRelu{.count = 4 << 20}, {}); }});
    for (int axis = 0; axis < 4; ++axis) rows.push_back(sum(axis));
    rows.push_back(
        {"permute 8x512x64x12 to 8x12x512x64", streaming(8 * 512 * 64 * 12, 1, 1), 8 * 512 * 64 * 12, 1e-6, [] {
             return race(Permute{.shape = {8, 512, 64, 12}, .order = {0, 3, 1, 2}}, {});
         }});
}

}  // namespace peers
