//! Section "promise": giving arrays away and taking them, holders of a store, and reasons against overwriting its
//! bytes.

use crate::borrow::{self, Target};
use crate::boundary::enter;
use crate::ffi::convert::{self, Holders, Out};
use crate::ledger::{self, Claim};
use crate::names::Name;
use crate::promise;
use crate::types::*;
use core::ffi::c_void;

/// Gives an array away: makes a promise not to use the handle again, which `tn_take` or `tn_enter` opens. If one such
/// call opens n_required promises of a handle, the claim moves to the taker and the giver's handle is destructed. With
/// fewer, the taker gets a clone.
///
/// @param array    An array without open guards of its own. While a promise is outstanding, only queries and release of
///                 this handle succeed.
/// @param n_required The number of the giver's variables that refer to the handle, usually 1. Of several calls, the
///                   largest number counts.
/// @param[out] out The promise. Released by `tn_promise_release`, also after it was taken. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for n_required 0; TN_ERR_DESTRUCTED;
///         TN_ERR_GIVEN if the array was given n_required times already, or TN_ERR_COUNT if n_required is above 1;
///         TN_ERR_BORROWED_WRITE, TN_ERR_BORROWED for open guards of this handle; TN_ERR_LIMIT.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup promise
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_give(
    array: *mut tn_array,
    n_required: usize,
    out: *mut *mut tn_promise,
) -> tn_status {
    enter("tn_array_give", || {
        let id = convert::id(array, "array")?;
        let out = Out::new(out, "out")?;
        let promise = promise::give(id, u32::try_from(n_required).unwrap_or(u32::MAX))?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(promise)) };
        Ok(())
    })
}

/// Cancels a promise, so that the giver can use its array again. The promise must still be released.
///
/// @param promise  An outstanding promise.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED if it was taken or cancelled already.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup promise
#[unsafe(no_mangle)]
pub extern "C" fn tn_promise_cancel(promise: *mut tn_promise) -> tn_status {
    enter("tn_promise_cancel", || promise::cancel(convert::id(promise, "promise")?))
}

/// Releases a promise. A promise that was not taken is cancelled first.
///
/// @param promise  A promise, in whatever state. It is released exactly once.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
/// @note Threads: any. Blocks: never. Allocates: nothing. May run the release callback of an import, under no lock.
/// @since 0.1
/// @ingroup promise
#[unsafe(no_mangle)]
pub extern "C" fn tn_promise_release(promise: *mut tn_promise) -> tn_status {
    enter("tn_promise_release", || promise::release(convert::id(promise, "promise")?))
}

/// Takes arrays: opens promises, all or none, and makes a new handle for each. The promises cannot be taken again, and
/// their owner still releases them.
///
/// @param n_promises   The number of promises.
/// @param promises     The n_promises outstanding promises, none listed twice. NULL only with n_promises 0.
/// @param[out] out     The n_promises arrays. out[i] has the layout, name and READONLY flag of the handle that
///                     promises[i] gave. NULL only with n_promises 0. Each is released by `tn_array_release`. On
///                     failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED for a promise that was taken or cancelled
///         already; TN_ERR_DUPLICATE; TN_ERR_NO_HOST_MEMORY, TN_ERR_LIMIT.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup promise
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_take(
    n_promises: usize,
    promises: *const *mut tn_promise,
    out: *mut *mut tn_array,
) -> tn_status {
    enter("tn_take", || {
        // SAFETY: an array of that length, by this function's documentation.
        let ids = unsafe { convert::ids(n_promises, promises, "promises")? };
        let out = if n_promises > 0 { Some(Out::new(out, "out")?) } else { None };
        promise::take(ids, |index, id| {
            if let Some(out) = out {
                // SAFETY: n places, by this function's documentation.
                unsafe { out.write_at(index, convert::handle(id)) };
            }
        })
    })
}

/// Enters a scope: the callee gets its own handle for every parameter, all or none. It need not know which parameters
/// were given and which were lent.
///
/// A promise is opened as by `tn_take`: if this call has as many promises of a handle as its giver required, the claim
/// moves and the giver's handle is destructed; else the callee gets a clone. For a plain array the callee gets a clone,
/// even if a promise of that handle is in the call too. The callee may release, give or write its handles at any time.
/// `tn_leave` releases those that are left.
///
/// @param n_params     The number of parameters; 0 makes an empty scope.
/// @param params       The n_params handles, each a tn_array * or a tn_promise *. An array may be listed several times,
///                     a promise once. NULL only with n_params 0. The promises cannot be taken again, and their owner
///                     still releases them.
/// @param[out] out     The n_params arrays, owned by the scope. out[i] has the layout, name and READONLY flag of
///                     params[i]. NULL only with n_params 0. On failure: untouched.
/// @param[out] scope   The scope. Ended by `tn_leave`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED for a promise that was taken or cancelled
///         already, and for an array that was taken; TN_ERR_GIVEN for an array that was given, unless one of its
///         promises is in this call; TN_ERR_DUPLICATE for a promise that is listed twice; TN_ERR_NO_HOST_MEMORY,
///         TN_ERR_LIMIT.
/// @note Threads: any; the scope belongs to no thread. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup promise
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_enter(
    n_params: usize,
    params: *const *mut c_void,
    out: *mut *mut tn_array,
    scope: *mut *mut tn_scope,
) -> tn_status {
    enter("tn_enter", || {
        // SAFETY: n handles, by this function's documentation.
        let ids = unsafe { convert::ids(n_params, params, "params")? };
        let out = if n_params > 0 { Some(Out::new(out, "out")?) } else { None };
        let scope = Out::new(scope, "scope")?;
        let id = promise::enter(ids, &mut |index, id| {
            if let Some(out) = out {
                // SAFETY: n places, by this function's documentation.
                unsafe { out.write_at(index, convert::handle(id)) };
            }
        })?;
        // SAFETY: writable by this function's documentation.
        unsafe { scope.write(convert::handle(id)) };
        Ok(())
    })
}

/// Leaves a scope: releases its remaining handles, in the order of its parameters. Scopes may be left in any order, by
/// any thread.
///
/// @param scope    A scope. It is left exactly once.
/// @param n_keep   The number of handles to keep.
/// @param keep     Handles of this scope to keep, such as those that the callee returns. They may be in any state, and
///                 belong to the caller from now on. NULL only with n_keep 0.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND, for the scope and for each of keep; TN_ERR_INVALID for an
///         array that is not of this scope; TN_ERR_DUPLICATE for an array that is listed twice. With the option
///         "strict", for the handles to release: TN_ERR_GIVEN, TN_ERR_BORROWED_WRITE, TN_ERR_BORROWED, TN_ERR_EXPORTED.
///         On failure the scope stays entered, and no handle is released.
/// @note Threads: any. Blocks: never. Allocates: nothing. May run the release callback of an import, under no lock.
/// @since 0.1
/// @ingroup promise
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_leave(scope: *mut tn_scope, n_keep: usize, keep: *const *mut tn_array) -> tn_status {
    enter("tn_leave", || {
        let scope = convert::id(scope, "scope")?;
        // SAFETY: n_keep handles, by this function's documentation.
        let keep = unsafe { convert::ids(n_keep, keep, "keep")? };
        promise::leave(scope, keep)
    })
}

/// Tests whether this handle is the only holder of its store: no other claims, guards or exports.
///
/// @param array    An array, also a given one, for which the result is 0.
/// @param[out] out 1 if it is, else 0. Other threads that hold handles can change it at any time. On failure:
///                 untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup promise
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_is_unique(array: *mut tn_array, out: *mut i32) -> tn_status {
    enter("tn_array_is_unique", || {
        let id = convert::id(array, "array")?;
        let out = Out::new(out, "out")?;
        let unique = borrow::is_unique(id)?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(i32::from(unique)) };
        Ok(())
    })
}

/// Lists the reasons why the array's bytes cannot be overwritten in place, and the holders of the store.
///
/// @param array            An array, also a given one.
/// @param target           The planned array; NULL: test only the holders of the store.
/// @param item_size        The size of an item in the caller's program: sizeof(tn_holder).
/// @param capacity         The number of items at holders.
/// @param[out] bits        0 if the bytes can be overwritten, else TN_WHY_ bits.
/// @param[out] holders     The first `capacity` holders of the store other than this handle: handles, promises,
///                         exports, and overlapping guards. NULL only with capacity 0.
/// @param[out] n_holders   The total number of holders.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a wrong target.size or item_size;
///         TN_ERR_DESTRUCTED; TN_ERR_DTYPE, TN_ERR_OVERFLOW, TN_ERR_SHAPE for the target. On failure all outputs are
///         untouched.
/// @note Threads: any. Blocks: never. Allocates: nothing. Other threads that hold handles can change the result at any
///       time; a borrow checks again.
/// @since 0.1
/// @ingroup promise
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_why_not(
    array: *mut tn_array,
    target: *const tn_target,
    item_size: usize,
    capacity: usize,
    bits: *mut tn_why,
    holders: *mut tn_holder,
    n_holders: *mut usize,
) -> tn_status {
    enter("tn_array_why_not", || {
        let id = convert::id(array, "array")?;
        let bits = Out::new(bits, "bits")?;
        let list = Holders::new(item_size, capacity, holders, "holders")?;
        let n_holders = Out::new(n_holders, "n_holders")?;
        let mut list = ledger::find::<Claim>(id).and(list)?;
        // SAFETY: a struct of that size, whose shape has ndim lengths, by this function's documentation.
        let raw = unsafe { convert::sized(target)? };
        // SAFETY: as above.
        let shape = raw.map(|t| unsafe { convert::shape(t.ndim, t.shape, "target.shape") }).transpose()?.transpose()?;
        let target = raw.map(|t| Target { device: t.device, dtype: t.dtype, shape: shape.unwrap_or(&[]) });
        let why = borrow::why_not(id, target.as_ref(), &mut |held| list.add(held))?;
        // SAFETY: writable by this function's documentation.
        unsafe {
            bits.write(why);
            n_holders.write(list.finish());
        }
        Ok(())
    })
}

fn store_info(store: &borrow::Store) -> tn_store_info {
    tn_store_info {
        size: 0,
        address: store.address,
        bytes: store.bytes,
        device: store.device,
        flags: store.flags,
        reserved: 0,
        version: store.version,
        pool_name: store.pool.map_or(Name::NONE, |pool| pool.name()).to_c(),
    }
}

/// Finds the store or raw block of some bytes, and its holders. The bytes are not read.
///
/// @param ptr              Any address other than NULL, even an unmapped one.
/// @param bytes            The number of bytes from there, at least 1.
/// @param item_size        The size of an item in the caller's program: sizeof(tn_holder).
/// @param capacity         The number of items at holders.
/// @param[out] store       The store, or the raw block of a pool; `size` is set by the caller. May be NULL. An imported
///                         raw block is reported as a store, with the block as one of its holders.
/// @param[out] holders     The first `capacity` holders: handles, promises, and guards and exports that overlap the
///                         bytes. NULL only with capacity 0.
/// @param[out] n_holders   The total number of holders.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for bytes 0, a wrong store.size or item_size; TN_ERR_FOREIGN for memory
///         that is not Tenure's; TN_ERR_ALIASED for bytes of two stores. On failure all outputs are untouched.
/// @note Threads: any. Blocks: never.
/// @since 0.1
/// @ingroup promise
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_holders_of(
    ptr: *const c_void,
    bytes: usize,
    item_size: usize,
    capacity: usize,
    store: *mut tn_store_info,
    holders: *mut tn_holder,
    n_holders: *mut usize,
) -> tn_status {
    enter("tn_holders_of", || {
        convert::id(ptr, "ptr")?;
        let list = Holders::new(item_size, capacity, holders, "holders")?;
        let n_holders = Out::new(n_holders, "n_holders")?;
        let mut list = list?;
        // SAFETY: NULL, or a struct of that size, by this function's documentation.
        let store = unsafe { convert::fill_opt(store)? };
        let found = borrow::holders_of(ptr as u64, bytes as u64, &mut |held| list.add(held))?;
        // SAFETY: writable by this function's documentation.
        unsafe {
            store.inspect(|store| store.write(&store_info(&found), size_of::<tn_store_info>()));
            n_holders.write(list.finish());
        }
        Ok(())
    })
}

/// Finds the store of an array, and its holders. Unlike a borrow, it is never refused for other holders.
///
/// @param array            An array, also one that is given, written, or in use by a device.
/// @param item_size        The size of an item in the caller's program: sizeof(tn_holder).
/// @param capacity         The number of items at holders.
/// @param[out] store       The store; `size` is set by the caller. May be NULL.
/// @param[out] holders     The first `capacity` holders: handles, promises, and guards and exports that overlap the
///                         array. NULL only with capacity 0.
/// @param[out] n_holders   The total number of holders.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a wrong store.size or item_size;
///         TN_ERR_DESTRUCTED; TN_ERR_FOREIGN for an array without elements. On failure all outputs are untouched.
/// @note Threads: any. Blocks: never. Other threads that hold handles can change the result at any time.
/// @since 0.1
/// @ingroup promise
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_holders(
    array: *mut tn_array,
    item_size: usize,
    capacity: usize,
    store: *mut tn_store_info,
    holders: *mut tn_holder,
    n_holders: *mut usize,
) -> tn_status {
    enter("tn_array_holders", || {
        let id = convert::id(array, "array")?;
        let list = Holders::new(item_size, capacity, holders, "holders")?;
        let n_holders = Out::new(n_holders, "n_holders")?;
        let mut list = ledger::find::<Claim>(id).and(list)?;
        // SAFETY: NULL, or a struct of that size, by this function's documentation.
        let store = unsafe { convert::fill_opt(store)? };
        let found = borrow::holders_of_array(id, &mut |held| list.add(held))?;
        // SAFETY: writable by this function's documentation.
        unsafe {
            store.inspect(|store| store.write(&store_info(&found), size_of::<tn_store_info>()));
            n_holders.write(list.finish());
        }
        Ok(())
    })
}
