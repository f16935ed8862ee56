/* What every C test uses: CHECK, OK and FAILS end the program at the first surprise, finish() at the first leak.
 *
 *     int main(void) {
 *         tn_array *a;
 *         OK(tn_array_zeros(NULL, TN_F64, 1, (int64_t[]){8}, NULL, &a));
 *         OK(tn_array_release(a));
 *         FAILS(tn_array_release(a), TN_ERR_STALE);
 *         return finish();
 *     }
 */
#ifndef CHECK_H
#define CHECK_H

#include "tenure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The condition holds. */
#define CHECK(cond) check_holds_((cond) ? 1 : 0, #cond, __FILE__, __LINE__)
/* The call gives TN_OK. */
#define OK(call) check_status_((call), TN_OK, #call, __FILE__, __LINE__)
/* The call gives this status, with a text that begins with the function's name. */
#define FAILS(call, status) check_status_((call), (status), #call, __FILE__, __LINE__)

static inline void check_holds_(int holds, const char *text, const char *file, int line) {
    if (holds) return;
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, text);
    exit(1);
}

static inline void check_status_(tn_status got, tn_status wanted, const char *text, const char *file, int line) {
    if (got != wanted) {
        fprintf(stderr, "%s:%d: %s instead of %s (%s): %s\n", file, line, tn_status_name(got), tn_status_name(wanted),
                got == TN_OK ? "no failure" : tn_last_error(), text);
        exit(1);
    }
    size_t length = strcspn(text, "( ");
    if (got != TN_OK && strncmp(text, "tn_", 3) == 0 &&
        (strncmp(tn_last_error(), text, length) != 0 || strncmp(tn_last_error() + length, ": ", 2) != 0)) {
        fprintf(stderr, "%s:%d: the text is not this function's: %s\n", file, line, tn_last_error());
        exit(1);
    }
}

/* The program's exit code: everything was given back. */
static inline int finish(void) {
    static tn_holder leaks[16]; /* static: zero, and off the stack of a test that fills it */
    size_t count = 0;
    OK(tn_leaks(sizeof leaks / sizeof leaks[0], leaks, &count));
    for (size_t i = 0; i < count && i < sizeof leaks / sizeof leaks[0]; i++)
        fprintf(stderr, "leak: kind %d \"%s\" of %llu bytes, made at \"%s\"\n", (int)leaks[i].kind, leaks[i].name,
                (unsigned long long)leaks[i].bytes, leaks[i].site);
    CHECK(count == 0);
    return 0;
}

#endif
