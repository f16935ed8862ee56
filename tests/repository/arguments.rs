//! Extreme and random values of every number that the C functions take: sizes, counts, axes, flags, modes, element
//! types, layouts, options. Each call returns a status of its documentation, never TN_ERR_PANIC, and nothing is left at
//! the end. Pointers are valid, because the library cannot check those.
//!
//! TENURE_ARGUMENTS_CALLS (20000) sets the number of calls, TENURE_STRESS_SEED the draws.

use crate::support;
use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};
use support::bodies;
use support::capi::{self, HOST, name, text};
use support::random::Random;
use tenure::ffi::{
    allocators, array, bindings, borrow, device, exchange, expr, function, kernel, launch, library, mirror, module,
    pool, promise, report, shared, transfer, view,
};
use tenure::types::*;
use tenure_harness::test;

/// The program's handles of one kind, of which old ones are released for new ones.
struct Handles<T> {
    live: Vec<*mut T>,
    release: fn(*mut T) -> tn_status,
}

impl<T> Handles<T> {
    const MOST: usize = 12;

    fn new(release: fn(*mut T) -> tn_status) -> Handles<T> {
        Handles { live: Vec::new(), release }
    }
    fn any(&self, random: &mut Random) -> *mut T {
        // Sometimes none.
        if self.live.is_empty() || random.chance(3) { null_mut() } else { self.live[random.below(self.live.len())] }
    }
    fn add(&mut self, random: &mut Random, made: *mut T) {
        if self.live.len() == Self::MOST {
            let old = self.live.swap_remove(random.below(Self::MOST));
            (self.release)(old);
        }
        self.live.push(made);
    }
    fn end(&mut self) {
        self.live.drain(..).for_each(|handle| {
            (self.release)(handle);
        });
    }
}

struct Program {
    random: Random,
    arrays: Handles<tn_array>,
    guards: Handles<tn_borrow>,
    exprs: Handles<tn_expr>,
    variables: Handles<tn_shared>,
    mirrors: Handles<tn_mirror>,
    modules: Handles<tn_module>,
    functions: Handles<tn_function>,
    /// The number of arguments of each function.
    n_arguments: HashMap<*mut tn_function, usize>,
    pools: Handles<tn_pool>,
    blocks: Handles<c_void>,
    /// A folder for logs of events.
    folder: PathBuf,
    /// What imports lend. Nothing reads or writes it, because their layouts may say anything.
    lent: Vec<u8>,
}

const INTEGERS: [i64; 30] = [
    0,
    1,
    -1,
    2,
    -2,
    3,
    4,
    5,
    7,
    8,
    16,
    63,
    64,
    65,
    100,
    4096,
    1 << 20,
    1 << 31,
    (1 << 31) - 1,
    -(1 << 31),
    1 << 32,
    1 << 40,
    1 << 61,
    1 << 62,
    i64::MAX,
    i64::MIN,
    i64::MAX - 1,
    i64::MIN + 1,
    TN_NONE,
    i64::MAX - 7,
];

const FACTORS: [f64; 8] = [0.0, 1.0, 0.5, 2.0, -1.0, f64::NAN, f64::INFINITY, 1e300];

const DTYPES: [tn_dtype; 6] = [TN_F64, TN_F32, TN_I64, TN_U8, TN_C128, TN_BF16];

impl Program {
    /// Whether an array has so few elements that a sum of them takes no time.
    fn is_countable(&self, array: *mut tn_array) -> bool {
        let mut info: tn_array_info = zero();
        info.size = size_of::<tn_array_info>();
        // SAFETY: the struct is ours; any value may be a handle.
        let status = unsafe { array::tn_array_query(array, &mut info) };
        status != TN_OK || info.count <= 1 << 22
    }

    fn number(&mut self) -> i64 {
        match self.random.below(4) {
            0 => self.random.next() as i64,
            1 => self.random.below(10) as i64,
            _ => INTEGERS[self.random.below(INTEGERS.len())],
        }
    }
    /// A number with few bits set, often a combination of known flags.
    fn flags(&mut self) -> u32 {
        match self.random.below(6) {
            0 => self.random.next() as u32,
            1 => 0,
            _ => (1 << self.random.below(16)) | (1 << self.random.below(16)),
        }
    }
    fn dtype(&mut self) -> tn_dtype {
        match self.random.below(5) {
            0 => self.random.next() as u32,
            1 => DTYPES[self.random.below(DTYPES.len())] ^ (1 << self.random.below(32)),
            _ => DTYPES[self.random.below(DTYPES.len())],
        }
    }
    /// A list for a function that takes its length too: more items than it may look at.
    fn list(&mut self) -> (i32, [i64; TN_MAX_NDIM + 1]) {
        let most = if self.random.chance(30) { 5000 } else { 6 };
        let wild = self.random.chance(40);
        let list = [0; TN_MAX_NDIM + 1].map(|_| if wild { self.number() } else { 1 + self.random.below(5) as i64 });
        let ndim = self.random.below(4) as i32;
        let ndim = if most == 5000 { [0, 1, 63, 64, 65, -1, i32::MIN][self.random.below(7)] } else { ndim };
        (ndim, list)
    }
    fn device(&mut self) -> tn_device {
        if self.random.chance(70) {
            return HOST;
        }
        tn_device { r#type: self.number() as _, id: self.number() as i32 }
    }
    fn array(&mut self) -> *mut tn_array {
        self.arrays.any(&mut self.random)
    }
    fn expr(&mut self) -> *mut tn_expr {
        self.exprs.any(&mut self.random)
    }
    fn variable(&mut self) -> *mut tn_shared {
        self.variables.any(&mut self.random)
    }
    /// One of the calls on mirrors.
    fn use_mirrors(&mut self) -> tn_status {
        let (made, side) = (self.mirrors.any(&mut self.random), self.number() as tn_side);
        let side = if self.random.chance(20) { side } else { 1 + self.random.below(2) as tn_side };
        // SAFETY: handles or NULL, structs of their sizes, outputs that are ours.
        unsafe {
            match self.random.below(6) {
                0 => {
                    let shape = [self.number(), self.number()];
                    let options = tn_mirror_options {
                        size: self.size_of::<tn_mirror_options>(),
                        object: self.array(),
                        borrow_flags: self.crossing(&[TN_BORROW]),
                        dtype: if self.random.chance(50) { 0 } else { self.number() as tn_dtype },
                        ndim: if self.random.chance(80) { 2 } else { self.random.below(2) as i32 },
                        order: self.random.below(4) as tn_order,
                        shape: if self.random.chance(60) { null() } else { shape.as_ptr() },
                        device: if self.random.chance(80) { zero() } else { self.device() },
                        r#where: if self.random.chance(60) { 0 } else { side },
                        reserved: 0,
                        host_pool: self.pool(),
                        device_pool: null_mut(),
                        name: if self.random.chance(50) { c"m".as_ptr() } else { null() },
                    };
                    let mut out = null_mut();
                    let status = mirror::tn_mirror_create(&options, &mut out, null_mut());
                    if status == TN_OK {
                        self.mirrors.add(&mut self.random, out);
                    }
                    status
                }
                1 => {
                    let access = [TN_READ, TN_READ_WRITE, TN_WRITE, self.number() as u32][self.random.below(4)];
                    self.keep_guard(|_, out| {
                        mirror::tn_mirror_acquire(made, side, access, null_mut(), null_mut(), null_mut(), out)
                    })
                }
                2 => self.keep(|_, out| mirror::tn_mirror_get(made, side, out)),
                3 => mirror::tn_mirror_mark_changed(made, side),
                4 => {
                    let mut info = tn_mirror_info { size: self.size_of::<tn_mirror_info>(), ..zero() };
                    mirror::tn_mirror_query(made, &mut info)
                }
                _ => {
                    let guard = self.guards.any(&mut self.random);
                    borrow::tn_borrow_end(guard, if self.random.chance(50) { TN_END_FAILED } else { 0 }, null_mut())
                }
            }
        }
    }
    /// One of the calls on modules. Images begin as those of each kind, with numbers of any value behind.
    fn use_modules(&mut self) -> tn_status {
        let mut image: Vec<u8> = (0..16).flat_map(|_| self.number().to_le_bytes()).collect();
        let starts = [&b"\x7fELF\x02"[..], b"\x50\xed\x55\xba", b"\xb1\x43\x62\x46", b".version 8.0\0", b"\0"];
        let start = starts[self.random.below(starts.len())];
        image[..start.len()].copy_from_slice(start);
        let bytes = if self.random.chance(50) { start.len() } else { self.random.below(image.len() + 1) };
        let given = [c"-DN=4".as_ptr(), c"--none".as_ptr()];
        let (mut log, mut length) = ([0; 64], 0);
        let options = tn_module_options {
            size: self.size_of::<tn_module_options>(),
            name: if self.random.chance(50) { c"m".as_ptr() } else { null() },
            arch: [null(), null(), c"sm_80".as_ptr(), c"compute_x".as_ptr()][self.random.below(4)],
            options: given.as_ptr(),
            n_options: if self.random.chance(70) { 0 } else { self.random.below(3) },
            log: log.as_mut_ptr(),
            log_capacity: self.random.below(65),
            log_length: &mut length,
        };
        let options = if self.random.chance(30) { null() } else { &raw const options };
        let (made, device, mut out) = (self.modules.any(&mut self.random), self.device(), null_mut());
        // SAFETY: bytes of ours, texts, handles or NULL, outputs that are ours.
        let status = unsafe {
            match self.random.below(8) {
                0..=3 => module::tn_module_load(image.as_ptr().cast(), bytes, options, &mut out),
                4 => module::tn_module_compile(c"int x;".as_ptr(), options, &mut out),
                _ => return module::tn_module_function(made, c"f".as_ptr(), device, &mut null_mut()),
            }
        };
        if status == TN_OK {
            self.modules.add(&mut self.random, out);
        }
        status
    }
    /// One of the calls on the event log, which records all other calls meanwhile.
    fn use_events(&mut self) -> tn_status {
        let names = ["events", "saved", "no such folder/events", ""];
        let path = terminated(&self.folder.join(names[self.random.below(names.len())]));
        let path = if self.random.chance(30) { null() } else { path.as_ptr() };
        // SAFETY: NULL or a text, structs of their sizes.
        unsafe {
            match self.random.below(6) {
                0 => report::tn_log_start(null()),
                1 | 2 => {
                    let options = tn_log_options {
                        size: self.size_of::<tn_log_options>(),
                        kinds: if self.random.chance(80) { self.flags() & TN_LOG_ALL } else { self.flags() },
                        reserved: self.rarely() as u32,
                        path,
                        capacity: if self.random.chance(80) { 1 << 20 } else { self.number() as u64 },
                    };
                    report::tn_log_start(&options)
                }
                3 => report::tn_log_stop(),
                4 => report::tn_log_save(path),
                _ => {
                    let mut stats = tn_log_stats { size: self.size_of::<tn_log_stats>(), ..zero() };
                    report::tn_log_query(&mut stats)
                }
            }
        }
    }
    /// The flags of a value that enters or leaves a variable or function, mostly those of the list.
    fn crossing(&mut self, list: &[u32]) -> u32 {
        match self.random.below(8) {
            0 => self.flags(),
            1 | 2 => 0,
            _ => list[self.random.below(list.len())] | if self.random.chance(20) { TN_REQUIRE_BORROW } else { 0 },
        }
    }
    /// A value that is 0 in most structs.
    fn rarely(&mut self) -> i64 {
        if self.random.chance(98) { 0 } else { self.number() }
    }
    /// The size of a struct, or a smaller one.
    fn size_of<T>(&mut self) -> usize {
        if self.random.chance(98) { size_of::<T>() } else { self.random.below(size_of::<T>()) }
    }
    fn declared(&mut self) -> (tn_dtype, tn_device, i32) {
        let dtype = match self.random.below(8) {
            0 => self.dtype(),
            1 => TN_F64,
            _ => 0,
        };
        let device = if self.random.chance(90) { zero() } else { self.device() };
        let ndim = match self.random.below(10) {
            0 => self.number() as i32,
            1 => self.random.below(4) as i32,
            _ => -1,
        };
        (dtype, device, ndim)
    }
    fn inputs(&mut self) -> Vec<tn_in> {
        let n = self.random.below(4);
        let flags = [TN_BORROW, TN_RAW, TN_MAY_OVERWRITE, TN_TAKE_OWNERSHIP, TN_STRICT, TN_MAY_OVERWRITE | TN_STRICT];
        let inputs = (0..n).map(|_| {
            let (dtype, device, ndim) = self.declared();
            tn_in {
                size: self.size_of::<tn_in>(),
                name: if self.random.chance(50) { c"x".as_ptr() } else { null() },
                flags: self.crossing(&flags),
                dtype,
                device,
                ndim,
                reserved: self.rarely() as i32,
                default_value: if self.random.chance(30) { self.array() } else { null_mut() },
                shared: if self.random.chance(20) { self.variable() } else { null_mut() },
            }
        });
        inputs.collect()
    }
    fn outputs(&mut self) -> Vec<tn_out> {
        let n = self.random.below(4);
        let outputs = (0..n).map(|_| {
            let (dtype, device, ndim) = self.declared();
            tn_out {
                size: self.size_of::<tn_out>(),
                name: if self.random.chance(50) { c"y".as_ptr() } else { null() },
                flags: self.crossing(&[TN_BORROW, TN_RAW, TN_REUSE, TN_BORROW | TN_REUSE]),
                dtype,
                device,
                ndim,
                reserved: self.rarely() as i32,
            }
        });
        outputs.collect()
    }
    fn updates(&mut self) -> Vec<tn_update> {
        let n = self.random.below(3);
        let updates = (0..n).map(|_| tn_update {
            size: self.size_of::<tn_update>(),
            target: self.variable(),
            flags: if self.random.chance(5) {
                self.flags()
            } else {
                [0, TN_MAY_OVERWRITE, TN_REUSE][self.random.below(3)]
            },
            reserved: self.rarely() as u32,
        });
        updates.collect()
    }
    fn pool(&mut self) -> *mut tn_pool {
        if self.random.chance(60) { null_mut() } else { self.pools.any(&mut self.random) }
    }
    fn keep(&mut self, call: impl FnOnce(&mut Self, *mut *mut tn_array) -> tn_status) -> tn_status {
        let mut out = null_mut();
        let status = call(self, &mut out);
        if status == TN_OK {
            self.arrays.add(&mut self.random, out);
        }
        status
    }
    fn keep_guard(&mut self, call: impl FnOnce(&mut Self, *mut *mut tn_borrow) -> tn_status) -> tn_status {
        let mut out = null_mut();
        let status = call(self, &mut out);
        if status == TN_OK {
            self.guards.add(&mut self.random, out);
        }
        status
    }
    /// Exports to and imports from libraries of GPUs; without a driver no import succeeds.
    fn exchange_with_gpus(&mut self) -> tn_status {
        let (flags, mode) = (self.flags(), self.flags());
        let numbers: Vec<i64> = (0..2 * TN_MAX_NDIM).map(|_| self.number()).collect();
        match self.random.below(4) {
            0 => self.keep_guard(|p, out| {
                let mut is: tn_cuda_array_interface = zero();
                is.size = size_of::<tn_cuda_array_interface>();
                let array = p.array();
                // SAFETY: the outputs are ours.
                unsafe {
                    exchange::tn_array_export_cuda_array_interface(
                        array,
                        flags,
                        mode,
                        null_mut(),
                        &mut is,
                        out,
                        null_mut(),
                    )
                }
            }),
            1 => self.keep_guard(|p, out| {
                let mut is: tn_cudamat = zero();
                // SAFETY: as above.
                unsafe { exchange::tn_array_export_cudamat(p.array(), flags, mode, &mut is, out, null_mut()) }
            }),
            2 => self.keep(|p, out| {
                let mut is: tn_cuda_array_interface = zero();
                is.size = size_of::<tn_cuda_array_interface>();
                (is.shape, is.strides) = (numbers.as_ptr(), numbers[TN_MAX_NDIM..].as_ptr());
                (is.data, is.stream) = (p.number() as u64, p.number() as u64);
                (is.ndim, is.has_stream, is.version) = (p.number() as i32, p.number() as i32, p.number() as i32);
                let letters = [*b"<f4\0", *b"|b1\0", *b"<c16", *b">i8\0"][p.random.below(4)];
                is.typestr[..4].copy_from_slice(&letters.map(|letter| letter as _));
                // SAFETY: the lists have as many numbers as an array has axes.
                unsafe { exchange::tn_array_import_cuda_array_interface(&is, flags, None, null_mut(), out, null_mut()) }
            }),
            _ => self.keep(|p, out| {
                let mut is: tn_cudamat = zero();
                is.size = [p.number() as i32, p.number() as i32];
                (is.on_device, is.is_trans, is.owns_data) = (p.number() as i32, p.number() as i32, p.number() as i32);
                is.data_device = p.number() as *mut f32;
                // SAFETY: the driver knows no such address.
                unsafe { exchange::tn_array_import_cudamat(&is, flags, None, null_mut(), out, null_mut()) }
            }),
        }
    }
    fn keep_expr(&mut self, call: impl FnOnce(&mut Self, *mut *mut tn_expr) -> tn_status) -> tn_status {
        let mut out = null_mut();
        let status = call(self, &mut out);
        if status == TN_OK {
            self.exprs.add(&mut self.random, out);
        }
        status
    }
    fn keep_block(&mut self, call: impl FnOnce(&mut Self, *mut *mut c_void) -> tn_status) -> tn_status {
        let mut out = null_mut();
        let status = call(self, &mut out);
        if status == TN_OK {
            self.blocks.add(&mut self.random, out);
        }
        status
    }
}

/// A path as a text of C.
fn terminated(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("a path has no zero byte")
}

/// Plain data of which zero is a value.
fn zero<T>() -> T {
    // SAFETY: used for C structs and numbers only.
    unsafe { std::mem::zeroed() }
}

/// Arrays larger than this are refused by the pool, so that no call takes long.
const POOL_BYTES: u64 = 1 << 20;

/// Calls that make and release small arrays of all layouts, so that the others find some.
fn ordinary(p: &mut Program) -> tn_status {
    let shape: &[i64] = [&[][..], &[4], &[3, 4], &[4, 4], &[0, 3], &[2, 3, 4], &[1, 1]][p.random.below(7)];
    let dtype = DTYPES[p.random.below(3)];
    // SAFETY: a list of that length.
    p.keep(|_, out| unsafe {
        array::tn_array_zeros(null_mut(), dtype, shape.len() as i32, shape.as_ptr(), null(), out)
    })
}

/// Number of cases in [`call`].
const CASES: usize = 61;

fn call(p: &mut Program, case: usize) -> tn_status {
    let value = [0u8; 16];
    let value: *const c_void = value.as_ptr().cast();
    // SAFETY: lists are as long as the functions may read, outputs are writable, and what a layout describes is not
    // touched.
    unsafe {
        match case {
            0..=2 => ordinary(p),
            3 => {
                let ((ndim, shape), dtype) = (p.list(), p.dtype());
                let options = tn_array_options {
                    size: size_of::<tn_array_options>(),
                    order: p.number() as _,
                    flags: p.flags(),
                    ..zero()
                };
                let options = if p.random.chance(50) { null() } else { &raw const options };
                p.keep(|p, out| match p.random.below(3) {
                    0 => array::tn_array_empty(p.pool(), dtype, ndim, shape.as_ptr(), options, out),
                    1 => array::tn_array_zeros(p.pool(), dtype, ndim, shape.as_ptr(), options, out),
                    _ => array::tn_array_full(p.pool(), dtype, ndim, shape.as_ptr(), value, options, out),
                })
            }
            4 => p.keep(|p, out| array::tn_array_like(p.array(), p.pool(), null(), out)),
            5 => p.keep(|p, out| array::tn_array_clone(p.array(), out)),
            6 => array::tn_array_wait(p.array(), p.flags()),
            7 => {
                // Bytes that no call reads: the array is released at once.
                let ((ndim, shape), (_, strides)) = (p.list(), p.list());
                let strides = if p.random.chance(40) { null() } else { strides.as_ptr() };
                let (dtype, offset) = (p.dtype(), if p.random.chance(50) { 0 } else { p.number() });
                let flags = if p.random.chance(50) { TN_REQUIRE_BORROW } else { p.flags() | TN_REQUIRE_BORROW };
                let layout =
                    tn_layout { size: size_of::<tn_layout>(), dtype, ndim, shape: shape.as_ptr(), strides, offset };
                let at = match p.random.below(3) {
                    0 => p.number() as *mut c_void,
                    _ => p.lent.as_mut_ptr().wrapping_add(p.random.below(9)).cast(),
                };
                let mut out = null_mut();
                let status =
                    array::tn_array_import_host(at, &layout, flags, Some(forget), null_mut(), &mut out, null_mut());
                if status == TN_OK {
                    let mut info = tn_array_info { size: size_of::<tn_array_info>(), ..zero() };
                    assert_eq!(array::tn_array_query(out, &mut info), TN_OK);
                    assert_eq!(array::tn_array_release(out), TN_OK);
                }
                status
            }
            8 => {
                let (ndim, shape) = p.list();
                let order = p.number() as _;
                p.keep(|p, out| view::tn_array_reshape(p.array(), ndim, shape.as_ptr(), order, out))
            }
            9 => {
                let order = p.number() as _;
                p.keep(|p, out| view::tn_array_ravel(p.array(), order, out))
            }
            10 => p.keep(|p, out| view::tn_array_transpose(p.array(), out)),
            11 => {
                let (ndim, axes) = p.list();
                let axes = axes.map(|axis| axis as i32);
                p.keep(|p, out| view::tn_array_permute(p.array(), ndim, axes.as_ptr(), out))
            }
            12 => {
                let (n, _) = p.list();
                let specs = [0; TN_MAX_NDIM + 1].map(|_| tn_slice_spec {
                    start: p.number(),
                    stop: p.number(),
                    step: p.number(),
                    reserved: [0; 4],
                });
                let n = if n < 0 { usize::MAX } else { n as usize };
                let n = if n > TN_MAX_NDIM { TN_MAX_NDIM + 1 } else { n };
                p.keep(|p, out| view::tn_array_slice(p.array(), n, specs.as_ptr(), out))
            }
            13 => {
                let (axis, index) = (p.number() as i32, p.number());
                p.keep(|p, out| view::tn_array_index(p.array(), axis, index, out))
            }
            14 => {
                let (n, axes) = p.list();
                let axes = axes.map(|axis| axis as i32);
                p.keep(|p, out| view::tn_array_squeeze(p.array(), n.clamp(0, 65) as usize, axes.as_ptr(), out))
            }
            15 => {
                let axis = p.number() as i32;
                p.keep(|p, out| view::tn_array_expand(p.array(), axis, out))
            }
            16 => {
                let (ndim, shape) = p.list();
                p.keep(|p, out| view::tn_array_broadcast(p.array(), ndim, shape.as_ptr(), out))
            }
            17 => {
                let (mut outs, mut n) = ([null_mut(); 8], 0);
                let (axis, parts, capacity) = (p.number() as i32, p.number(), p.random.below(9));
                let status = if p.random.chance(50) {
                    view::tn_array_split(p.array(), axis, parts as usize, capacity, outs.as_mut_ptr(), &mut n)
                } else {
                    view::tn_array_chunks(p.array(), axis, parts, capacity, outs.as_mut_ptr(), &mut n)
                };
                if status == TN_OK {
                    outs.into_iter().take(n.min(capacity)).for_each(|made| p.arrays.add(&mut p.random, made));
                }
                status
            }
            18 => {
                let dtype = p.dtype();
                p.keep(|p, out| view::tn_array_view_dtype(p.array(), dtype, out))
            }
            19 => {
                let mut overlap = 0;
                view::tn_array_overlap(p.array(), p.array(), &mut overlap)
            }
            20 => {
                let flags = p.flags();
                p.keep_guard(|p, out| {
                    borrow::tn_array_borrow_read(p.array(), flags, null_mut(), null_mut(), null_mut(), out)
                })
            }
            21 => {
                let mode = p.flags();
                p.keep_guard(|p, out| {
                    borrow::tn_array_borrow_write(p.array(), mode, null_mut(), null_mut(), null_mut(), out)
                })
            }
            22 => {
                let mut specs = [0; 5].map(|_| tn_borrow_spec { array: p.array(), access: p.flags(), ..zero() });
                if p.random.chance(50) {
                    specs
                        .iter_mut()
                        .for_each(|spec| spec.access = [TN_READ, TN_READ_WRITE, TN_WRITE][p.random.below(3)]);
                }
                let n = p.random.below(6);
                p.keep_guard(|_, out| borrow::tn_borrow_all(n, specs.as_ptr(), null_mut(), out))
            }
            23 => {
                let mut chunks: [tn_part; 9] = zero();
                let (axis, n, mode) = (p.number() as i32, p.random.below(10), p.flags());
                let status = borrow::tn_array_split_write(p.array(), axis, n, mode, null_mut(), chunks.as_mut_ptr());
                if status == TN_OK {
                    chunks.iter().take(n).for_each(|chunk| p.guards.add(&mut p.random, chunk.guard));
                }
                status
            }
            24 => {
                let flags = p.flags();
                borrow::tn_borrow_end(p.guards.any(&mut p.random), flags, null_mut())
            }
            25 => {
                let (required, mut promise, mut taken) = (p.number() as usize, null_mut(), null_mut());
                let status = promise::tn_array_give(p.array(), required, &mut promise);
                if status == TN_OK {
                    if promise::tn_take(1, &promise, &mut taken) == TN_OK && !taken.is_null() {
                        p.arrays.add(&mut p.random, taken);
                    }
                    assert_eq!(promise::tn_promise_release(promise), TN_OK);
                }
                status
            }
            26 => {
                let ((ndim, shape), dtype, device) = (p.list(), p.dtype(), p.device());
                let target = tn_target { size: size_of::<tn_target>(), device, dtype, ndim, shape: shape.as_ptr() };
                let (mut bits, mut n) = (0, 0);
                promise::tn_array_why_not(p.array(), &target, 0, 0, &mut bits, null_mut(), &mut n)
            }
            27 => {
                let mode = p.flags();
                transfer::tn_array_copy_into(p.array(), p.array(), mode, null_mut())
            }
            28 => {
                let mode = p.flags();
                transfer::tn_array_fill(p.array(), value, mode, null_mut())
            }
            29 => {
                let mode = p.flags();
                transfer::tn_array_clear(p.array(), mode, null_mut())
            }
            30 => {
                let device = p.device();
                p.keep(|p, out| transfer::tn_array_to_device(p.array(), device, p.pool(), null_mut(), out))
            }
            31 => {
                let (flags, mode) = (p.flags(), p.flags());
                let mut info: tn_view_info = zero();
                p.keep_guard(|p, out| {
                    exchange::tn_array_export_host(p.array(), flags, mode, null_mut(), &mut info, out, null_mut())
                })
            }
            32 if p.random.chance(50) => p.exchange_with_gpus(),
            32 => match capi::export_dlpack(p.array() as usize, p.flags()) {
                Ok(tensor) => {
                    capi::delete_dlpack(tensor);
                    TN_OK
                }
                Err(status) => status,
            },
            33 => {
                let form = if p.random.chance(80) { p.random.below(3) as u32 } else { p.flags() };
                // A broadcast view may have more elements than a sum of them could count in years.
                let array = p.array();
                if p.is_countable(array) { p.keep_expr(|_, out| expr::tn_expr_leaf(array, form, out)) } else { TN_OK }
            }
            34 => {
                let op = p.random.below(30) as u32;
                let unary = p.random.chance(40);
                p.keep_expr(|p, out| {
                    expr::tn_expr_elementwise(op, p.expr(), if unary { null_mut() } else { p.expr() }, out)
                })
            }
            35 => p.keep_expr(|p, out| match p.random.below(6) {
                0 => expr::tn_expr_add(p.expr(), p.expr(), out),
                1 => expr::tn_expr_multiply(p.expr(), p.expr(), out),
                2 => expr::tn_expr_solve(p.expr(), p.expr(), out),
                3 => expr::tn_expr_cholesky(p.expr(), out),
                4 if p.random.chance(50) => expr::tn_expr_lu_part(p.expr(), p.random.below(4) as u32, out),
                4 => expr::tn_expr_lu(p.expr(), out),
                _ => expr::tn_expr_transpose(p.expr(), out),
            }),
            36 => {
                let factor = FACTORS[p.random.below(FACTORS.len())];
                p.keep_expr(|p, out| expr::tn_expr_scale(p.expr(), factor, out))
            }
            37 => {
                let axis = p.number() as i32;
                p.keep_expr(|p, out| expr::tn_expr_sum(p.expr(), axis, out))
            }
            38 => {
                let flags = p.flags();
                p.keep(|p, out| expr::tn_expr_compute(p.expr(), flags, out))
            }
            39 => {
                let (mut text, mut length, format, capacity) = ([0; 64], 0, p.number() as u32, p.random.below(65));
                expr::tn_expr_explain(p.expr(), format, capacity, text.as_mut_ptr(), &mut length)
            }
            40 => {
                let mut options: tn_pool_options = zero();
                options.size = if p.random.chance(90) { size_of::<tn_pool_options>() } else { p.random.below(200) };
                options.max_size = POOL_BYTES;
                // One or two fields that are not the default.
                for _ in 0..1 + p.random.below(2) {
                    let value = p.number();
                    match p.random.below(12) {
                        0 => options.max_size = p.random.below(POOL_BYTES as usize) as u64,
                        1 => options.max_growth = value as u64,
                        2 => options.growth_factor = FACTORS[p.random.below(FACTORS.len())],
                        3 => options.alignment = value as u64,
                        4 => options.thread_cache_size = value as u64,
                        5 => options.release_threshold = value as u64,
                        6 => options.release_delay_ms = value as u64,
                        7 => options.peers = value as u64,
                        8 => options.huge_pages = value as _,
                        9 => options.backend = value as _,
                        10 => options.numa_node = value as _,
                        _ => options.flags = p.flags(),
                    }
                }
                let (device, mut out) = (p.device(), null_mut());
                let status = pool::tn_pool_create(device, &options, &mut out);
                if status == TN_OK {
                    p.pools.add(&mut p.random, out);
                }
                status
            }
            41 => {
                let (bytes, alignment) = (p.number() as usize, p.number() as usize);
                p.keep_block(|p, out| {
                    let pool = p.pools.any(&mut p.random);
                    if pool.is_null() {
                        return TN_OK_WITHOUT_CALL;
                    }
                    if p.random.chance(50) {
                        pool::tn_pool_allocate(pool, bytes, alignment, null_mut(), out)
                    } else {
                        pool::tn_pool_allocate_zeroed(pool, bytes, alignment, null_mut(), out)
                    }
                })
            }
            42 => {
                let (bytes, old) = (p.number() as usize % (1 << 21), p.blocks.any(&mut p.random));
                let mut out = null_mut();
                let status = pool::tn_pool_reallocate(null_mut(), old, bytes, null_mut(), &mut out);
                if status == TN_OK {
                    p.blocks.live.retain(|block| *block != old);
                    if !out.is_null() {
                        p.blocks.add(&mut p.random, out);
                    }
                }
                status
            }
            43 => {
                let mut n = 0;
                pool::tn_pool_trim(p.pools.any(&mut p.random), p.number() as usize, &mut n)
            }
            44 => {
                let (flags, mut out) =
                    (p.crossing(&[TN_BORROW, TN_TAKE_OWNERSHIP, TN_STRICT, TN_BORROW | TN_STRICT]), null_mut());
                let options = tn_shared_options {
                    size: p.size_of::<tn_shared_options>(),
                    device: if p.random.chance(80) { zero() } else { p.device() },
                    pool: p.pool(),
                    name: if p.random.chance(50) { c"w".as_ptr() } else { null() },
                };
                let options = if p.random.chance(50) { null() } else { &raw const options };
                let status = shared::tn_shared_create(p.array(), flags, options, &mut out, null_mut());
                if status == TN_OK {
                    p.variables.add(&mut p.random, out);
                }
                status
            }
            45 => {
                let flags = p.crossing(&[TN_BORROW, TN_RAW, TN_RAW | TN_BORROW]);
                p.keep(|p, out| shared::tn_shared_get(p.variable(), flags, out, null_mut()))
            }
            46 => {
                let flags = p.crossing(&[TN_BORROW, TN_TAKE_OWNERSHIP, TN_STRICT, TN_BORROW | TN_STRICT]);
                shared::tn_shared_set(p.variable(), p.array(), flags, null_mut())
            }
            47 => {
                let (flags, mut random) = (p.crossing(&[TN_MAY_OVERWRITE]), p.random.clone());
                let context = (&raw mut random).cast();
                shared::tn_shared_update(p.variable(), flags, Some(bodies::change), context, null_mut())
            }
            48 => {
                let flags = p.crossing(&[TN_MAY_OVERWRITE]);
                p.keep(|p, out| shared::tn_shared_update_begin(p.variable(), flags, out, null_mut()))
            }
            49 => {
                let flags = p.crossing(&[TN_END_FAILED]);
                shared::tn_shared_update_end(p.variable(), flags)
            }
            50 => {
                let mut info = tn_shared_info { size: p.size_of::<tn_shared_info>(), ..zero() };
                shared::tn_shared_query(p.variable(), &mut info)
            }
            51 => {
                let (inputs, outputs, updates, mut out) = (p.inputs(), p.outputs(), p.updates(), null_mut());
                let status = bodies::create(&mut p.random, &inputs, &outputs, &updates, &mut out);
                if status == TN_OK {
                    p.n_arguments.insert(out, inputs.iter().filter(|input| input.shared.is_null()).count());
                    p.functions.add(&mut p.random, out);
                }
                status
            }
            52 => {
                let called = p.functions.any(&mut p.random);
                let n_in = if p.random.chance(10) { None } else { p.n_arguments.get(&called).copied() };
                let n_in = n_in.unwrap_or_else(|| p.random.below(4));
                let (n_out, mut out) = (p.random.below(4), [null_mut(); 4]);
                let arguments = [0; 4].map(|_| p.array());
                let (mut in_how, mut out_how): ([tn_crossing; 4], [tn_crossing; 4]) = zero();
                let (in_how, out_how) = (in_how.as_mut_ptr(), out_how.as_mut_ptr());
                let (arguments, places) = (arguments.as_ptr(), out.as_mut_ptr());
                let status = if p.random.chance(30) {
                    let (size, none) = (p.size_of::<tn_call_crossings>(), null_mut());
                    let told = tn_call_crossings { size, inputs: none, outputs: out_how, updates: none };
                    function::tn_function_call_crossings(called, n_in, arguments, n_out, places, &told)
                } else {
                    function::tn_function_call(called, n_in, arguments, n_out, places, in_how, out_how)
                };
                if status == TN_OK {
                    out.into_iter().take(n_out).for_each(|made| p.arrays.add(&mut p.random, made));
                }
                let mut value = null_mut();
                if function::tn_function_default(called, p.random.below(4), &mut value) == TN_OK {
                    p.arrays.add(&mut p.random, value);
                }
                status
            }
            53 => {
                let (at, bytes, mut n) = (p.number() as *const c_void, p.number() as usize, 0);
                promise::tn_holders_of(at, bytes, 0, 0, null_mut(), null_mut(), &mut n)
            }
            57 => p.use_mirrors(),
            59 => p.use_modules(),
            60 => p.use_events(),
            54 => {
                let (client, bytes, gpu) = (p.random.below(8) as tn_client, p.number(), p.number() as i32);
                // A driver may crash at others.
                let stream = p.random.below(4) as *mut CUstream_st;
                let (pool, mut out) = (p.pool(), null_mut());
                let at = if p.random.chance(30) { null_mut() } else { p.number() as *mut c_void };
                match p.random.below(9) {
                    0 => return bindings::tn_plugin_allocate(client, pool, bytes as usize, gpu, stream, &mut out),
                    1 => return bindings::tn_plugin_deallocate(client, pool, at, gpu, stream),
                    2 => drop(allocators::tn_torch_alloc(bytes as isize, gpu, stream)),
                    3 => allocators::tn_torch_free(at, bytes as isize, gpu, stream),
                    4 => allocators::tn_torch_record_stream(at, stream),
                    5 => drop(allocators::tn_cupy_malloc(pool.cast(), bytes as usize, gpu)),
                    6 => allocators::tn_cupy_free(pool.cast(), at, gpu),
                    7 => drop(allocators::tn_rmm_allocate(bytes as usize, stream, pool.cast())),
                    _ => allocators::tn_rmm_deallocate(at, bytes as usize, stream, pool.cast()),
                }
                if text().contains("a bug in the library") { TN_ERR_PANIC } else { TN_OK }
            }
            55 => {
                // Room for the largest view that there is.
                let mut view = [0u64; 17];
                let ndim = p.number() as i32;
                let bytes = if p.random.chance(50) { size_of_val(&view) } else { p.number() as usize };
                borrow::tn_borrow_kernel_view(p.guards.any(&mut p.random), ndim, bytes, view.as_mut_ptr().cast())
            }
            56 => {
                let args = [0; 3].map(|_| tn_arg {
                    kind: if p.random.chance(90) { 1 + p.random.below(5) as u32 } else { p.flags() },
                    access: if p.random.chance(60) { [TN_READ, TN_WRITE][p.random.below(2)] } else { p.flags() },
                    ndim: if p.random.chance(70) { p.random.below(4) as i32 } else { p.number() as i32 },
                    reserved: p.rarely() as i32,
                    what: p.array().cast(),
                    bytes: p.number() as usize,
                });
                let mut config = tn_launch_config { size: p.size_of::<tn_launch_config>(), ..zero() };
                // A few blocks, which take no time, or more than can be.
                config.grid = [0; 3].map(|_| if p.random.chance(95) { 1 + p.random.below(3) as u32 } else { 0 });
                config.grid = if p.random.chance(2) { [u32::MAX; 3] } else { config.grid };
                config.block = [0; 3].map(|_| if p.random.chance(90) { 1 } else { p.number() as u32 });
                config.block_bytes = if p.random.chance(70) { p.random.below(1000) as i64 } else { p.number() };
                config.stream = if p.random.chance(90) { null_mut() } else { p.random.below(4) as *mut tn_stream };
                config.host_function = if p.random.chance(95) { Some(no_kernel) } else { None };
                // Without a driver a function is not looked at.
                config.function = if p.random.chance(90) { null_mut() } else { p.number() as *mut c_void };
                launch::tn_launch(&config, p.random.below(4), args.as_ptr())
            }
            _ => {
                let file = CString::new(vec![b'x'; p.random.below(300)]).unwrap();
                let (mut info, mut n) = (zero::<tn_device_info>(), 0);
                info.size = if p.random.chance(50) { size_of::<tn_device_info>() } else { p.random.below(500) };
                let n_items = &mut n;
                match p.random.below(9) {
                    0 => library::tn_here(file.as_ptr(), p.number() as i32),
                    1 => array::tn_array_set_name(p.array(), file.as_ptr()),
                    2 => library::tn_option_set(
                        c"transfer.chunk".as_ptr(),
                        CString::new(p.number().to_string()).unwrap().as_ptr(),
                    ),
                    3 => library::tn_option_set(file.as_ptr(), c"1".as_ptr()),
                    4 => device::tn_device_query(p.device(), p.flags(), &mut info),
                    5 => {
                        let items = [0; 3].map(|_| {
                            let (dtype, count, align) = (p.dtype(), p.number(), [0, 0, 8, 128, 3][p.random.below(5)]);
                            tn_block_item { dtype, reserved: 0, count, align }
                        });
                        let (mut offsets, mut total) = ([0; 3], 0);
                        kernel::tn_block_layout(p.random.below(4), items.as_ptr(), offsets.as_mut_ptr(), &mut total)
                    }
                    6 | 7 => {
                        let flags = if p.random.chance(50) { 0 } else { p.flags() };
                        if p.random.chance(50) {
                            let (mut page, mut length) = ([0; 300], 0);
                            let capacity = p.random.below(page.len() + 1);
                            report::tn_report_html_text(flags, capacity, page.as_mut_ptr(), &mut length)
                        } else {
                            let mut path = concat!(env!("CARGO_TARGET_TMPDIR"), "/arguments.html").as_bytes().to_vec();
                            // Names of any length, in a folder that does not exist.
                            if p.random.chance(30) {
                                path.extend([b"/", file.as_bytes()].concat());
                            }
                            report::tn_report_html(flags, CString::new(path).unwrap().as_ptr())
                        }
                    }
                    _ => report::tn_leaks(p.random.below(400), 0, null_mut(), n_items),
                }
            }
        }
    }
}

/// For a case that finds no handle for its call.
const TN_OK_WITHOUT_CALL: tn_status = TN_ERR_NULL;

unsafe extern "C" fn forget(_: *mut c_void) {}

unsafe extern "C" fn no_kernel(_: *const tn_host_block, _: *const *mut c_void) {}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn no_value_of_an_argument_panics() {
    let seed = number("TENURE_STRESS_SEED", std::process::id().into());
    println!("TENURE_STRESS_SEED={seed}");
    let default = capi::pool_of(|options| options.max_size = POOL_BYTES).unwrap();
    capi::set_current(default).unwrap();
    let folder = std::env::temp_dir().join(format!("tenure-arguments-{}", std::process::id()));
    std::fs::create_dir(&folder).expect("the temporary folder is writable");
    let mut program = Program {
        random: Random::new(seed),
        arrays: Handles::new(|handle| array::tn_array_release(handle)),
        guards: Handles::new(|handle| borrow::tn_borrow_end(handle, 0, null_mut())),
        // SAFETY: a handle.
        exprs: Handles::new(|handle| unsafe { expr::tn_expr_release(handle) }),
        variables: Handles::new(|handle| shared::tn_shared_release(handle)),
        mirrors: Handles::new(|handle| mirror::tn_mirror_release(handle)),
        modules: Handles::new(|handle| module::tn_module_release(handle)),
        functions: Handles::new(|handle| function::tn_function_release(handle)),
        n_arguments: HashMap::new(),
        pools: Handles::new(|handle| pool::tn_pool_release(handle)),
        blocks: Handles::new(|block| pool::tn_pool_deallocate(null_mut(), block, null_mut())),
        folder,
        lent: vec![0; 4096],
    };
    let mut worked = [0u32; CASES];
    for _ in 0..number("TENURE_ARGUMENTS_CALLS", 20_000) {
        let case = program.random.below(CASES);
        let status = call(&mut program, case);
        assert!(status != TN_ERR_PANIC, "case {case}: {}", text());
        assert!(name(status).starts_with("TN_"), "case {case}: {status}");
        worked[case] += u32::from(status == TN_OK);
    }
    println!("{worked:?}");
    // None may run now.
    let _ = report::tn_log_stop();
    std::fs::remove_dir_all(&program.folder).expect("the folder is ours");
    program.guards.end();
    program.exprs.end();
    program.functions.end();
    program.variables.end();
    program.mirrors.end();
    program.modules.end();
    program.arrays.end();
    program.blocks.end();
    program.pools.end();
    capi::run_releases();
    capi::set_current(0).unwrap();
    capi::pool_release(default).unwrap();
    assert_eq!(capi::leak_count(), 0, "{:?}", capi::leaks());
}
