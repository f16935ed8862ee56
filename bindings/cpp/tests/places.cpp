// places.cpp - each call that makes or opens something records the caller's line by default, and no line of tenure.hpp.
#include "check.hpp"
#include <vector>

using tenure::array;
using tenure::flag;
using tenure::mode;

namespace {

// The sites of everything that is not released.
std::vector<std::string> places() {
    std::vector<std::string> out;
    for (const tenure::holder &leak : tenure::leaks())
        out.push_back(leak.site);
    return out;
}

// The site as messages and reports show it: the end of a long path.
bool is_here(const std::string &site, int line) {
    const std::string wanted = "places.cpp:" + std::to_string(line);
    return site.size() >= wanted.size() && site.compare(site.size() - wanted.size(), wanted.size(), wanted) == 0;
}

// The object just made on that line is the only one that is not released.
#define MADE_HERE(what)                                                                                                \
    do {                                                                                                               \
        auto made = what;                                                                                              \
        const auto found = places();                                                                                   \
        CHECK(!found.empty());                                                                                         \
        for (const std::string &site : found)                                                                          \
            CHECK(is_here(site, __LINE__));                                                                            \
    } while (false)

void creation() {
    MADE_HERE(tenure::empty<double>({3}));
    MADE_HERE(tenure::empty(tenure::dtype::i32, {3}));
    MADE_HERE(tenure::zeros<double>({3}));
    MADE_HERE(tenure::zeros(tenure::dtype::f32, {3}, tenure::named("a")));
    MADE_HERE(tenure::full<double>({3}, 1.0));
    MADE_HERE(tenure::from(std::vector<double>(3)));
    MADE_HERE(tenure::copy_of(std::vector<double>(3)));
    double memory[3] = {1, 2, 3};
    MADE_HERE(tenure::import_host(memory, tenure::layout::of<double>({3}), flag::borrow));
    MADE_HERE(tenure::import_host(memory, tenure::layout::of<double>({3}), flag::borrow, [] {}));
    MADE_HERE(tenure::pool(tenure::pool_options()));
    MADE_HERE(tenure::pool::current());
}

// In a line of its own, so that arrays made before do not count.
void from_arrays() {
    auto line_of_last = [](auto make) {
        array a = tenure::zeros<double>({2, 3});
        auto made = make(a);
        std::string site;
        for (const tenure::holder &leak : tenure::leaks())
            if (leak.kind != TN_HOLDER_HANDLE || leak.id != reinterpret_cast<std::uint64_t>(a.handle()))
                site = leak.site;
        return site;
    };
#define MAKES(call) CHECK(is_here(line_of_last([](array &a) { return call; }), __LINE__))
    MAKES(a.clone());
    MAKES(a.copy());
    MAKES(a.reshape({3, 2}));
    MAKES(a.ravel());
    MAKES(a.transpose());
    MAKES(a.permute({1, 0}));
    MAKES(a.slice({{0, 1}}));
    MAKES(a.index(0, 1));
    MAKES(a.squeeze());
    MAKES(a.expand(0));
    MAKES(a.broadcast({4, 2, 3}));
    MAKES(a.split(0, 2));
    MAKES(a.chunks(0, 1));
    MAKES(a.view_dtype(tenure::dtype::i64));
    MAKES(a.weaken());
    MAKES(a.read<double>());
    MAKES(a.write<double>(mode::discard));
    MAKES(a.split_write<double>(2));
    MAKES(a.export_host<const double>(flag::borrow));
    MAKES(a.export_dlpack(flag::borrow));
    MAKES(tenure::import_dlpack(a.export_dlpack(flag::borrow)));
    MAKES(tenure::like(a));
    MAKES(tenure::give(a.clone()));
    MAKES(tenure::take(tenure::give(a.clone())));
    MAKES(tenure::lazy(a));
    MAKES(tenure::lower(a.slice({{0, 2}, {0, 2}})));
#undef MAKES
}

// A conflict names the line that opened the conflicting guard.
void in_texts() {
    array a = tenure::zeros<double>({3}, tenure::named("a"));
    auto r = a.read<double>(); const int line = __LINE__;
    try {
        static_cast<void>(a.write<double>());
        CHECK(false);
    } catch (const tenure::ownership_error &refused) {
        const std::string text = refused.what();
        CHECK(text.find("places.cpp:" + std::to_string(line)) != std::string::npos);
    }
    // Any other site can be passed.
    array b = a.clone(tenure::site("elsewhere.cpp", 7));
    bool found = false;
    for (const std::string &site : places())
        found = found || site == "elsewhere.cpp:7";
    CHECK(found);
}

} // namespace

int main() {
    creation();
    from_arrays();
    in_texts();
    return finish();
}
