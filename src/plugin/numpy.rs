//! NumPy's handler (NEP 49): one struct of four functions per pool, for `PyDataMem_SetHandler`.
//!
//! Contract: [`handler`] gives the same struct for the same pool, and a struct lives to the end of the process, because
//! arrays refer to it for as long as they live. After the pool was released it hands out nothing and takes back
//! everything. Blocks are aligned to 64 bytes at least. The size that NumPy passes when it frees is not trusted.

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

/// Alignment that NumPy's own vector loops like, and JAX needs to import without a copy.
const ALIGNMENT: usize = 64;

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

/// A handler and what its context points at.
#[repr(C)]
struct Made {
    handler: UnsafeCell<Handler>,
    target: Target,
}

static HANDLERS: Arena<Made> = Arena::new();
/// Held while a pool gets its handler.
static MAKING: ColdLock<()> = ColdLock::new(());

// SAFETY: a handler never changes, once its context is set before the first user has it.
unsafe impl Sync for Made {}

/// The handler of a pool; None: of the host's default pool. TN_ERR_DEVICE for a pool that is not on the host,
/// TN_ERR_STALE for one that was released, TN_ERR_NO_HOST_MEMORY.
pub fn handler(pool: Option<&'static Pool>) -> Result<*const Handler> {
    let pool = match pool {
        Some(pool) => pool,
        None => super::host()?,
    };
    if pool.device().r#type != TN_CPU {
        let name = crate::names::device_type_name(pool.device().r#type);
        return Err(fail(TN_ERR_DEVICE, format_args!("NumPy's arrays lie on the host, and this pool on {name}")));
    }
    // Nobody may make another pool of it while it gets its handler.
    if !pool.try_ref() {
        let name = pool.name();
        return Err(fail(TN_ERR_STALE, format_args!("pool \"{}\" was released already", name.as_str())));
    }
    let made = made_for(pool);
    pool.drop_ref();
    os::pin_library();
    made
}

fn made_for(pool: &'static Pool) -> Result<*const Handler> {
    let _making = MAKING.lock();
    let there = pool.plugin().load(Ordering::Relaxed);
    if !there.is_null() {
        return Ok(there.cast());
    }
    let mut name = [0; 127];
    let pool_name = pool.name();
    for (to, from) in name[..126].iter_mut().zip("tenure ".bytes().chain(pool_name.as_str().bytes())) {
        *to = from as c_char;
    }
    let handler = Handler { name, version: 1, context: null_mut(), malloc, calloc, realloc, free };
    let target = Target::new(pool, Client::NUMPY);
    let Some(made) = HANDLERS.get(|| Made { handler: UnsafeCell::new(handler), target }) else {
        return Err(fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for a handler; free some")));
    };
    let handler = made.handler.get();
    // SAFETY: not shared yet.
    unsafe { (*handler).context = (&raw const made.target).cast_mut().cast() };
    pool.plugin().store(handler.cast(), Ordering::Relaxed);
    Ok(handler)
}

/// What stands behind a handler's context.
fn target(context: *mut c_void) -> Target {
    // SAFETY: NumPy passes the context of the handler, which `made_for` wrote and which is never unmapped.
    unsafe { *context.cast::<Target>() }
}

fn allocate(context: *mut c_void, bytes: usize, zeroed: bool) -> Result<*mut c_void> {
    let target = target(context);
    let block = target.allocate(bytes, ALIGNMENT.max(target.pool.alignment()), zeroed)?;
    Ok(block.as_ptr().cast())
}

/// What the texts of these functions begin with.
const DOOR: &str = "tn_numpy_handler";

extern "C" fn malloc(context: *mut c_void, bytes: usize) -> *mut c_void {
    boundary::answer(DOOR, null_mut(), || allocate(context, bytes, false))
}

extern "C" fn calloc(context: *mut c_void, count: usize, item: usize) -> *mut c_void {
    boundary::answer(DOOR, null_mut(), || match count.checked_mul(item) {
        Some(bytes) => allocate(context, bytes, true),
        None => {
            Err(fail(TN_ERR_OVERFLOW, format_args!("{count} elements of {item} bytes are more than can be addressed")))
        }
    })
}

extern "C" fn realloc(context: *mut c_void, ptr: *mut c_void, bytes: usize) -> *mut c_void {
    boundary::answer(DOOR, null_mut(), || {
        if ptr.is_null() {
            return allocate(context, bytes, false);
        }
        Ok(target(context).reallocate(ptr as usize, bytes)?.as_ptr().cast())
    })
}

extern "C" fn free(context: *mut c_void, ptr: *mut c_void, bytes: usize) {
    if !ptr.is_null() {
        boundary::answer(DOOR, (), || target(context).deallocate(ptr as usize, Some(bytes)));
    }
}
