/*
 * signals.h - signals that interrupt the system calls of a test: many times a second, without SA_RESTART.
 */
#ifndef TEST_SIGNALS_H
#define TEST_SIGNALS_H
#include "helpers.h"
#include <signal.h>
#include <sys/time.h>

static volatile sig_atomic_t interruptions;

static inline void interrupts(int number)
{
    (void)number;
    interruptions++;
}

/* Begins the signals. Under a checker a handler takes long. */
static inline void begin_interruptions(void)
{
    const int us = is_watched() ? 50000 : 1000;
    struct sigaction action = {.sa_handler = interrupts};
    const struct itimerval each = {{0, us}, {0, us}};
    sigemptyset(&action.sa_mask);
    interruptions = 0;
    CHECK(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &each, NULL) == 0);
}

/* Ends them. There have been some. */
static inline void end_interruptions(void)
{
    const struct itimerval none = {{0, 0}, {0, 0}};
    CHECK(setitimer(ITIMER_REAL, &none, NULL) == 0 && interruptions > 0);
    signal(SIGALRM, SIG_IGN);
}

#endif
