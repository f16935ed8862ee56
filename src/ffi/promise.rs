//! Section "promise": giving arrays away and taking them; who holds a store, and why its bytes may not be overwritten.

use crate::borrow::{self, Target};
use crate::boundary::enter;
use crate::ffi::convert::{self, Holders, Out};
use crate::ledger::{self, Claim};
use crate::names::Name;
use crate::promise;
use crate::types::*;
use core::ffi::c_void;

/// Wraps an array handle in a promise not to use it again. The promise travels; `tn_take` opens it. If as many promises of a handle arrive in
/// one call as were required, its claim moves and the handle is destructed; with fewer the taker gets a clone.
///
/// @param array    An array without open guards of its own. While promises are outstanding it only answers queries and release.
/// @param n_required The number of the giver's variables that refer to the handle: 1 in C. Of several calls the largest counts.
/// @param[out] out The promise. Released by `tn_promise_release`, also when it was taken. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for n_required 0; TN_ERR_DESTRUCTED; TN_ERR_GIVEN, or TN_ERR_COUNT
///         where n_required is above 1, if it was given that often already; TN_ERR_BORROWED_WRITE, TN_ERR_BORROWED for guards of its own;
///         TN_ERR_LIMIT.
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

/// Takes a promise back: the giver has its array again. The promise still has to be released.
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

/// Gives a promise back; one that nobody took is cancelled first.
///
/// @param promise  A promise, in whatever state it is; exactly once.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
/// @note Threads: any. Blocks: never. Allocates: nothing. May run the release callback of an import, under no lock.
/// @since 0.1
/// @ingroup promise
#[unsafe(no_mangle)]
pub extern "C" fn tn_promise_release(promise: *mut tn_promise) -> tn_status {
    enter("tn_promise_release", || promise::release(convert::id(promise, "promise")?))
}

/// Opens promises: each gives a new handle, all or none. The promises are used up, and still released by their owner.
///
/// @param n_promises   The number of promises.
/// @param promises     The n_promises outstanding promises, each once. NULL only with n_promises 0.
/// @param[out] out     The n_promises arrays; out[i] belongs to promises[i], has the layout, name and READONLY flag of the handle that was
///                     given. Released by `tn_array_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED for a promise that was taken or cancelled already;
///         TN_ERR_DUPLICATE; TN_ERR_NO_HOST_MEMORY, TN_ERR_LIMIT.
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

/// Enters a scope: the callee gets a handle of its own for every parameter, given or lent, all or none, and need not know which.
///
/// A promise is opened as by `tn_take`: if as many promises of a handle arrive in this call as its giver required, the claim moves and the
/// giver's handle is destructed, else the callee gets a clone. A plain array gives a clone, also beside a promise of the same handle. The
/// callee may release, give or write each handle as soon as it likes; `tn_leave` releases those that are left.
///
/// @param n_params     The number of parameters; 0 makes an empty scope.
/// @param params       The n_params handles, tn_array * or tn_promise * mixed; an array may stand there several times, a promise once. NULL
///                     only with n_params 0. The promises are used up, and still released by their owner.
/// @param[out] out     The n_params arrays; out[i] belongs to params[i], has its layout, name and READONLY flag, and is owned by the scope.
///                     NULL only with n_params 0. On failure: untouched.
/// @param[out] scope   The scope. Given back by `tn_leave`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED for a promise that was taken or cancelled already and for an
///         array that was taken; TN_ERR_GIVEN for an array that was given, unless one of its promises is in this call; TN_ERR_DUPLICATE for
///         a promise that stands there twice; TN_ERR_NO_HOST_MEMORY, TN_ERR_LIMIT. The leftmost parameter with the first of these is named.
/// @note Threads: any; the scope is bound to none. Blocks: never. Allocates: bookkeeping only.
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

/// Leaves a scope: releases what is left of its handles, in the order of its parameters. Scopes may be left in any order, by any thread.
///
/// @param scope    An entered scope; exactly once.
/// @param n_keep   The number of handles to keep.
/// @param keep     Handles of this scope that stay as they are, in whatever state, and belong to the caller from now on: what the callee
///                 returns. NULL only with n_keep 0.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND, for the scope and for each of keep; TN_ERR_INVALID for an array that is not of
///         this scope; TN_ERR_DUPLICATE for one that stands there twice. With option "strict", for what would be released: TN_ERR_GIVEN,
///         TN_ERR_BORROWED_WRITE, TN_ERR_BORROWED, TN_ERR_EXPORTED. On failure the scope stays entered and nothing is released.
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

/// Says whether nothing else claims, borrows or exports the store.
///
/// @param array    An array; a given one too (0).
/// @param[out] out 1 or 0; out of date as soon as other threads hold handles. On failure: untouched.
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

/// Says what stands in the way of overwriting the array's bytes in place, and who.
///
/// @param array            An array; a given one too.
/// @param target           What is to be put there; NULL: only who holds the store.
/// @param item_size        The size of an item in the caller's program: sizeof(tn_holder).
/// @param capacity         The number of items at holders.
/// @param[out] bits        0: nothing is in the way; else TN_WHY_ bits.
/// @param[out] holders     Everything that holds the store but this handle: handles and promises, exports, and guards that overlap; what
///                         fits. NULL only with capacity 0.
/// @param[out] n_holders   The number of holders in all.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a wrong target.size or item_size; TN_ERR_DESTRUCTED;
///         TN_ERR_DTYPE, TN_ERR_OVERFLOW, TN_ERR_SHAPE for the target. On failure the outputs are untouched.
/// @note Threads: any. Blocks: never. Allocates: nothing. Out of date as soon as other threads hold handles: the borrow decides again.
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

/// Says whose the bytes at an address are. Nothing is read there.
///
/// @param ptr              Any address but NULL, also one that is not mapped.
/// @param bytes            The number of bytes from there on, at least 1.
/// @param item_size        The size of an item in the caller's program: sizeof(tn_holder).
/// @param capacity         The number of items at holders.
/// @param[out] store       The store or raw block of a pool, with `size` set by the caller; may be NULL. An import of a raw block is a
///                         store; the block is one of its holders.
/// @param[out] holders     Everything that holds it: handles and promises, and guards and exports that overlap the bytes; what fits. NULL
///                         only with capacity 0.
/// @param[out] n_holders   The number of holders in all.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for bytes 0, a wrong store.size or item_size; TN_ERR_FOREIGN for memory that the library does
///         not know; TN_ERR_ALIASED for bytes of two stores. On failure the outputs are untouched.
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
