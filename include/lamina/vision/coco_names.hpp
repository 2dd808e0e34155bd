#pragma once
// The 80 classes of the COCO benchmark, and the category ids of its annotations, which run to 90 with gaps.
#include <lamina/core/error.hpp>

#include <string_view>

namespace lamina::inline LAMINA_ABI::vision {

/// Names of the classes, 0 to 79.
inline constexpr std::string_view coco_names[80] = {
    "person",         "bicycle",    "car",           "motorcycle",    "airplane",     "bus",           "train",
    "truck",          "boat",       "traffic light", "fire hydrant",  "stop sign",    "parking meter", "bench",
    "bird",           "cat",        "dog",           "horse",         "sheep",        "cow",           "elephant",
    "bear",           "zebra",      "giraffe",       "backpack",      "umbrella",     "handbag",       "tie",
    "suitcase",       "frisbee",    "skis",          "snowboard",     "sports ball",  "kite",          "baseball bat",
    "baseball glove", "skateboard", "surfboard",     "tennis racket", "bottle",       "wine glass",    "cup",
    "fork",           "knife",      "spoon",         "bowl",          "banana",       "apple",         "sandwich",
    "orange",         "broccoli",   "carrot",        "hot dog",       "pizza",        "donut",         "cake",
    "chair",          "couch",      "potted plant",  "bed",           "dining table", "toilet",        "tv",
    "laptop",         "mouse",      "remote",        "keyboard",      "cell phone",   "microwave",     "oven",
    "toaster",        "sink",       "refrigerator",  "book",          "clock",        "vase",          "scissors",
    "teddy bear",     "hair drier", "toothbrush"};

namespace detail {
/// Category ids between 1 and 90 that no class has.
inline constexpr int coco_gaps[] = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83};
}  // namespace detail

/// Category id, 1 to 90, of class 0 to 79. Throws ValueError.
inline int coco_category(int label) {
    require<ValueError>(label >= 0 && label < 80, "coco_category: class must lie in [0, 80) but is ", label);
    int id = label + 1;
    for (const int gap : detail::coco_gaps) id += gap <= id;
    return id;
}

/// Class 0 to 79 of a category id, or -1 where there is none.
constexpr int coco_class(int category) {
    if (category < 1 || category > 90) return -1;
    int label = category - 1;
    for (const int gap : detail::coco_gaps) {
        if (gap == category) return -1;
        label -= gap < category;
    }
    return label;
}

}  // namespace lamina::inline LAMINA_ABI::vision
