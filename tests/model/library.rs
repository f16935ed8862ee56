//! The library's side: real handles, real memory, and the queries that the driver makes after each call.
//!
//! Contract: tables of real handles under the model's numbers. All unsafe code of the model test is here, in `invoke`
//! and its parts, `callback` and `shadow`. A process has one library, so the maker of a `Library` holds the lock of
//! `driver`.

use super::api::*;
use super::handle::{ARENA_BYTES, ARENAS, FULL_POOL, Ref, SCRATCH, SCRATCH_BYTES};
use super::rules::Status;
use super::store::Memory;
use core::cell::{RefCell, RefMut};
use core::ffi::{CStr, c_void};
use core::mem::size_of;
use core::ptr::{null, null_mut};
use std::sync::Mutex;
use tenure::types::*;

/// The value of an output before the call; no handle and no address equals it.
pub const UNTOUCHED: usize = 0x5e5e_5e5e_5e5e_5e5e;
/// Alignment of foreign memory: more than any element needs, and that of the model's blocks.
const ARENA_ALIGN: usize = 4096;
pub const HOST: tn_device = tn_device { r#type: TN_CPU, id: 0 };

/// An array as the library describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Described {
    pub dtype: u32,
    pub shape: Vec<i64>,
    pub strides: Vec<i64>,
    pub flags: u32,
    pub bytes: u64,
    pub count: u64,
    pub store_bytes: u64,
    pub form: u32,
    pub offset: i64,
}

/// The contexts of release callbacks that ran since the last look, in order.
static RAN: Mutex<Vec<usize>> = Mutex::new(Vec::new());

pub unsafe extern "C" fn on_release(context: *mut c_void) {
    let mut status = TN_OK;
    // A callback may call the library (RL-3); if it ran under a lock of the library, this call would hang.
    // SAFETY: the address is only looked up; all outputs are valid, or NULL where allowed.
    unsafe {
        let mut n = 0usize;
        status |=
            tn_holders_of((&raw const status).cast(), 1, size_of::<tn_holder>(), 0, null_mut(), null_mut(), &mut n);
        let mut count = 0usize;
        tn_copies_query(size_of::<tn_copy_site>(), 0, null_mut(), &mut count);
    }
    assert_eq!(status, TN_ERR_FOREIGN, "the stack is in no store");
    RAN.lock().unwrap().push(context as usize);
}

#[derive(Default)]
pub struct Library {
    pub arrays: Vec<*mut tn_array>,
    pub weaks: Vec<*mut tn_weak>,
    pub promises: Vec<*mut tn_promise>,
    pub guards: Vec<*mut tn_borrow>,
    pub scopes: Vec<*mut tn_scope>,
    pub exprs: Vec<*mut tn_expr>,
    pub variables: Vec<*mut tn_shared>,
    pub functions: Vec<*mut tn_function>,
    pools: Vec<*mut tn_pool>,
    /// The real address of each block of the model's memory; 0 until known.
    pub blocks: Vec<usize>,
    /// Distinguishes the contexts of this trace's callbacks from those of others.
    pub serial: usize,
    pub callbacks: usize,
    pub forbidden: u32,
    /// Capacity for more holders than a trace can make.
    places: RefCell<Vec<tn_holder>>,
    strict: bool,
}

/// A holder: its kind and the bits of its handle.
pub type HolderInfo = (u32, u64);
/// A store: address, bytes and flags.
pub type Range = (u64, u64, u32);

/// More holders than a store has in any trace.
const MOST_HOLDERS: usize = 128;

/// The message of the last failure.
pub fn last_error() -> String {
    // SAFETY: never NULL, NUL-terminated, valid until this thread's next failure.
    unsafe { CStr::from_ptr(tn_last_error()) }.to_string_lossy().into_owned()
}

pub fn must(status: tn_status, what: &str) {
    assert_eq!(status, TN_OK, "{what}: {}", last_error());
}

/// The number of things that are not released in this process.
pub fn leaks() -> usize {
    let mut count = 0;
    // SAFETY: capacity 0, so only the count is written.
    must(unsafe { tn_leaks(size_of::<tn_holder>(), 0, null_mut(), &mut count) }, "tn_leaks");
    count
}

/// The whole copy book: (function, why, forced, count, bytes).
pub fn copy_book() -> Vec<(String, u32, bool, u64, u64)> {
    let empty = tn_copy_site { function: null(), site: [0; 64], why: 0, forced: 0, count: 0, bytes: 0, reserved: 0 };
    let mut sites = vec![empty; 4097]; // the book's capacity
    let mut count = 0;
    // SAFETY: as many places as said.
    must(
        unsafe { tn_copies_query(size_of::<tn_copy_site>(), sites.len(), sites.as_mut_ptr(), &mut count) },
        "tn_copies_query",
    );
    assert!(count <= sites.len(), "{count} kinds of copies");
    sites.truncate(count);
    // SAFETY: the function's name is static text.
    let name = |site: &tn_copy_site| unsafe { CStr::from_ptr(site.function) }.to_string_lossy().into_owned();
    sites.iter().map(|site| (name(site), site.why, site.forced != 0, site.count, site.bytes)).collect()
}

/// The pool whose peaks are exact; the peaks of others may be too low by the bytes that a thread keeps.
pub const EXACT_POOL: usize = 0;

impl Library {
    /// Pools of its own: the first one current, a third one already released; foreign memory with the model's bytes.
    pub fn new(serial: usize, strict: bool, memory: &Memory) -> Library {
        let option = if strict { c"1" } else { c"0" };
        // SAFETY: both texts are NUL-terminated.
        must(unsafe { tn_option_set(c"strict".as_ptr(), option.as_ptr()) }, "strict");
        let mut pools = Vec::new();
        for number in 0..=FULL_POOL {
            let mut pool = null_mut();
            let options = tn_pool_options {
                size: size_of::<tn_pool_options>(),
                // Peaks are exact in pools without thread caches (PO-33).
                // No block fits below this limit; 0 would be none.
                max_size: if number == FULL_POOL { 1 } else { 0 },
                thread_cache_size: if number == EXACT_POOL { TN_POOL_NONE } else { 0 },
                ..tn_pool_options::default()
            };
            // SAFETY: `pool` is writable.
            must(unsafe { tn_pool_create(HOST, &options, &mut pool) }, "tn_pool_create");
            pools.push(pool);
        }
        must(tn_pool_set_current(pools[0]), "tn_pool_set_current");
        must(tn_pool_release(pools[2]), "tn_pool_release");
        let mut blocks = Vec::new();
        for block in 0..=SCRATCH {
            let size = if block < ARENAS { ARENA_BYTES } else { SCRATCH_BYTES };
            let layout = std::alloc::Layout::from_size_align(size, ARENA_ALIGN).unwrap();
            // SAFETY: the size is not zero. Leaked if a trace fails, because the library may still hold it then.
            let arena = unsafe { std::alloc::alloc(layout) };
            assert!(!arena.is_null());
            // SAFETY: both have `size` bytes, and nothing else uses the new ones.
            unsafe { arena.copy_from_nonoverlapping(memory.blocks[block].bytes.as_ptr(), size) };
            blocks.push(arena as usize);
        }
        RAN.lock().unwrap().clear();
        // SAFETY: plain data, all zero is a value of it.
        let places = RefCell::new(vec![unsafe { core::mem::zeroed::<tn_holder>() }; MOST_HOLDERS]);
        Library { pools, blocks, serial, strict, places, ..Library::default() }
    }

    /// A buffer of holders, the first of which is empty.
    pub fn places(&self) -> RefMut<'_, Vec<tn_holder>> {
        let mut places = self.places.borrow_mut();
        places[0].kind = 0;
        places
    }

    /// The real address of one of the model's, also slightly before or behind a block. Addresses near no block, and
    /// NULL, stay as they are.
    pub fn real(&self, address: i64) -> usize {
        let block = Memory::nearest(address);
        match block.and_then(|block| self.blocks.get(block)) {
            Some(&base) if base != 0 => {
                base.wrapping_add_signed((address - Memory::base(block.expect("some"))) as isize)
            }
            _ => address as usize,
        }
    }

    /// Writes the bytes of one or more elements, as the holder of a guard or owner of the memory.
    pub fn poke(&self, address: i64, bytes: &[u8]) {
        // SAFETY: the driver writes only memory that exists in the model; the real blocks have the same size.
        unsafe { (self.real(address) as *mut u8).copy_from(bytes.as_ptr(), bytes.len()) };
    }

    pub fn peek(&self, address: i64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0u8; length];
        // SAFETY: as for `poke`.
        unsafe { bytes.as_mut_ptr().copy_from(self.real(address) as *const u8, length) };
        bytes
    }

    pub fn bits(&self, handle: Ref) -> u64 {
        match handle {
            Ref::Null => 0,
            Ref::Array(k) => self.arrays[k] as u64,
            Ref::Weak(k) => self.weaks[k] as u64,
            Ref::Promise(k) => self.promises[k] as u64,
            Ref::Guard(k) => self.guards[k] as u64,
            Ref::Scope(k) => self.scopes[k] as u64,
            Ref::Expr(k) => self.exprs[k] as u64,
            Ref::Shared(k) => self.variables[k] as u64,
            Ref::Function(k) => self.functions[k] as u64,
            Ref::Hidden => 0,
            Ref::Pool(k) => self.pools[k] as u64,
            Ref::Junk => 0x1000,
        }
    }

    pub fn array(&self, array: Ref) -> *mut tn_array {
        self.bits(array) as *mut tn_array
    }

    /// Callbacks of this trace that ran since the last call, in order.
    pub fn ran(&self) -> Vec<usize> {
        let all = std::mem::take(&mut *RAN.lock().unwrap());
        all.into_iter().filter(|context| context >> 32 == self.serial).map(|context| context & 0xffff_ffff).collect()
    }

    /// requested_bytes and held_bytes.
    pub fn pool_bytes(&self, pool: usize) -> (i64, i64) {
        let stats = self.pool_stats(pool);
        (stats.requested_bytes as i64, stats.held_bytes as i64)
    }

    pub fn reset_peak(&self, pool: usize) {
        must(tn_pool_reset_peak(self.pools[pool]), "tn_pool_reset_peak");
    }

    pub fn pool_stats(&self, pool: usize) -> tn_pool_stats {
        // SAFETY: plain data, all zero is a value of it.
        let mut stats: tn_pool_stats = unsafe { core::mem::zeroed() };
        stats.size = size_of::<tn_pool_stats>();
        // SAFETY: `stats` is writable and says its size.
        must(unsafe { tn_pool_query(self.pools[pool], &mut stats) }, "tn_pool_query");
        stats
    }

    pub fn describe(&self, array: Ref) -> Result<Described, Status> {
        self.describe_array(self.array(array))
    }

    pub fn describe_array(&self, array: *mut tn_array) -> Result<Described, Status> {
        // SAFETY: plain data, all zero is a value of it.
        let mut info: tn_array_info = unsafe { core::mem::zeroed() };
        info.size = size_of::<tn_array_info>();
        // SAFETY: `info` is writable and says its size.
        let status = unsafe { tn_array_query(array, &mut info) };
        if status != TN_OK {
            assert_eq!((info.ndim, info.bytes, info.shape[0]), (0, 0, 0), "a failing query wrote its output");
            return Err(status);
        }
        assert_eq!(info.device, HOST);
        let n = info.ndim as usize;
        Ok(Described {
            dtype: info.dtype,
            shape: info.shape[..n].to_vec(),
            strides: info.strides[..n].to_vec(),
            flags: info.flags,
            bytes: info.bytes,
            count: info.count,
            store_bytes: info.store_bytes,
            form: info.form,
            offset: info.offset,
        })
    }

    /// The real address of element (0,..,0) of a fresh array, which must have elements and be readable.
    pub fn probe(&self, array: Ref) -> usize {
        self.data(self.array(array))
    }

    pub fn data(&self, array: *mut tn_array) -> usize {
        let (mut data, mut guard) = (null(), null_mut());
        // SAFETY: the outputs are writable; view is optional.
        must(unsafe { tn_array_borrow_read(array, 0, null_mut(), &mut data, null_mut(), &mut guard) }, "probe");
        must(tn_borrow_end(guard, 0, null_mut()), "probe");
        data as usize
    }

    /// is_unique, why_not and its holders, of a handle that can be queried.
    pub fn ask(&self, array: Ref) -> (bool, u32, Vec<HolderInfo>) {
        let (mut unique, mut bits, mut n) = (UNTOUCHED as i32, UNTOUCHED as u32, UNTOUCHED);
        let mut holders = self.places();
        let array = self.array(array);
        // SAFETY: handles are checked ids, the outputs are writable, `holders` has the capacity passed beside it.
        unsafe {
            must(tn_array_is_unique(array, &mut unique), "tn_array_is_unique");
            must(
                tn_array_why_not(
                    array,
                    null(),
                    size_of::<tn_holder>(),
                    holders.len(),
                    &mut bits,
                    holders.as_mut_ptr(),
                    &mut n,
                ),
                "tn_array_why_not",
            );
        }
        assert!(unique == 0 || unique == 1, "is_unique is {unique}");
        (unique == 1, bits, sorted(&holders, n))
    }

    /// Address, bytes and flags of a store, with its holders; found by real address.
    pub fn holders_of(&self, ptr: usize, bytes: usize, no_out: bool) -> Result<(Range, Vec<HolderInfo>), Status> {
        // SAFETY: plain data, all zero is a value of it.
        let mut store: tn_store_info = unsafe { core::mem::zeroed() };
        store.size = size_of::<tn_store_info>();
        let mut n = UNTOUCHED;
        let n_out = if no_out { null_mut() } else { &raw mut n };
        let mut holders = self.places();
        // SAFETY: `holders` has the capacity passed beside it; the rest is writable, or NULL where allowed.
        let status = unsafe {
            tn_holders_of(
                ptr as *const c_void,
                bytes,
                size_of::<tn_holder>(),
                holders.len(),
                &mut store,
                holders.as_mut_ptr(),
                n_out,
            )
        };
        if status != TN_OK {
            assert_eq!((n, store.address, holders[0].kind), (UNTOUCHED, 0, 0), "a failing call wrote its outputs");
            return Err(status);
        }
        Ok(((store.address, store.bytes, store.flags), sorted(&holders, n)))
    }

    /// After everything is released: makes as many new arrays, each of which must behave as new, whatever used its slot
    /// before. Otherwise state that survives would show only in a later trace.
    pub fn all_as_new(&self) -> Result<(), String> {
        let mut fresh = Vec::new();
        for _ in 0..self.arrays.len() {
            let mut array = null_mut();
            // SAFETY: an array of no axes needs no shape; the output is writable.
            must(unsafe { tn_array_zeros(null_mut(), TN_F64, 0, null(), null(), &mut array) }, "tn_array_zeros");
            fresh.push(array);
        }
        let as_new = |array: *mut tn_array| {
            let (mut promise, mut guard, mut bits, mut n) = (null_mut(), null_mut(), 0, 0);
            // SAFETY: handles are checked ids, the outputs are writable, or NULL where allowed.
            unsafe {
                tn_array_why_not(array, null(), size_of::<tn_holder>(), 0, &mut bits, null_mut(), &mut n) == TN_OK
                    && (bits, n) == (0, 0)
                    && tn_array_give(array, 1, &mut promise) == TN_OK
                    && tn_promise_release(promise) == TN_OK
                    && tn_array_borrow_write(array, TN_WRITE_UNIQUE, null_mut(), null_mut(), null_mut(), &mut guard)
                        == TN_OK
                    && tn_borrow_end(guard, 0, null_mut()) == TN_OK
            }
        };
        let worn = fresh.iter().filter(|&&array| !as_new(array)).count();
        fresh.iter().for_each(|&array| must(tn_array_release(array), "tn_array_release"));
        if worn == 0 { Ok(()) } else { Err(format!("{worn} new arrays are not as new: {}", last_error())) }
    }

    /// Releases everything, in an order that strict mode allows too. Also called after a failure, when statuses do not
    /// matter.
    pub fn give_back(&mut self) {
        // SAFETY: handles are checked ids; a released one returns a status.
        unsafe {
            while self.forbidden > 0 {
                tn_copies_forbid(0);
                self.forbidden -= 1;
            }
            for &guard in &self.guards {
                tn_borrow_end(guard, 0, null_mut());
            }
            for &promise in &self.promises {
                tn_promise_release(promise);
            }
            for &array in &self.arrays {
                tn_array_release(array);
            }
            for &scope in &self.scopes {
                tn_leave(scope, 0, null());
            }
            for &expr in &self.exprs {
                tn_expr_release(expr);
            }
            for &function in &self.functions {
                tn_function_release(function);
            }
            for &shared in &self.variables {
                tn_shared_release(shared);
            }
            for &weak in &self.weaks {
                tn_weak_release(weak);
            }
            tn_run_releases(null_mut());
        }
    }

    /// After `give_back`: releases the pools and resets the options.
    pub fn close(&mut self) {
        // SAFETY: handles are checked ids.
        unsafe {
            tn_pool_set_current(null_mut());
            for &pool in &self.pools {
                tn_pool_release(pool);
            }
            if self.strict {
                tn_option_set(c"strict".as_ptr(), c"0".as_ptr());
            }
        }
    }

    /// After `close`, when the library holds none of it any more.
    pub fn free_arenas(&mut self) {
        for (block, &arena) in self.blocks[..=SCRATCH].iter().enumerate() {
            let size = if block < ARENAS { ARENA_BYTES } else { SCRATCH_BYTES };
            let layout = std::alloc::Layout::from_size_align(size, ARENA_ALIGN).unwrap();
            // SAFETY: allocated in `new` with this layout; called once, by a driver that saw every callback run.
            unsafe { std::alloc::dealloc(arena as *mut u8, layout) };
        }
    }
}

pub fn sorted(holders: &[tn_holder], n: usize) -> Vec<HolderInfo> {
    assert!(n <= holders.len(), "{n} holders");
    let mut all: Vec<HolderInfo> = holders[..n].iter().map(|holder| (holder.kind, holder.id)).collect();
    all.sort_unstable();
    all
}
