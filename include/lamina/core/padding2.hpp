#pragma once
// Margins of zeros around an image: given, or following a rule. `.padding = 1`, `{2, 0}` for height and width,
// `{{0, 1}, {0, 1}}` for what lies before and after each, `Padding::same()`.
#include <lamina/core/size2.hpp>

namespace lamina::inline LAMINA_ABI {

/// The margins before and after one dimension, or the rule that gives them.
struct Padding {
    enum class Rule { given, same, same_tensorflow };

    Index before = 0, after = 0;
    Rule rule = Rule::given;

    constexpr Padding() = default;
    constexpr Padding(Index both) : before(both), after(both) {}
    constexpr Padding(Index first, Index last) : before(first), after(last) {}

    /// As many outputs as inputs, at stride 1; of an odd total the larger part comes after (torch's padding="same").
    static constexpr Padding same() { return by(Rule::same); }
    /// ceil(inputs / stride) outputs; of an odd total the larger part comes after (TensorFlow's SAME).
    static constexpr Padding same_tensorflow() { return by(Rule::same_tensorflow); }

    /// The margins in numbers.
    constexpr Padding resolve(Index in, Index kernel, Index stride, Index dilation) const {
        if (rule == Rule::given) return *this;
        const Index reach = dilation * (kernel - 1);
        const Index out = (in + stride - 1) / stride;
        Index total = rule == Rule::same ? reach : (out - 1) * stride + reach + 1 - in;
        if (total < 0) total = 0;
        return {total / 2, total - total / 2};
    }
    constexpr bool operator==(const Padding&) const = default;
    void append_to(std::string& out) const {
        if (rule != Rule::given) {
            out += rule == Rule::same ? "same" : "same as TensorFlow";
            return;
        }
        detail::append(out, before);
        if (after == before) return;
        out += '+';
        detail::append(out, after);
    }

private:
    static constexpr Padding by(Rule r) {
        Padding p;
        p.rule = r;
        return p;
    }
};

/// Margins of height and width.
struct Padding2 {
    Padding h, w;

    constexpr Padding2() = default;
    constexpr Padding2(Index all) : h(all), w(all) {}
    constexpr Padding2(Padding both) : h(both), w(both) {}
    constexpr Padding2(Padding height, Padding width) : h(height), w(width) {}
    constexpr Padding2(Size2 s) : h(s.h), w(s.w) {}
    constexpr bool operator==(const Padding2&) const = default;
    void append_to(std::string& out) const {
        h.append_to(out);
        out += 'x';
        w.append_to(out);
    }
};

}  // namespace lamina::inline LAMINA_ABI
