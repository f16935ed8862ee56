/*
 * containers.cpp - a C++ program with containers and arrays, with any allocator (T33).
 *
 *     containers malloc|tenure
 *
 * It counts words in a text of its own in a map of strings, and smooths a column of numbers for each word. "malloc": containers by the
 * default resource and columns by std::vector, with the process's malloc; "tenure": a `tenure::memory_resource` and arrays of a pool. Prints
 * what arrays.py prints.
 */
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory_resource>
#include <string>
#include <sys/resource.h>
#include <tenure.hpp>
#include <tenure_memory.hpp>
#include <unordered_map>
#include <vector>

namespace {

constexpr int steps = 8, words = 400000, columns = 48;
constexpr std::size_t rows = 96 * 1024;

std::uint64_t next(std::uint64_t &state)
{
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

/* Words of 3 to 40 letters, of which few are frequent. */
std::size_t count(std::pmr::memory_resource *resource)
{
    std::pmr::unordered_map<std::pmr::string, std::pmr::vector<int>> places(resource);
    std::uint64_t state = 88172645463325252u;
    for (int i = 0; i < words; i++) {
        const std::uint64_t bits = next(state);
        std::uint64_t number = (bits >> 40) % (1 + (bits & 0x3fff));
        std::pmr::string word(3 + number % 38, static_cast<char>('a' + number % 26), resource);
        for (std::size_t at = 0; number != 0 && at < word.size(); at++, number /= 26) {
            word[at] = static_cast<char>('a' + number % 26);
        }
        places[std::move(word)].push_back(i);
    }
    std::size_t sum = 0;
    for (const auto &[word, at] : places) {
        sum += word.size() * at.size();
    }
    return sum;
}

void smooth(const double *from, double *to)
{
    for (std::size_t i = 0; i < rows; i++) {
        to[i] = (from[i] + from[(i + 1) % rows] + from[(i + 7) % rows]) / 3;
    }
}

double by_vectors()
{
    double sum = 0;
    std::vector<double> kept;
    for (int column = 0; column < columns; column++) {
        std::vector<double> from(rows), to(rows + static_cast<std::size_t>(column) * 1024);
        for (std::size_t i = 0; i < rows; i++) {
            from[i] = static_cast<double>((i * 31 + static_cast<std::size_t>(column)) % 1000);
        }
        smooth(from.data(), to.data());
        kept = std::move(to);
        sum += kept[rows / 2];
    }
    return sum;
}

double by_arrays()
{
    double sum = 0;
    tenure::array kept;
    for (int column = 0; column < columns; column++) {
        tenure::array from = tenure::empty<double>({static_cast<std::int64_t>(rows)});
        tenure::array to = tenure::zeros<double>({static_cast<std::int64_t>(rows) + column * 1024});
        {
            auto in = from.write<double>();
            auto out = to.write<double>();
            for (std::size_t i = 0; i < rows; i++) {
                in.data()[i] = static_cast<double>((i * 31 + static_cast<std::size_t>(column)) % 1000);
            }
            smooth(in.data(), out.data());
            sum += out.data()[rows / 2];
        }
        kept = std::move(to);
    }
    return sum;
}

/* The peak of resident memory. That of getrusage counts the program that started this one, too. */
double peak_kib()
{
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.rfind("VmHWM:", 0) == 0) {
            return std::stod(line.substr(6));
        }
    }
    return 0;
}

} // namespace

int main(int, char **arguments)
{
    const bool ours = std::strcmp(arguments[1], "tenure") == 0;
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    const double peak_before = peak_kib();
    std::vector<double> times;
    double result = 0;
    tenure::memory_resource pool;
    for (int step = 0; step < steps; step++) {
        const auto start = std::chrono::steady_clock::now();
        result = static_cast<double>(count(ours ? &pool : std::pmr::new_delete_resource())) + (ours ? by_arrays() : by_vectors());
        times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    }
    getrusage(RUSAGE_SELF, &after);
    std::sort(times.begin(), times.end());
    const auto faults = static_cast<double>(after.ru_minflt - before.ru_minflt);
    const double mib = (peak_kib() - peak_before) / 1024;
    std::printf("ms\t%f\t%f\nfaults\t%f\t%f\nMiB\t%f\t%f\n# result\t%.10g\n", times[0], times[times.size() / 2], faults, faults, mib, mib, result);
    return 0;
}
