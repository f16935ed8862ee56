/*
 * gpu_module.h - a module of kernels from a file.
 */
#ifndef GPU_MODULE_H
#define GPU_MODULE_H

#include <stdio.h>
#include <stdlib.h>
#include <tenure.h>

/* The module of a file of PTX, a cubin or a fatbin; NULL without a GPU or without the file. Released by tn_module_release. */
static inline tn_module *gpu_module(const char *path)
{
    tn_module *module = NULL;
    size_t gpus = 0;
    FILE *file = NULL;
    if (tn_device_count(TN_CUDA, &gpus) != TN_OK || gpus == 0 || (file = fopen(path, "rb")) == NULL)
        return NULL;
    long bytes = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    char *image = bytes > 0 ? malloc((size_t)bytes) : NULL;
    rewind(file);
    if (image != NULL && fread(image, 1, (size_t)bytes, file) == (size_t)bytes)
        if (tn_module_load(image, (size_t)bytes, NULL, &module) != TN_OK)
            fprintf(stderr, "%s: %s\n", path, tn_last_error());
    free(image);
    fclose(file);
    return module;
}

#endif
