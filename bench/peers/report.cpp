#include "harness.hpp"

#include <cmath>
#include <cstdio>
#include <set>

namespace peers {
namespace {

template <class... A>
std::string format(const char* pattern, A... a) {
    char text[512];
    std::snprintf(text, sizeof text, pattern, a...);
    return text;
}

std::string milliseconds(const Timing* t) {
    if (!t) return "-";
    const double ms = t->seconds * 1e3;
    return format(ms < 1 ? "%.4f" : ms < 10 ? "%.3f" : ms < 100 ? "%.2f" : "%.1f", ms);
}

std::string share_text(const Measurement& m) { return m.share() > 0 ? format("%.2f", m.share()) : "-"; }

std::string rate(const Measurement& m, const Timing* t) {
    if (!t) return "-";
    if (m.limit.items.count > 0) return format("%.0f %s/s", m.limit.items.count / t->seconds, m.limit.items.name);
    if (m.limit.flops > 0) return format("%.1f GF/s", m.limit.flops / t->seconds * 1e-9);
    if (m.limit.floats > 0) return format("%.1f GB/s", m.limit.bytes() / t->seconds * 1e-9);
    return "-";
}

// Every library that took part, ourselves and the machine aside, in the order of their names.
std::set<std::string> libraries(const std::vector<Measurement>& results) {
    std::set<std::string> names;
    for (const auto& m : results)
        for (const auto& [name, t] : m.timings)
            if (name != us && name != machine_limit) names.insert(name);
    return names;
}

struct GeometricMean {
    double logs = 0;
    int count = 0;
    void add(double x) {
        if (x > 0) logs += std::log(x), ++count;
    }
    double value() const { return count ? std::exp(logs / count) : 0; }
};

std::string quoted(const std::string& s) {
    std::string out = "\"";
    for (char c : s) {
        if (c == '"' || c == '\\') out += '\\';
        if (c == '\n') out += "\\n";
        else out += c;
    }
    return out + '"';
}

}  // namespace

const Timing* Measurement::find(const std::string& library) const {
    const auto it = timings.find(library);
    return it == timings.end() ? nullptr : &it->second;
}

const Timing* Measurement::fastest_peer(std::string* name) const {
    const Timing* best = nullptr;
    for (const auto& [library, t] : timings)
        if (library != us && library != machine_limit && (!best || t.seconds < best->seconds)) {
            best = &t;
            if (name) *name = library;
        }
    return best;
}

double Measurement::ratio() const {
    const auto *ours = find(us), *peer = fastest_peer();
    return ours && peer ? peer->seconds / ours->seconds : 0;
}

double Measurement::share() const {
    const auto *limit_time = find(machine_limit), *t = find(us) ? find(us) : fastest_peer();
    return limit_time && t ? limit_time->seconds / t->seconds : 0;
}

std::string markdown(const std::vector<Measurement>& results) {
    const auto names = libraries(results);
    std::string out = "| workload | threads | lamina ms | rate | share of peak |";
    std::string rule = "|---|--:|--:|--:|--:|";
    for (const auto& name : names) {
        out.append(" ").append(name).append(" ms |");
        rule.append("--:|");
    }
    out += " fastest peer / lamina |\n" + rule + "--:|\n";
    for (const auto& m : results) {
        const auto* ours = m.find(us);
        out += format("| %s | %d | %s | %s | %s |", m.row.c_str(), m.threads, milliseconds(ours).c_str(),
                      rate(m, ours ? ours : m.fastest_peer()).c_str(), share_text(m).c_str());
        for (const auto& name : names) out += format(" %s |", milliseconds(m.find(name)).c_str());
        out += format(m.ratio() > 0 ? " %.2f |\n" : " - |\n", m.ratio());
    }
    return out;
}

std::string summary(const std::vector<Measurement>& results) {
    std::string out;
    GeometricMean all;
    int behind = 0;
    for (const auto& m : results) {
        std::string name;
        const auto* peer = m.fastest_peer(&name);
        if (!m.disagreement.empty())
            out += "disagreement: " + m.row + " at " + std::to_string(m.threads) + ": " + m.disagreement + "\n";
        all.add(m.ratio());
        if (m.ratio() > 0 && m.ratio() < 1) {
            ++behind;
            out += "behind: " + m.row + " at " + std::to_string(m.threads) + ": " + format("%.3f", m.ratio()) + " of " +
                   name + " " + peer->variant + "\n";
        }
    }
    out += format("rows %d, behind %d, geomean %.3f\n", all.count, behind, all.value());
    for (const auto& name : libraries(results)) {
        GeometricMean mean;
        for (const auto& m : results)
            if (const auto* ours = m.find(us), *peer = m.find(name); ours && peer)
                mean.add(peer->seconds / ours->seconds);
        if (mean.count) out += format("geomean against %s %.3f\n", name.c_str(), mean.value());
    }
    return out;
}

std::string json(const std::vector<Measurement>& results, const std::map<std::string, std::string>& machine) {
    std::string out = "{\n  \"machine\": {";
    const char* separator = "";
    for (const auto& [key, value] : machine) {
        out += separator + quoted(key) + ": " + quoted(value);
        separator = ", ";
    }
    out += "},\n  \"rows\": [";
    separator = "\n";
    for (const auto& m : results) {
        std::string name;
        const auto* peer = m.fastest_peer(&name);
        out += separator +
               format("    {\"workload\": %s, \"threads\": %d, \"flops\": %.0f, \"bytes\": %.0f, \"seconds\": {",
                      quoted(m.row).c_str(), m.threads, m.limit.flops, m.limit.bytes());
        const char* comma = "";
        for (const auto& [library, t] : m.timings) {
            out += comma + quoted(library) + format(": %.9g", t.seconds);
            comma = ", ";
        }
        out += "}, \"variants\": {";
        comma = "";
        for (const auto& [library, t] : m.timings) {
            out += comma + quoted(library) + ": " + quoted(t.variant);
            comma = ", ";
        }
        out += format("}, \"fastest_peer\": %s, \"ratio\": %.4f, \"share\": %.4f, \"agree\": %s}",
                      peer ? quoted(name).c_str() : "null", m.ratio(), m.share(),
                      m.disagreement.empty() ? "true" : "false");
        separator = ",\n";
    }
    return out + "\n  ]\n}\n";
}

}  // namespace peers
