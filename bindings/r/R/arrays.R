# Arrays: creation, selection, views, properties, files.
#
# An array is an external pointer with one handle. R never duplicates it, so `y <- x` is a second name for the array, and `x[1] <- 0`
# writes to the memory that all its names and handles share.

default_dtype <- function(value) {
  switch(typeof(value), logical = "bool", integer = "int32", raw = "uint8", complex = "complex128", "float64")
}

tn_empty <- function(dim, dtype = "float64", name = NULL, pool = NULL) {
  .Call(C_make, as.double(dim), dtype, NULL, name, pool)
}

tn_full <- function(dim, value, dtype = default_dtype(value), name = NULL, pool = NULL) {
  stopifnot(length(value) == 1)
  .Call(C_make, as.double(dim), dtype, value, name, pool)
}

tn_zeros <- function(dim, dtype = "float64", name = NULL, pool = NULL) tn_full(dim, 0, dtype, name, pool)

tn_ones <- function(dim, dtype = "float64", name = NULL, pool = NULL) tn_full(dim, 1, dtype, name, pool)

# An array with a copy of a vector, matrix or array of R.
tn_copy_of <- function(value, dtype = default_dtype(value), name = NULL, pool = NULL) {
  x <- tn_empty(shape_of(value), dtype, name, pool)
  .Call(C_write, x, NULL, value)
}

# An array on the memory of a vector, matrix or array of R, which cannot be written. R copies the vector before it changes it.
tn_lend <- function(value) .Call(C_lend, value, as.double(shape_of(value)))

shape_of <- function(value) if (is.null(dim(value))) length(value) else dim(value)

# -- properties --

dim.tenure_array <- function(x) .Call(C_info, x)$dim

length.tenure_array <- function(x) prod(dim(x))

tn_info <- function(x) .Call(C_info, x)

tn_dtype <- function(x) .Call(C_info, x)$dtype

tn_name <- function(x) .Call(C_info, x)$name

tn_set_name <- function(x, name) invisible(.Call(C_set_name, x, name))

# Whether this handle is the only holder of its bytes.
tn_is_unique <- function(x) .Call(C_is_unique, x)

# Why the bytes cannot be overwritten in place; empty if they can.
tn_why_not <- function(x) .Call(C_why_not, x)

format.tenure_array <- function(x, ...) {
  described <- tryCatch(
    {
      info <- tn_info(x)
      paste(c(info$dtype, paste(info$dim, collapse = " x "), if (info$name != "") dQuote(info$name, FALSE)), collapse = " ")
    },
    tenure_error = function(e) e$status
  )
  paste0("<tenure_array ", described, ">")
}

print.tenure_array <- function(x, ...) {
  cat(format(x), "\n", sep = "")
  # A conflict, or many elements: the line above is all.
  tryCatch(if (length(x) <= 100) print(x[], ...), tenure_error = function(e) cat(conditionMessage(e), "\n", sep = ""))
  invisible(x)
}

# -- selection --

# The positions that an index of R selects on an axis, as doubles.
positions <- function(index, n) {
  if (!(is.numeric(index) || is.logical(index)) || !is.null(dim(index))) stop("an index is a vector of numbers or of logical values")
  at <- seq_len(n)[index]
  if (anyNA(at)) stop("subscript out of bounds")
  as.double(at)
}

# The indices of a selection, for each axis: NULL where there is none, which is the whole axis.
axes_of <- function(x, ...) {
  n <- ...length()
  shape <- dim(x)
  axes <- vector("list", length(shape))
  is_absent <- vapply(seq_len(n), function(at) eval(call("missing", as.name(paste0("..", at))), parent.frame(2)), NA)
  if (n == 0 || (n == 1 && is_absent)) return(axes)
  if (n != length(shape)) stop("incorrect number of dimensions: ", n, " indices, ", length(shape), " axes")
  for (at in which(!is_absent)) axes[[at]] <- positions(...elt(at), shape[at])
  axes
}

`[.tenure_array` <- function(x, ..., drop = TRUE) {
  copy <- .Call(C_read, x, axes_of(x, ...))
  if (drop && ...length() > 1) drop(copy) else copy
}

`[<-.tenure_array` <- function(x, ..., value) .Call(C_write, x, axes_of(x, ...), value)

`[[.tenure_array` <- function(x, ...) {
  copy <- x[..., drop = TRUE]
  if (length(copy) != 1) stop("[[ selects one element")
  copy
}

`[[<-.tenure_array` <- function(x, ..., value) {
  if (length(value) != 1) stop("[[ selects one element")
  .Call(C_write, x, axes_of(x, ...), value)
}

as.array.tenure_array <- function(x, ...) {
  copy <- x[]
  if (is.null(dim(copy))) array(copy) else copy
}

as.vector.tenure_array <- function(x, mode = "any") as.vector(x[], mode)

tn_fill <- function(x, value) {
  stopifnot(length(value) == 1)
  invisible(.Call(C_fill, x, value))
}

# -- views and other handles --

# A view of a part. Each index selects positions at equal distances; no axis is dropped.
tn_view <- function(x, ...) {
  .Call(C_view, x, lapply(axes_of(x, ...), function(at) {
    if (is.null(at)) return(NULL)
    steps <- unique(diff(at))
    if (length(steps) > 1 || identical(steps, 0)) stop("a view needs positions at equal distances; x[...] copies any")
    c(if (length(at) > 0) at[1] - 1 else 0, length(at), if (length(steps) == 1) steps else 1)
  }))
}

tn_reshape <- function(x, dim) .Call(C_reshape, x, as.double(dim))

t.tenure_array <- function(x) aperm(x)

aperm.tenure_array <- function(a, perm = rev(seq_along(dim(a))), ...) .Call(C_permute, a, as.integer(perm))

# Another handle on the bytes.
tn_clone <- function(x) .Call(C_clone, x)

# An array with a copy of the bytes.
tn_copy <- function(x, pool = NULL) .Call(C_copy, x, pool)

# Releases the handle now. Without it, R releases the handle some time after its last name is gone.
tn_release <- function(x) invisible(if (inherits(x, "tenure_pool")) .Call(C_pool_release, x) else .Call(C_release, x))

# -- files --

tn_open_npy <- function(path, mode = c("read", "copy_on_write", "write", "copy")) {
  mode <- match.arg(mode)
  .Call(C_open_npy, path.expand(path), match(mode, c("read", "copy_on_write", "write", "copy")) - 1L)
}

tn_save_npy <- function(x, path) invisible(.Call(C_save_npy, x, path.expand(path)))
