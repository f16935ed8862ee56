// rmm_virtual.cpp - the resource of tenure_rmm.hpp as older versions of RMM call it, with stand-ins for RMM's headers (tests/rmm): AL-60.
#define TENURE_RMM_VIRTUAL 1
#include "check.hpp"
#include "tenure_rmm.hpp"

using base = rmm::mr::device_memory_resource;

static void *take(base &resource, std::size_t bytes) { return resource.allocate(bytes); }
static void give(base &resource, void *block, std::size_t bytes) { resource.deallocate(block, bytes); }
static bool equal(const base &a, const base &b) { return a.is_equal(b); }

#include "rmm_resource.hpp"

int main() { return all(); }
