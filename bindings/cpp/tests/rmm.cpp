// rmm.cpp - the resource of tenure_rmm.hpp as RMM calls it, with stand-ins for RMM's and CUDA's headers (tests/rmm, tests/cuda): AL-60.
#define TENURE_RMM_VIRTUAL 0
#include "check.hpp"
#include "tenure_rmm.hpp"

using tenure::rmm_resource;

static CUstream_st *const legacy = nullptr;

static void *take(rmm_resource &resource, std::size_t bytes) { return resource.allocate(cuda::stream_ref(legacy), bytes); }
static void give(rmm_resource &resource, void *block, std::size_t bytes) {
    resource.deallocate(cuda::stream_ref(legacy), block, bytes);
}
static bool equal(const rmm_resource &a, const rmm_resource &b) {
    CHECK((a == b) != (a != b));
    return a == b;
}

#include "rmm_resource.hpp"

// Blocks for the host's order, and alignments.
static void al_60_blocks_without_a_stream() {
    rmm_resource resource;
    void *block = resource.allocate_sync(5000, 256);
    CHECK(block != nullptr);
    resource.deallocate_sync(block, 5000, 256);
    try {
        static_cast<void>(resource.allocate(cuda::stream_ref(legacy), 8, 512));
        CHECK(false);
    } catch (const rmm::bad_alloc &e) {
        CHECK(says(e.what(), "256 bytes"));
    }
    get_property(resource, cuda::mr::device_accessible{});
}

int main() {
    std::size_t count = 0;
    CHECK(tn_device_count(TN_CUDA, &count) == TN_OK);
    if (count > 0)
        al_60_blocks_without_a_stream();
    return all();
}
