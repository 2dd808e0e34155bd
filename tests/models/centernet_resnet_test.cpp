#include <lamina/models/centernet.hpp>
#include <lamina/models/centernet_small.hpp>
#include <tests/models/centernet_golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

TEST_CASE("CenterNet on ResNet: parameters counted as published, official names") {
    const auto plain = models::centernet_resnet18();
    CHECK(nn::count_parameters(plain) == 15820372);
    CHECK(nn::count_parameters(models::centernet_resdcn18()) == 14437349);
    const auto state = nn::state_dict(plain);
    for (const char* name : {"conv1.weight", "layer4.1.bn2.running_var", "deconv_layers.0.weight",
                             "deconv_layers.7.num_batches_tracked", "hm.2.bias"})
        CHECK(state.find(name) != nullptr);
    CHECK(state.find("fc.weight") == nullptr);
}

TEST_CASE("CenterNet on ResNet-101: parameters counted as published (large)") {
    CHECK(nn::count_parameters(models::centernet_resdcn101()) == 49673189);
    CHECK(nn::count_parameters(models::centernet_resnet101()) == 53435476);
}

TEST_CASE("CenterNet on ResNet: first values of the necks") {
    random::Rng rng(3);
    models::CenterNetNeck<models::DeformableUpStage> neck(4);
    nn::reset_parameters(neck, rng);
    const auto& up = neck.stages[2].up.weight;
    CHECK(up.shape() == Shape{64, 64, 4, 4});
    const float row[] = {0.25F, 0.75F, 0.75F, 0.25F};
    for (Index i = 0; i < 4; ++i)
        for (Index j = 0; j < 4; ++j) CHECK(up(63, 0, i, j) == row[i] * row[j]);
    CHECK(up(5, 1, 1, 1) != up(6, 1, 1, 1));
    models::CenterNetNeck<models::UpStage> plain(4);
    nn::reset_parameters(plain, rng);
    double squares = 0;
    const auto& w = plain.stages[0].up.weight;
    for (Index i = 0; i < w.numel(); ++i) squares += double(w.data()[i]) * double(w.data()[i]);
    CHECK(std::sqrt(squares / double(w.numel())) == doctest::Approx(0.001).epsilon(0.05));
}

TEST_CASE("CenterNet on ResNet-18, deformable: golden maps (large)") {
    for (const auto& c : test::golden_case("centernet/network/resnet18_dcn"))
        test::check_golden_centernet(c, models::centernet_resdcn18(3));
}

TEST_CASE("small CenterNet: maps at a quarter of the image, parameters") {
    const models::SmallCenterNet net({.classes = 10, .hidden = 32});
    CHECK(nn::count_parameters(net) == 1030302);
    const auto y = net(zeros<float>(Shape{2, 3, 32, 48}));
    CHECK(y.heat.shape() == Shape{2, 10, 8, 12});
    CHECK(y.size.shape() == Shape{2, 2, 8, 12});
    CHECK(y.offset.shape() == Shape{2, 2, 8, 12});
}
