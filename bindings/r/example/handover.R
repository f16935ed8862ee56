# Takes an array that C gives, squares its elements in place, and gives it back.
library(tenure)
invisible(dyn.load("libhandover.so"))

x <- tn_take(.C("handover_give", raw(8))[[1]])
with_write(x, function(v) {
  for (i in seq_along(v)) v[i] <- v[i]^2
})
given <- tn_give(x)
invisible(.C("handover_take", tn_bits(given)))

cat("R's own handle: ", tryCatch(x[1], tenure_error = function(e) e$status), "\n", sep = "")
tn_release(x)
rm(given)
invisible(gc())
cat(nrow(tn_leaks()), "leaks,", tn_copy_count(), "copies\n")
