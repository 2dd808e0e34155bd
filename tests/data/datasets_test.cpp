#include <lamina/data/cifar.hpp>
#include <lamina/data/idx.hpp>
#include <lamina/data/image_folder.hpp>
#include <lamina/data/text.hpp>
#include <lamina/io/png.hpp>
#include <tests/io/files.hpp>

#include <zlib.h>

#include <doctest/doctest.h>

using namespace lamina;
using namespace std::string_literals;

TEST_CASE("data::Idx: images and labels, plain and gzip") {
    const test::TemporaryFolder folder;
    const std::string images =
        "\0\0\x08\x03\0\0\0\x02\0\0\0\x02\0\0\0\x03"s + "\x00\xff\x33\x01\x02\x03"s + "\x04\x05\x06\x07\x08\x09"s;
    const std::string labels = "\0\0\x08\x01\0\0\0\x02\x07\x03"s;
    test::write_file(folder / "images", images);
    test::write_file(folder / "labels", labels);
    ::gzFile const packed = ::gzopen((folder / "images.gz").c_str(), "wb");
    ::gzwrite(packed, images.data(), unsigned(images.size()));
    ::gzclose(packed);
    for (const char* name : {"images", "images.gz"}) {
        const data::Idx dataset(folder / name, folder / "labels");
        CHECK(dataset.size() == 2);
        const auto [image, label] = dataset[0];
        CHECK(image.shape() == Shape{1, 2, 3});
        CHECK(image(0, 0, 1) == 1);
        CHECK(image(0, 0, 2) == doctest::Approx(0.2));
        CHECK(label == 7);
        CHECK(std::get<1>(dataset[1]) == 3);
        CHECK(test::message_of<ValueError>([&] { dataset[2]; }) == "Idx: index 2 must lie in [0, 2)");
    }
    test::write_file(folder / "few", "\0\0\x08\x01\0\0\0\x01\x07"s);
    CHECK(test::message_of<ShapeError>([&] { data::Idx(folder / "images", folder / "few"); }) ==
          "Idx: there must be a label for each image but there are 1 for 2 images");
}

TEST_CASE("data::Cifar: records over several files, one or two label bytes") {
    const test::TemporaryFolder folder;
    const auto record = [](const std::string& labels, int seed) {
        std::string out = labels;
        for (int i = 0; i < 3072; ++i) out += char((i + seed) % 256);
        return out;
    };
    test::write_file(folder / "a.bin", record("\x05", 0) + record("\x09", 1));
    test::write_file(folder / "b.bin", record("\x02", 2));
    const data::Cifar ten({folder / "a.bin", folder / "b.bin"});
    CHECK(ten.size() == 3);
    CHECK(std::get<1>(ten[1]) == 9);
    const auto [image, label] = ten[2];
    CHECK(label == 2);
    CHECK(image.shape() == Shape{3, 32, 32});
    CHECK(image(1, 3, 4) == doctest::Approx(double((1024 + 100 + 2) % 256) / 255));
    test::write_file(folder / "hundred.bin", record("\x03\x44", 0));
    const data::Cifar hundred({folder / "hundred.bin"}, 2);
    CHECK(std::get<1>(hundred[0]) == 0x44);
    CHECK(test::message_of<IoError>([&] { data::Cifar({folder / "hundred.bin"}); }) ==
          "Cifar: \"" + (folder / "hundred.bin") + "\" must be records of 3073 bytes but has 3074");
    CHECK(test::message_of<ValueError>([&] { ten[3]; }) == "Cifar: index 3 must lie in [0, 3)");
    CHECK(test::message_of<ValueError>([&] { data::Cifar({}, 3); }) == "Cifar: label_bytes must be 1 or 2 but is 3");
}

TEST_CASE("data::ImageFolder: classes and files by name") {
    const test::TemporaryFolder folder;
    CHECK(test::message_of<IoError>([&] { data::ImageFolder(folder / "missing"); }) ==
          "ImageFolder: \"" + (folder / "missing") + "\" must be a folder");
    const std::string root = folder / "root";
    for (const std::string& name : {root, root + "/zebra", root + "/ant"}) ::mkdir(name.c_str(), 0777);
    CHECK(test::message_of<IoError>([&] { data::ImageFolder{root}; }) ==
          "ImageFolder: \"" + root + "\" must hold folders with images in them, but has 2 folders and no image");
    const std::vector<std::string> paths{root + "/ant/b.PNG", root + "/ant/a.png", root + "/zebra/c.png"};
    for (std::size_t i = 0; i < 3; ++i)
        io::save_png(paths[i], full<std::uint8_t>(Shape{2, Index(i) + 1, 3}, std::uint8_t(51 * i)));
    for (const char* name : {"/ant/notes.txt", "/ant/film.gif", "/ant/texture.tga"})
        test::write_file(root + name, "nothing that load_image reads");
    const data::ImageFolder dataset(root);
    CHECK(dataset.size() == 3);
    CHECK(dataset.classes() == std::vector<std::string>{"ant", "zebra"});
    CHECK(dataset.path(0) == root + "/ant/a.png");
    CHECK(std::get<0>(dataset[0]).shape() == Shape{3, 2, 2});
    const auto [image, label] = dataset[2];
    CHECK(label == 1);
    CHECK(image(2, 1, 2) == doctest::Approx(0.4));
    for (const std::string& path : paths) ::unlink(path.c_str());
    for (const char* name : {"/ant/notes.txt", "/ant/film.gif", "/ant/texture.tga"}) ::unlink((root + name).c_str());
    for (const std::string& name : {root + "/zebra", root + "/ant", root}) ::rmdir(name.c_str());
}

TEST_CASE("data::TextBytes: windows and what follows") {
    const test::TemporaryFolder folder;
    test::write_file(folder / "text", "hello w\xc3\xb6rld");  // 12 bytes
    const data::TextBytes text(folder / "text", 4, 3);
    CHECK(text.size() == 3);
    const auto [bytes, next] = text[2];
    CHECK(bytes(0) == 'w');
    CHECK(bytes(1) == 0xc3);
    CHECK(next(0) == 0xc3);
    CHECK(next(3) == 'l');
    CHECK(data::TextBytes(folder / "text", 11, 5).size() == 1);
    CHECK(data::TextBytes(folder / "text", 12, 5).size() == 0);
    CHECK(test::message_of<ValueError>([&] { text[3]; }) == "TextBytes: index 3 must lie in [0, 3)");
    CHECK(test::message_of<ValueError>([&] { data::TextBytes(folder / "text", 0, 1); }) ==
          "TextBytes: length and stride must be at least 1 but are 0 and 1");
}
