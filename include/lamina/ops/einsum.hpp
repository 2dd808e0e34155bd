#pragma once
// Sums of products in index notation. The equation is a template argument, so that the rank of the result is known:
// `einsum<"bhid,bhjd->bhij">(q, k)`. Everything becomes one batched matrix product between two rearrangements.
#include <lamina/autograd/saved.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/kernels/reduce.hpp>
#include <lamina/ops/contiguous.hpp>
#include <lamina/ops/expand.hpp>
#include <lamina/ops/matmul.hpp>

namespace lamina::inline LAMINA_ABI {

/// The letters of an einsum equation, as a template argument.
template <std::size_t N>
struct Equation {
    char text[N]{};
    constexpr Equation(const char (&literal)[N]) {
        for (std::size_t i = 0; i < N; ++i) text[i] = literal[i];
    }
};

namespace detail {

/// Letters of one operand.
struct Letters {
    char name[16]{};
    int count = 0;
    constexpr bool has(char c) const {
        for (int i = 0; i < count; ++i)
            if (name[i] == c) return true;
        return false;
    }
    constexpr void add(char c) { name[count++] = c; }
};

/// The first and last of all names of dimensions: letters, and in front of them the digits that `...` stands for.
inline constexpr char first_name = '0', last_digit = '9', last_name = 'z';

/// An equation taken apart. Without `->` the result has what `...` stands for and the letters that occur once, sorted.
struct ParsedEquation {
    Letters operand[2], result;
    int operands = 1, dots = 0;  ///< dots: dimensions that `...` stands for
    bool valid = true;
};
/// Letters between positions `from` and `to` of an equation.
template <std::size_t N>
constexpr int letters_between(const Equation<N>& equation, std::size_t from, std::size_t to) {
    int count = 0;
    for (std::size_t i = from; i < to; ++i)
        count += (equation.text[i] >= 'a' && equation.text[i] <= 'z') ||
                 (equation.text[i] >= 'A' && equation.text[i] <= 'Z');
    return count;
}
/// For operands of the given ranks. The dimensions of `...` are aligned at the right, as in broadcasting.
template <std::size_t N>
consteval ParsedEquation parse(const Equation<N>& equation, int rank_a, int rank_b) {
    ParsedEquation p;
    std::size_t comma = N - 1, end = N - 1;
    for (std::size_t i = N - 1; i-- > 0;) {
        if (equation.text[i] == ',') comma = i;
        if (equation.text[i] == '-') comma = end = i;
    }
    const int rest[2] = {rank_a - letters_between(equation, 0, comma), rank_b - letters_between(equation, comma, end)};
    p.dots = rest[0] > rest[1] ? rest[0] : rest[1];
    if (p.dots < 0 || p.dots > 10) p.dots = 0;
    bool arrow = false, dotted = false;
    for (std::size_t i = 0; i + 1 < N; ++i) {
        const char c = equation.text[i];
        if (c == ' ') continue;
        if (c == '.') {
            Letters& to = arrow ? p.result : p.operand[p.operands - 1];
            const int count = arrow ? p.dots : rest[p.operands - 1];
            p.valid = p.valid && count >= 0 && i + 2 < N && equation.text[i + 1] == '.' && equation.text[i + 2] == '.';
            for (int d = p.dots - count; d < p.dots; ++d) p.valid = p.valid && !to.has(char(first_name + d));
            for (int d = p.dots - count; d < p.dots; ++d) to.add(char(first_name + d));
            dotted = true;
            i += 2;
        } else if (c == ',' && !arrow && p.operands == 1) ++p.operands;
        else if (c == '-' && equation.text[i + 1] == '>' && !arrow) arrow = true, ++i;
        else if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))) p.valid = false;
        else if (arrow) p.valid = p.valid && !p.result.has(c), p.result.add(c);
        else p.operand[p.operands - 1].add(c);
    }
    if (!dotted) p.dots = 0;
    if (!arrow)
        for (char c = first_name; c <= last_name; ++c) {
            int times = 0;
            for (const auto& o : p.operand)
                for (int i = 0; i < o.count; ++i) times += o.name[i] == c;
            if (times == 1 || (times > 0 && c <= last_digit)) p.result.add(c);
        }
    for (int i = 0; i < p.result.count; ++i)
        p.valid = p.valid && (p.operand[0].has(p.result.name[i]) || p.operand[1].has(p.result.name[i]));
    return p;
}

/// Extent of every letter.
struct LetterExtents {
    Index of[128];
};
/// Distance between neighbours along every letter; a letter that occurs twice walks the diagonal, one that does not
/// occur stands still.
struct LetterStrides {
    Index of[128]{};
    LetterStrides(const Letters& letters, const Index* strides) {
        for (int i = 0; i < letters.count; ++i) of[int(letters.name[i])] += strides[i];
    }
};

/// z (+)= the sum of products over all letters that z lacks. Letters of z that neither factor has repeat the result.
template <class T>
struct Contraction {
    Letters a, b, z;
    const LetterExtents& extents;

    Index product(const Letters& letters) const {
        Index n = 1;
        for (int i = 0; i < letters.count; ++i) n *= extents.of[int(letters.name[i])];
        return n;
    }
    /// Letters in a, in b and in z exactly as told, in the order of the alphabet.
    Letters select(bool in_a, bool in_b, bool in_z) const {
        Letters found;
        for (char c = first_name; c <= last_name; ++c)
            if (a.has(c) == in_a && b.has(c) == in_b && z.has(c) == in_z) found.add(c);
        return found;
    }
    /// Dense copy of x in the order of the groups, the last group summed away.
    Tensor<T, 1> arrange(const T* x, const LetterStrides& strides, std::initializer_list<Letters> groups,
                         const Letters& lone) const {
        kernels::CopyLayout layout;
        Index count = 1;
        const auto push = [&](const Letters& letters) {
            for (int i = 0; i < letters.count; ++i) {
                const int c = letters.name[i];
                layout.push(extents.of[c], strides.of[c], 0);
                count *= extents.of[c];
            }
        };
        for (const Letters& group : groups) push(group);
        const Index kept = count, lost = product(lone);
        push(lone);
        for (Index d = layout.rank - 1, step = 1; d >= 0; --d) {
            layout.to[d] = step;
            step *= layout.extents[d];
        }
        auto dense = empty<T>(Shape{count});
        kernels::copy(layout, x, dense.mutable_data());
        if (lone.count == 0) return dense;
        auto sums = empty<T>(Shape{kept});
        kernels::reduce<kernels::Sum>({kept, lost, 1}, dense.data(), static_cast<const T*>(nullptr),
                                      sums.mutable_data());
        return sums;
    }
    void run(const T* x, const LetterStrides& of_x, const T* y, const LetterStrides& of_y, T* out,
             const LetterStrides& of_z) const {
        const auto batch = select(true, true, true), shared = select(true, true, false);
        const auto left = select(true, false, true), right = select(false, true, true);
        const Index n = product(batch), k = product(shared), rows = product(left), columns = product(right);
        const auto dense_x = arrange(x, of_x, {batch, left, shared}, select(true, false, false));
        const auto dense_y = arrange(y, of_y, {batch, shared, right}, select(false, true, false));
        const auto as = [](const Tensor<T, 1>& t, Index p, Index q, Index r) {
            return Tensor<T, 3>(t.storage(), const_cast<T*>(t.data()), Shape{p, q, r}, {q * r, r, 1});
        };
        const auto products = matmul(as(dense_x, n, rows, k), as(dense_y, n, k, columns));
        kernels::CopyLayout layout;
        Index step = n * rows * columns;
        for (const Letters* group : {&batch, &left, &right})
            for (int i = 0; i < group->count; ++i) {
                const int c = group->name[i];
                step = extents.of[c] ? step / extents.of[c] : 0;
                layout.push(extents.of[c], step, of_z.of[c]);
            }
        const auto repeated = select(false, false, true);
        for (int i = 0; i < repeated.count; ++i) {
            const int c = repeated.name[i];
            layout.push(extents.of[c], 0, of_z.of[c]);
        }
        kernels::copy<kernels::Write::add>(layout, products.data(), out);
    }
};

/// The shapes of operands with the dimensions of `...` stretched to each other's.
template <ParsedEquation P, int A, int B>
std::pair<Shape<A>, Shape<B>> broadcast_dots(const Shape<A>& a, const Shape<B>& b) {
    std::pair<Shape<A>, Shape<B>> both{a, b};
    for (int i = 0; i < A; ++i)
        for (int j = 0; j < B; ++j) {
            if (P.operand[0].name[i] > last_digit || P.operand[0].name[i] != P.operand[1].name[j]) continue;
            if (a[i] == 1) both.first[i] = b[j];
            else if (b[j] == 1) both.second[j] = a[i];
        }
    return both;
}

template <ParsedEquation P, class T, int A, int B>
Tensor<T, P.result.count> einsum(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    LetterExtents extents;
    for (Index& e : extents.of) e = -1;
    const auto read = [&](const Letters& letters, const Index* shape, const auto& whole) {
        for (int i = 0; i < letters.count; ++i) {
            Index& e = extents.of[int(letters.name[i])];
            require(e < 0 || e == shape[i], "einsum: extents of one letter must be equal but dimension ", i, " is ",
                    shape[i], " and not ", e, " (", a.shape(), " and ", whole, ")");
            e = shape[i];
        }
    };
    read(P.operand[0], a.shape().begin(), b.shape());
    read(P.operand[1], b.shape().begin(), b.shape());
    Shape<P.result.count> shape;
    for (int i = 0; i < P.result.count; ++i) shape[i] = extents.of[int(P.result.name[i])];
    auto y = zeros<T>(shape);
    const auto strides_y = contiguous_strides(shape);
    {
        const autograd::NoGrad values_only;
        const Contraction<T> c{P.operand[0], P.operand[1], P.result, extents};
        c.run(a.data(), {P.operand[0], a.strides().data()}, b.data(), {P.operand[1], b.strides().data()},
              y.mutable_data(), {P.result, strides_y.data()});
    }
    if (auto* tape = autograd::recording(a, b))
        tape->record("einsum", y, [a = autograd::saved(a), b = autograd::saved(b), extents, strides_y](const T* dy) {
            const LetterStrides of_y(P.result, strides_y.data());
            const auto back = [&](const auto& to, const Letters& letters, const auto& other,
                                  const Letters& other_letters) {
                T* gradient = autograd::grad_ptr(to);
                if (!gradient) return;
                const Contraction<T> c{P.result, other_letters, letters, extents};
                c.run(dy, of_y, other.data(), {other_letters, other.tensor().strides().data()}, gradient,
                      {letters, contiguous_strides(to.shape()).data()});
            };
            back(a, P.operand[0], b, P.operand[1]);
            back(b, P.operand[1], a, P.operand[0]);
        });
    return y;
}

}  // namespace detail

/// Sum of products of two tensors (or of the elements of one) in Einstein's notation: a letter for each dimension,
/// equal letters are walked together, those missing on the right are summed; without `->` the letters that occur once
/// remain, sorted (capitals first). A letter twice in one operand takes its diagonal. `...` stands for all further
/// dimensions, which broadcast and without `->` come first. Throws ShapeError.
template <Equation E, Real T, int A, int B>
auto einsum(const Tensor<T, A>& a, const Tensor<T, B>& b) {
    constexpr auto parsed = detail::parse(E, A, B);
    static_assert(parsed.valid && parsed.operands == 2, "einsum: the equation has two operands of letters");
    static_assert(parsed.operand[0].count == A && parsed.operand[1].count == B, "einsum: a letter for each dimension");
    if constexpr (parsed.dots == 0) return detail::einsum<parsed>(a, b);
    else {
        const auto both = detail::broadcast_dots<parsed>(a.shape(), b.shape());
        return detail::einsum<parsed>(expand(a, both.first), expand(b, both.second));
    }
}
template <Equation E, Real T, int A>
auto einsum(const Tensor<T, A>& a) {
    constexpr auto parsed = detail::parse(E, A, 0);
    static_assert(parsed.valid && parsed.operands == 1, "einsum: the equation has one operand of letters");
    static_assert(parsed.operand[0].count == A, "einsum: a letter for each dimension");
    return detail::einsum<parsed>(a, scalar(T(1)));
}

}  // namespace lamina::inline LAMINA_ABI
