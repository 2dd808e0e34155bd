#pragma once
// The numbers of a run, row by row in a CSV file that spreadsheets read and that a resumed run continues.
#include <lamina/train/progress.hpp>

#include <charconv>
#include <limits>
#include <vector>

namespace lamina::inline LAMINA_ABI::train {

/// `train::MetricsLog log("run.csv", {"loss", "accuracy"}); log.write(step, {{"loss", 0.3}});` — first column `step`,
/// empty cells for numbers that a row does not have. Every row is in the file when `write` returns.
class MetricsLog {
public:
    struct Row {
        Index step;
        std::vector<double> values;  ///< by column; NaN where there is none
    };

    /// Starts the file, or goes on with one that has the same columns: its rows before `first_step` stay, later ones,
    /// which a resumed run writes again, do not. Throws IoError when it cannot be written or has other columns, and
    /// ValueError for a column's name that would break the table.
    MetricsLog(std::string path, std::vector<std::string> columns, Index first_step = 0);
    MetricsLog(const MetricsLog&) = delete;
    MetricsLog& operator=(const MetricsLog&) = delete;
    ~MetricsLog() {
        if (file_) std::fclose(file_);
    }

    /// Appends a row. Throws ValueError for a metric without a column, IoError.
    void write(Index step, std::initializer_list<Metric> metrics) {
        Row row{step, std::vector<double>(columns_.size(), std::numeric_limits<double>::quiet_NaN())};
        for (const Metric& metric : metrics) {
            std::size_t column = 0;
            while (column < columns_.size() && columns_[column] != metric.name) ++column;
            require<ValueError>(column < columns_.size(), "MetricsLog: there must be a column ", metric.name,
                                " among the ", Index(columns_.size()), " of \"", path_, "\"");
            row.values[column] = metric.value;
        }
        put(row);
        rows_.push_back(std::move(row));
    }
    const std::vector<std::string>& columns() const { return columns_; }
    const std::vector<Row>& rows() const { return rows_; }

private:
    std::string header() const {
        std::string out = "step";
        for (const std::string& column : columns_) out += ',' + column;
        return out + '\n';
    }
    void put(const Row& row) {
        std::string line = message(row.step);
        for (double value : row.values) {
            line += ',';
            if (value == value) line += message(value);
        }
        line += '\n';
        put(line);
    }
    void put(const std::string& text) {
        require<IoError>(std::fwrite(text.data(), 1, text.size(), file_) == text.size() && std::fflush(file_) == 0,
                         "MetricsLog: \"", path_, "\" must be writable");
    }
    /// Rows of the file before `first_step`; a last line that a crash cut short does not count.
    void read_rows(std::FILE* file, Index first_step);

    std::string path_;
    std::vector<std::string> columns_;
    std::vector<Row> rows_;
    std::FILE* file_ = nullptr;
};

inline MetricsLog::MetricsLog(std::string path, std::vector<std::string> columns, Index first_step)
    : path_(std::move(path)),
      columns_(std::move(columns)) {
    for (const std::string& name : columns_)
        require<ValueError>(name.find_first_of(",\"\r\n") == name.npos,
                            "MetricsLog: a column's name must have no comma, quotation mark or line's end but is ",
                            name);
    if (std::FILE* const old = std::fopen(path_.c_str(), "rb")) {
        struct Closer {
            std::FILE* file;
            ~Closer() { std::fclose(file); }
        } const closer{old};
        if (first_step > 0) read_rows(old, first_step);
    }
    // The rows that stay are never in one half-written file alone.
    const std::string fresh = path_ + ".partial";
    file_ = std::fopen(fresh.c_str(), "wb");
    require<IoError>(file_, "MetricsLog: \"", path_, "\" must be writable");
    put(header());
    for (const Row& row : rows_) put(row);
    require<IoError>(std::rename(fresh.c_str(), path_.c_str()) == 0, "MetricsLog: \"", path_, "\" must be replaceable");
}

inline void MetricsLog::read_rows(std::FILE* file, Index first_step) {
    std::string text;
    char piece[4096];
    while (const std::size_t n = std::fread(piece, 1, sizeof piece, file)) text.append(piece, n);
    if (text.empty()) return;
    require<IoError>(text.starts_with(header()), "MetricsLog: \"", path_, "\" must begin with the columns ",
                     header().substr(0, header().size() - 1));
    std::size_t begin = header().size();
    for (std::size_t end; (end = text.find('\n', begin)) != text.npos; begin = end + 1) {
        const char *at = text.data() + begin, *const stop = text.data() + end;
        Row row{0, {}};
        at = std::from_chars(at, stop, row.step).ptr;
        while (at != stop && *at == ',') {
            double value = std::numeric_limits<double>::quiet_NaN();
            at = std::from_chars(at + 1, stop, value).ptr;
            row.values.push_back(value);
        }
        if (at == stop && row.values.size() == columns_.size() && row.step < first_step) rows_.push_back(row);
    }
}

}  // namespace lamina::inline LAMINA_ABI::train
