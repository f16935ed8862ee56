/*
 * arrow_abi.h - Arrow's structs, as the format's specification has them: the library's header only names them.
 */
#ifndef TENURE_ARROW_ABI_H
#define TENURE_ARROW_ABI_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

struct ArrowDeviceArray {
    struct ArrowArray array;
    int64_t device_id;
    int32_t device_type;
    void *sync_event;
    int64_t reserved[3];
};

static_assert(sizeof(struct ArrowSchema) == 72, "ArrowSchema");
static_assert(sizeof(struct ArrowArray) == 80, "ArrowArray");
static_assert(sizeof(struct ArrowDeviceArray) == 128, "ArrowDeviceArray");
static_assert(offsetof(struct ArrowDeviceArray, device_id) == 80, "device_id");
static_assert(offsetof(struct ArrowDeviceArray, device_type) == 88, "device_type");
static_assert(offsetof(struct ArrowDeviceArray, sync_event) == 96, "sync_event");
static_assert(offsetof(struct ArrowDeviceArray, reserved) == 104, "reserved");

#endif
