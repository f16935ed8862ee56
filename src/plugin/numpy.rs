//! NumPy's handler (NEP 49): one struct of four functions per pool, for `PyDataMem_SetHandler`.
//!
//! Contract: [`handler`] always returns the same struct for a pool. The struct lives until the end of the process,
//! because NumPy's arrays refer to it. After the pool was released, the handler allocates nothing, but still frees all
//! blocks. Blocks are aligned to 64 bytes at least. The size that NumPy passes to `free` is not relied on.

use super::Target;
use crate::arena::Arena;
use crate::boundary;
use crate::error::{Result, fail};
use crate::pool::{Client, Pool};
use crate::sys::os;
use crate::thread::ColdLock;
use crate::types::*;
use core::cell::UnsafeCell;
use core::ffi::{c_char, c_void};
use core::ptr::null_mut;
use core::sync::atomic::Ordering;

/// The alignment that NumPy's vector loops work best with, and that JAX needs to import without a copy.
const ALIGNMENT_BYTES: usize = 64;

/// NumPy's `PyDataMem_Handler`, version 1.
#[repr(C)]
pub struct Handler {
    name: [c_char; 127],
    version: u8,
    context: *mut c_void,
    malloc: extern "C" fn(*mut c_void, usize) -> *mut c_void,
    calloc: extern "C" fn(*mut c_void, usize, usize) -> *mut c_void,
    realloc: extern "C" fn(*mut c_void, *mut c_void, usize) -> *mut c_void,
    free: extern "C" fn(*mut c_void, *mut c_void, usize),
}

// What NumPy reads (AL-20).
const _: () = assert!(size_of::<Handler>() == 168);
const _: () = assert!(core::mem::offset_of!(Handler, version) == 127);
const _: () = assert!(core::mem::offset_of!(Handler, context) == 128);
const _: () = assert!(core::mem::offset_of!(Handler, free) == 160);

/// A handler, and the target that its context points to.
#[repr(C)]
struct HandlerRecord {
    handler: UnsafeCell<Handler>,
    target: Target,
}

static HANDLERS: Arena<HandlerRecord> = Arena::new();
/// Serialises the creation of handlers.
static MAKING: ColdLock<()> = ColdLock::new(());

// SAFETY: a handler changes only before it is shared, when its context is set.
unsafe impl Sync for HandlerRecord {}

/// The handler of a pool. None: of the host's default pool.
///
/// TN_ERR_DEVICE: the pool is not on the host. TN_ERR_STALE: it was released. TN_ERR_NO_HOST_MEMORY.
pub fn handler(pool: Option<&'static Pool>) -> Result<*const Handler> {
    let pool = match pool {
        Some(pool) => pool,
        None => super::host()?,
    };
    if pool.device().r#type != TN_CPU {
        let name = crate::names::device_type_name(pool.device().r#type);
        return Err(fail(
            TN_ERR_DEVICE,
            format_args!("NumPy's arrays are in host memory, and this pool is of device type {name}"),
        ));
    }
    // This reference keeps the pool's record from being reused while the handler is made.
    if !pool.try_ref() {
        let name = pool.name();
        return Err(fail(TN_ERR_STALE, format_args!("pool \"{}\" was released already", name.as_str())));
    }
    let handler = find_or_make(pool);
    pool.drop_ref();
    os::pin_library();
    handler
}

fn find_or_make(pool: &'static Pool) -> Result<*const Handler> {
    let _making = MAKING.lock();
    let existing = pool.plugin().load(Ordering::Relaxed);
    if !existing.is_null() {
        return Ok(existing.cast());
    }
    let mut name = [0; 127];
    let pool_name = pool.name();
    for (to, from) in name[..126].iter_mut().zip("tenure ".bytes().chain(pool_name.as_str().bytes())) {
        *to = from as c_char;
    }
    let handler = Handler { name, version: 1, context: null_mut(), malloc, calloc, realloc, free };
    let target = Target::new(pool, Client::NUMPY);
    let Some(record) = HANDLERS.get(|| HandlerRecord { handler: UnsafeCell::new(handler), target }) else {
        return Err(fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for a handler; free some")));
    };
    let handler = record.handler.get();
    // SAFETY: the record is not shared yet.
    unsafe { (*handler).context = (&raw const record.target).cast_mut().cast() };
    pool.plugin().store(handler.cast(), Ordering::Relaxed);
    Ok(handler)
}

/// The target of a handler's context.
fn target(context: *mut c_void) -> Target {
    // SAFETY: NumPy passes the context that `find_or_make` wrote. It points to a record that is never unmapped.
    unsafe { *context.cast::<Target>() }
}

fn allocate(context: *mut c_void, bytes: usize, zeroed: bool) -> Result<*mut c_void> {
    let target = target(context);
    let block = target.allocate(bytes, ALIGNMENT_BYTES.max(target.pool.alignment()), zeroed)?;
    Ok(block.as_ptr().cast())
}

/// The function that error texts name: the one that returned the handler.
const FUNCTION: &str = "tn_numpy_handler";

extern "C" fn malloc(context: *mut c_void, bytes: usize) -> *mut c_void {
    boundary::answer(FUNCTION, null_mut(), || allocate(context, bytes, false))
}

extern "C" fn calloc(context: *mut c_void, count: usize, item: usize) -> *mut c_void {
    boundary::answer(FUNCTION, null_mut(), || match count.checked_mul(item) {
        Some(bytes) => allocate(context, bytes, true),
        None => {
            Err(fail(TN_ERR_OVERFLOW, format_args!("{count} elements of {item} bytes are more than can be addressed")))
        }
    })
}

extern "C" fn realloc(context: *mut c_void, ptr: *mut c_void, bytes: usize) -> *mut c_void {
    boundary::answer(FUNCTION, null_mut(), || {
        if ptr.is_null() {
            return allocate(context, bytes, false);
        }
        Ok(target(context).reallocate(ptr as usize, bytes)?.as_ptr().cast())
    })
}

extern "C" fn free(context: *mut c_void, ptr: *mut c_void, bytes: usize) {
    if !ptr.is_null() {
        boundary::answer(FUNCTION, (), || target(context).deallocate(ptr as usize, Some(bytes)));
    }
}
