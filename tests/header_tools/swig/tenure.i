/* SWIG: the header without a wrapper, but for what Python needs to pass pointers. */
%module tenure
%{
#include "tenure.h"
%}
%include <stdint.i>
%include <cpointer.i>
%include <carrays.i>
%include "tenure.h"
%pointer_functions(tn_array *, array_out)
%pointer_functions(tn_borrow *, borrow_out)
%array_functions(int64_t, shape)
