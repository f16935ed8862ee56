// others.cpp - Arrow, files of several tensors, a runner's threads, memory of callbacks, and the report, in C++.
#include "check.hpp"

// Arrow's own structs, as its header has them.
#include "../../../c-tests/arrow_abi.h"

#include <cstdlib>
#include <fstream>
#include <thread>
#include <typeinfo>
#include <unistd.h>

using tenure::array;
using tenure::flag;
using tenure::how;

static void arrow() {
    array a = numbers({4}, tenure::named("a"));
    ArrowSchema schema{};
    ArrowArray out{};
    CHECK(tenure::export_arrow(a, &schema, &out, flag::require_borrow) == how::aliased);
    CHECK(out.length == 4 && static_cast<const std::int64_t *>(out.buffers[1])[3] == 3);
    how what{};
    array back = tenure::import_arrow(&schema, &out, flag::require_borrow, &what);
    CHECK(what == how::aliased && out.release == nullptr && tenure::overlap_of(a, back) == tenure::overlap::exact);
    THROWS(tenure::usage_error, TN_ERR_STALE, static_cast<void>(tenure::import_arrow(&schema, &out)));
    schema.release(&schema);
    back = array();
    ArrowDeviceArray there{};
    CHECK(tenure::export_arrow(a, &schema, &there) == how::copied && there.device_type == 1);
    back = tenure::import_arrow(&schema, &there, flag::borrow);
    schema.release(&schema);
    CHECK(elements(back)[2] == 2 && tenure::overlap_of(a, back) == tenure::overlap::none);
    THROWS(tenure::argument_error, TN_ERR_DTYPE, tenure::export_arrow(tenure::zeros<bool>({3}), &schema, &out));
}

static void files() {
    char path[] = "others-XXXXXX";
    const int descriptor = mkstemp(path);
    CHECK(descriptor >= 0 && close(descriptor) == 0);
    {
        const std::string header = R"({"x":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},"y":{"dtype":"I64","shape":[1],"data_offsets":[16,24]}} )";
        const std::uint64_t length = header.size();
        const std::int64_t values[3] = {5, 6, 7};
        std::ofstream file(path, std::ios::binary);
        file.write(reinterpret_cast<const char *>(&length), sizeof length) << header;
        file.write(reinterpret_cast<const char *>(values), sizeof values);
    }
    const auto infos = tenure::safetensors(path);
    CHECK(infos.size() == 2 && std::strcmp(infos[1].name, "y") == 0 && infos[0].shape[0] == 2);
    auto both = tenure::open_safetensors(path, {"y", "x"}, flag::borrow);
    CHECK(both.size() == 2 && elements(both[0])[0] == 7 && elements(both[1])[1] == 6);
    THROWS(tenure::usage_error, TN_ERR_INVALID, static_cast<void>(tenure::open_safetensors(path, {"x", "z"})));
    CHECK(tenure::open_safetensors(path, {}).empty());
    CHECK(unlink(path) == 0);
}

static void threads() {
    std::size_t calls = 0;
    array a = tenure::full<double>({300, 400}, 3.0), b;
    {
        tenure::use_runner here(
            [&](tenure::task work, std::size_t count) {
                calls++;
                std::vector<std::thread> others;
                for (std::size_t index = 1; index < count; index++)
                    others.emplace_back(work, index);
                work(0);
                for (auto &one : others)
                    one.join();
            },
            3, 1000);
        b = a.transpose().copy();
        CHECK(calls > 0);
    }
    const std::size_t before = calls;
    array c = a.transpose().copy();
    CHECK(calls == before && b.to_vector<double>() == c.to_vector<double>());
}

// Memory from the C library, and the number of bytes in use.
struct source {
    std::size_t out = 0;
    bool ended = false;
};

static void upstream() {
    source from;
    tn_upstream calls{};
    calls.context = &from;
    calls.allocate = [](void *context, std::size_t bytes, std::size_t alignment, std::uint64_t, void **out) -> tn_status {
        *out = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
        if (*out == nullptr)
            return TN_ERR_NO_HOST_MEMORY;
        static_cast<source *>(context)->out += bytes;
        return TN_OK;
    };
    calls.deallocate = [](void *context, void *ptr, std::size_t bytes, std::uint64_t) -> tn_status {
        std::free(ptr);
        static_cast<source *>(context)->out -= bytes;
        return TN_OK;
    };
    calls.release = [](void *context) { static_cast<source *>(context)->ended = true; };
    {
        auto pool = tenure::pool::over(calls, tenure::pool_options().name("arena"));
        array a = tenure::zeros<float>({1000}, tenure::options().pool(pool));
        CHECK(from.out >= 4000 && a.read<float>()[999] == 0.0f);
        const auto clients = pool.clients();
        CHECK(clients.size() == 1 && clients[0].client == TN_CLIENT_ARRAYS && clients[0].live_blocks == 1);
        CHECK(says(tenure::report(), "\"arena\""));
    }
    CHECK(from.out == 0 && from.ended);
    calls.deallocate = nullptr;
    THROWS(tenure::usage_error, TN_ERR_NULL, static_cast<void>(tenure::pool::over(calls)));
}

/* PO-66: the report as a page, in memory and as a file. */
static void page() {
    CHECK(says(tenure::report_html(), "<!doctype html>") && says(tenure::report_html(), "\"schema\":1,"));
    char path[] = "others-XXXXXX";
    const int descriptor = mkstemp(path);
    CHECK(descriptor >= 0 && close(descriptor) == 0);
    tenure::save_report(path);
    std::ifstream file(path);
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    CHECK(says(text, "<!doctype html>") && says(text, "</html>"));
    CHECK(std::remove(path) == 0);
    THROWS(tenure::io_error, TN_ERR_IO, tenure::save_report("no such folder/page.html"));
}

int main() {
    arrow();
    files();
    threads();
    upstream();
    CHECK(tenure::report().front() == '{');
    page();
    return finish();
}
