#pragma once
// A progress bar for long work: how far, how fast, how long still, and the numbers one watches. Silent when its stream
// is not a terminal, so that logs stay clean.
#include <lamina/core/error.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#if defined(__unix__) || defined(__APPLE__)
#include <sys/ioctl.h>
#include <unistd.h>
#endif

namespace lamina::inline LAMINA_ABI::train {

/// A number shown behind the bar, such as {"loss", 0.31}.
struct Metric {
    std::string_view name;
    double value;
};

/// Progress over `total` items of `unit`, drawn on one line of standard error at most ten times a second.
class Progress {
public:
    /// Where the bar is drawn; `automatic` asks whether standard error is a terminal.
    enum class Output { automatic, always, never };

    Progress(std::string_view label, Index total, std::string_view unit = "items", Output output = Output::automatic)
        : label_(label),
          unit_(unit),
          total_(total > 0 ? total : 1),
          begin_(Clock::now()),
          visible_(output == Output::always || (output == Output::automatic && is_terminal())) {}
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    ~Progress() { finish(); }

    /// Corrects the number of items, where it was an estimate: of work that ends at a time.
    void set_total(Index total) { total_ = total > 0 ? total : 1; }
    /// Says that `done` items are finished, and shows the metrics.
    void update(Index done, std::initializer_list<Metric> metrics = {}) {
        done_ = done;
        if (!visible_) return;
        const auto now = Clock::now();
        if (drawn_ && done < total_ && now - last_drawn_ < std::chrono::milliseconds(100)) return;
        note_rate(now, done);
        last_drawn_ = now;
        drawn_ = true;
        std::string text(1, '\r');
        text += line(done, metrics, columns());
        text += "\033[K";
        std::fputs(text.c_str(), stderr);
        std::fflush(stderr);
    }
    /// Takes the bar away until the next update, so that a line may be printed in its place.
    void clear() {
        if (!drawn_) return;
        std::fputs("\r\033[K", stderr);
        std::fflush(stderr);
    }
    /// Ends the line and stops the clock; called by the destructor too.
    void finish() {
        if (!finished_) end_ = Clock::now();
        finished_ = true;
        if (drawn_) std::fputc('\n', stderr);
        drawn_ = false;
    }

    /// From the beginning to now, or to finish().
    double seconds() const { return std::chrono::duration<double>((finished_ ? end_ : Clock::now()) - begin_).count(); }
    /// Items per second so far.
    double rate() const { return double(done_) / (seconds() > 0 ? seconds() : 1e-9); }

    /// What is drawn, cut to `width` columns. The bar takes what the text leaves. The time left follows from the rate
    /// of the last seconds, since work is not always equally fast.
    std::string line(Index done, std::initializer_list<Metric> metrics, int width) const {
        const double part = double(done < total_ ? done : total_) / double(total_), spent = seconds();
        const double overall = double(done) / (spent > 0 ? spent : 1e-9), speed = recent_ > 0 ? recent_ : overall;
        const double left = speed > 0 ? double(total_ - done) / speed : 0;
        std::string text = printed(" %3.0f%%", 100 * part);
        for (const Metric& m : metrics) text += message("  ", m.name) + printed(" %.4g", m.value);
        text += printed(overall < 10 ? "  %.2g " : "  %.0f ", overall) + message(unit_, "/s");
        text += done < total_ ? "  " + duration(left) + " left" : printed("  %.1f s", spent);
        std::string out = label_ + " ";
        const int room = width - int(out.size() + text.size()) - 3;
        if (room >= 5) {
            const int cells = room < 40 ? room : 40, full = int(part * cells);
            out += '[' + std::string(std::size_t(full), '#') + std::string(std::size_t(cells - full), '.') + ']';
        }
        out += text;
        if (int(out.size()) >= width && width > 0) out.resize(std::size_t(width - 1));
        return out;
    }

    /// "12 s", "2:05 min", "3:07 h": two figures of a time that one waits for.
    static std::string duration(double seconds) {
        if (seconds < 99.5) return printed("%.0f s", seconds);
        const bool minutes = seconds < 5970;
        const auto units = static_cast<long long>((minutes ? seconds : seconds / 60) + 0.5);
        char text[48];
        std::snprintf(text, sizeof text, "%lld:%02lld %s", units / 60, units % 60, minutes ? "min" : "h");
        return text;
    }

private:
    using Clock = std::chrono::steady_clock;

    /// Takes the rate since the last drawing into a mean over some ten seconds.
    void note_rate(Clock::time_point now, Index done) {
        const double since = std::chrono::duration<double>(now - (drawn_ ? last_drawn_ : begin_)).count();
        if (since <= 0 || done <= last_done_) return;
        const double rate = double(done - last_done_) / since, share = recent_ > 0 ? since / (since + 10) : 1;
        recent_ += share * (rate - recent_);
        last_done_ = done;
    }

    static std::string printed(const char* format, double number) {
        char text[48];
        std::snprintf(text, sizeof text, format, number);
        return text;
    }
#if defined(__unix__) || defined(__APPLE__)
    static bool is_terminal() { return isatty(STDERR_FILENO); }
    static int columns() {
        winsize size{};
        return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
    }
#else
    static bool is_terminal() { return false; }
    static int columns() { return 80; }
#endif

    std::string label_, unit_;
    Index total_, done_ = 0, last_done_ = 0;
    double recent_ = 0;
    Clock::time_point begin_, end_{}, last_drawn_{};
    bool visible_, drawn_ = false, finished_ = false;
};

}  // namespace lamina::inline LAMINA_ABI::train
