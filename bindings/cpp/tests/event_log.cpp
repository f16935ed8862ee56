// event_log.cpp - the log of events in memory and in a file. c-tests/events.c tests what is recorded.
#include "check.hpp"

#include <fstream>
#include <iterator>
#include <typeinfo>

using tenure::array;
using tenure::event_kind;
using tenure::event_log;

static bool runs() {
    tn_log_stats stats;
    stats.size = sizeof stats;
    CHECK(tn_log_query(&stats) == TN_OK);
    return stats.kinds != 0;
}

// The bytes of a file, or "" without one.
static std::string contents(const char *path) {
    std::ifstream file(path, std::ios::binary);
    return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}

static bool is_log(const char *path) {
    const std::string text = contents(path);
    return text.size() > 4096 + 64 && text.compare(0, 8, "TNEVENTS") == 0 && text.compare(4096, 4, "TNCK") == 0;
}

/* EV-4, EV-17, EV-19 */
static void in_memory() {
    event_log log(event_kind::allocate | event_kind::name, 1 << 20);
    const tn_log_stats before = log.stats();
    CHECK(before.kinds == (TN_LOG_ALLOCATE | TN_LOG_NAME) && before.is_file == 0 && before.capacity == 1 << 20);
    array a = tenure::zeros<double>({10}, tenure::named("of the log"));
    CHECK(a.read<double>()[0] == 0.0);
    const tn_log_stats after = log.stats();
    CHECK(after.events - before.events == 3 && after.overwritten == 0 && after.dropped == 0);
    log.save("saved");
    CHECK(is_log("saved") && says(contents("saved"), "of the log"));
#if !defined TENURE_NO_SITES
    CHECK(says(contents("saved"), "event_log.cpp:"));
#endif
    THROWS(tenure::io_error, TN_ERR_IO, log.save("no such folder/saved"));
    CHECK(log && runs());
    log.stop();
    CHECK(!log && !runs() && log.stats().events == after.events);
    CHECK(std::remove("saved") == 0);
    log.save("saved");
    CHECK(is_log("saved") && std::remove("saved") == 0);
    log.stop();
}

/* EV-2, EV-5: its destructor ends it. */
static void in_a_file() {
    {
        event_log log("events");
        CHECK(log.stats().is_file == 1 && log.stats().kinds == TN_LOG_ALL && log.stats().capacity == std::uint64_t{1} << 30);
        array a = tenure::zeros<double>({10}, tenure::named("in the file"));
        THROWS(tenure::argument_error, TN_ERR_DUPLICATE, event_log second("second"));
        THROWS(tenure::usage_error, TN_ERR_INVALID, log.save("saved"));
        CHECK(runs() && contents("second").empty());
        a.reset();
    }
    CHECK(!runs() && is_log("events") && says(contents("events"), "in the file"));
    try {
        event_log log("events", event_kind::borrow, 1 << 20);
        CHECK(log.stats().kinds == TN_LOG_BORROW && log.stats().capacity == 1 << 20);
        throw 1;
    } catch (int) {
    }
    CHECK(!runs() && contents("events").compare(0, 8, "TNEVENTS") == 0 && std::remove("events") == 0);
}

static void moves() {
    static_assert(!std::is_copy_constructible_v<event_log> && !std::is_copy_assignable_v<event_log>);
    static_assert(std::is_nothrow_move_constructible_v<event_log> && std::is_nothrow_move_assignable_v<event_log>);
    event_log kept;
    {
        event_log other = std::move(kept);
        CHECK(other && !kept);
        kept.stop();
        CHECK(runs());
        kept = std::move(other);
    }
    CHECK(kept && runs());
    // The log that an object has ends when it gets another one.
    event_log ended = std::move(kept);
    kept = std::move(ended);
    ended = event_log(std::move(kept));
    CHECK(ended && runs());
    ended.stop();
    ended = event_log(event_kind::give);
    CHECK(ended.stats().kinds == TN_LOG_GIVE);
}

/* EV-1, EV-3 */
static void refusals() {
    CHECK(!runs());
    THROWS(tenure::usage_error, TN_ERR_INVALID, event_log log(event_kind::everything, 1 << 19));
    THROWS(tenure::usage_error, TN_ERR_INVALID, event_log log("events", static_cast<event_kind>(16)));
    THROWS(tenure::io_error, TN_ERR_IO, event_log log("no such folder/events"));
    CHECK(!runs() && contents("events").empty());
}

int main() {
    in_memory();
    in_a_file();
    moves();
    refusals();
    return finish();
}
