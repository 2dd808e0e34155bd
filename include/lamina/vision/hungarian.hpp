#pragma once
// Optimal assignment: pairs of rows and columns, each used once, with the least total cost.
#include <lamina/core/create.hpp>

#include <vector>

namespace lamina::inline LAMINA_ABI::vision {

/// min(R, C) pairs of an assignment, by rising row.
struct Assignment {
    Tensor<std::int64_t, 1> rows, columns;
    double cost = 0;  ///< their total
};

namespace detail {

/// Shortest augmenting paths with potentials for n <= m: column_of[n]. Throws where no finite assignment exists.
template <class Cost>
std::vector<Index> shortest_paths(Index n, Index m, Cost&& cost) {
    constexpr double infinity = __builtin_inf();
    const auto size = static_cast<std::size_t>(m);
    std::vector<double> row_price(static_cast<std::size_t>(n)), column_price(size), distance(size);
    std::vector<Index> column_of(static_cast<std::size_t>(n), -1), row_of(size, -1), from(size), open(size);
    for (Index start = 0; start < n; ++start) {
        Index left = m;
        for (Index j = 0; j < m; ++j) open[std::size_t(j)] = j, distance[std::size_t(j)] = infinity;
        double shortest = 0;
        Index row = start, sink = -1;
        // Columns open[left … m) are done, in the order of their distance.
        while (sink < 0) {
            double least = infinity;
            Index best = -1;
            const double price = row_price[std::size_t(row)];
            for (Index k = 0; k < left; ++k) {
                const auto j = std::size_t(open[std::size_t(k)]);
                const double reached = shortest + cost(row, Index(j)) - price - column_price[j];
                if (reached < distance[j]) distance[j] = reached, from[j] = row;
                // Among equals a free column ends the search.
                if (distance[j] < least || (distance[j] == least && best >= 0 && row_of[j] < 0))
                    least = distance[j], best = k;
            }
            require<ValueError>(best >= 0, "hungarian: cost matrix is infeasible (row ", start, " of ", n, ")");
            shortest = least;
            const Index column = open[std::size_t(best)];
            std::swap(open[std::size_t(best)], open[std::size_t(--left)]);
            if (row_of[std::size_t(column)] < 0) sink = column;
            else row = row_of[std::size_t(column)];
        }
        row_price[std::size_t(start)] += shortest;
        for (Index k = left; k < m; ++k) {
            const auto j = std::size_t(open[std::size_t(k)]);
            const double slack = shortest - distance[j];
            if (row_of[j] >= 0) row_price[std::size_t(row_of[j])] += slack;
            column_price[j] -= slack;
        }
        for (Index column = sink;;) {
            const Index r = from[std::size_t(column)];
            row_of[std::size_t(column)] = r;
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
    std::vector<double> cost(std::size_t(n * m));
    const T* const from = costs.data();
    const Index row_step = costs.strides()[0], column_step = costs.strides()[1];
    for (Index i = 0; i < rows; ++i)
        for (Index j = 0; j < columns; ++j) {
            const double c = double(from[i * row_step + j * column_step]);
            require<ValueError>(c > -__builtin_inf(), "hungarian: matrix contains invalid numeric entries (", c,
                                " in row ", i, ", column ", j, ")");
            cost[std::size_t(turned ? j * m + i : i * m + j)] = c;
        }
    const auto column_of = detail::shortest_paths(n, m, [&](Index i, Index j) { return cost[std::size_t(i * m + j)]; });
    std::vector<Index> partner(std::size_t(rows), -1);
    Assignment out{empty<std::int64_t>(Shape{n}), empty<std::int64_t>(Shape{n})};
    for (Index i = 0; i < n; ++i) {
        const Index j = column_of[std::size_t(i)];
        out.cost += cost[std::size_t(i * m + j)];
        partner[std::size_t(turned ? j : i)] = turned ? i : j;
    }
    std::int64_t *row = out.rows.mutable_data(), *column = out.columns.mutable_data();
    for (Index i = 0; i < rows; ++i)
        if (partner[std::size_t(i)] >= 0) *row++ = i, *column++ = partner[std::size_t(i)];
    return out;
}

}  // namespace lamina::inline LAMINA_ABI::vision
