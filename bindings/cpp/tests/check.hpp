// check.hpp - helpers of the C++ tests: CHECK, THROWS, and an end that counts leaks.
#ifndef TENURE_TESTS_CHECK_HPP
#define TENURE_TESTS_CHECK_HPP

#include "tenure.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>

inline int failures = 0;

// Checks the condition; if it fails, the test goes on and fails at its end.
#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            failures++;                                                                                                \
            std::printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);                                                \
        }                                                                                                              \
    } while (0)

// The statement must throw exactly this class, with this status.
#define THROWS(kind, code, ...)                                                                                        \
    do {                                                                                                               \
        bool thrown = false;                                                                                           \
        try {                                                                                                          \
            __VA_ARGS__;                                                                                               \
        } catch (const tenure::error &e) {                                                                             \
            thrown = true;                                                                                             \
            if (e.status() != (code) || typeid(e) != typeid(kind)) {                                                   \
                failures++;                                                                                            \
                std::printf("%s:%d: %s: %s instead of %s\n", __FILE__, __LINE__, e.name(), e.what(), #code);           \
            }                                                                                                          \
        }                                                                                                              \
        if (!thrown) {                                                                                                 \
            failures++;                                                                                                \
            std::printf("%s:%d: does not throw: %s\n", __FILE__, __LINE__, #__VA_ARGS__);                              \
        }                                                                                                              \
    } while (0)

// Whether the text has this part.
inline bool says(const std::string &text, const char *part) { return text.find(part) != std::string::npos; }

// The elements of an int64 array in C order.
inline std::vector<std::int64_t> elements(const tenure::array &a) { return a.to_vector<std::int64_t>(); }

// Where its bytes are.
inline const void *address(const tenure::array &a) {
    auto r = a.read();
    const void *at = nullptr;
    at = r.data(); // compared only, so it may outlive the guard; clang would warn of a return of r.data()
    return at;
}

// Whether there is a GPU. A run that is for one fails without it.
inline bool has_gpu() {
    const bool found = tenure::device_count(TN_CUDA) != 0;
    CHECK(found || std::getenv("TENURE_TEST_DEVICE") == nullptr);
    return found;
}

// 0, 1, 2, .. as int64, so that each element tells where it came from.
inline tenure::array numbers(const tenure::dims &shape, const tenure::options &how = {},
                             tenure::site place = tenure::site::here()) {
    std::vector<std::int64_t> values(static_cast<std::size_t>(shape.count()));
    for (std::size_t at = 0; at < values.size(); at++)
        values[at] = static_cast<std::int64_t>(at);
    return tenure::copy_of(values, shape, how, place);
}

// The end of main: nothing is leaked, and no check failed.
inline int finish() {
    for (const tenure::holder &left : tenure::leaks()) {
        failures++;
        std::printf("not given back: kind %d, '%s', %llu bytes, made at '%s'\n", static_cast<int>(left.kind),
                    left.name.c_str(), static_cast<unsigned long long>(left.bytes), left.site.c_str());
    }
    return failures == 0 ? 0 : 1;
}

#endif
