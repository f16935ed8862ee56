//! Arrays in every situation that decides whether a border aliases or copies, and calls that report which of the two
//! happened.
#![allow(dead_code)] // each test program uses a part

use crate::support::capi::{
    self, Done, Handle, Made, UNTOUCHED, broadcast, clone, delete_dlpack, done, export_dlpack, import_dlpack, info,
    leaf, name, release, shared_release, slice, text, transpose,
};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::{null, null_mut};
use tenure::ffi::{array, borrow, function, promise, shared, stream, transfer};
use tenure::types::*;

/// Where the arrays of a test are.
pub struct Place {
    pub device: tn_device,
    pub name: &'static str,
    pool: Handle,
    /// For borrows; NULL on the host.
    stream: *mut tn_stream,
}

impl Place {
    /// The host, with a pool of the test's own, from which everything on this thread is allocated.
    pub fn host() -> Place {
        let pool = capi::new_pool();
        capi::set_current(pool).unwrap();
        Place { device: capi::HOST, name: "the host", pool, stream: null_mut() }
    }

    pub fn of(name: &'static str, device: tn_device) -> Place {
        let mut stream = null_mut();
        if device.r#type != TN_CPU {
            // SAFETY: a writable output.
            ok(unsafe { stream::tn_stream_create(tn_device { r#type: TN_CUDA, id: device.id }, 0, 0, &mut stream) });
        }
        Place { device, name, pool: capi::default_pool(device).unwrap(), stream }
    }

    /// An array of 0, 1, 2, .. in C order.
    pub fn numbers(&self, shape: &[i64]) -> Handle {
        let values: Vec<f64> = (0..shape.iter().product()).map(|i: i64| i as f64).collect();
        capi::floats(self.pool, shape, &values)
    }

    /// What the pool allocated so far.
    pub fn allocations(&self) -> u64 {
        capi::stats(self.pool).allocation_count
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        capi::pool_release(self.pool).unwrap();
        if !self.stream.is_null() {
            ok(stream::tn_stream_release(self.stream));
        }
    }
}

/// The shape of every value.
pub const SHAPE: [i64; 2] = [4, 3];

/// A value, and what keeps it in its situation.
pub struct Situation {
    pub value: Handle,
    end: End,
}

/// Ends what another user does with a value.
type End = Box<dyn FnOnce()>;

impl Situation {
    pub fn of(value: Handle, end: impl FnOnce() + 'static) -> Situation {
        Situation { value, end: Box::new(end) }
    }
}

impl Drop for Situation {
    fn drop(&mut self) {
        std::mem::replace(&mut self.end, Box::new(|| ()))();
        release(self.value).unwrap();
    }
}

/// A view in place of the array that it was made of.
fn only(base: Handle, view: impl FnOnce(Handle) -> Made) -> Made {
    let view = view(base);
    release(base).unwrap();
    view
}

/// A new value with some layout, in some memory; an error where the place has no such memory.
pub type Make = fn(&Place) -> Made;
/// Another user of a value begins; an error where that is impossible for the value.
pub type Use = fn(&Place, Handle) -> Result<End, tn_status>;

/// All values, by the names that the tables have. The first layouts are those of the tables for reading.
pub const VALUES: [(&str, Make); 8] = [
    ("in C order, no other holder", |place| Ok(place.numbers(&SHAPE))),
    ("in F order", |place| only(place.numbers(&[SHAPE[1], SHAPE[0]]), transpose)),
    ("reversed: a negative stride", |place| {
        only(place.numbers(&SHAPE), |forward| slice(forward, TN_NONE, TN_NONE, -1))
    }),
    ("every second row: gaps between rows", |place| {
        only(place.numbers(&[2 * SHAPE[0], SHAPE[1]]), |all| slice(all, 0, TN_NONE, 2))
    }),
    ("less than half of a larger store", |place| {
        only(place.numbers(&[10 * SHAPE[0], SHAPE[1]]), |all| slice(all, 0, SHAPE[0], 1))
    }),
    ("broadcast: elements that share bytes", |place| only(place.numbers(&SHAPE[1..]), |row| broadcast(row, &SHAPE))),
    ("read-only", |place| {
        only(place.numbers(&SHAPE), |writable| {
            import_dlpack(export_dlpack(writable, TN_BORROW)?, TN_BORROW | TN_IMPORT_READONLY)
        })
    }),
    ("in memory that the program lends (TN_BORROW)", |place| {
        let value = lent(place)?;
        only(place.numbers(&SHAPE), |numbers| capi::copy_into(numbers, value, 0).map(|()| value))
    }),
];

/// All other users of a value, by the names that the tables have.
pub const USES: [(&str, Use); 10] = [
    ("also in a clone or view", |_, value| {
        let view = slice(value, 0, 1, 1)?;
        Ok(Box::new(move || release(view).unwrap()))
    }),
    ("in a lazy expression", |_, value| {
        let leaf = leaf(value, TN_FORM_FULL)?;
        Ok(Box::new(move || capi::expr_release(leaf).unwrap()))
    }),
    ("the value of another variable", |_, value| {
        let (owner, _) = store(value, TN_REQUIRE_BORROW, null())?;
        Ok(Box::new(move || shared_release(owner).unwrap()))
    }),
    ("open for reading, by another handle", |place, value| {
        let other = clone(value)?;
        let guard = reading(place, other);
        Ok(Box::new(move || {
            end(guard, 0);
            release(other).unwrap();
        }))
    }),
    ("open for reading, by this handle", |place, value| {
        let guard = reading(place, value);
        Ok(Box::new(move || end(guard, 0)))
    }),
    ("open for writing", |place, value| {
        let other = clone(value)?;
        let guard = writing(place, other, 0).inspect_err(|_| release(other).unwrap())?;
        Ok(Box::new(move || {
            end(guard, 0);
            release(other).unwrap();
        }))
    }),
    ("exported for reading", |_, value| exported(value, TN_BORROW | TN_EXPORT_CONSUMER_READS)),
    ("exported as a shared view, such as a writable NumPy array", |_, value| {
        exported(value, TN_BORROW | TN_EXPORT_WRITABLE)
    }),
    ("exported exclusively", |_, value| exported(value, TN_BORROW | TN_EXPORT_WRITABLE | TN_EXPORT_EXCLUSIVE)),
    ("poisoned by a failed write", |place, value| {
        end(writing(place, value, 0)?, TN_END_FAILED);
        Ok(Box::new(|| ()))
    }),
];

fn exported(value: Handle, flags: u32) -> Result<End, tn_status> {
    let tensor = export_dlpack(value, flags)?;
    Ok(Box::new(move || delete_dlpack(tensor)))
}

/// A value with another user; None if the two do not go together.
fn situation(place: &Place, make: Make, used: Option<Use>) -> Option<Situation> {
    let value = make(place).ok()?;
    // The import of page-locked memory makes a host array.
    let is_there = info(value).device.r#type == place.device.r#type;
    let used = used.unwrap_or(|_, _| Ok(Box::new(|| ())));
    match if is_there { used(place, value) } else { Err(TN_ERR_DEVICE) } {
        Ok(end) => Some(Situation { value, end }),
        Err(_) => {
            release(value).unwrap();
            None
        }
    }
}

/// The rows of a table: each value alone, then each use of an ordinary one. `cells` calls a function that makes the
/// situation anew.
fn rows(place: &Place, cells: impl Fn(&dyn Fn() -> Situation) -> Vec<String>) -> Vec<Vec<String>> {
    let cells_of = |make, used| {
        situation(place, make, used)?;
        Some(cells(&|| situation(place, make, used).expect("it was made before")))
    };
    let (_, ordinary) = VALUES[0];
    let alone = VALUES.map(|(name, make)| (name, make, cells_of(make, None)));
    let used = USES.map(|(name, used)| (name, used, cells_of(ordinary, Some(used))));
    let mut pairs = 0;
    for (name, make, of_value) in &alone {
        for (use_name, used, of_use) in &used {
            let (Some(both), Some(of_value), Some(of_use)) = (cells_of(*make, Some(*used)), of_value, of_use) else {
                continue;
            };
            pairs += 1;
            for ((cell, of_value), of_use) in both.iter().zip(of_value).zip(of_use) {
                let fits = severity(cell) == severity(of_value).max(severity(of_use));
                let is_known = severity(cell) < REFUSED || cell == of_value || cell == of_use;
                assert!(fits && is_known, "{name}: {of_value}; {use_name}: {of_use}; both: {cell}");
            }
        }
    }
    assert!(pairs >= 30, "only {pairs} pairs of rows can be made");
    let alone = alone.into_iter().map(|(name, _, cells)| (name, cells));
    let used = used.into_iter().map(|(name, _, cells)| (name, cells));
    alone.chain(used).filter_map(|(name, cells)| Some([vec![name.to_owned()], cells?].concat())).collect()
}

/// The order of outcomes: alias, copy, refusal. If two rows fit a value, the outcome is the higher one of theirs.
fn severity(cell: &str) -> usize {
    match cell.split(' ').next() {
        Some("alias") => 0,
        Some("copy") => 1,
        _ => REFUSED,
    }
}

const REFUSED: usize = 2;

/// A DLManagedTensorVersioned over a raw block: the memory of a program that only lends it.
#[repr(C)]
struct Lent {
    version: [u32; 2],
    block: Handle,
    deleter: unsafe extern "C" fn(*mut Lent),
    flags: u64,
    data: Handle,
    device: tn_device,
    ndim: i32,
    dtype: (u8, u8, u16),
    shape: *const i64,
    strides: *const i64,
    byte_offset: u64,
}

unsafe extern "C" fn end_of_loan(tensor: *mut Lent) {
    // SAFETY: made by `lent`, and deleted once.
    let tensor = unsafe { Box::from_raw(tensor) };
    capi::deallocate(tensor.block).unwrap();
}

/// An array on memory that the library must not overwrite (FOREIGN).
fn lent(place: &Place) -> Made {
    static STRIDES: [i64; 2] = [SHAPE[1], 1];
    const DLPACK_FLOAT: u8 = 2;
    let block = capi::allocate(place.pool, (SHAPE[0] * SHAPE[1]) as usize * size_of::<f64>()).unwrap();
    let tensor = Box::new(Lent {
        version: [1, 0],
        block,
        deleter: end_of_loan,
        flags: 0,
        data: block,
        device: tn_device { r#type: place.device.r#type, id: place.device.id },
        ndim: 2,
        dtype: (DLPACK_FLOAT, 64, 1),
        shape: &raw const SHAPE_OF_LOANS[0],
        strides: &raw const STRIDES[0],
        byte_offset: 0,
    });
    let tensor = Box::into_raw(tensor);
    // SAFETY: after a failure the tensor is still ours.
    let value = import_dlpack(tensor as Handle, TN_BORROW).inspect_err(|_| unsafe { end_of_loan(tensor) })?;
    // An import from a device comes after the present work of the thread's stream.
    capi::wait(value).map(|()| value)
}

static SHAPE_OF_LOANS: [i64; 2] = SHAPE;

#[track_caller]
pub fn ok(status: tn_status) {
    assert_eq!(status, TN_OK, "{}", text());
}

fn reading(place: &Place, value: Handle) -> Handle {
    let mut guard = null_mut();
    // SAFETY: a writable output.
    ok(unsafe { borrow::tn_array_borrow_read(value as *mut _, 0, place.stream, null_mut(), null_mut(), &mut guard) });
    guard as Handle
}

fn writing(place: &Place, value: Handle, mode: u32) -> Made {
    let mut guard = null_mut();
    // SAFETY: a writable output.
    let status = unsafe {
        borrow::tn_array_borrow_write(value as *mut _, mode, place.stream, null_mut(), null_mut(), &mut guard)
    };
    if status == TN_OK { Ok(guard as Handle) } else { Err(status) }
}

fn end(guard: Handle, flags: u32) {
    capi::end(guard, flags).unwrap();
}

/// Whether the handle could write now.
pub fn can_write(place: &Place, value: Handle) -> Done {
    writing(place, value, 0).map(|guard| end(guard, 0))
}

/// The address of element (0,..,0), on any device and whoever uses the array.
pub fn address(value: Handle) -> u64 {
    // SAFETY: plain data.
    let mut store: tn_store_info = unsafe { std::mem::zeroed() };
    store.size = size_of::<tn_store_info>();
    let mut n = 0;
    // SAFETY: a struct of its size, and a writable output.
    ok(unsafe {
        promise::tn_array_holders(value as *mut _, size_of::<tn_holder>(), 0, &mut store, null_mut(), &mut n)
    });
    store.address.wrapping_add_signed(info(value).offset)
}

/// The elements in C order, on any device.
pub fn elements(value: Handle) -> Vec<f64> {
    let mut values = vec![0.0; info(value).count as usize];
    ok(array::tn_array_wait(value as *mut _, TN_READ));
    // SAFETY: the buffer has all elements.
    ok(unsafe { transfer::tn_array_copy_to_host(value as *mut _, values.as_mut_ptr().cast(), null(), null_mut()) });
    values
}

/// The elements, if other users of the bytes permit it.
fn readable(value: Handle) -> Option<Vec<f64>> {
    let mut values = vec![0.0; info(value).count as usize];
    // SAFETY: the buffer has all elements.
    let status =
        unsafe { transfer::tn_array_copy_to_host(value as *mut _, values.as_mut_ptr().cast(), null(), null_mut()) };
    (status == TN_OK).then_some(values)
}

/// Sets all elements.
pub fn fill(value: Handle, element: f64) -> Done {
    fill_in(value, element, TN_WRITE_ALIASED)
}

/// As above, in this mode of writing.
fn fill_in(value: Handle, element: f64, mode: u32) -> Done {
    // SAFETY: one element.
    done(|| unsafe { transfer::tn_array_fill(value as *mut _, (&raw const element).cast(), mode, null_mut()) })
}

// ---- what a call did, as a cell of a table ----

/// What a border did with a value, or the status of a refusal.
pub type Outcome = Result<tn_crossing, tn_status>;

/// A report before its call.
const FRESH: tn_crossing = tn_crossing { how: 77, why: 77 };

/// "alias", "copy", "copy (SHARED)", or the name of an error.
pub fn cell(outcome: &Outcome) -> String {
    match outcome {
        Ok(how) if how.how == TN_ALIASED => {
            assert_eq!(how.why, 0, "an alias has no reason");
            "alias".to_owned()
        }
        Ok(how) => {
            assert_eq!(how.how, TN_COPIED);
            let reasons: Vec<&str> =
                WHY.iter().filter(|(bit, _)| how.why & bit != 0).map(|(_, reason)| *reason).collect();
            if reasons.is_empty() { "copy".to_owned() } else { format!("copy ({})", reasons.join(", ")) }
        }
        Err(status) => name(*status).trim_start_matches("TN_ERR_").to_owned(),
    }
}

const WHY: [(u32, &str); 12] = [
    (TN_WHY_GIVEN, "GIVEN"),
    (TN_WHY_SHARED, "SHARED"),
    (TN_WHY_IN_EXPRESSION, "IN_EXPRESSION"),
    (TN_WHY_EXPORTED, "EXPORTED"),
    (TN_WHY_BORROWED, "BORROWED"),
    (TN_WHY_READONLY, "READONLY"),
    (TN_WHY_FOREIGN, "FOREIGN"),
    (TN_WHY_POISONED, "POISONED"),
    (TN_WHY_LAYOUT, "LAYOUT"),
    (TN_WHY_DEVICE, "DEVICE"),
    (TN_WHY_WASTE, "WASTE"),
    (TN_WHY_NOT_ALIASABLE, "NOT_ALIASABLE"),
];

// ---- shared variables ----

/// A new variable, and what became of the value.
pub fn store(value: Handle, flags: u32, options: *const tn_shared_options) -> Result<(Handle, tn_crossing), tn_status> {
    let (mut out, mut how) = (UNTOUCHED as *mut tn_shared, FRESH);
    // SAFETY: options of their size or none, and writable outputs.
    match unsafe { shared::tn_shared_create(value as *mut _, flags, options, &mut out, &mut how) } {
        TN_OK => Ok((out as Handle, how)),
        status => {
            assert!(out as usize == UNTOUCHED && how.how == FRESH.how, "a failure wrote its outputs");
            Err(status)
        }
    }
}

/// A new variable on a device.
pub fn store_on(device: tn_device, value: Handle, flags: u32) -> Result<(Handle, tn_crossing), tn_status> {
    // SAFETY: plain data; 0 is the default of every field.
    let mut options: tn_shared_options = unsafe { std::mem::zeroed() };
    options.size = size_of::<tn_shared_options>();
    options.device = device;
    store(value, flags, &options)
}

/// A variable on a device with a copy of 0, 1, 2, ..
pub fn variable(place: &Place) -> Handle {
    let value = place.numbers(&SHAPE);
    let variable = store(value, TN_TAKE_OWNERSHIP, null()).unwrap().0;
    release(value).unwrap();
    variable
}

pub fn set(variable: Handle, value: Handle, flags: u32) -> Outcome {
    let mut how = FRESH;
    // SAFETY: a writable output.
    match unsafe { shared::tn_shared_set(variable as *mut _, value as *mut _, flags, &mut how) } {
        TN_OK => Ok(how),
        status => {
            assert_eq!(how.how, FRESH.how, "a failure wrote its output");
            Err(status)
        }
    }
}

pub fn get(variable: Handle, flags: u32) -> Result<(Handle, tn_crossing), tn_status> {
    let (mut out, mut how) = (UNTOUCHED as *mut tn_array, FRESH);
    // SAFETY: writable outputs.
    match unsafe { shared::tn_shared_get(variable as *mut _, flags, &mut out, &mut how) } {
        TN_OK => Ok((out as Handle, how)),
        status => {
            assert!(out as usize == UNTOUCHED && how.how == FRESH.how, "a failure wrote its outputs");
            Err(status)
        }
    }
}

/// The variable's own bytes, without a copy.
pub fn peek(variable: Handle) -> Handle {
    get(variable, TN_RAW | TN_REQUIRE_BORROW).unwrap().0
}

// ---- functions ----

/// A body: the inputs, and the places of the outputs and updates.
pub type Body<'a> = dyn FnMut(&[Handle], &mut [Handle], &mut [Handle]) -> tn_status + 'a;

/// What the library passes to [`run`].
struct Context<'a> {
    counts: [usize; 3],
    body: RefCell<Box<Body<'a>>>,
    panic: Cell<Option<Box<dyn Any + Send>>>,
}

unsafe extern "C" fn run(
    context: *mut c_void,
    inputs: *const *mut tn_array,
    outputs: *mut *mut tn_array,
    updates: *mut *mut tn_array,
) -> tn_status {
    // SAFETY: the context of a live `Function`.
    let context = unsafe { &*context.cast::<Context>() };
    let [n_in, n_out, n_update] = context.counts;
    let inputs = if n_in == 0 {
        [].as_slice()
    } else {
        // SAFETY: as many inputs as the function declared; a handle is as wide as a pointer.
        unsafe { std::slice::from_raw_parts(inputs.cast::<Handle>(), n_in) }
    };
    let places = |at: *mut *mut tn_array, n: usize| {
        if n == 0 {
            return [].as_mut_slice();
        }
        // SAFETY: as many places as the function declared, which nothing else uses until the body returns.
        unsafe { std::slice::from_raw_parts_mut(at.cast::<Handle>(), n) }
    };
    let (outputs, updates) = (places(outputs, n_out), places(updates, n_update));
    let ended = catch_unwind(AssertUnwindSafe(|| (context.body.borrow_mut())(inputs, outputs, updates)));
    ended.unwrap_or_else(|panic| {
        context.panic.set(Some(panic));
        TN_ERR_FAILED
    })
}

/// A function, released at the end.
pub struct Function<'a> {
    handle: *mut tn_function,
    context: Box<Context<'a>>,
}

/// The description of an input.
pub fn input(flags: u32) -> tn_in {
    // SAFETY: plain data; 0 is the default of every other field.
    let zero: tn_in = unsafe { std::mem::zeroed() };
    tn_in { size: size_of::<tn_in>(), flags, ndim: -1, ..zero }
}

/// The description of an output.
pub fn output(flags: u32) -> tn_out {
    // SAFETY: as above.
    let zero: tn_out = unsafe { std::mem::zeroed() };
    tn_out { size: size_of::<tn_out>(), flags, ndim: -1, ..zero }
}

/// The description of an update.
pub fn update(target: Handle, flags: u32) -> tn_update {
    tn_update { size: size_of::<tn_update>(), target: target as *mut _, flags, reserved: 0 }
}

/// What a call gives: the outputs, what became of the arguments, and what became of the outputs.
pub type Called = Result<(Vec<Handle>, Vec<tn_crossing>, Vec<tn_crossing>), tn_status>;

impl<'a> Function<'a> {
    pub fn new(
        inputs: &[tn_in],
        outputs: &[tn_out],
        updates: &[tn_update],
        body: impl FnMut(&[Handle], &mut [Handle], &mut [Handle]) -> tn_status + 'a,
    ) -> Function<'a> {
        let counts = [inputs.len(), outputs.len(), updates.len()];
        let context = Box::new(Context { counts, body: RefCell::new(Box::new(body)), panic: Cell::new(None) });
        Function::create(inputs, outputs, updates, context, None)
    }

    /// A function whose body is expressions.
    pub fn of_expressions(
        inputs: &[tn_in],
        outputs: &[tn_out],
        updates: &[tn_update],
        body: tn_function_expr_body,
    ) -> Function<'a> {
        let context = Box::new(Context {
            counts: [0; 3],
            body: RefCell::new(Box::new(|_, _, _| TN_ERR_FAILED)),
            panic: Cell::new(None),
        });
        Function::create(inputs, outputs, updates, context, body)
    }

    fn create(
        inputs: &[tn_in],
        outputs: &[tn_out],
        updates: &[tn_update],
        context: Box<Context<'a>>,
        expr_body: tn_function_expr_body,
    ) -> Function<'a> {
        // SAFETY: plain data; 0 is the default of every other field.
        let mut options: tn_function_options = unsafe { std::mem::zeroed() };
        options.size = size_of::<tn_function_options>();
        options.body = if expr_body.is_none() { Some(run) } else { None };
        options.expr_body = expr_body;
        options.context = (&raw const *context).cast_mut().cast();
        (options.n_in, options.n_out, options.n_update) = (inputs.len(), outputs.len(), updates.len());
        (options.inputs, options.outputs, options.updates) = (inputs.as_ptr(), outputs.as_ptr(), updates.as_ptr());
        let mut handle = null_mut();
        // SAFETY: a struct of its size with lists of the lengths that it says, and a writable output.
        ok(unsafe { function::tn_function_create(&options, &mut handle) });
        Function { handle, context }
    }

    pub fn call(&self, arguments: &[Handle], n_out: usize) -> Called {
        let mut outputs = vec![UNTOUCHED; n_out];
        let (mut in_how, mut out_how) = (vec![FRESH; arguments.len()], vec![FRESH; n_out]);
        let (n_in, arguments) = (arguments.len(), arguments.as_ptr().cast::<*mut tn_array>());
        let (to, in_to, out_to) = (outputs.as_mut_ptr().cast(), in_how.as_mut_ptr(), out_how.as_mut_ptr());
        // SAFETY: lists of these lengths; a handle is as wide as a pointer.
        let status = unsafe { function::tn_function_call(self.handle, n_in, arguments, n_out, to, in_to, out_to) };
        if let Some(panic) = self.context.panic.take() {
            resume_unwind(panic);
        }
        match status {
            TN_OK => Ok((outputs, in_how, out_how)),
            status => {
                let untouched = outputs.iter().all(|out| *out == UNTOUCHED);
                assert!(
                    untouched && in_how.iter().chain(&out_how).all(|how| how.how == FRESH.how),
                    "a failure wrote outputs"
                );
                Err(status)
            }
        }
    }
}

impl Drop for Function<'_> {
    fn drop(&mut self) {
        ok(function::tn_function_release(self.handle));
    }
}

// ---- the tables that hold on every device ----

/// The flags of the columns for creating and setting. TN_REQUIRE_BORROW decides with TN_TAKE_OWNERSHIP as it does
/// alone.
pub const STORING: [u32; 4] = [0, TN_BORROW, TN_REQUIRE_BORROW, TN_TAKE_OWNERSHIP];

/// The head of their table.
pub const STORING_HEAD: &str = "| the value is | no flag | TN_BORROW | TN_REQUIRE_BORROW | TN_TAKE_OWNERSHIP |";

/// For each situation, what a new variable does with the value, and the set of a variable too.
pub fn storing(place: &Place) -> Vec<Vec<String>> {
    rows(place, |make| {
        let cells = STORING.map(|flags| {
            let created = stored(place, make(), flags, false);
            assert_eq!(stored(place, make(), flags, true), created, "{}, flags {flags:#x}: set, create", place.name);
            created
        });
        assert_eq!(
            stored(place, make(), TN_TAKE_OWNERSHIP | TN_REQUIRE_BORROW, false),
            cells[2],
            "as TN_REQUIRE_BORROW"
        );
        cells.to_vec()
    })
}

fn stored(place: &Place, situation: Situation, flags: u32, by_set: bool) -> String {
    let value = situation.value;
    let (at, contents) = (address(value), readable(value));
    let before = by_set.then(|| variable(place));
    let outcome = match before {
        Some(variable) => set(variable, value, flags).map(|how| (variable, how)),
        None => store(value, flags, null()),
    };
    match &outcome {
        Ok((variable, how)) => {
            let kept = peek(*variable);
            assert_eq!(address(kept) == at, how.how == TN_ALIASED);
            assert_eq!(Some(elements(kept)), contents);
            assert_eq!(capi::shared_info(*variable).version, if by_set { 2 } else { 1 });
            assert_eq!(capi::try_info(value).err(), (flags & TN_TAKE_OWNERSHIP != 0).then_some(TN_ERR_DESTRUCTED));
            release(kept).unwrap();
            shared_release(*variable).unwrap();
        }
        Err(_) => {
            assert!(capi::try_info(value).is_ok());
            if let Some(variable) = before {
                assert_eq!(capi::shared_info(variable).version, 1);
                shared_release(variable).unwrap();
            }
        }
    }
    cell(&outcome.map(|(_, how)| how))
}

/// Checks that the set of a variable to its own value is no exception: the outcome is that of a new variable. Returns
/// the number of checks.
pub fn check_storing_own(place: &Place) -> usize {
    let uses = USES.iter().filter(|(name, _)| *name != "the value of another variable").map(|(_, used)| Some(*used));
    let uses: Vec<Option<Use>> = std::iter::once(None).chain(uses).collect();
    let mut checks = 0;
    for (name, make) in VALUES {
        for (used, flags) in uses.iter().flat_map(|used| STORING.map(|flags| (*used, flags))) {
            let Some(new) = situation(place, make, used) else { continue };
            let expected = stored(place, new, flags, false);
            let value = make(place).expect("it was made before");
            let Ok((variable, _)) = store(value, TN_REQUIRE_BORROW, null()) else {
                release(value).unwrap();
                continue;
            };
            // A value cannot be written, so some uses of it are impossible.
            let end = used.map(|used| used(place, value));
            if !matches!(end, Some(Err(_))) {
                assert_eq!(cell(&set(variable, value, flags)), expected, "{name}, own value, flags {flags:#x}");
                checks += 1;
            }
            if let Some(Ok(end)) = end {
                end();
            }
            shared_release(variable).unwrap();
            release(value).unwrap();
        }
    }
    checks
}

/// The flags of the columns for arguments. Without flags and with TN_BORROW, an argument reaches the body in one way.
pub const ARGUMENTS: [u32; 5] =
    [0, TN_STRICT, TN_MAY_OVERWRITE, TN_MAY_OVERWRITE | TN_REQUIRE_BORROW, TN_TAKE_OWNERSHIP];

/// Flags with which an argument reaches the body as with those of a column.
const ARGUMENTS_ALIKE: [(u32, usize); 5] = [
    (TN_BORROW, 0),
    (TN_REQUIRE_BORROW, 0),
    (TN_BORROW | TN_RAW, 0),
    (TN_TAKE_OWNERSHIP | TN_REQUIRE_BORROW, 3),
    (TN_TAKE_OWNERSHIP | TN_MAY_OVERWRITE | TN_BORROW, 4),
];

/// For each situation, how an argument reaches the body of a function.
pub fn passing(place: &Place) -> Vec<Vec<String>> {
    rows(place, |make| {
        let cells = ARGUMENTS.map(|flags| passed(make, input(flags), &[]));
        for (flags, column) in ARGUMENTS_ALIKE {
            assert_eq!(passed(make, input(flags), &[]), cells[column], "flags {flags:#x}");
        }
        for (flags, column) in [(TN_BORROW, 0), (TN_REQUIRE_BORROW, 0), (TN_MAY_OVERWRITE, 2), (TN_TAKE_OWNERSHIP, 4)] {
            let expected = if cells[1] == "LAYOUT" { "LAYOUT" } else { &cells[column] };
            assert_eq!(passed(make, input(flags | TN_STRICT), &[]), expected, "flags {flags:#x} and TN_STRICT");
        }
        cells.to_vec()
    })
}

/// Calls a function with one argument. Its body reads it, and writes it if the flags permit that. A second call, whose
/// body fails, leaves the argument to the caller.
pub fn passed(make: &dyn Fn() -> Situation, declared: tn_in, updates: &[tn_update]) -> String {
    let [outcome, failed] = [TN_OK, TN_ERR_IO].map(|answer| passed_once(make(), declared, updates, answer));
    assert_eq!(failed.err(), Some(outcome.err().unwrap_or(TN_ERR_IO)));
    cell(&outcome)
}

fn passed_once(situation: Situation, declared: tn_in, updates: &[tn_update], answer: tn_status) -> Outcome {
    const WRITTEN: f64 = 99.0;
    let value = situation.value;
    let (at, contents, flags) = (address(value), readable(value), declared.flags);
    let may_write = flags & (TN_MAY_OVERWRITE | TN_TAKE_OWNERSHIP) != 0;
    let mut seen = None;
    let outcome = {
        let function = Function::new(&[declared], &[], updates, |inputs, _, updates| {
            // What the call updates in place is not the argument.
            updates.iter().for_each(|place| fill(*place, -WRITTEN).unwrap());
            let [argument] = inputs else { unreachable!("one input") };
            assert_eq!(Some(elements(*argument)), contents);
            let seen_at = address(*argument);
            seen = Some((seen_at, info(*argument).device));
            let expected = if may_write { Ok(()) } else { Err(TN_ERR_READONLY) };
            let view = slice(*argument, 0, TN_NONE, 1).unwrap();
            assert_eq!(fill(view, WRITTEN), expected);
            release(view).unwrap();
            assert_eq!(fill_in(*argument, WRITTEN, TN_WRITE_UNIQUE), expected);
            // If it cannot write the argument, this makes a copy of its own.
            fill_in(*argument, WRITTEN, TN_WRITE_COW).unwrap();
            assert_eq!(address(*argument) == seen_at, may_write);
            answer
        });
        function.call(&[value], 0).map(|(_, how, _)| how[0])
    };
    let Some((seen_at, device)) = seen else {
        assert!(outcome.is_err() && capi::try_info(value).is_ok() && text().contains("in[0]"), "{}", text());
        return outcome;
    };
    if let Ok(how) = outcome {
        assert_eq!(seen_at == at, how.how == TN_ALIASED);
    }
    assert!(declared.device.r#type == 0 || flags & TN_RAW != 0 || device.r#type == declared.device.r#type);
    if outcome.is_ok() && flags & TN_TAKE_OWNERSHIP != 0 {
        assert_eq!(capi::try_info(value).err(), Some(TN_ERR_DESTRUCTED));
    } else if seen_at == at && may_write {
        assert_eq!(elements(value), vec![WRITTEN; (SHAPE[0] * SHAPE[1]) as usize]);
    } else {
        assert_eq!(readable(value), contents, "the argument is unchanged");
    }
    outcome
}
