#pragma once
// Optimal assignment: pairs of rows and columns, each used once, with the least total cost.
#include <lamina/core/create.hpp>
#include <lamina/parallel/scratch.hpp>
#include <lamina/simd/load_store.hpp>

#include <vector>

namespace lamina::inline LAMINA_ABI::vision {

/// min(R, C) pairs of an assignment, by rising row.
struct Assignment {
    Tensor<std::int64_t, 1> rows, columns;
    double cost = 0;  ///< their total
};

namespace detail {

inline constexpr int hungarian_slot = 7;

/// Shortest augmenting paths with potentials for costs [n, stride], finite in at most `stride` columns of which n must
/// suffice: column_of[n]. `work` has room for 4 stride numbers. A search passes over whole rows, a vector of columns at
/// a time; columns that are done keep their distance and are moved out of reach. Throws where no finite assignment
/// exists.
template <class Arch = simd::native>
std::vector<Index> shortest_paths(Index n, Index stride, const double* costs, double* work) {
    using V = simd::Vec<double, Arch>;
    using I = simd::Vec<std::int64_t, Arch>;
    constexpr double infinity = __builtin_inf();
    const auto size = static_cast<std::size_t>(stride);
    double *const column_price = work, *const distance = work + stride, *const reach = work + 2 * stride,
                  *const taken = work + 3 * stride;
    // Padding has infinite costs and is never reached.
    std::vector<double> row_price(static_cast<std::size_t>(n));
    std::vector<Index> column_of(static_cast<std::size_t>(n), -1), row_of(size, -1), done;
    std::vector<std::int64_t> from(size), number(size);
    for (std::size_t j = 0; j < size; ++j) number[j] = std::int64_t(j), column_price[j] = taken[j] = 0;
    for (Index start = 0; start < n; ++start) {
        for (Index j = 0; j < stride; ++j) distance[j] = infinity, reach[j] = 0;
        done.clear();
        double shortest = 0;
        Index row = start, sink = -1;
        while (sink < 0) {
            const double* const cost = costs + row * stride;
            const V offset = shortest - row_price[std::size_t(row)], unreachable = infinity;
            const I here = std::int64_t(row);
            V least = unreachable;
            I least_at = std::int64_t(-1);
            for (Index j = 0; j < stride; j += V::width) {
                // Done columns have an infinite reach: neither shortened nor chosen.
                const V held = simd::load<Arch>(distance + j), out = simd::load<Arch>(reach + j);
                const V reached = simd::load<Arch>(cost + j) - simd::load<Arch>(column_price + j) + offset + out;
                const auto closer = reached < held;
                const V now = select(closer, reached, held);
                store(distance + j, now);
                const I before = simd::load<Arch>(&from[std::size_t(j)]);
                store(&from[std::size_t(j)], select(simd::Mask<std::int64_t, Arch>{closer.m}, here, before));
                const V open = now + out;
                // Among equals a free column ends the search.
                const auto free = simd::load<Arch>(taken + j) == V(0);
                const auto better = (open < least) | ((open == least) & free & (open < unreachable));
                least = select(better, open, least);
                least_at = select(simd::Mask<std::int64_t, Arch>{better.m}, simd::load<Arch>(&number[std::size_t(j)]),
                                  least_at);
            }
            double best = infinity;
            Index column = -1;
            double values[V::width];
            std::int64_t places[V::width];
            store(values, least);
            store(places, least_at);
            for (int k = 0; k < V::width; ++k)
                if (values[k] < best || (values[k] == best && places[k] >= 0 && taken[places[k]] == 0))
                    best = values[k], column = places[k];
            require<ValueError>(column >= 0, "hungarian: cost matrix is infeasible (row ", start, " of ", n, ")");
            shortest = best;
            done.push_back(column);
            reach[column] = infinity;
            if (row_of[std::size_t(column)] < 0) sink = column;
            else row = row_of[std::size_t(column)];
        }
        row_price[std::size_t(start)] += shortest;
        for (const Index column : done) {
            const auto j = std::size_t(column);
            const double slack = shortest - distance[j];
            if (row_of[j] >= 0) row_price[std::size_t(row_of[j])] += slack;
            column_price[j] -= slack;
        }
        for (Index column = sink;;) {
            const Index r = from[std::size_t(column)];
            row_of[std::size_t(column)] = r;
            taken[column] = 1;
            std::swap(column_of[std::size_t(r)], column);
            if (r == start) break;
        }
    }
    return column_of;
}

}  // namespace detail

/// The assignment of least total cost for costs [R, C], of any signs, computed in double: shortest augmenting paths
/// (D. Crouse, On implementing 2D rectangular assignment algorithms, 2016), O(min(R, C)² max(R, C)). Infinite costs
/// forbid a pair. Which of several optima is found is not specified. Throws ValueError for NaN or -infinity, and where
/// no assignment has a finite cost.
template <Real T>
Assignment hungarian(const Tensor<T, 2>& costs) {
    const Index rows = costs.shape()[0], columns = costs.shape()[1];
    const bool turned = rows > columns;
    const Index n = turned ? columns : rows, m = turned ? rows : columns;
    constexpr Index width = simd::Vec<double>::width;
    const Index stride = (m + width - 1) / width * width;
    double* const cost = parallel::scratch<double>((n + 4) * stride, detail::hungarian_slot);
    for (Index i = 0; i < n; ++i)
        for (Index j = m; j < stride; ++j) cost[i * stride + j] = __builtin_inf();
    const T* const from = costs.data();
    const Index row_step = costs.strides()[0], column_step = costs.strides()[1];
    for (Index i = 0; i < rows; ++i)
        for (Index j = 0; j < columns; ++j) {
            const double c = double(from[i * row_step + j * column_step]);
            require<ValueError>(c > -__builtin_inf(), "hungarian: matrix contains invalid numeric entries (", c,
                                " in row ", i, ", column ", j, ")");
            cost[turned ? j * stride + i : i * stride + j] = c;
        }
    const auto column_of = detail::shortest_paths(n, stride, cost, cost + n * stride);
    std::vector<Index> partner(std::size_t(rows), -1);
    Assignment out{empty<std::int64_t>(Shape{n}), empty<std::int64_t>(Shape{n})};
    for (Index i = 0; i < n; ++i) {
        const Index j = column_of[std::size_t(i)];
        out.cost += cost[i * stride + j];
        partner[std::size_t(turned ? j : i)] = turned ? i : j;
    }
    std::int64_t *row = out.rows.mutable_data(), *column = out.columns.mutable_data();
    for (Index i = 0; i < rows; ++i)
        if (partner[std::size_t(i)] >= 0) *row++ = i, *column++ = partner[std::size_t(i)];
    return out;
}

}  // namespace lamina::inline LAMINA_ABI::vision
