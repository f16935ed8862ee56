/*
 * nvrtc.c - a stand-in for NVRTC. Its log tells what it was asked for; words in the source choose how a compilation ends.
 *
 * PTX: the version of PTX that it makes. VARIANT: a text in the log. OLD: without the functions of NVRTC 11.1 and later. BROKEN: without a function that every version has.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef PTX
#define PTX "8.0"
#endif

#ifndef VARIANT
#define VARIANT "stand-in"
#endif

typedef struct program {
    char log[8192], image[128];
    size_t image_bytes;
    int is_cubin;
    const char *source;
} *program;

/* How many programs exist. */
int nvrtc_programs;

static void say(program p, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    size_t length = strlen(p->log);
    vsnprintf(p->log + length, sizeof p->log - length, format, values);
    va_end(values);
}

int nvrtcCreateProgram(program *out, const char *source, const char *name, int n, const char *const *texts, const char *const *names)
{
    if (strstr(source, "refused") != NULL)
        return 4; /* NVRTC_ERROR_INVALID_PROGRAM */
    program p = *out = calloc(1, sizeof **out);
    p->source = source;
    say(p, "%s compiles %s\n", VARIANT, name);
    for (int i = 0; i < n; i++)
        say(p, "header %s of %zu bytes\n", names[i], strlen(texts[i]));
    nvrtc_programs++;
    return 0;
}

int nvrtcDestroyProgram(program *p)
{
    free(*p);
    *p = NULL;
    nvrtc_programs--;
    return 0;
}

int nvrtcCompileProgram(program p, int n, const char *const *options)
{
    static const struct {
        const char *word;
        int code;
    } ends[] = {{"error", 6}, {"exhausted", 1}, {"no builtins", 7}, {"internal", 11}};
    for (int i = 0; i < n; i++) {
        say(p, "option %s\n", options[i]);
        if (strstr(options[i], "--unknown") != NULL)
            return 5;
        p->is_cubin |= strstr(options[i], "=sm_") != NULL;
    }
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        if (strstr(p->source, ends[i].word) != NULL) {
            if (ends[i].code != 6)
                p->log[0] = 0;
            else
                say(p, "line 1: error: expected a \"}\"\n");
            return ends[i].code;
        }
    }
    if (strstr(p->source, "quiet") != NULL)
        p->log[0] = 0;
    if (p->is_cubin) {
        memcpy(p->image, "\177ELF\2", 5);
        p->image_bytes = 64;
    } else if (strstr(p->source, "intermediate") != NULL) {
        p->image_bytes = 1;
    } else {
        p->image_bytes = (size_t)snprintf(p->image, sizeof p->image, ".version " PTX "\n.target sm_70\n") + 1;
    }
    return 0;
}

int nvrtcGetProgramLogSize(program p, size_t *bytes)
{
    *bytes = strlen(p->log) + 1;
    return 0;
}

int nvrtcGetProgramLog(program p, char *log)
{
    strcpy(log, p->log);
    return 0;
}

int nvrtcGetPTXSize(program p, size_t *bytes)
{
    *bytes = p->is_cubin ? 1 : p->image_bytes;
    return 0;
}

#ifndef BROKEN
int nvrtcGetPTX(program p, char *text)
{
    memcpy(text, p->is_cubin ? "" : p->image, p->is_cubin ? 1 : p->image_bytes);
    return 0;
}
#endif

const char *nvrtcGetErrorString(int code)
{
    return code == 1 ? "NVRTC_ERROR_OUT_OF_MEMORY" : code == 7 ? "NVRTC_ERROR_BUILTIN_OPERATION_FAILURE" : "NVRTC_ERROR_OTHER";
}

#ifndef OLD
int nvrtcGetCUBINSize(program p, size_t *bytes)
{
    *bytes = p->is_cubin ? p->image_bytes : 0;
    return 0;
}

int nvrtcGetCUBIN(program p, char *bytes)
{
    memcpy(bytes, p->image, p->image_bytes);
    return 0;
}

static const int ARCHS[] = {50, 60, 70, 80, 90};

int nvrtcGetNumSupportedArchs(int *count)
{
    *count = sizeof ARCHS / sizeof *ARCHS;
    return 0;
}

int nvrtcGetSupportedArchs(int *archs)
{
    memcpy(archs, ARCHS, sizeof ARCHS);
    return 0;
}
#endif
