#include <lamina/models/centernet_dla.hpp>
#include <tests/support/golden.hpp>
#include <tests/support/recipe.hpp>

#include <doctest/doctest.h>

#include <algorithm>

using namespace lamina;

TEST_CASE("DLA-34: parameters counted as published, official names") {
    const auto net = models::centernet_dla34();
    CHECK(nn::count_parameters(net) == 19675892);
    CHECK(nn::count_parameters(net.base) == 15270832);
    const auto state = nn::state_dict(net);
    for (const char* name :
         {"base.base_layer.0.weight", "base.level3.tree2.root.conv.weight", "base.level4.project.1.running_mean",
          "base.level5.tree1.bn1.bias", "dla_up.ida_1.proj_2.conv.conv_offset_mask.weight",
          "dla_up.ida_2.node_3.actf.0.bias", "ida_up.up_2.weight", "wh.2.bias"})
        CHECK(state.find(name) != nullptr);
}

TEST_CASE("DLA-34: sides of the maps") {
    const auto f = models::DLA34().features(zeros<float>(Shape{1, 3, 32, 64}));
    for (std::size_t i = 0; i < 6; ++i)
        CHECK(f[i].shape() == Shape{1, models::DLA34::channels[i], Index(32) >> i, Index(64) >> i});
}

TEST_CASE("CenterNet on DLA-34: golden maps (large)") {
    for (const auto& c : test::golden_case("centernet/network/dla34_dcn")) {
        auto net = models::centernet_dla34(3, 64);
        const auto state = nn::state_dict(net);
        test::fill_by_recipe(state, c.number("recipe_gain", 1));
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
            test::check_golden(c, "hm", y.heat);
            test::check_golden(c, "wh", y.size);
            test::check_golden(c, "reg", y.offset);
        };
        compare(net(x));
        autograd::Tape tape{.training = false};
        compare(net(x));
    }
}
