# Arrays, views, guards, promises and scopes that nothing releases, under a collector that runs all the time: they are made in random order
# and dropped. Every read finds the value that the array was filled with. At the end nothing is left, and the pool counted no misuse.
#
# TENURE_STRESS_SEED (1) sets the draws, TENURE_TEST_ROUNDS (4000) the steps. misuse.so, of misuse.c, lies in the working directory.
library(tenure)
dyn.load("misuse.so")

number <- function(name, usual) as.integer(Sys.getenv(name, usual))
seed <- number("TENURE_STRESS_SEED", 1)
rounds <- number("TENURE_TEST_ROUNDS", 4000)
cat("TENURE_STRESS_SEED=", seed, "\n", sep = "")
set.seed(seed)

elements <- 100
# Each has an object, an array of the bytes that it holds, and the value of their elements.
kept <- vector("list", 48)
pool <- tn_pool("collected")
below <- function(n) sample.int(n, 1)

make <- function() {
  x <- tn_zeros(elements, pool = pool)
  value <- as.double(below(1e6))
  tn_fill(x, value)
  list(object = x, array = x, value = value)
}

# Another object of the one, or NULL after a read.
use <- function(one) {
  x <- one$array
  switch(below(8),
    one$array <- tn_clone(x),
    one$array <- tn_view(x, elements:1),
    one$object <- tn_give(x),
    one$array <- tn_take(tn_give(tn_clone(x))),
    one$object <- .Call(tenure:::C_borrow, x, FALSE, FALSE),
    one$object <- .Call(tenure:::C_enter, list(x)),
    with_write(x, function(v) v[1] <- one$value),
    {
      if (!all(x[] == one$value)) stop("elements are not ", one$value, ": ", paste(head(x[]), collapse = " "))
      return(NULL)
    }
  )
  one
}

# The last one: a vector cannot show a view that runs backwards.
in_the_way <- c("TN_ERR_GIVEN", "TN_ERR_DESTRUCTED", "TN_ERR_BORROWED", "TN_ERR_BORROWED_WRITE", "TN_ERR_LAYOUT")
steps <- function(n) {
  for (step in seq_len(n)) {
    one <- kept[[below(length(kept))]]
    made <- if (is.null(one) || below(4) == 1) make() else {
      tryCatch(use(one), tenure_error = function(e) if (e$status %in% in_the_way) NULL else stop(e))
    }
    if (!is.null(made)) kept[[below(length(kept))]] <<- made
    if (step %% 16 == 0) invisible(gc(full = step %% 64 == 0))
  }
}
steps(rounds)
# The collector runs at every few allocations of R, within the binding's own calls too.
invisible(gctorture2(37))
steps(rounds / 40)
invisible(gctorture2(0))

made <- tn_pool_stats(pool)$allocation_count
kept <- NULL
for (turn in 1:3) invisible(gc())
left <- tn_leaks()
misuses <- with_pool(pool, .C("count_misuses", 0)[[1]])
stopifnot(made >= rounds / 8, nrow(left) == 1, tn_pool_stats(pool)$live_blocks == 0, misuses == 0)
tn_release(pool)
invisible(gc()) # with_pool had a handle on the pool before
stopifnot(nrow(tn_leaks()) == 0)
cat("all were collected\n")
