#include <lamina/data/loader.hpp>
#include <lamina/parallel/for.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

/// Sample i: the vector (i, 10 i) and the number i.
struct Numbers {
    Index count;
    Index fails_at = -1;
    Index size() const { return count; }
    std::tuple<Tensor<float, 1>, std::int64_t> operator[](Index i) const {
        require<ValueError>(i != fails_at, "sample ", i, " is broken");
        return {Tensor<float, 1>{float(i), float(10 * i)}, i};
    }
};

template <class L>
std::vector<std::int64_t> labels_of(const L& loader, Index epoch, Index first = 0) {
    std::vector<std::int64_t> out;
    for (const auto& [x, label] : loader.epoch(epoch, first))
        for (Index i = 0; i < label.numel(); ++i) {
            CHECK(x(i, 1) == 10 * float(label(i)));
            out.push_back(label(i));
        }
    return out;
}

}  // namespace

TEST_CASE("loader: batches in order, the last one short or left out") {
    const data::Loader loader(Numbers{7}, {.batch_size = 3});
    CHECK(loader.size() == 3);
    std::vector<Index> sizes;
    for (const auto& [x, label] : loader.epoch(0)) {
        CHECK(x.shape() == Shape{label.numel(), 2});
        sizes.push_back(label.numel());
    }
    CHECK(sizes == std::vector<Index>{3, 3, 1});
    CHECK(labels_of(loader, 0) == std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6});
    CHECK(labels_of(loader, 0, 2) == std::vector<std::int64_t>{6});
    const data::Loader full(Numbers{7}, {.batch_size = 3, .drop_last = true, .workers = 2});
    CHECK(full.size() == 2);
    CHECK(labels_of(full, 0).size() == 6);
    CHECK(labels_of(data::Loader(Numbers{0}, {.batch_size = 4, .workers = 1}), 0).empty());
    CHECK(labels_of(data::Loader(Numbers{2}, {.batch_size = 4, .drop_last = true}), 0).empty());
}

TEST_CASE("loader: shuffling is a permutation, differs by epoch and seed, and not by workers") {
    const auto order = [](int workers, Index epoch, std::uint64_t seed = 1, Index prefetch = 2) {
        return labels_of(
            data::Loader(Numbers{101},
                         {.batch_size = 8, .shuffle = true, .workers = workers, .prefetch = prefetch, .seed = seed}),
            epoch);
    };
    const auto first = order(0, 0);
    auto sorted = first;
    std::sort(sorted.begin(), sorted.end());
    for (std::size_t i = 0; i < 101; ++i) CHECK(sorted[i] == std::int64_t(i));
    CHECK(first != sorted);
    CHECK(order(0, 1) != first);
    CHECK(order(0, 0, 2) != first);
    for (int workers : {1, 2, 5}) {
        CHECK(order(workers, 0) == first);
        CHECK(order(workers, 0, 1, 1) == first);
        CHECK(order(workers, 1) == order(0, 1));
    }
}

TEST_CASE("loader: random changes follow from seed, epoch and sample, whatever the workers and the place") {
    const auto noisy = [](const auto& sample, random::Rng& rng) {
        return std::tuple(std::get<1>(sample), rng.uniform<double>(), rng.uniform<double>());
    };
    const auto draw = [&](int workers, bool shuffle, Index epoch) {
        const data::Loader loader(data::Mapped(Numbers{50}, noisy),
                                  {.batch_size = 7, .shuffle = shuffle, .workers = workers, .seed = 3});
        std::vector<double> by_label(50);
        for (const auto& [label, a, b] : loader.epoch(epoch))
            for (Index i = 0; i < label.numel(); ++i) by_label[std::size_t(label(i))] = a(i) + 10 * b(i);
        return by_label;
    };
    const auto reference = draw(0, false, 0);
    CHECK(draw(3, false, 0) == reference);
    CHECK(draw(2, true, 0) == reference);
    CHECK(draw(0, false, 1) != reference);
    auto sorted = reference;
    std::sort(sorted.begin(), sorted.end());
    CHECK(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end());
}

TEST_CASE("loader: an exception arrives at its batch, the batches after it too; leaving early is fine") {
    for (int workers : {0, 1, 3}) {
        const data::Loader loader(Numbers{40, 17}, {.batch_size = 4, .workers = workers});
        auto epoch = loader.epoch(0);
        for (int batch = 0; batch < 4; ++batch) CHECK(epoch.next());
        if (workers > 0) {
            CHECK(test::message_of<ValueError>([&] { epoch.next(); }) == "sample 17 is broken");
            const auto after = epoch.next();
            CHECK(std::get<1>(*after)(0) == 20);
        } else {
            CHECK_THROWS_AS(epoch.next(), ValueError);
        }
        const auto early = loader.epoch(1);  // never asked for anything
    }
}

TEST_CASE("loader: the training thread keeps the pool while workers compute") {
    const auto busy = [](const auto& sample, random::Rng&) {
        std::int64_t total = 0;
        parallel::for_range(1000, 10, [&](Index begin, Index end) {
            for (Index i = begin; i < end; ++i) total += std::get<1>(sample);
        });
        return total;  // exact only if the loop ran on this thread alone
    };
    const data::Loader loader(data::Mapped(Numbers{64}, busy), {.batch_size = 4, .workers = 3});
    Index seen = 0;
    for (const auto& batch : loader.epoch(0)) {
        CHECK(batch(0) == seen * 1000);
        seen += batch.numel();
    }
    CHECK(seen == 64);
}

TEST_CASE("datasets: rows of tensors, slices, collation and their errors") {
    const data::Rows rows(test::wave<float>(Shape{6, 2, 3}), arange<std::int64_t>(6));
    CHECK(rows.size() == 6);
    CHECK(std::get<0>(rows[4])(1, 2) == float(test::wave_at(4 * 6 + 5)));
    CHECK(std::get<1>(rows[4]) == 4);
    const data::Slice tail(rows, 4, 2);
    CHECK(tail.size() == 2);
    CHECK(std::get<1>(tail[1]) == 5);
    const data::Loader loader(tail, {.batch_size = 2});
    CHECK(std::get<0>(*loader.epoch(0).next()).shape() == Shape{2, 2, 3});
    const auto what = [](auto f) { return test::message_of<ValueError>(f); };
    CHECK(what([&] { rows[6]; }) == "Rows: index 6 must lie in [0, 6)");
    constexpr Index all = std::numeric_limits<Index>::max();
    CHECK(what([&] { data::Slice(rows, 5, 2); }) == "Slice: 2 samples from 5 on must lie in [0, 6)");
    CHECK(what([&] { data::Slice(rows, 1, all); }) ==
          "Slice: 9223372036854775807 samples from 1 on must lie in [0, 6)");
    // The largest number is a way to say: everything in one batch.
    const data::Loader whole(Numbers{11}, {.batch_size = all});
    CHECK(whole.size() == 1);
    CHECK(labels_of(whole, 0).size() == 11);
    CHECK(data::Loader(Numbers{11}, {.batch_size = all, .drop_last = true}).size() == 0);
    const auto two = zeros<float>(Shape{2}), three = zeros<float>(Shape{3});
    CHECK(test::message_of<ShapeError>([&] { static_cast<void>(data::Rows(two, three)); }) ==
          "Rows: tensors must have one number of rows ([2] and [3])");
    CHECK(test::message_of<ShapeError>([&] {
              data::collate(std::vector{zeros<float>(Shape{2}), zeros<float>(Shape{3})});
          }) == "collate: samples must have one shape but sample 0 of the batch has [2] and sample 1 has [3]");
    CHECK(what([&] { data::Loader(rows, {.batch_size = 0}); }) ==
          "Loader: batch_size and prefetch must be at least 1 and workers at least 0, but are 0, 2 and 0");
}

TEST_CASE("loader: the shares of several ranks make up the batches of one") {
    const auto loader = [](Index batch, Index rank, Index ranks, int workers = 0) {
        return data::Loader(Numbers{26}, {.batch_size = batch,
                                          .shuffle = true,
                                          .drop_last = true,
                                          .workers = workers,
                                          .seed = 3,
                                          .rank = rank,
                                          .ranks = ranks});
    };
    const auto whole = labels_of(loader(8, 0, 1), 2);
    REQUIRE(whole.size() == 24);
    for (Index rank = 0; rank < 4; ++rank) {
        CHECK(loader(2, rank, 4).size() == 3);
        const auto share = labels_of(loader(2, rank, 4, int(rank)), 2);
        REQUIRE(share.size() == 6);
        for (Index i = 0; i < 6; ++i) CHECK(share[std::size_t(i)] == whole[std::size_t(4 * i + rank)]);
    }
    const data::Loader tail(Numbers{11}, {.batch_size = 2, .rank = 2, .ranks = 3});
    CHECK(tail.size() == 2);
    CHECK(labels_of(tail, 0) == std::vector<std::int64_t>{2, 5, 8});
    CHECK(test::message_of<ValueError>([&] { tail.epoch(0, -1); }) ==
          "Loader: epoch and first batch must not be negative but are 0 and -1");
    CHECK(test::message_of<ValueError>([&] { loader(1, 2, 2); }) ==
          "Loader: rank must lie in [0, ranks) but is 2 of 2");
    CHECK(test::message_of<ValueError>([&] { loader(1, 0, 0); }) ==
          "Loader: rank must lie in [0, ranks) but is 0 of 0");
}
