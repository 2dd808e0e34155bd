#pragma once
// Curves of a run as a picture. Needs zlib.
#include <lamina/io/plot.hpp>
#include <lamina/train/metrics_log.hpp>

namespace lamina::inline LAMINA_ABI::train {

/// Draws the named columns of a log over its steps into a PNG file; all columns when none is named. Throws ValueError
/// for a name that is no column, IoError.
inline void plot_metrics(const std::string& path, const MetricsLog& log, const std::string& title = "training",
                         std::vector<std::string> names = {}) {
    if (names.empty()) names = log.columns();
    std::vector<io::Series> series;
    for (const std::string& name : names) {
        std::size_t column = 0;
        while (column < log.columns().size() && log.columns()[column] != name) ++column;
        require<ValueError>(column < log.columns().size(), "plot_metrics: there must be a column ", name);
        io::Series curve;
        curve.label = name;
        for (const MetricsLog::Row& row : log.rows()) {
            if (row.values[column] != row.values[column]) continue;
            curve.x.push_back(double(row.step));
            curve.y.push_back(row.values[column]);
        }
        series.push_back(std::move(curve));
    }
    io::plot_lines(path, title, series, {.x_label = "step"});
}

}  // namespace lamina::inline LAMINA_ABI::train
