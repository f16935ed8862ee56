# C makes an array and gives it. R takes it, fills it with squares in place, and gives it back.
library(tenure)
invisible(dyn.load("handover.so"))

promise <- .C("produce", raw(8))[[1]]
x <- tn_take(promise)
with_write(x, function(v) {
  for (i in seq_along(v)) v[i] <- i^2
})
back <- tn_give(x)
invisible(.C("consume", tn_bits(back), promise))

cat("R's own handle: ", tryCatch(x[1], tenure_error = function(e) e$status), "\n", sep = "")
tn_release(x)
rm(back)
invisible(gc())
cat(nrow(tn_leaks()), "leaks,", tn_copy_count(), "copies\n")
