// How often the current pool was misused: the statistics of the binding leave it out.
#include "tenure.h"

void count_misuses(double *count) {
    tn_pool_stats stats = {.size = sizeof stats};
    *count = tn_pool_query(NULL, &stats) == TN_OK ? (double)stats.misuse_count : -1;
}
