# The binding's calls, each with what it returns. Ends with a status other than 0 if one differs. thread.so, of thread.c, lies in the working
# directory.
library(tenure)

failures <- 0
expect <- function(holds, what) {
  if (isTRUE(holds)) return(invisible())
  failures <<- failures + 1
  message("FAILED: ", what)
}
# The status and the text with which an expression fails.
failure <- function(code) tryCatch({ code; list(status = "none", message = "") }, error = identity)
expect_status <- function(code, status, what, text = "") {
  e <- failure(code)
  expect(identical(e$status, status) && grepl(text, conditionMessage(structure(class = c("error", "condition"), unclass(e)))), what)
  if (!identical(e$status, status)) message("  ", e$status, ": ", e$message)
}
# R makes such a vector when it changes attributes of a large one: an ALTREP object that refers to the vector.
wrapper <- function(v) .Internal(wrap_meta(v, NA_integer_, FALSE))

creation <- function() {
  a <- tn_zeros(c(2, 3), name = "a")
  expect(identical(dim(a), c(2L, 3L)) && length(a) == 6, "dim and length")
  expect(tn_dtype(a) == "float64" && tn_name(a) == "a", "dtype and name")
  expect(identical(a[], matrix(0, 2, 3)), "zeros")
  expect(tn_info(a)$is_contiguous && tn_info(a)$bytes == 48, "R's order of elements")
  tn_set_name(a, "renamed")
  expect(tn_name(a) == "renamed", "tn_set_name")
  expect(identical(tn_ones(3)[], c(1, 1, 1)), "ones")
  expect(identical(tn_full(2, 7L)[], c(7L, 7L)), "full takes the type of its value")
  expect(identical(tn_full(2, -0)[], c(-0, -0)) && 1 / tn_full(1, -0)[] == -Inf, "full with a negative zero")
  expect(identical(dim(tn_empty(c(4, 1), "int16")), c(4L, 1L)), "empty")
  expect(identical(tn_zeros(numeric(0))[], 0), "no axes: one element")
  expect(identical(tn_zeros(c(0, 3))[], matrix(0, 0, 3)), "no elements")
  m <- matrix(c(1.5, NA, -Inf, 4), 2)
  expect(identical(tn_copy_of(m)[], m), "copy_of a matrix, NA is kept")
  expect(identical(as.array(tn_copy_of(1:3)), array(1:3)) && identical(as.vector(tn_copy_of(m)), as.vector(m)), "as.array, as.vector")
  expect_status(tn_zeros(-1), "TN_ERR_SHAPE", "a negative length")
  expect_status(tn_zeros(2, "float63"), "TN_ERR_DTYPE", "an unknown type", "float63")
}

types <- function() {
  values <- list(bool = c(TRUE, FALSE), int8 = c(-128L, 127L), int16 = c(-32768L, 32767L), int32 = c(NA, -5L, 2147483647L),
                 int64 = c(-2^53, 2^53), uint8 = as.raw(c(0, 255)), uint16 = c(0L, 65535L), uint32 = c(0, 2^32 - 1), uint64 = c(0, 2^53),
                 float32 = c(0.5, -Inf), float64 = c(pi, NA), complex64 = c(1 + 2i, 0.5i), complex128 = c(pi + 1i, 0i))
  for (dtype in names(values)) {
    v <- values[[dtype]]
    expect(identical(tn_copy_of(v, dtype)[], v), paste("values of", dtype))
    every_other <- tn_view(tn_copy_of(rep(v, each = 2), dtype), seq(1, 2 * length(v), 2))
    expect(identical(every_other[], v), paste("a strided view of", dtype))
  }
  x <- tn_zeros(2, "int8")
  expect_status(x[1] <- 128, "TN_ERR_RANGE", "128 is no int8", "128, is no int8")
  expect_status(x[1] <- 1.5, "TN_ERR_RANGE", "1.5 is no int8")
  expect_status(x[1] <- NA, "TN_ERR_RANGE", "NA is no int8")
  expect_status(x[] <- c(1, 300), "TN_ERR_RANGE", "one value that does not fit")
  expect(identical(x[], c(0L, 0L)), "a refused value writes nothing")
  x[1] <- as.raw(7)
  x[2] <- 3
  expect(identical(x[], c(7L, 3L)), "values of other types that fit")
  expect_status(x[1] <- "7", "TN_ERR_DTYPE", "text is no element", "character")
  large <- tn_full(1, 1, "int64")
  wide <- tempfile(fileext = ".npy")
  header <- "{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }"
  header <- paste0(header, strrep(" ", 117 - nchar(header)), "\n")
  writeBin(c(as.raw(0x93), charToRaw("NUMPY"), as.raw(c(1, 0, 118, 0)), charToRaw(header), as.raw(rep(127, 8))), wide)
  expect_status(tn_open_npy(wide)[], "TN_ERR_RANGE", "an int64 that R cannot hold", "2\\^53")
  unlink(wide)
  expect_status(tn_zeros(1, "bfloat16")[], "TN_ERR_DTYPE", "R has no numbers for bfloat16")
  expect_status(tn_ones(1, "float16"), "TN_ERR_RANGE", "a float16 of 1 cannot be made")
}

selection <- function() {
  m <- array(as.double(1:24), c(2, 3, 4))
  x <- tn_copy_of(m)
  expect(identical(x[2, 3, 4], m[2, 3, 4]), "one element")
  expect(identical(x[[2, 1, 3]], m[[2, 1, 3]]), "[[")
  expect(identical(x[, c(3, 1), -1], m[, c(3, 1), -1]), "positions, without one")
  expect(identical(x[2, , , drop = FALSE], m[2, , , drop = FALSE]), "drop = FALSE")
  expect(identical(x[c(TRUE, FALSE), , 4:1], m[c(TRUE, FALSE), , 4:1]), "logical, backwards")
  expect(identical(x[0, , ], m[0, , ]), "nothing")
  nested <- function(...) x[...]
  expect(identical(nested(1, , 2), m[1, , 2]), "indices that a function passes on")
  i <- 2
  expect(identical((function(i) x[i, i, i])(1), m[1, 1, 1]), "indices of the caller")
  expect(grepl("bounds", failure(x[3, 1, 1])$message), "out of bounds")
  expect(grepl("dimensions", failure(x[1, 1])$message), "number of dimensions")
  expect(grepl("index", failure(x[matrix(1, 1, 1), 1, 1])$message), "an index that is a matrix")
  y <- x
  y[1, 2, ] <- c(-1, -2, -3, -4)
  m[1, 2, ] <- c(-1, -2, -3, -4)
  expect(identical(x[], m), "a write is seen by every name")
  x[, c(3, 1), 2] <- 0
  m[, c(3, 1), 2] <- 0
  x[[1, 1, 1]] <- 9
  m[[1, 1, 1]] <- 9
  x[, , 3] <- 1:2
  m[, , 3] <- 1:2
  expect(identical(x[], m), "values are recycled")
  expect_status(x[, 1, 1] <- 1:3, "TN_ERR_COUNT", "values that do not fill")
  x[0, , ] <- numeric(0)
  x[] <- 5
  expect(all(x[] == 5), "x[] <- value")
  tn_fill(x, 6)
  expect(all(x[] == 6), "tn_fill")
}

views <- function() {
  m <- matrix(as.double(1:12), 3)
  x <- tn_copy_of(m)
  before <- tn_copy_count()
  part <- tn_view(x, 3:1, c(2, 4))
  expect(identical(part[], m[3:1, c(2, 4)]), "tn_view")
  part[1, 1] <- 100
  expect(x[3, 2] == 100, "a view shares the bytes")
  m[3, 2] <- 100
  expect(identical(t(x)[], t(m)), "t")
  expect(identical(aperm(tn_reshape(x, c(3, 2, 2)), c(2, 3, 1))[], aperm(array(m, c(3, 2, 2)), c(2, 3, 1))), "aperm, tn_reshape")
  expect(identical(tn_reshape(x, -1)[], as.vector(m)), "a computed length")
  expect(identical(dim(tn_view(x, integer(0), 2)), 0:1), "an empty view")
  expect(grepl("distances", failure(tn_view(x, c(1, 2, 2), 1))$message), "no view of any positions")
  expect(tn_copy_count() == before, "views copy nothing")
  other <- tn_clone(x)
  expect(!tn_is_unique(x) && identical(tn_why_not(x), "shared"), "a clone shares")
  expect(nrow(tn_holders(x)) >= 2 && all(tn_holders(x)$kind == "handle"), "holders")
  copy <- tn_copy(x)
  copy[1, 1] <- -1
  expect(x[1, 1] == 1 && tn_is_unique(copy) && length(tn_why_not(copy)) == 0, "tn_copy")
}

guards <- function() {
  x <- tn_copy_of(matrix(as.double(1:6), 2), name = "weights")
  expect(with_read(x, function(v) identical(dim(v), c(2L, 3L)) && sum(v) == 21 && v[2, 3] == 6), "reading by a vector")
  expect_status(with_read(x, function(v) x[1, 1] <- 0), "TN_ERR_BORROWED", "a writer beside a reader", "weights")
  expect_status(with_write(x, function(v) x[]), "TN_ERR_BORROWED_WRITE", "a reader beside a writer", "weights")
  tn_heal(x)
  expect(with_read(x, function(v) with_read(x, function(w) identical(v[], w[]))), "two readers")

  # What is written into a read guard's vector is R's own copy.
  with_read(x, function(v) { v[1, 1] <- -1; expect(v[1, 1] == -1, "a changed copy") })
  expect(x[1, 1] == 1, "a read guard's bytes stay")

  for (jit in c(0, 3)) {
    compiler::enableJIT(jit)
    tn_fill(x, 0)
    f <- function(v) { for (i in 1:2) for (j in 1:3) v[i, j] <- 10 * i + j }
    with_write(x, f)
    expect(identical(x[], outer(c(10, 20), 1:3, "+")), paste("a loop writes in place, compiler", jit))
    with_write(x, function(v) { v[v > 20] <- 0; v[[1, 1]] <- 5; v[2, ] <- c(7, 8, 9) })
    expect(identical(x[], rbind(c(5, 12, 13), c(7, 8, 9))), "replacements of many kinds")
    with_write(x, function(v) v[] <- v * 2)
    expect(identical(x[], 2 * rbind(c(5, 12, 13), c(7, 8, 9))), "a result of the vector itself")
    expect_status(with_write(x, function(v) { w <- v; w[1, 1] <- 0 }), "TN_ERR_INVALID", "a second name", "another name")
    tn_heal(x)
    expect_status(with_write(x, function(v) v[1, 1] <- 1i), "TN_ERR_DTYPE", "a value of another type", "complex")
    tn_heal(x)
    expect(x[1, 1] == 10, "what R would have written to a copy is not written")
  }
  integers <- tn_zeros(3, "int32")
  with_write(integers, function(v) { v[2] <- 5L })
  expect_status(with_write(integers, function(v) { v[1] <- 5 }), "TN_ERR_DTYPE", "a double into int32", "double")
  tn_heal(integers)
  expect(identical(integers[], c(0L, 5L, 0L)), "int32 in place")
  large <- tn_zeros(100)
  expect_status(with_write(large, function(v) { w <- wrapper(v); w[1] <- 1 }), "TN_ERR_INVALID", "a wrapper")
  tn_heal(large)
  with_write(large, function(v) { dim(v) <- c(10, 10); v[10, 10] <- 1; v[1, ] <- 2 })
  expect(large[100] == 1 && large[91] == 2 && sum(large[]) == 21, "a vector with another dim")
  kept <- with_read(large, wrapper)
  expect_status(sum(kept), "TN_ERR_STALE", "a wrapper after the end")
  bytes <- tn_zeros(2, "uint8")
  with_write(bytes, function(v) v[1] <- as.raw(9))
  expect(identical(bytes[], as.raw(c(9, 0))), "uint8 in place")
  complexes <- tn_zeros(2, "complex128")
  with_write(complexes, function(v) v[2] <- 1 + 2i)
  expect(identical(complexes[], c(0i, 1 + 2i)), "complex128 in place")
  # R's functions that change their own copy do not reach the array.
  x <- tn_copy_of(c(3, 1, 2))
  with_write(x, function(v) expect(identical(sort(v), c(1, 2, 3)) && identical(rev(v), c(2, 1, 3)), "sort, rev"))
  with_write(x, function(v) { w <- v[]; w[1] <- 0; w <- v + 1; w[1] <- 0 })
  expect(identical(x[], c(3, 1, 2)), "copies in a write guard")
  expect(with_read(tn_zeros(0), function(v) length(v) == 0 && sum(v) == 0), "no elements")

  expect_status(with_read(tn_zeros(2, "float32"), identity), "TN_ERR_DTYPE", "no vectors of float32", "float32")
  expect_status(with_read(t(tn_zeros(c(2, 3))), identity), "TN_ERR_LAYOUT", "C order has no vector")
  expect(with_read(t(t(tn_zeros(c(2, 3)))), sum) == 0, "the transpose of C order has one")
}

# A vector of an ended guard is refused, whatever is done with it.
ended <- function() {
  x <- tn_copy_of(as.double(1:5))
  v <- with_read(x, function(v) v)
  w <- with_write(x, function(v) v)
  tn_release(x)
  for (old in list(v, w)) {
    uses <- list(function(v) v[1], function(v) v[], sum, function(v) capture.output(print(v)), function(v) v + 1, mean, sort, as.integer,
                 function(v) for (e in v) e, function(v) { v[1] <- 0 }, function(v) serialize(v, NULL), rev, range, is.na, function(v) v[[2]], format, unique,
                 function(v) identical(v, 1:5 + 0), tn_copy_of)
    for (at in seq_along(uses)) expect_status(uses[[at]](old), "TN_ERR_STALE", paste("use", at, "after the end"), "has ended")
    expect(length(old) == 5, "the length is not in the array's memory")
  }
}

failing <- function() {
  x <- tn_zeros(2)
  expect(identical(failure(with_write(x, function(v) stop("mine")))$message, "mine"), "an error of the function")
  expect_status(x[], "TN_ERR_POISONED", "a failed writer poisons")
  expect(identical(tn_why_not(x), "poisoned"), "why not")
  with_write(x, function(v) v[] <- c(1, 2), discard = TRUE)
  expect(identical(x[], c(1, 2)), "overwriting heals")
  left <- (function() with_read(x, function(v) return("left")))()
  expect(left == "left", "return")
  for (i in 1) with_read(x, function(v) v[1])
  expect(tn_is_unique(x), "no guard is left open")
  expect_status(stop(tryCatch(tn_take(1), error = identity)), "TN_ERR_KIND", "a condition is raised again")
  caught <- tryCatch(tn_zeros(-1), tenure_error_TN_ERR_SHAPE = function(e) class(e))
  expect(identical(caught, c("tenure_error_TN_ERR_SHAPE", "tenure_error", "error", "condition")), "classes of conditions")
  expect_status(tn_clone(1), "TN_ERR_KIND", "another object")
}

handover <- function() {
  x <- tn_copy_of(c(1, 2), name = "given")
  promise <- tn_give(x)
  expect_status(x[], "TN_ERR_GIVEN", "a given array", "given")
  tn_cancel(promise)
  expect(identical(x[], c(1, 2)), "a cancelled promise")
  promise <- tn_give(x)
  y <- tn_take(promise)
  expect(tn_is_unique(y) && identical(y[], c(1, 2)), "the taker is the only holder")
  expect_status(x[1], "TN_ERR_DESTRUCTED", "the giver's handle is destructed", "given")
  expect(grepl("TN_ERR_DESTRUCTED", format(x)), "a destructed array is printed")
  expect_status(tn_take(promise), failure(tn_take(promise))$status, "a promise is taken once")
  expect(inherits(failure(tn_take(promise)), "tenure_error"), "a promise is taken once")
  tn_release(x)
  expect_status(x[1], "TN_ERR_NULL", "a released array", "NULL")
  expect_status(tn_release(x), "TN_ERR_NULL", "a handle is released once")
  expect(identical(y[], c(1, 2)), "the taker's array remains")
  promise <- tn_give(y)
  expect(identical(tn_take(tn_bits(promise))[], c(1, 2)), "a promise as bits")
}

params <- function() {
  lent <- tn_zeros(3)
  given <- tn_ones(5)
  promise <- tn_give(given)
  kept <- with_params(list(lent, promise), function(a, b) {
    expect(!tn_is_unique(lent) && length(b) == 5, "own handles")
    a[1] <- 4
    b
  })
  expect(identical(kept[], rep(1, 5)) && tn_is_unique(kept), "what the function returns is kept")
  expect(lent[1] == 4 && tn_is_unique(lent), "the rest is released")
  outside <- NULL
  expect(failure(with_params(list(a = lent), function(a) { outside <<- a; stop("mine") }))$message == "mine", "an error in a scope")
  expect(tn_is_unique(lent), "the scope was left")
  expect_status(outside[], "TN_ERR_NULL", "its handles ended")
}

lending <- function() {
  v <- c(1, 2, 3)
  x <- tn_lend(v)
  expect(identical(x[], v) && tn_info(x)$is_readonly, "lent values")
  expect_status(x[1] <- 0, "TN_ERR_READONLY", "a lent vector is not written")
  v[1] <- 100
  expect(x[1] == 1 && v[1] == 100, "R copies a lent vector before it changes it")
  rm(v)
  invisible(gc())
  expect(identical(x[], c(1, 2, 3)), "a lent vector lives as long as its array")
  expect(tn_copy_count() == 0, "lending copies nothing")
  m <- tn_lend(matrix(1:6, 2))
  expect(identical(t(m)[], t(matrix(1:6, 2))), "a lent matrix")
  expect(identical(tn_lend(1:1000)[], 1:1000), "a lent sequence")
  expect(with_read(tn_lend(as.raw(1:3)), function(v) identical(v[], as.raw(1:3))), "a guard on a lent vector")
  # A wrapper copies the vector when a function asks for writable memory, and refers to the copy from then on.
  plain <- sqrt(1:10000)
  wrapped <- wrapper(plain)
  y <- tn_lend(wrapped)
  crossprod(wrapped)
  rm(plain)
  for (i in 1:3) invisible(gc())
  others <- lapply(1:50, function(i) rep(-i, 10000))
  expect(identical(y[], sqrt(1:10000)), "a lent wrapper")
  expect_status(tn_lend(letters), "TN_ERR_DTYPE", "text is not lent", "character")
  expect_status(with_read(tn_zeros(1), tn_lend), "TN_ERR_INVALID", "elements are not lent")
}

# A vector is kept until the last handle ends, also if that happens on another thread.
collected <- function() {
  dyn.load("thread.so")
  ends <- list(tn_release, function(x) {
    promise <- tn_give(x)
    .C("release_on_thread", tn_bits(promise))
    expect_status(x[], "TN_ERR_DESTRUCTED", "taken on a thread")
    tn_release(x)
  })
  for (end in ends) {
    released <- 0
    token <- new.env()
    reg.finalizer(token, function(e) released <<- released + 1)
    v <- c(5, 6)
    attr(v, "token") <- token
    rm(token)
    x <- tn_lend(v)
    rm(v)
    invisible(gc())
    expect(released == 0, "a lent vector is kept")
    end(x)
    invisible(gc())
    expect(released == 1, "and then released")
  }
}

pools <- function() {
  pool <- tn_pool("step", max_size = 2^24)
  a <- tn_zeros(1000, pool = pool)
  stats <- tn_pool_stats(pool)
  expect(stats$live_blocks == 1 && stats$requested_bytes >= 8000 && stats$limit_bytes == 2^24, "statistics")
  expect_status(tn_zeros(2^24, pool = pool), "TN_ERR_POOL_LIMIT", "the limit of a pool", "step")
  b <- with_pool(pool, tn_empty(10))
  expect(tn_pool_stats(pool)$live_blocks == 2, "the current pool")
  c <- tn_empty(10)
  expect(tn_pool_stats(pool)$live_blocks == 2, "the default pool again")
  expect(failure(with_pool(pool, stop("mine")))$message == "mine" && tn_pool_stats()$limit_bytes == 0, "also after an error")
  tn_release(a)
  tn_release(b)
  expect(tn_pool_trim(pool) > 0, "trim")
  tn_release(pool)
  expect_status(tn_pool_stats(pool), "TN_ERR_NULL", "a released pool")
  info <- tn_memory_info()
  expect(info$total_bytes > 2^20 && info$free_bytes + info$used_bytes == info$total_bytes, "memory of the machine")
}

files <- function() {
  path <- tempfile(fileext = ".npy")
  m <- matrix(as.double(1:6), 2)
  tn_save_npy(tn_copy_of(m), path)
  x <- tn_open_npy(path)
  expect(identical(x[], m) && tn_info(x)$is_readonly, "a saved matrix")
  expect_status(x[1, 1] <- 0, "TN_ERR_READONLY", "a mapped file")
  y <- tn_open_npy(path, "copy")
  y[1, 1] <- 0
  expect(identical(tn_open_npy(path)[], m), "a copy of a file")
  z <- tn_open_npy(path, "write")
  z[1, 1] <- -1
  expect(tn_open_npy(path)[1, 1] == -1, "a writable file")
  expect_status(tn_open_npy(file.path(path, "none")), "TN_ERR_IO", "a file that is missing")
  unlink(path)
}

sites <- function() {
  file <- tempfile(fileext = ".R")
  lines <- c("# a comment", "x <- tenure::tn_zeros(1, name = 'placed')", "inner <- function() {", "  tn_clone(x)", "}", "y <- inner()")
  writeLines(lines, file)
  source(file, local = TRUE, keep.source = TRUE)
  expect(grepl("\\.R:2$", tn_leaks()$site[tn_leaks()$name == "placed"][1]), "the call site of an array")
  expect(any(grepl("\\.R:4$", tn_leaks()$site)), "a call site in a function")
  unlink(file)
}

printed <- function() {
  text <- capture.output(print(tn_copy_of(matrix(1:4, 2), name = "m")))
  expect(identical(text, c('<tenure_array int32 2 x 2 "m">', "     [,1] [,2]", "[1,]    1    3", "[2,]    2    4")), "print")
  expect(identical(capture.output(print(tn_zeros(c(100, 100)))), "<tenure_array float64 100 x 100>"), "print of many elements")
  expect(tn_version() >= "0.1.0", "version")
}

documented <- function() {
  expect(length(unlist(tools::undoc("tenure"))) == 0, "every function has a help page")
  expect(length(tools::codoc("tenure")) == 0, "the pages have the functions' parameters")
}

# Objects that are left alone are released by R.
finalised <- function() {
  leaves_alone <- function() {
    pool <- tn_pool("left")
    a <- tn_zeros(3, name = "left", pool = pool)
    b <- tn_clone(a)
    promise <- tn_give(b)
    scope <- .Call(tenure:::C_enter, list(a))
    guard <- .Call(tenure:::C_borrow, a, TRUE, FALSE)
    expect(sum(tn_leaks()$name == "left") >= 5, "leaks are listed")
  }
  leaves_alone()
  invisible(gc())
  expect(!any(tn_leaks()$name == "left"), "and released by R")
}

tests <- list(creation, types, selection, views, guards, ended, failing, handover, params, lending, collected, pools, files, sites, printed,
              documented, finalised)
for (test in tests) test()
invisible(gc())
leaks <- tn_leaks()
expect(nrow(leaks) == 0, "no leaks at the end")
if (nrow(leaks) > 0) print(leaks)
if (failures > 0) quit(status = 1)
cat("all calls passed\n")
