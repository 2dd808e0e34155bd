// Weights before training: arrays of random numbers.
#include <lamina/ops/random.hpp>

#include "../shapes.hpp"
#include "ours.hpp"
#include "peers.hpp"

namespace peers {
namespace {

Contestant ours_for(const RandomFill& p) {
    using Kind = RandomFill::Kind;
    const char* name = p.kind == Kind::uniform ? "uniform_" : p.kind == Kind::normal ? "normal_" : "trunc_normal_";
    return {us, name, [p] {
                const Array<float> memory(p.count);
                const auto rng = std::make_shared<lamina::random::Rng>(1);
                const auto run = [=] {
                    auto x = tensor(memory, lamina::Shape{p.count});
                    if (p.kind == Kind::uniform) lamina::uniform_(x, *rng);
                    else if (p.kind == Kind::normal) lamina::normal_(x, *rng);
                    else lamina::trunc_normal_(x, *rng);
                };
                return Call{run, [=](Index i) { return RandomFill::moment(memory.data(), p.count, i); }};
            }};
}

Row fill_row(const char* name, RandomFill::Kind kind) {
    constexpr Index count = bench::adamw_weights.count();
    return {name, streaming(count, 0, 1), RandomFill::moments, 5e-3, [=] {
                const RandomFill p{.kind = kind, .count = count};
                return race(p, {ours_for(p)});
            }};
}

}  // namespace

void add_random_rows(Rows& rows) {
    rows.push_back(fill_row("uniform fill 25M", RandomFill::Kind::uniform));
    rows.push_back(fill_row("normal fill 25M", RandomFill::Kind::normal));
    rows.push_back(fill_row("truncated normal fill 25M", RandomFill::Kind::truncated_normal));
}

}  // namespace peers
