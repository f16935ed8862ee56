# Guards, promises and scopes.
#
# R leaves a function at an error from anywhere. Each guard and scope here belongs to one R function, whose on.exit ends it.

# Calls f with a vector on the bytes of the array, which is valid until f returns.
with_read <- function(x, f) guarded(x, f, FALSE, FALSE)

# As with_read, with the only access to the bytes: `v[i] <- value` writes them. With `discard`, the old contents are not needed. If f
# fails, the array is poisoned: reading is refused until it is overwritten, or until tn_heal.
with_write <- function(x, f, discard = FALSE) guarded(x, f, TRUE, discard)

guarded <- function(x, f, writes, discards) {
  f <- match.fun(f)
  guard <- .Call(C_borrow, x, writes, discards)
  has_failed <- TRUE
  on.exit(.Call(C_end, guard, has_failed))
  elements <- function() .Call(C_elements, guard, x)
  result <- withVisible(if (writes) call_with_local(f, elements) else f(elements()))
  has_failed <- FALSE
  if (result$visible) result$value else invisible(result$value)
}

# Calls f with a first parameter that is the only reference to its value. R keeps a second one to the value of an argument, for which it
# would copy the value before f's second write. So f has no argument here, and assigns the value to its parameter itself.
call_with_local <- function(f, value) {
  parameter <- names(formals(f))[1]
  if (is.null(parameter) || parameter == "...") return(f(value()))
  body(f) <- call("{", call("<-", as.name(parameter), as.call(list(value))), body(f))
  f()
}

tn_heal <- function(x) invisible(.Call(C_heal, x))

# Moves the claim into a promise, for someone to take. The handle remains, to be released.
tn_give <- function(x) .Call(C_give, x)

# Gets the array of a promise. A promise of C is a raw vector with the bits of its handle; C still releases it.
tn_take <- function(promise) .Call(C_take, promise)

# Returns the claim to the giver.
tn_cancel <- function(promise) invisible(.Call(C_cancel, promise))

# The bits of a promise's handle, for a function of C. The object still releases it.
tn_bits <- function(promise) .Call(C_bits, promise)

# Calls f with own handles on the parameters, a list of arrays and promises, which are released when f returns. If f returns one of them,
# that is kept.
with_params <- function(params, f) {
  f <- match.fun(f)
  entered <- .Call(C_enter, params)
  value <- NULL
  on.exit(.Call(C_leave, entered, NULL))
  value <- do.call(f, entered[[2]], quote = TRUE)
  on.exit()
  .Call(C_leave, entered, value)
}

# -- pools and reports --

tn_pool <- function(name = NULL, initial_size = 0, max_size = 0) .Call(C_pool, name, initial_size, max_size)

# Evaluates code with the pool as the thread's current one.
with_pool <- function(pool, code) {
  before <- .Call(C_pool_set_current, pool)
  on.exit(.Call(C_pool_set_current, before))
  force(code)
}

tn_pool_stats <- function(pool = NULL) .Call(C_pool_stats, pool)

tn_pool_trim <- function(pool = NULL, keep_bytes = 0) .Call(C_pool_trim, pool, keep_bytes)

# Memory of the machine, and of the library's pools in it.
tn_memory_info <- function() .Call(C_memory)

# The holders of an array's bytes.
tn_holders <- function(x) as.data.frame(.Call(C_holders, x))

# All objects that were not released.
tn_leaks <- function() as.data.frame(.Call(C_holders, NULL))

# The number of copies that nobody asked for.
tn_copy_count <- function() .Call(C_copy_count)

tn_version <- function() package_version(paste(.Call(C_version), collapse = "."))
