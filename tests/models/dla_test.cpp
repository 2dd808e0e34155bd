#include <lamina/models/centernet_dla.hpp>
#include <tests/models/centernet_golden.hpp>

#include <doctest/doctest.h>

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
    for (const auto& c : test::golden_case("centernet/network/dla34_dcn"))
        test::check_golden_centernet(c, models::centernet_dla34(3, 64));
}
