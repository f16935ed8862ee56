//! Section "function": code of the program with declared inputs, outputs and updates of shared variables. Flags decide
//! what is aliased and what is copied at each border.

use crate::boundary::enter;
use crate::dtype::Dtype;
use crate::error::{Result, about, fail};
use crate::ffi::convert::{self, Noted, Out, VersionedStruct};
use crate::function::{self, Code, Declared, Description, HandedOut, InputSpec, OutputSpec, UpdateSpec};
use crate::layout::check_ndim;
use crate::lists;
use crate::slots::Id;
use crate::types::*;
use core::ffi::c_void;

/// Creates a function: code of the program, which the library calls with declared inputs, outputs and updates.
///
/// In each call, the body gets arrays for the inputs and leaves arrays for the outputs and the new values of the
/// updated variables. The library decides for every array that crosses whether it is aliased or copied. All updates of
/// a call become visible together, or none.
///
/// The body's places. `in[i]`: the argument, the default, or the variable's value. It cannot be written, except with
/// TN_WRITE_COW, unless the input has TN_MAY_OVERWRITE or TN_TAKE_OWNERSHIP. `out[i]`, `update[k]`: NULL at first; with
/// TN_REUSE a spare buffer of an earlier call, if there is one, with undefined contents; for an update with
/// TN_MAY_OVERWRITE the value itself, or a copy if another holder needs it. The body puts arrays there: what it found,
/// a new array, an input, a clone or view of one. They become the library's, also on failure. NULL in `update[k]`
/// leaves that variable as it is. The body may release `in[i]` and what it found in a place. It leaves no write guard
/// and no exclusive export open. It returns TN_OK or a failure; it does not throw or longjmp.
///
/// With `expr_body`, the places have expressions, and the library computes them. An operation overwrites an input with
/// TN_MAY_OVERWRITE or TN_TAKE_OWNERSHIP, and the value of an update with TN_MAY_OVERWRITE, by the rules of
/// `tn_expr_compute`. TN_REUSE offers no spare buffer.
///
/// Inputs: no flag: the body reads the argument, and no output may alias it. TN_BORROW: an output may alias it.
/// TN_MAY_OVERWRITE: the body may write the argument's own bytes, if nobody else holds them, else it gets a copy;
/// contents are undefined afterwards. TN_TAKE_OWNERSHIP: as before, and the argument's handle is destructed.
/// TN_REQUIRE_BORROW: never a copy. TN_RAW: not moved to the declared device. TN_STRICT: on that device and
/// C-contiguous, else an error. A default value and an implicit input are never written.
///
/// Outputs: no flag: shares no byte with any other array. TN_BORROW: may alias an input with TN_BORROW, a variable's
/// value, another output. TN_REQUIRE_BORROW: is not copied after the body. TN_RAW: stays on its device. TN_REUSE: the
/// function keeps the buffer after the caller has released the output.
///
/// @param options  The description, copied. Exactly one of `body` and `expr_body` is not NULL. On success, `release` is
///                 called once with `context`, after the function was released and its last call has returned; if this
///                 call fails, it is not called.
/// @param[out] out The function. Released by `tn_function_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, also for missing bodies, inputs, outputs, updates and targets; TN_ERR_STALE, TN_ERR_KIND
///         for a default or variable; TN_ERR_INVALID for a wrong size, for flags that do not fit, for two bodies, for
///         an implicit input with TN_TAKE_OWNERSHIP, a default, or an element type or number of axes that its variable
///         lacks; TN_ERR_DTYPE for an unknown element type; TN_ERR_SHAPE, TN_ERR_OVERFLOW for an impossible number of
///         axes; TN_ERR_DTYPE, TN_ERR_SHAPE for a default that is not as declared; TN_ERR_DEVICE; TN_ERR_DUPLICATE for
///         two updates of one variable; TN_ERR_DESTRUCTED, TN_ERR_GIVEN, TN_ERR_POISONED, TN_ERR_BORROWED_WRITE,
///         TN_ERR_EXPORTED, TN_ERR_PENDING for a default; TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY,
///         TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping; the bytes of defaults, from the current pool of their
///       device.
/// @since 0.1
/// @ingroup function
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_function_create(
    options: *const tn_function_options,
    out: *mut *mut tn_function,
) -> tn_status {
    enter("tn_function_create", || {
        if options.is_null() {
            return Err(convert::null("options"));
        }
        let out = Out::new(out, "out")?;
        // SAFETY: a struct of its size, by this function's documentation.
        let options = unsafe { convert::sized(options)? }.expect("not NULL");
        // SAFETY: the arrays that the struct names have as many items as it says.
        let description = unsafe { describe(&options)? };
        let function = function::create(c"tn_function_create", description)?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(function)) };
        Ok(())
    })
}

/// Calls a function.
///
/// Before the body runs, the call checks the arguments, reserves the updated variables, and moves, copies or passes
/// each input. After it, the call checks the arrays that the body left, and copies where the flags require that. Then
/// it exchanges the values of all updated variables at once and hands out the outputs.
///
/// On failure, arguments, variables and outputs are as they were. The exceptions: the bytes of an input with
/// TN_MAY_OVERWRITE or TN_TAKE_OWNERSHIP, which the body may have written; a variable that the body wrote in place is
/// undefined, and reading it is TN_ERR_POISONED until a set.
///
/// Arguments that share bytes: an argument is copied if it shares a byte with an earlier one that was not copied, and
/// one of the two has TN_MAY_OVERWRITE or TN_TAKE_OWNERSHIP. The comparison is exact: interleaved views share no byte.
///
/// @param function A function. If it is released meanwhile, it lives until the call returns.
/// @param n_in     Number of arguments: that of the inputs without the implicit ones.
/// @param in       The n_in arguments; an entry is NULL where the default of the input is meant. NULL only with n_in 0.
/// @param n_out    Number of outputs that the caller takes; the others are released.
/// @param[out] out The n_out outputs. NULL only with n_out 0. Each is released by `tn_array_release`. On failure:
///                 untouched.
/// @param[out] in_crossings  For each argument whether it was aliased or copied, and why, n_in items; may be NULL. On
///     failure: untouched.
/// @param[out] out_crossings The same for each output, n_out items; may be NULL. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_COUNT for a wrong number of arguments or too many
///         outputs; TN_ERR_DUPLICATE for one handle twice with TN_TAKE_OWNERSHIP; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
///         TN_ERR_DTYPE, TN_ERR_SHAPE for an argument of another type or number of axes; TN_ERR_LAYOUT, TN_ERR_DEVICE
///         with TN_STRICT; TN_ERR_POISONED; TN_ERR_READONLY; TN_ERR_BORROWED_WRITE, also for a variable that another
///         call changes; TN_ERR_BORROWED, TN_ERR_EXPORTED, TN_ERR_SHARED, TN_ERR_IN_EXPRESSION, TN_ERR_FOREIGN;
///         TN_ERR_PENDING for a host argument with unfinished device work; TN_ERR_WOULD_COPY; what the body returned,
///         TN_ERR_FAILED if that is no status code; TN_ERR_FAILED for what the body left in a place; TN_ERR_ALIASED
///         with the option check_managed; TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY, TN_ERR_POOL_LIMIT,
///         TN_ERR_LIMIT. A message names the input, output or update by index and name.
/// @note Threads: any, also several at once; two calls that update one variable exclude each other, and the second one
///       is refused. Blocks: as long as the body runs. Allocates: bookkeeping; for copies their bytes, from the
///       thread's current pool or the variable's pool.
/// @since 0.1
/// @ingroup function
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_function_call(
    function: *mut tn_function,
    n_in: usize,
    r#in: *const *mut tn_array,
    n_out: usize,
    out: *mut *mut tn_array,
    in_crossings: *mut tn_crossing,
    out_crossings: *mut tn_crossing,
) -> tn_status {
    enter("tn_function_call", || {
        let id = convert::id(function, "function")?;
        // SAFETY: `n_in` handles by this function's documentation; an id has the bits of the pointer, and any bits are
        // one.
        let arguments = unsafe { convert::slice(n_in, r#in.cast::<Id>(), "in")? };
        if n_out > 0 && out.is_null() {
            return Err(convert::null("out"));
        }
        let told = tn_call_crossings { outputs: out_crossings, ..VersionedStruct::defaults() };
        function::call(c"tn_function_call", id, Ok(()), arguments, n_out, &mut |item| {
            // SAFETY: `n_in` and `n_out` items by this function's documentation, and the call has checked both numbers.
            unsafe { hand_out(item, out, in_crossings, &told) }
        })
    })
}

/// Calls a function as `tn_function_call`, and tells of every value what became of it: also of the implicit inputs, and
/// of the variables that the call changes.
///
/// @param function A function. If it is released meanwhile, it lives until the call returns.
/// @param n_in     Number of arguments, as for `tn_function_call`.
/// @param in       The n_in arguments. NULL only with n_in 0.
/// @param n_out    Number of outputs that the caller takes; the others are released.
/// @param[out] out The n_out outputs. NULL only with n_out 0. Each is released by `tn_array_release`. On failure:
///                 untouched.
/// @param crossings Where to write what became of the values, with `size` set by the caller; the lists that it names
///                 have as many items as the function was created with. On failure, these are untouched.
/// @return As `tn_function_call`; TN_ERR_NULL also for crossings, TN_ERR_INVALID for a wrong size.
/// @note Threads: any, as for `tn_function_call`. Blocks: as long as the body runs. Allocates: as `tn_function_call`.
/// @since 0.1
/// @ingroup function
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_function_call_crossings(
    function: *mut tn_function,
    n_in: usize,
    r#in: *const *mut tn_array,
    n_out: usize,
    out: *mut *mut tn_array,
    crossings: *const tn_call_crossings,
) -> tn_status {
    enter("tn_function_call_crossings", || {
        let id = convert::id(function, "function")?;
        // SAFETY: `n_in` handles by this function's documentation; an id has the bits of the pointer, and any bits are
        // one.
        let arguments = unsafe { convert::slice(n_in, r#in.cast::<Id>(), "in")? };
        if n_out > 0 && out.is_null() {
            return Err(convert::null("out"));
        }
        if crossings.is_null() {
            return Err(convert::null("crossings"));
        }
        // SAFETY: a struct of its size, by this function's documentation.
        let noted = unsafe { convert::sized(crossings) }.map(|told| told.expect("not NULL"));
        let told = noted.unwrap_or_else(|_| VersionedStruct::defaults());
        function::call(c"tn_function_call", id, noted.map(drop), arguments, n_out, &mut |item| {
            // SAFETY: as many items as were declared, by this function's documentation; the call has checked `n_out`.
            unsafe { hand_out(item, out, core::ptr::null_mut(), &told) }
        })
    })
}

/// Makes a READONLY handle on the default value of an input: on the function's own copy, which no call changes.
///
/// @param function A function.
/// @param index    The input, counted from 0 among all inputs of the description.
/// @param[out] out The handle, with the name of the input if the value had none. It stays good after the function was
///                 released. Released by `tn_array_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_RANGE for an input that does not exist; TN_ERR_INVALID
///         for one without a default value; TN_ERR_NO_HOST_MEMORY, TN_ERR_LIMIT if no more handles can be made.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup function
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_function_default(
    function: *mut tn_function,
    index: usize,
    out: *mut *mut tn_array,
) -> tn_status {
    enter("tn_function_default", || {
        let id = convert::id(function, "function")?;
        let out = Out::new(out, "out")?;
        let handle = function::default(id, index)?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(handle)) };
        Ok(())
    })
}

/// Releases a function. Calls that are running end first. Variables that only the function kept end with it.
///
/// @param function A function. It is released exactly once.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
/// @note Threads: any. Blocks: never. Allocates: nothing. May run the function's release callback, under no lock.
/// @since 0.1
/// @ingroup function
#[unsafe(no_mangle)]
pub extern "C" fn tn_function_release(function: *mut tn_function) -> tn_status {
    enter("tn_function_release", || function::release(convert::id(function, "function")?))
}

/// # Safety
/// - `out` may be written for as many handles as there are outputs. `arguments` is NULL, or may be written for as many
///   items as there are arguments; so may the lists of `told`, for the inputs, outputs and updates of the function.
unsafe fn hand_out(item: HandedOut, out: *mut *mut tn_array, arguments: *mut tn_crossing, told: &tn_call_crossings) {
    let tell = |list: *mut tn_crossing, index: usize, how: tn_crossing| {
        if !list.is_null() {
            // SAFETY: the caller's obligation.
            unsafe { list.add(index).write(how) };
        }
    };
    match item {
        HandedOut::Input(index, argument, how) => {
            tell(told.inputs, index, how);
            argument.into_iter().for_each(|argument| tell(arguments, argument, how));
        }
        HandedOut::Update(index, how) => tell(told.updates, index, how),
        HandedOut::Output(index, array, how) => {
            // SAFETY: the caller's obligation.
            unsafe { out.add(index).write(convert::handle(array)) };
            tell(told.outputs, index, how);
        }
    }
}

/// # Safety
/// - The arrays of the description have as many items as it says; each item has as many bytes as the `size` of the
///   first one.
unsafe fn describe(options: &tn_function_options) -> Result<Description> {
    if options.body.is_none() && options.expr_body.is_none() {
        return Err(convert::null("body"));
    }
    // SAFETY: the caller's obligation.
    let (inputs, outputs, updates) = unsafe {
        (
            items(options.n_in, options.inputs, "inputs")?,
            items(options.n_out, options.outputs, "outputs")?,
            items(options.n_update, options.updates, "updates")?,
        )
    };
    if let Some(position) =
        updates.iter().position(|update| update.as_ref().is_ok_and(|update| update.target.is_null()))
    {
        return Err(fail(TN_ERR_NULL, format_args!("update[{position}].target is NULL")));
    }
    let code = Code {
        run,
        end,
        body: options.body,
        expr_body: options.expr_body,
        context: options.context as usize,
        release: options.release,
    };
    if options.body.is_some() && options.expr_body.is_some() {
        return Err(fail(TN_ERR_INVALID, format_args!("body and expr_body are both there; pass one of them")));
    }
    Ok(Description {
        // SAFETY: the caller's obligation.
        name: unsafe { convert::name(options.name)? },
        code,
        // SAFETY: the caller's obligation, for the names.
        inputs: collect(inputs, "in", |raw| unsafe { input(raw) })?,
        // SAFETY: as above.
        outputs: collect(outputs, "out", |raw| unsafe { output(raw) })?,
        updates: collect(updates, "update", update)?,
    })
}

/// # Safety
/// - `items` points to `n` structs, each of as many bytes as the `size` of the first one.
unsafe fn items<T: VersionedStruct>(n: usize, items: *const T, name: &str) -> Result<Vec<Noted<T>>> {
    let mut list = lists::vector(n, "items")?;
    if n > 0 && items.is_null() {
        return Err(convert::null(name));
    }
    // SAFETY: every such struct starts with its size.
    let bytes = if n == 0 { 0 } else { unsafe { items.cast::<usize>().read_unaligned() } };
    for index in 0..n {
        // SAFETY: the caller's obligation.
        let at = unsafe { items.cast::<u8>().add(index * bytes) };
        // SAFETY: as above.
        let size = unsafe { at.cast::<usize>().read_unaligned() };
        list.push(match size == bytes {
            // SAFETY: as above, because the sizes are equal.
            true => unsafe { convert::sized(at.cast::<T>()) }.map(|item| item.expect("not NULL")),
            false => Err(fail(
                TN_ERR_INVALID,
                format_args!(
                    "{name}[{index}].size is {size}, and that of the first one is {bytes}; set all to sizeof({})",
                    T::NAME
                ),
            )),
        });
        if list.last().is_some_and(|item| item.is_err()) {
            break;
        }
    }
    Ok(list)
}

/// Converts items; an error names the item.
fn collect<T, U>(items: Vec<Noted<T>>, name: &str, convert: impl Fn(T) -> Result<U>) -> Result<Vec<U>> {
    let mut list = lists::vector(items.len(), "items")?;
    for (index, item) in items.into_iter().enumerate() {
        let converted = item.and_then(&convert);
        list.push(converted.map_err(|status| about(status, format_args!("{name}[{index}]")))?);
    }
    Ok(list)
}

/// # Safety
/// - The name is NULL or a NUL-terminated text.
unsafe fn input(raw: tn_in) -> Result<InputSpec> {
    Ok(InputSpec {
        // SAFETY: the caller's obligation.
        name: unsafe { convert::name(raw.name)? },
        flags: raw.flags,
        declared: declared(raw.dtype, raw.device, raw.ndim, raw.reserved)?,
        default: Id::from_bits(raw.default_value as u64),
        variable: Id::from_bits(raw.shared as u64),
    })
}

/// # Safety
/// - The name is NULL or a NUL-terminated text.
unsafe fn output(raw: tn_out) -> Result<OutputSpec> {
    Ok(OutputSpec {
        // SAFETY: the caller's obligation.
        name: unsafe { convert::name(raw.name)? },
        flags: raw.flags,
        declared: declared(raw.dtype, raw.device, raw.ndim, raw.reserved)?,
    })
}

fn update(raw: tn_update) -> Result<UpdateSpec> {
    check_reserved(raw.reserved as i32)?;
    Ok(UpdateSpec { variable: Id::from_bits(raw.target as u64), flags: raw.flags })
}

fn declared(dtype: tn_dtype, device: tn_device, ndim: i32, reserved: i32) -> Result<Declared> {
    check_reserved(reserved)?;
    Ok(Declared {
        dtype: if dtype == 0 { None } else { Some(Dtype::of(dtype)?) },
        device: (device != tn_device { r#type: 0, id: 0 }).then_some(device),
        ndim: if ndim == -1 { None } else { Some(check_ndim(ndim)?) },
    })
}

fn check_reserved(reserved: i32) -> Result<()> {
    if reserved == 0 { Ok(()) } else { Err(fail(TN_ERR_INVALID, format_args!("reserved is {reserved}; set it to 0"))) }
}

/// Runs the body of a function. The handles are those of arrays, or of expressions for a body on expressions.
fn run(code: Code, inputs: &[Id], outputs: &mut [Id], updates: &mut [Id]) -> tn_status {
    let (inputs, outputs, updates) = (inputs.as_ptr(), outputs.as_mut_ptr(), updates.as_mut_ptr());
    let context = code.context as *mut c_void;
    if let Some(body) = code.body {
        // SAFETY: a body that may be called with its context, by the documentation of `tn_function_create`. The bits of
        // an id are those of the handle.
        return unsafe { body(context, inputs.cast(), outputs.cast(), updates.cast()) };
    }
    let Some(body) = code.expr_body else { return TN_ERR_NULL };
    // SAFETY: as above.
    unsafe { body(context, inputs.cast(), outputs.cast(), updates.cast()) }
}

/// Runs the release callback of a function.
fn end(code: Code) {
    if let Some(release) = code.release {
        // SAFETY: it may be called once with its context, by the documentation of `tn_function_create`.
        unsafe { release(code.context as *mut c_void) };
    }
}
