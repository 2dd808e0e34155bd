#pragma once
// Golden cases of whole CenterNets: names of the official checkpoint, maps with and without a tape.
#include <lamina/models/centernet_heads.hpp>
#include <lamina/nn/module.hpp>
#include <tests/support/golden.hpp>
#include <tests/support/recipe.hpp>

#include <algorithm>

namespace lamina::inline LAMINA_ABI::test {

template <class Network>
void check_golden_centernet(const GoldenCase& c, const Network& net) {
    const auto state = nn::state_dict(net);
    fill_by_recipe(state, c.number("recipe_gain", 1));
    const std::string official = c.meta("manifest");
    Index floating = 0;
    for (const auto& [name, tensor] : state) {
        if (name.ends_with("num_batches_tracked")) continue;
        ++floating;
        const std::string quoted = '"' + name + '"';
        CHECK_MESSAGE(official.find(quoted) != official.npos, quoted << " is not an official name");
    }
    CHECK(floating == std::count(official.begin(), official.end(), '"') / 2);
    const auto x = c.tensor<float, 4>("in.x");
    const auto compare = [&](const models::CenterNetOutput& y) {
        check_golden(c, "hm", y.heat);
        check_golden(c, "wh", y.size);
        check_golden(c, "reg", y.offset);
    };
    compare(net(x));
    autograd::Tape tape{.training = false};
    compare(net(x));
}

}  // namespace lamina::inline LAMINA_ABI::test
