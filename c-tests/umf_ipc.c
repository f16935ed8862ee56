/*
 * umf_ipc.c - the functions of UMF's provider table for other processes (AL-79), and handles of senders that lie.
 *
 * The other process is this program again, in a fresh process, with a socket as its standard input.
 */
#include "processes.h"
#include "umf_structs.h"

#define BYTES ((size_t)3 << 20)

static const Provider *ops;
static size_t handle_bytes;

static void *provider_over(tn_pool *pool)
{
    void *provider = NULL;
    CHECK(ops->initialize(pool, &provider) == SUCCESS);
    return provider;
}

/* ---- the other process: opens what comes, adds one to its first byte, and keeps it until the next message ---- */
static int other_process(void)
{
    const int socket = 0;
    unsigned char handle[256];
    tn_pool *pool = shareable_pool();
    void *provider = provider_over(pool), *block = UNTOUCHED;
    while (recv(socket, handle, sizeof handle, 0) > 1) {
        const int result = ops->open_ipc_handle(provider, handle, &block);
        tell(socket, result);
        if (result != SUCCESS)
            continue;
        ((unsigned char *)block)[0]++;
        tell(socket, ((unsigned char *)block)[BYTES - 1]);
        CHECK(hear(socket) == 1);
        tell(socket, ((unsigned char *)block)[1]);
        CHECK(ops->close_ipc_handle(provider, block, BYTES - 1) == INVALID_ARGUMENT);
        CHECK(ops->close_ipc_handle(provider, block, BYTES) == SUCCESS);
        CHECK(ops->close_ipc_handle(provider, block, BYTES) == INVALID_ARGUMENT);
    }
    CHECK(ops->finalize(provider) == SUCCESS);
    OK(tn_pool_release(pool));
    return finish();
}

/* ---- this process ---- */
static void send_handle(process other, const void *handle)
{
    CHECK(send(other.socket, handle, handle_bytes, 0) == (ssize_t)handle_bytes);
}

static void shared_block(void)
{
    tn_pool *pool = shareable_pool();
    void *provider = provider_over(pool), *block = NULL, *again = NULL;
    unsigned char handle[256];
    CHECK(ops->get_ipc_handle_size(provider, &handle_bytes) == SUCCESS && handle_bytes <= sizeof handle);
    CHECK(ops->get_ipc_handle_size(provider, NULL) == INVALID_ARGUMENT);
    const int files = open_files();
    CHECK(ops->alloc(provider, BYTES, 0, &block) == SUCCESS);
    CHECK(ops->get_ipc_handle(provider, block, BYTES - 1, handle) == INVALID_ARGUMENT);
    CHECK(ops->get_ipc_handle(provider, (char *)block + 4096, BYTES, handle) == INVALID_ARGUMENT);
    CHECK(ops->get_ipc_handle(provider, block, BYTES, NULL) == INVALID_ARGUMENT);
    CHECK(ops->get_ipc_handle(provider, block, BYTES, handle) == SUCCESS);
    unsigned char *bytes = block;
    bytes[0] = 4;
    bytes[BYTES - 1] = 9;

    process other = begin("open");
    send_handle(other, handle);
    CHECK(hear(other.socket) == SUCCESS && hear(other.socket) == 9);
    CHECK(bytes[0] == 5);
    /* The other process keeps its bytes when this one has freed them. */
    bytes[1] = 77;
    CHECK(ops->put_ipc_handle(provider, handle) == SUCCESS);
    CHECK(ops->free(provider, block, BYTES) == SUCCESS);
    tell(other.socket, 1);
    CHECK(hear(other.socket) == 77);
    /* A handle of freed memory is refused, also when its descriptor is that of another block. */
    send_handle(other, handle);
    CHECK(hear(other.socket) == INVALID_ARGUMENT);
    CHECK(ops->alloc(provider, BYTES, 0, &block) == SUCCESS);
    send_handle(other, handle);
    CHECK(hear(other.socket) == INVALID_ARGUMENT);
    /* In the process that made it. */
    CHECK(ops->get_ipc_handle(provider, block, BYTES, handle) == SUCCESS);
    CHECK(ops->open_ipc_handle(provider, handle, &again) == SUCCESS && again != block);
    ((char *)block)[5] = 0;
    ((char *)again)[5] = 3;
    CHECK(((char *)block)[5] == 3);
    CHECK(ops->close_ipc_handle(provider, again, BYTES) == SUCCESS);
    /* A damaged handle. */
    void *opened = UNTOUCHED;
    for (size_t i = 0; i < handle_bytes; i++) {
        unsigned char wrong[256];
        memcpy(wrong, handle, handle_bytes);
        wrong[i] ^= 0x40;
        const int result = ops->open_ipc_handle(provider, wrong, &opened);
        if (result == SUCCESS)
            CHECK(i >= handle_bytes - 8 && ops->close_ipc_handle(provider, opened, BYTES ^ (size_t)0x40 << 8 * (i % 8)) == SUCCESS);
        else
            CHECK(opened == UNTOUCHED);
        opened = UNTOUCHED;
    }
    CHECK(ops->open_ipc_handle(provider, NULL, &opened) == INVALID_ARGUMENT && opened == UNTOUCHED);
    CHECK(ops->open_ipc_handle(provider, handle, NULL) == INVALID_ARGUMENT);
    CHECK(send(other.socket, "", 1, 0) == 1);
    join(other, 0);
    CHECK(ops->free(provider, block, BYTES) == SUCCESS);
    CHECK(open_files() == files);
    CHECK(ops->finalize(provider) == SUCCESS);
    CHECK(live_bytes(pool) == 0);
    OK(tn_pool_release(pool));
}

/* Blocks of other pools are shared by no handle. */
static void other_pools(void)
{
    void *provider = provider_over(NULL), *block = NULL;
    unsigned char handle[256];
    size_t bytes = 0;
    CHECK(ops->alloc(provider, BYTES, 0, &block) == SUCCESS);
    CHECK(ops->get_ipc_handle_size(provider, &bytes) == NOT_SUPPORTED && bytes == 0);
    CHECK(ops->get_ipc_handle(provider, block, BYTES, handle) == NOT_SUPPORTED);
    CHECK(ops->free(provider, block, BYTES) == SUCCESS);
    CHECK(ops->finalize(provider) == SUCCESS);
}

int main(int argc, char **argv)
{
    program = argv[0];
    OK(tn_umf_provider_ops(0x10002, &ops));
    if (argc > 1)
        return other_process();
    other_pools();
    shared_block();
    return finish();
}
