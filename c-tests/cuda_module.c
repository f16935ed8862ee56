/*
 * cuda_module.c - modules of device code: what is an image, when a GPU loads it, and when it is unloaded.
 *
 * What needs no driver runs always. The rest runs on the simulated driver with many seeds, or on a real one, which has the kernels of
 * launch_kernels.h; TENURE_TEST_DEVICE makes the absence of both a failure.
 */
#define _POSIX_C_SOURCE 200809L
#include "kernels.h"
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

static const tn_device SECOND = {TN_CUDA, 1};

static tn_module *load(const void *image, size_t bytes)
{
    tn_module_options options = {.size = sizeof options, .name = "code"};
    tn_module *module = NULL;
    OK(tn_module_load(image, bytes, &options, &module));
    return module;
}

static tn_module *load_kernels(void)
{
    return load(kernels_image(), strlen(kernels_image()));
}

static void *function_of(tn_module *module, const char *name, tn_device device)
{
    void *function = NULL;
    OK(tn_module_function(module, name, device, &function));
    return function;
}

/* The calls that load and unload modules of the program. 0 with a real driver. */
static uint64_t loads(void)
{
    return calls("cuModuleLoadDataEx");
}

static uint64_t unloads(void)
{
    return calls("cuModuleUnload");
}

static int counted(uint64_t now, uint64_t before, uint64_t more)
{
    return !simulated() || now == before + more;
}

/* A call that unloads what can be. */
static void settle(void)
{
    OK(tn_module_release(load(".version 8.0", 12)));
}

/* Functions of the simulator that kernels.h does not have. */
static int sim_call(const char *name, const char *text)
{
    int (*function)(const char *) = NULL;
    void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    *(void **)&function = dlsym(driver, name);
    dlclose(driver);
    return function(text) == 0;
}

static int control_raw(const char *name, uint64_t native)
{
    int (*function)(uint64_t) = NULL;
    void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    *(void **)&function = dlsym(driver, name);
    dlclose(driver);
    return function != NULL && function(native) == 0;
}

static void *primary_context(int device)
{
    void *context = NULL;
    CHECK(cu.cuDevicePrimaryCtxRetain(&context, device) == 0 && cu.cuCtxSetCurrent(context) == 0);
    return context;
}

/* ---- what needs no driver ---- */

static void images(void)
{
    static const unsigned char WRAPPER[8] = {0xb1, 0x43, 0x62, 0x46, 1}, FATBIN[24] = {0x50, 0xed, 0x55, 0xba, 1, 0, 16, 0, 8};
    tn_module *out = UNTOUCHED;
    FAILS(tn_module_load(NULL, 4, NULL, &out), TN_ERR_NULL);
    FAILS(tn_module_load(".version", 8, NULL, NULL), TN_ERR_NULL);
    FAILS(tn_module_load("", 0, NULL, &out), TN_ERR_INVALID);
    CHECK(says("bytes is 0"));
    FAILS(tn_module_load("void f();", 9, NULL, &out), TN_ERR_INVALID);
    CHECK(says("tn_module_compile"));
    FAILS(tn_module_load(WRAPPER, sizeof WRAPPER, NULL, &out), TN_ERR_INVALID);
    CHECK(says("wrapper"));
    FAILS(tn_module_load(FATBIN, sizeof FATBIN - 1, NULL, &out), TN_ERR_INVALID);
    CHECK(says("bytes is 23") && says("24"));
    FAILS(tn_module_load("\177ELF\2", 5, NULL, &out), TN_ERR_INVALID);
    CHECK(says("cubin"));
    CHECK(out == UNTOUCHED);
    OK(tn_module_release(load(FATBIN, sizeof FATBIN)));
    /* With its NUL, and with more of them. */
    OK(tn_module_release(load(".version 8.0\0\0", 14)));
}

static void options(void)
{
    static const char *one[] = {"-DN=4"}, *none[] = {NULL};
    tn_module_options options = {.size = sizeof options, .arch = "sm_80"};
    tn_module *out = UNTOUCHED;
    FAILS(tn_module_load(".version", 8, &options, &out), TN_ERR_INVALID);
    CHECK(says("arch"));
    options = (tn_module_options){.size = sizeof options, .options = one, .n_options = 1};
    FAILS(tn_module_load(".version", 8, &options, &out), TN_ERR_INVALID);
    options.options = none;
    FAILS(tn_module_load(".version", 8, &options, &out), TN_ERR_NULL);
    CHECK(says("options[0]"));
    options.options = NULL;
    FAILS(tn_module_load(".version", 8, &options, &out), TN_ERR_NULL);
    options = (tn_module_options){.size = sizeof options, .log_capacity = 8};
    FAILS(tn_module_load(".version", 8, &options, &out), TN_ERR_NULL);
    CHECK(says("log"));
    options = (tn_module_options){.size = 0};
    FAILS(tn_module_load(".version", 8, &options, &out), TN_ERR_INVALID);
    FAILS(tn_module_compile(NULL, NULL, &out), TN_ERR_NULL);
    FAILS(tn_module_compile("", NULL, NULL), TN_ERR_NULL);
    options = (tn_module_options){.size = sizeof options, .arch = "ampere"};
    FAILS(tn_module_compile("", &options, &out), TN_ERR_INVALID);
    CHECK(says("ampere") && says("sm_80"));
    CHECK(out == UNTOUCHED);
}

static void handles(void)
{
    tn_module *module = load_kernels();
    tn_array *array = zeros(NULL, TN_F64, SHAPE(2));
    void *function = UNTOUCHED;
    FAILS(tn_module_function(NULL, "f", GPU, &function), TN_ERR_NULL);
    FAILS(tn_module_function(module, NULL, GPU, &function), TN_ERR_NULL);
    FAILS(tn_module_function(module, "f", GPU, NULL), TN_ERR_NULL);
    FAILS(tn_module_function((tn_module *)array, "f", GPU, &function), TN_ERR_KIND);
    FAILS(tn_module_function(module, "", HOST, &function), TN_ERR_INVALID);
    FAILS(tn_module_function(module, "f", HOST, &function), TN_ERR_DEVICE);
    FAILS(tn_module_function(module, "f", PINNED, &function), TN_ERR_DEVICE);
    FAILS(tn_module_function(module, "f", ((tn_device){TN_CUDA, -1}), &function), TN_ERR_DEVICE);
    check_status(__FILE__, __LINE__, "tn_module_function", tn_module_function(module, "f", (tn_device){TN_CUDA, 99}, &function), for_gpu(99));
    FAILS(tn_array_release((tn_array *)module), TN_ERR_KIND);
    FAILS(tn_module_release((tn_module *)array), TN_ERR_KIND);
    FAILS(tn_module_release(NULL), TN_ERR_NULL);
    /* A report names what is open. */
    tn_holder leaks[8];
    size_t count = 0;
    OK(tn_leaks(sizeof *leaks, 8, leaks, &count));
    int found = 0;
    for (size_t i = 0; i < count && i < 8; i++)
        found += leaks[i].kind == TN_HOLDER_MODULE && strcmp(leaks[i].name, "code") == 0 && leaks[i].bytes == strlen(kernels_image()) + 1;
    CHECK(found == 1);
    OK(tn_module_release(module));
    FAILS(tn_module_release(module), TN_ERR_STALE);
    FAILS(tn_module_function(module, "f", GPU, &function), TN_ERR_STALE);
    CHECK(function == UNTOUCHED);
    drop(array);
}

/* ---- loads ---- */

static void an_image_is_loaded_once(tn_stream *s)
{
    uint64_t before = loads(), ended = unloads();
    tn_module *module = load_kernels(), *other = load_kernels();
    CHECK(counted(loads(), before, 0));
    void *change = function_of(module, "launch_change", GPU);
    CHECK(change != NULL && function_of(module, "launch_change", GPU) == change);
    CHECK(function_of(module, "launch_scale", GPU) != change && counted(loads(), before, 1));
    /* Another module of the same image is one of its own. */
    CHECK(function_of(other, "launch_change", GPU) != change && counted(loads(), before, 2));
    tn_array *x = count_up();
    CHANGE = change;
    OK(try_change(pointer_arg(x, TN_READ_WRITE), 2, 3, s));
    CHANGE = function_of(other, "launch_change", GPU);
    add_one(x, s);
    CHECK(is_line(x, 2, 4));
    OK(tn_module_release(other));
    CHECK(counted(unloads(), ended, 1));
    CHANGE = change;
    add_one(x, s);
    CHECK(is_line(x, 2, 5));
    OK(tn_module_release(module));
    CHECK(counted(unloads(), ended, 2));
    drop(x);
}

static void names_and_damage(void)
{
    void *function = UNTOUCHED;
    tn_module *module = load_kernels(), *damaged = load(".version x", 10);
    FAILS(tn_module_function(module, "launch_none", GPU, &function), TN_ERR_INVALID);
    CHECK(says("launch_none") && says("extern \"C\"") && says("module \"code\""));
    CHECK(function_of(module, "launch_change", GPU) != NULL);
    for (int i = 0; i < 2; i++) {
        FAILS(tn_module_function(damaged, "launch_change", GPU, &function), TN_ERR_INVALID);
        CHECK(says("GPU 0") && says(".version") && says("module \"code\"")); /* with the driver's log */
    }
    CHECK(function == UNTOUCHED);
    OK(tn_module_release(module));
    OK(tn_module_release(damaged));
}

static void two_devices(void)
{
    if (gpus() < 2)
        return;
    tn_module *module = load_kernels();
    tn_stream *s = new_stream(), *t = NULL;
    OK(tn_stream_create(SECOND, 0, 0, &t));
    uint64_t before = loads(), ended = unloads();
    void *here = function_of(module, "launch_change", GPU), *there = function_of(module, "launch_change", SECOND);
    CHECK(here != there && function_of(module, "launch_change", GPU) == here && counted(loads(), before, 2));
    tn_array *x = count_up(), *y = on_device(SECOND, TN_F64, 1, &LENGTH);
    OK(tn_device_synchronize(SECOND));
    int held = control("tenure_sim_hold", t);
    CHANGE = here;
    add_one(x, s);
    CHANGE = there;
    add_one(y, t);
    OK(tn_stream_synchronize(s));
    OK(tn_module_release(module));
    /* Each GPU has its own end. */
    if (held) {
        CHECK(counted(unloads(), ended, 1));
        CHECK(control("tenure_sim_release", t));
    }
    OK(tn_stream_synchronize(t));
    settle();
    CHECK(counted(unloads(), ended, 2));
    CHECK(is_line(x, 1, 1) && is_line(y, 0, 1));
    drop_all(2, x, y);
    OK(tn_stream_release(s));
    OK(tn_stream_release(t));
}

enum { RACERS = 6 };

struct racer {
    tn_module *module;
    void *function;
};

static void *find_first(void *context)
{
    struct racer *racer = context;
    racer->function = function_of(racer->module, "launch_change", GPU);
    return NULL;
}

static void threads_race_the_first_load(void)
{
    tn_module *module = load_kernels();
    struct racer racers[RACERS];
    pthread_t threads[RACERS];
    uint64_t before = loads();
    for (int i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){module, NULL};
        CHECK(pthread_create(&threads[i], NULL, find_first, &racers[i]) == 0);
    }
    for (int i = 0; i < RACERS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0 && racers[i].function == racers[0].function && racers[i].function != NULL);
    CHECK(counted(loads(), before, 1));
    OK(tn_module_release(module));
}

/* While the driver loads a module, only calls that need it there wait. */
static void a_slow_load(void)
{
    if (!simulated())
        return;
    tn_module *module = load_kernels(), *other = load_kernels();
    struct racer racer = {module, NULL};
    pthread_t thread;
    void *known = function_of(other, "launch_change", GPU);
    uint64_t before = loads(), ended = unloads();
    CHECK(sim_call("tenure_sim_close", "cuModuleLoadDataEx"));
    CHECK(pthread_create(&thread, NULL, find_first, &racer) == 0);
    while (loads() == before)
        sched_yield();
    tn_array *x = count_up();
    CHANGE = known;
    add_one(x, TN_STREAM_LEGACY);
    CHECK(function_of(other, "launch_change", GPU) == known && is_line(x, 1, 1));
    size_t count = 0;
    OK(tn_leaks(sizeof(tn_holder), 0, NULL, &count));
    drop(x);
    OK(tn_module_release(module)); /* does not wait either: the call in progress keeps the module */
    settle();
    CHECK(unloads() == ended);
    CHECK(sim_call("tenure_sim_open", "cuModuleLoadDataEx"));
    CHECK(pthread_join(thread, NULL) == 0 && racer.function != NULL);
    settle();
    CHECK(unloads() == ended + 1);
    OK(tn_module_release(other));
}

/* ---- ends ---- */

enum when { AFTER_THE_MODULE, BEFORE_THE_MODULE };

/* `launches` kernels run when their module ends; their stream ends too. */
static void kernels_outlive_their_module(int launches, enum when stream_ends)
{
    tn_stream *s = new_stream();
    tn_module *module = load_kernels();
    uint64_t native = 0, ended = unloads();
    tn_array *x = count_up();
    CHANGE = function_of(module, "launch_change", GPU);
    OK(tn_stream_native(s, &native));
    OK(tn_device_synchronize(GPU));
    int held = control_raw("tenure_sim_hold", native);
    for (int i = 0; i < launches; i++)
        add_one(x, s);
    if (stream_ends == BEFORE_THE_MODULE)
        OK(tn_stream_release(s));
    OK(tn_module_release(module));
    if (stream_ends == AFTER_THE_MODULE)
        OK(tn_stream_release(s));
    settle();
    if (held)
        CHECK(unloads() == ended), CHECK(control_raw("tenure_sim_release", native));
    OK(tn_device_synchronize(GPU));
    settle();
    CHECK(counted(unloads(), ended, 1) && is_line(x, 1, launches));
    drop(x);
}

/* As above, on streams that the library did not make. */
static void kernels_of_other_streams(void)
{
    int (*create)(void **, unsigned) = NULL, (*destroy)(void *) = NULL;
    void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD), *made = NULL;
    *(void **)&create = dlsym(driver, "cuStreamCreate"), *(void **)&destroy = dlsym(driver, "cuStreamDestroy_v2");
    dlclose(driver);
    CHECK(create(&made, 1) == 0);
    tn_stream *imported = NULL;
    uint64_t native = (uint64_t)(uintptr_t)made;
    OK(tn_stream_import(GPU, native, &imported));
    tn_stream *streams[] = {TN_STREAM_LEGACY, TN_STREAM_PER_THREAD, imported};
    uint64_t natives[] = {1, 2, native};
    for (int i = 0; i < 3; i++) {
        tn_module *module = load_kernels();
        tn_array *x = count_up();
        uint64_t ended = unloads();
        CHANGE = function_of(module, "launch_change", GPU);
        OK(tn_device_synchronize(GPU));
        int held = control_raw("tenure_sim_hold", natives[i]);
        add_one(x, streams[i]);
        OK(tn_module_release(module));
        if (held)
            CHECK(unloads() == ended), CHECK(control_raw("tenure_sim_release", natives[i]));
        if (simulated())
            sim.tenure_sim_step(1000); /* no call has waited for it */
        else
            OK(tn_device_synchronize(GPU));
        settle();
        CHECK(counted(unloads(), ended, 1) && is_line(x, 1, 1));
        drop(x);
    }
    OK(tn_stream_release(imported));
    CHECK(destroy(made) == 0);
}

/* The end of a module waits for its kernels, not for what comes after them: here for a copy that waits for another GPU, and a new stream. */
static void later_work(void)
{
    if (!simulated())
        return;
    tn_stream *s = new_stream(), *t = NULL;
    OK(tn_stream_create(SECOND, 0, 0, &t));
    tn_module *module = load_kernels();
    tn_array *x = count_up(), *y = on_device(SECOND, TN_F64, 1, &LENGTH), *z = count_up();
    double one = 1;
    uint64_t ended = unloads();
    CHANGE = function_of(module, "launch_change", GPU);
    OK(tn_device_synchronize(GPU));
    OK(tn_device_synchronize(SECOND));
    CHECK(control("tenure_sim_hold", s) && control("tenure_sim_hold", t));
    add_one(x, s);
    OK(tn_module_release(module));
    tn_stream *late = new_stream();
    OK(tn_array_fill(y, &one, 0, t));
    OK(tn_array_copy_into(y, z, 0, s));
    CHECK(control("tenure_sim_hold", late));
    tn_array *w = count_up();
    OK(tn_array_fill(w, &one, 0, late));
    CHECK(unloads() == ended), CHECK(control("tenure_sim_release", s));
    sim.tenure_sim_step(1000);
    settle();
    CHECK(unloads() == ended + 1);
    CHECK(control("tenure_sim_release", t)), CHECK(control("tenure_sim_release", late));
    CHECK(is_line(x, 1, 1) && is_line(z, 0, 1) && is_line(w, 0, 1));
    drop_all(4, x, y, z, w);
    OK(tn_stream_release(s));
    OK(tn_stream_release(t));
    OK(tn_stream_release(late));
}

static void captures(void)
{
    tn_stream *s = new_stream(), *t = new_stream();
    tn_module *module = load_kernels(), *other = load_kernels();
    tn_array *x = count_up(), *y = count_up();
    uint64_t native = 0, before = loads(), ended = unloads();
    void *graph = NULL, *exec = NULL;
    OK(tn_stream_native(s, &native));
    void *stream = (void *)(uintptr_t)native;
    CHANGE = function_of(other, "launch_change", GPU);
    for (int i = 0; i < 70; i++) /* the last points have no event */
        add_one(y, t);
    int held = control("tenure_sim_hold", t);
    add_one(y, t);
    add_one(x, s);
    OK(tn_stream_synchronize(s));
    CHECK(cu.cuStreamBeginCapture_v2(stream, 0) == 0);
    /* A load does not disturb the capture, and the end of another module waits for the end of the capture. */
    CHANGE = function_of(module, "launch_change", GPU);
    CHECK(counted(loads(), before, 2));
    OK(tn_module_release(other));
    if (held)
        CHECK(unloads() == ended), CHECK(control("tenure_sim_release", t));
    OK(tn_stream_synchronize(t));
    settle();
    CHECK(counted(unloads(), ended, 0));
    add_one(x, s);
    CHECK(cu.cuStreamEndCapture(stream, &graph) == 0);
    OK(tn_stream_synchronize(s));
    settle();
    CHECK(counted(unloads(), ended, 1));
    CHECK(cu.cuGraphInstantiateWithFlags(&exec, graph, 0) == 0);
    for (int i = 0; i < 3; i++)
        CHECK(cu.cuGraphLaunch(exec, stream) == 0);
    OK(tn_stream_synchronize(s));
    CHECK(is_line(x, 1, 4) && is_line(y, 1, 71));
    CHECK(cu.cuGraphExecDestroy(exec) == 0 && cu.cuGraphDestroy(graph) == 0);
    OK(tn_module_release(module));
    settle();
    CHECK(counted(unloads(), ended, 2));
    drop_all(2, x, y);
    OK(tn_stream_release(s));
    OK(tn_stream_release(t));
}

/* ---- failures ---- */

static void the_driver_refuses(void)
{
    static const struct {
        unsigned code;
        tn_status status;
        const char *said;
    } refusals[] = {
        {2, TN_ERR_NO_DEVICE_MEMORY, "cuModuleLoadDataEx"},
        {200, TN_ERR_INVALID, "cannot load the image"},
        {218, TN_ERR_INVALID, "cannot load the image"},
        {209, TN_ERR_UNSUPPORTED, "no code for compute capability"},
        {221, TN_ERR_UNSUPPORTED, "compile to \"sm_"},
        {222, TN_ERR_UNSUPPORTED, "newer than the driver"},
        {223, TN_ERR_UNSUPPORTED, "compile to \"sm_"},
        {999, TN_ERR_DRIVER, "cuModuleLoadDataEx"},
    };
    if (!simulated())
        return;
    tn_module *module = load_kernels();
    void *function = UNTOUCHED;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        CHECK(sim.tenure_sim_fail("cuModuleLoadDataEx", 1, 1, refusals[i].code) == 0);
        FAILS(tn_module_function(module, "launch_change", GPU, &function), refusals[i].status);
        CHECK(says(refusals[i].said) && says("module \"code\""));
    }
    CHECK(sim.tenure_sim_fail("cuModuleGetFunction", 1, 1, 701) == 0);
    FAILS(tn_module_function(module, "launch_change", GPU, &function), TN_ERR_DRIVER);
    CHECK(says("cuModuleGetFunction") && function == UNTOUCHED);
    /* No failure is remembered, and what was loaded is kept. */
    uint64_t before = loads(), ended = unloads();
    CHECK(function_of(module, "launch_change", GPU) != NULL && loads() == before);
    /* A module that the driver does not unload is released all the same, and the text of an earlier error stays. */
    FAILS(tn_module_function(module, "", GPU, &function), TN_ERR_INVALID);
    CHECK(sim.tenure_sim_fail("cuModuleUnload", 1, 1, 999) == 0);
    OK(tn_module_release(module));
    CHECK(says("name is empty") && unloads() == ended + 1);
    FAILS(tn_module_release(module), TN_ERR_STALE);
    CHECK(sim.tenure_sim_clear_faults() == 0);
}

/* Each call of the driver in turn fails once. */
static void any_call_fails(void)
{
    if (!simulated())
        return;
    for (uint64_t nth = 1; nth < 40; nth++) {
        tn_module *module = load_kernels();
        void *function = UNTOUCHED;
        uint64_t before = loads(), ended = unloads();
        CHECK(sim.tenure_sim_fail("*", nth, 1, nth % 2 == 0 ? 2 : 999) == 0);
        tn_status status = tn_module_function(module, "launch_change", GPU, &function);
        CHECK((status == TN_OK) == (function != UNTOUCHED));
        CHECK(sim.tenure_sim_clear_faults() == 0);
        CHANGE = function_of(module, "launch_change", GPU);
        tn_array *x = count_up();
        add_one(x, TN_STREAM_LEGACY);
        CHECK(sim.tenure_sim_fail("*", nth, 1, 999) == 0);
        OK(tn_module_release(module));
        CHECK(sim.tenure_sim_clear_faults() == 0);
        CHECK(is_line(x, 1, 1));
        settle();
        /* One load failed, or succeeded and is unloaded. A fault where the module is entered or unloaded leaves it loaded. */
        CHECK(loads() - before <= 2 && unloads() - ended <= 1);
        drop(x);
    }
}

static void after_a_reset(uint64_t same)
{
    int (*reset)(int) = NULL;
    void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    *(void **)&reset = dlsym(driver, "cuDevicePrimaryCtxReset_v2");
    dlclose(driver);
    tn_module *module = load_kernels(), *unused = load_kernels();
    void *old = function_of(module, "launch_change", GPU);
    CHECK(function_of(unused, "launch_change", GPU) != NULL);
    CHECK(sim.tenure_sim_set("same_context", same) == 0);
    CHECK(reset(0) == 0);
    uint64_t before = loads(), ended = unloads();
    /* The first call after it finds out. */
    CHANGE = function_of(module, "launch_change", GPU);
    CHECK(CHANGE != old && loads() == before + 1);
    primary_context(0);
    tn_stream *s = new_stream();
    tn_array *x = count_up();
    add_one(x, s);
    CHECK(is_line(x, 1, 1));
    drop(x);
    OK(tn_stream_release(s));
    /* What went with the context is not unloaded. */
    OK(tn_module_release(unused));
    CHECK(unloads() == ended);
    OK(tn_module_release(module));
    settle();
    CHECK(unloads() == ended + 1);
    /* The same where the release finds out. */
    module = load_kernels();
    CHECK(function_of(module, "launch_change", GPU) != NULL && reset(0) == 0);
    ended = unloads();
    OK(tn_module_release(module));
    CHECK(unloads() == ended);
    primary_context(0);
}

static void in_a_child(void)
{
    tn_module *module = load_kernels();
    void *function = function_of(module, "launch_change", GPU), *other = UNTOUCHED;
    int before = check_failures;
    pid_t child = fork();
    if (child == 0) {
        uint64_t all = calls("");
        CHECK(tn_module_function(module, "launch_change", GPU, &other) != TN_OK && says("forked") && other == UNTOUCHED);
        OK(tn_module_release(module));
        FAILS(tn_module_release(module), TN_ERR_STALE);
        CHECK(calls("") == all);
        _exit(check_failures - before);
    }
    int status = -1;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    CHECK(function_of(module, "launch_change", GPU) == function);
    OK(tn_module_release(module));
}

static void on_a_lost_gpu(void)
{
    int (*lose)(int, unsigned) = NULL;
    void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    *(void **)&lose = dlsym(driver, "tenure_sim_break_device");
    dlclose(driver);
    tn_module *module = load_kernels();
    void *function = function_of(module, "launch_change", SECOND);
    CHECK(function_of(module, "launch_change", GPU) != NULL);
    uint64_t ended = unloads();
    CHECK(lose(1, 700) == 0 && tn_device_synchronize(SECOND) == TN_ERR_DRIVER);
    FAILS(tn_module_function(module, "launch_change", SECOND, &function), TN_ERR_DRIVER);
    CHECK(function_of(module, "launch_change", GPU) != NULL);
    OK(tn_module_release(module));
    CHECK(unloads() == ended + 1);
}

static void without_a_driver(void)
{
    tn_module *module = load_kernels();
    void *function = UNTOUCHED;
    FAILS(tn_module_function(module, "launch_change", GPU, &function), TN_ERR_UNSUPPORTED);
    CHECK(function == UNTOUCHED);
    OK(tn_module_release(module));
}

static int compiles_ptx(void)
{
    tn_module *module = load_kernels();
    void *function = NULL;
    tn_status status = tn_module_function(module, "launch_change", GPU, &function);
    int lacks_kernels = status == TN_ERR_INVALID && says("no kernel has the name");
    OK(tn_module_release(module));
    return simulated() || !lacks_kernels;
}

int main(void)
{
    const char *wanted = getenv("TENURE_TEST_DEVICE");
    start_drivers();
    images();
    options();
    handles();
    if (gpus() == 0) {
        CHECK(wanted == NULL);
        without_a_driver();
        return finish();
    }
    if (!compiles_ptx()) {
        printf("skipped: this driver does not compile PTX\n");
        return finish();
    }
    primary_context(0);
    for (uint64_t seed = 1; seed <= (simulated() ? (uint64_t)rounds(30) : 1); seed++) {
        if (simulated())
            CHECK(sim.tenure_sim_set("seed", seed) == 0);
        tn_stream *s = new_stream();
        an_image_is_loaded_once(s);
        OK(tn_stream_release(s));
        names_and_damage();
        two_devices();
        threads_race_the_first_load();
        a_slow_load();
        kernels_outlive_their_module(1, AFTER_THE_MODULE);
        kernels_outlive_their_module(1, BEFORE_THE_MODULE);
        kernels_outlive_their_module(70, AFTER_THE_MODULE);
        kernels_outlive_their_module(70, BEFORE_THE_MODULE);
        kernels_of_other_streams();
        later_work();
        captures();
        the_driver_refuses();
        any_call_fails();
        if (check_failures != 0) {
            fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
            break;
        }
    }
    if (!is_watched()) /* In the child, what the driver's threads had counts as lost. */
        in_a_child();
    if (simulated()) {
        after_a_reset(0);
        after_a_reset(1);
        on_a_lost_gpu();
    }
    return finish();
}
