// torch.cpp - the functions that the Python package lets PyTorch load, called as PyTorch calls them: through a std::function, which does not
// test the result (AL-31). PyTorch itself needs a GPU.
#include "../../python/cpp/torch.cpp"

#include "check.hpp"

#include <cstdlib>
#include <functional>

using Allocate = std::function<void *(std::ptrdiff_t, int, CUstream_st *)>;

// The text of the exception, as PyTorch makes a RuntimeError of it.
static std::string refused(const Allocate &allocate, std::ptrdiff_t bytes, int device = 0) {
    try {
        allocate(bytes, device, nullptr);
    } catch (const std::exception &e) {
        return e.what();
    }
    return "no exception";
}

static void al_31_without_a_driver() {
    CHECK(says(refused(tenure_torch_alloc_0, 100), "libcuda.so.1"));
    CHECK(says(refused(tenure_torch_alloc_0, -1), "-1"));
}

static void al_31_failures_are_thrown() {
    tn_pool_options options = {};
    options.size = sizeof options;
    options.name = "part";
    options.max_size = 4 << 20;
    tn_pool *pool = nullptr;
    CHECK(tn_pool_create({TN_CUDA, 0}, &options, &pool) == TN_OK);
    CHECK(tenure_torch_bind(3, pool) == 0 && tenure_torch_bind(3, pool) == 1 && tenure_torch_bind(0, pool) == 1);
    CHECK(tenure_torch_bind(-1, pool) == 1 && tenure_torch_bind(16, pool) == 1);
    const Allocate everywhere = tenure_torch_alloc_0, part = tenure_torch_alloc_3;
    void *p = everywhere(1000, 0, nullptr), *q = part(1000, 0, nullptr);
    tn_pool *owner = nullptr;
    CHECK(tn_pool_of(q, &owner) == TN_OK);
    tn_pool_client client[12] = {};
    std::size_t count = 0;
    CHECK(tn_pool_query_clients(owner, sizeof(tn_pool_client), 12, client, &count) == TN_OK && count == 1);
    CHECK(std::string(client[0].name) == "torch" && client[0].live_blocks == 1);
    const std::string text = refused(part, 100 << 20);
    CHECK(text.find("CUDA out of memory. ") == 0 && says(text, "100 MiB asked") && says(text, "\"part\""));
    CHECK(says(refused(everywhere, 8, 77), "no GPU 77") && !says(refused(everywhere, 8, 77), "out of memory"));
    CHECK(everywhere(0, 0, nullptr) == nullptr);
    tn_torch_free(p, 1000, 0, nullptr);
    tn_torch_free(q, 1000, 0, nullptr);
    CHECK(tn_pool_release(owner) == TN_OK && tn_pool_release(pool) == TN_OK);
}

int main() {
    if (!has_gpu()) {
        al_31_without_a_driver();
        return finish();
    }
    al_31_failures_are_thrown();
    return finish();
}
