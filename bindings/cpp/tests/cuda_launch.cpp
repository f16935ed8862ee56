// cuda_launch.cpp - modules and launches: on the host without a driver, and on a GPU, simulated or real.
#include "check.hpp"

#include "../../../c-tests/launch_kernels.h"
#include <dlfcn.h>
#include <numeric>

using tenure::array;
using tenure::address_of;
using tenure::compile_options;
using tenure::kernel;
using tenure::launch;
using tenure::launch_config;
using tenure::mirror;
using tenure::overwrites;
using tenure::reads;
using tenure::writes;

static const tenure::device gpu = tenure::device::cuda();

// tn_view<double, 1>.
struct view1 {
    char *data;
    std::int64_t shape[1], strides[1];
    double &operator[](std::int64_t i) const { return *reinterpret_cast<double *>(data + i * strides[0]); }
};

// to = factor * from + value, each block one element.
static void scale_block(const tn_host_block *block, void *const *args) {
    const auto &to = *static_cast<const view1 *>(args[0]), &from = *static_cast<const view1 *>(args[1]);
    const std::int64_t i = block->index[0];
    if (i < to.shape[0])
        to[i] = *static_cast<const double *>(args[2]) * from[i] + *static_cast<const double *>(args[3]);
}

// to[0] = the sum of a tn_view<const double, 2>.
static void sum_table(const tn_host_block *, void *const *args) {
    struct view2 {
        char *data;
        std::int64_t shape[2], strides[2];
    };
    const auto &from = *static_cast<const view2 *>(args[1]);
    double sum = 0;
    for (std::int64_t i = 0; i < from.shape[0]; i++)
        for (std::int64_t j = 0; j < from.shape[1]; j++)
            sum += *reinterpret_cast<const double *>(from.data + i * from.strides[0] + j * from.strides[1]);
    (*static_cast<const view1 *>(args[0]))[0] = sum;
}

// Writes the shape of the launch, its block memory, and the value of an address.
static void tell_block(const tn_host_block *block, void *const *args) {
    auto *to = *static_cast<std::int64_t *const *>(args[0]);
    const std::int64_t told[] = {block->grid[0],  block->grid[1],  block->grid[2], block->block[0],
                                 block->block[1], block->block[2], static_cast<std::int64_t>(block->memory_bytes)};
    std::memcpy(to, told, sizeof told);
}

static array count_up(std::int64_t n) {
    std::vector<double> values(static_cast<std::size_t>(n));
    std::iota(values.begin(), values.end(), 0.0);
    return tenure::copy_of(values, {n});
}

static bool is_line(const array &a, double factor, double value) {
    const std::vector<double> values = a.to_vector<double>();
    for (std::size_t i = 0; i < values.size(); i++)
        if (values[i] != factor * static_cast<double>(i) + value)
            return false;
    return true;
}

// KN-10, KN-11, KN-20
static void on_the_host() {
    const kernel scale(scale_block);
    CHECK(scale && scale.host() == scale_block && scale.native() == nullptr && !kernel());
    array x = count_up(20), y = count_up(20);
    launch({scale, {20}, {1}}, overwrites<double>(y), reads<double>(x), 2.0, 1.0);
    CHECK(is_line(y, 2, 1) && is_line(x, 1, 0));
    const launch_config how(scale, {20}, {1});
    launch(how, writes<double>(y), reads<double>(x.slice({{19, -21, -1}}), tenure::reading::frozen), -1.0, 20.0);
    CHECK(is_line(y, 1, 1));
    THROWS(tenure::ownership_error, TN_ERR_ALIASED, launch(how, writes<double>(y), reads<double>(y), 1.0, 1.0));
    mirror m(x);
    launch(how, overwrites<double>(m), reads<double>(x), 5.0, 0.0);
    CHECK(is_line(m.get(tenure::side::host), 5, 0));
    array told = tenure::zeros(tenure::dtype::i64, {7});
    launch(launch_config(kernel(tell_block), {1}, {4, 3, 2}).block_bytes(100), address_of(overwrites<std::int64_t>(told)));
    CHECK((elements(told) == std::vector<std::int64_t>{1, 1, 1, 4, 3, 2, 100}));
    // What is wrong is thrown, and leaves no borrow.
    THROWS(tenure::argument_error, TN_ERR_DTYPE, launch(how, writes<float>(y), reads<double>(x), 1.0, 1.0));
    THROWS(tenure::argument_error, TN_ERR_DTYPE, launch(how, writes<double>(y), reads<float>(m), 1.0, 1.0));
    THROWS(tenure::usage_error, TN_ERR_INVALID, launch({scale, {0}, {1}}, writes<double>(y), reads<double>(x), 1.0, 1.0));
    THROWS(tenure::usage_error, TN_ERR_NULL, launch({kernel(), {1}, {1}}));
    // KN-13: a kernel of tn_view<double, 1> must not get the view of a table, whose second length it would take for a stride.
    const array table = tenure::zeros<double>({4, 5});
    THROWS(tenure::argument_error, TN_ERR_SHAPE, launch(how, writes<double>(y), reads<double>(table), 1.0, 1.0));
    THROWS(tenure::argument_error, TN_ERR_SHAPE, launch(how, writes<double, 2>(y), reads<double>(x), 1.0, 1.0));
    mirror sheet(table);
    THROWS(tenure::argument_error, TN_ERR_SHAPE, launch(how, writes<double>(sheet), reads<double>(x), 1.0, 1.0));
    array sum = tenure::zeros<double>({});
    launch({kernel(sum_table), {1}, {1}}, overwrites<double>(sum), reads<double, 2>(tenure::full<double>({4, 5}, 2.0)));
    CHECK(sum.to_vector<double>()[0] == 40);
    mirror twos(tenure::full<double>({2, 3}, 2.0));
    launch({kernel(sum_table), {1}, {1}}, overwrites<double>(sum), reads<double, 2>(twos));
    CHECK(sum.to_vector<double>()[0] == 12);
    array gone = std::move(x);
    THROWS(tenure::usage_error, TN_ERR_NULL, launch(how, writes<double>(y), reads<void>(x), 1.0, 1.0));
    CHECK(gone.write<double>().handle() != nullptr && y.write<double>().handle() != nullptr);
    // A message of a later call names the line of the launch.
    auto r = y.read<double>();
    THROWS(tenure::ownership_error, TN_ERR_BORROWED, launch(how, writes<double>(y), reads<double>(gone), 1.0, 1.0));
}

static std::string ptx() {
    std::string text;
    for (const char *line : LAUNCH_KERNELS)
        text += line;
    return text;
}

static void modules() {
    THROWS(tenure::usage_error, TN_ERR_INVALID, static_cast<void>(tenure::module::load("no image")));
    THROWS(tenure::usage_error, TN_ERR_INVALID,
           static_cast<void>(tenure::module::compile("", compile_options().arch("ampere"))));
    tenure::module code = tenure::module::load(ptx(), "kernels");
    const std::vector<tenure::holder> open = tenure::leaks();
    CHECK(open.size() == 1 && open[0].kind == TN_HOLDER_MODULE && open[0].name == "kernels" &&
          says(open[0].site, "cuda_launch.cpp:"));
    tenure::module moved = std::move(code);
    CHECK(!code && moved && moved.handle() != nullptr);
    THROWS(tenure::usage_error, TN_ERR_NULL, static_cast<void>(code.function("launch_scale")));
    THROWS(tenure::argument_error, TN_ERR_DEVICE, static_cast<void>(moved.function("launch_scale", tenure::device())));
    if (tenure::device_count(TN_CUDA) == 0)
        THROWS(tenure::unsupported_error, TN_ERR_UNSUPPORTED, static_cast<void>(moved.function("launch_scale")));
    moved = tenure::module::adopt(moved.detach());
    moved = tenure::module::load(ptx().c_str(), ptx().size() + 1);
    CHECK(tenure::leaks().size() == 1);
    // With a compiler on this machine or without, an error is thrown, and the log is a text.
    std::string log = "old";
    try {
        static_cast<void>(tenure::module::compile("#error no program", compile_options().name("none").option("-DN=4"), &log));
        CHECK(false);
    } catch (const tenure::error &e) {
        CHECK(e.status() == TN_ERR_UNSUPPORTED ? log.empty() : e.status() == TN_ERR_FAILED && says(log, "no program"));
    }
}

struct sim_launch {
    unsigned grid[3], block[3], shared_bytes;
    int device;
};
static void *(*sim_bytes)(std::uint64_t, std::size_t, int);

// launch_scale for the simulated driver.
static unsigned simulated_scale(const sim_launch *how, void **args) {
    const auto &to = *static_cast<const view1 *>(args[0]), &from = *static_cast<const view1 *>(args[1]);
    const auto at = [&](const view1 &view, std::int64_t i) {
        const auto address = reinterpret_cast<std::uint64_t>(view.data) + static_cast<std::uint64_t>(i * view.strides[0]);
        return static_cast<double *>(sim_bytes(address, sizeof(double), how->device));
    };
    for (std::int64_t i = 0; i < to.shape[0]; i++) {
        double *out = at(to, i), *in = at(from, i);
        if (out == nullptr || in == nullptr)
            return 700;
        *out = *static_cast<const double *>(args[2]) * *in + *static_cast<const double *>(args[3]);
    }
    return 0;
}

// Gives the simulated driver the kernel. False: a driver of a GPU.
static bool prepare_simulator() {
    void *driver = dlopen("libcuda.so.1", RTLD_NOW);
    using registering = int (*)(const char *, unsigned (*)(const sim_launch *, void **), const std::size_t *, std::size_t, int);
    const auto add = reinterpret_cast<registering>(driver == nullptr ? nullptr : dlsym(driver, "tenure_sim_register_kernel"));
    if (add == nullptr)
        return false;
    sim_bytes = reinterpret_cast<decltype(sim_bytes)>(dlsym(driver, "tenure_sim_bytes"));
    const std::size_t sizes[] = {sizeof(view1), sizeof(view1), sizeof(double), sizeof(double)};
    CHECK(add("launch_scale", simulated_scale, sizes, 4, 0) == 0);
    return true;
}

// False: the driver takes PTX and does not compile it.
static bool on_a_gpu(bool simulated) {
    tenure::module code = tenure::module::load(ptx());
    kernel scale;
    try {
        scale = code.function("launch_scale");
    } catch (const tenure::usage_error &e) {
        CHECK(e.status() == TN_ERR_INVALID && !simulated);
        return false;
    }
    CHECK(scale.native() == code.function("launch_scale", gpu).native());
    THROWS(tenure::usage_error, TN_ERR_INVALID, static_cast<void>(code.function("launch_none")));
    const tenure::stream s(gpu);
    array x = count_up(40).to_device(gpu), y = count_up(40).to_device(gpu);
    mirror m(count_up(40));
    launch(launch_config(scale, {2}, {32}).on(s), overwrites<double>(y), reads<double>(x), 2.0, 1.0);
    launch(launch_config(scale, {2}, {32}).on(s), overwrites<double>(m), reads<double>(y), 1.0, 1.0);
    // The module ends behind its kernels.
    code = {};
    CHECK(is_line(m.get(tenure::side::host), 2, 2) && m.info().transfers_to_device == 0);
    s.synchronize();
    CHECK(is_line(y.to_device(tenure::device()), 2, 1));
    code = tenure::module::load(ptx());
    launch({code.function("launch_scale"), {2}, {32}}, writes<double>(m), reads<double>(x), 3.0, 0.0);
    CHECK(is_line(m.get(tenure::side::host), 3, 0));
    return true;
}

int main() {
    const bool simulated = prepare_simulator();
    on_the_host();
    modules();
    if (tenure::device_count(TN_CUDA) > 0 && !on_a_gpu(simulated))
        std::printf("skipped: this driver does not compile PTX\n");
    return finish();
}
