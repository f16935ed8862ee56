/*
 * dlpack_structs.h - DLPack 1.1's structs, as a library without its header declares them.
 */
#ifndef TENURE_DLPACK_STRUCTS_H
#define TENURE_DLPACK_STRUCTS_H

#include <tenure.h>

typedef struct dl_tensor {
    void *data;
    tn_device device;
    int32_t ndim;
    uint8_t code, bits;
    uint16_t lanes;
    int64_t *shape, *strides;
    uint64_t byte_offset;
} dl_tensor;
struct DLManagedTensor {
    dl_tensor dl;
    void *manager_ctx;
    void (*deleter)(struct DLManagedTensor *);
};
struct DLManagedTensorVersioned {
    uint32_t major, minor;
    void *manager_ctx;
    void (*deleter)(struct DLManagedTensorVersioned *);
    uint64_t flags;
    dl_tensor dl;
};
typedef struct DLManagedTensor legacy;
typedef struct DLManagedTensorVersioned versioned;
enum { READ_ONLY = 1, IS_COPIED = 2 };

#endif
