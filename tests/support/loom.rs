//! Helpers of the models of loom.rs: foreign bytes that count their releases, and the exploration of a race.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tenure::array::HOST;
use tenure::borrow::{self, BorrowContext, Ending, Mode, Use};
use tenure::dtype::Dtype;
use tenure::error::{Result, Status};
use tenure::exchange::host::{self, Import};
use tenure::layout::{Layout, Order};
use tenure::ledger::{Claim, Class, Guard, Lease, Ledger, LockedSlot, Promise, Release, Scope, Weak};
use tenure::slots::{Id, Slot, State, Table};
use tenure::stream::StreamArg;
use tenure::thread;
use tenure::types::*;

/// Serialises the models, because the address index, pools and copy statistics belong to the process.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs `race` in every order of steps within the bound on preemptions. The set of its results over all orders must
/// equal `expected`, so a model that explores nothing fails as well.
#[track_caller]
pub fn explore(expected: &[&str], race: impl Fn() -> String + Send + Sync + 'static) {
    explore_with(4, Some(expected), race);
}

/// As `explore`, with another bound for models of more threads. With None, `race` checks its results itself.
#[track_caller]
pub fn explore_with(preemptions: usize, expected: Option<&[&str]>, race: impl Fn() -> String + Send + Sync + 'static) {
    let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.max(Some(preemptions));
    builder.max_branches = 50_000;
    // State that grows at its first use (the list of the address index, the default pool) must be equal in every order.
    builder.check(warm_up);
    let seen = Arc::new(Mutex::new(BTreeMap::<String, u32>::new()));
    let noted = Arc::clone(&seen);
    builder.check(move || {
        let outcome = race();
        nothing_is_left();
        *noted.lock().unwrap().entry(outcome).or_default() += 1;
    });
    let seen = seen.lock().unwrap();
    println!("{} orders: {seen:?}", seen.values().sum::<u32>());
    assert!(seen.values().sum::<u32>() > 1, "there is only one order: nothing raced");
    if let Some(expected) = expected {
        let mut wanted = expected.to_vec();
        wanted.sort_unstable();
        assert_eq!(seen.keys().map(String::as_str).collect::<Vec<_>>(), wanted);
    }
}

fn warm_up() {
    let a = Bytes::new().import(TN_BORROW);
    end(write(a, TN_WRITE_COW).unwrap()).unwrap();
    tenure::array::release(a).unwrap();
}

/// No slot of any kind is in use: no order of steps leaks.
fn nothing_is_left() {
    fn all_free<T: Slot>() {
        Table::<T>::each(|slot| {
            assert!(slot.head().state() == State::Free, "{:?} {} is still in use", T::KIND, slot.head().number());
        });
    }
    all_free::<Claim>();
    all_free::<Guard>();
    all_free::<Promise>();
    all_free::<Weak>();
    all_free::<Ledger>();
    all_free::<Lease>();
    all_free::<Scope>();
}

/// Foreign bytes of one iteration, with a count of each release.
#[derive(Clone, Copy)]
pub struct Bytes(&'static Foreign);

struct Foreign {
    bytes: [u64; 4],
    released: AtomicUsize,
}

unsafe extern "C" fn count_release(context: *mut c_void) {
    // SAFETY: the context of `Bytes::import`, which outlives the import.
    let foreign = unsafe { &*context.cast::<Foreign>() };
    foreign.released.fetch_add(1, Ordering::Relaxed);
}

impl Bytes {
    pub fn new() -> Bytes {
        // Leaks a few bytes per order of steps; loom's own data are far larger.
        Bytes(Box::leak(Box::new(Foreign { bytes: [0, 1, 2, 3], released: AtomicUsize::new(0) })))
    }

    /// An array of the four numbers.
    pub fn import(self, flags: u32) -> Id {
        self.try_import(0, 4, flags).unwrap()
    }

    /// An array of some of the numbers.
    pub fn try_import(self, first: usize, count: usize, flags: u32) -> Result<Id> {
        let at = &raw const self.0.bytes;
        let address = at.cast::<u64>().wrapping_add(first).expose_provenance() as i64;
        let layout = Layout::contiguous(Dtype::of(TN_U64)?, &[count as i64], Order::C, address)?;
        let context = core::ptr::from_ref(self.0).expose_provenance();
        let release = Release::Call(count_release, context);
        // SAFETY: the bytes are leaked, and only the library writes them.
        let imported = unsafe {
            host::import(Import { function: c"model", device: HOST, layout: &layout, flags, release, after: None })?
        };
        Ok(imported.id)
    }

    /// The number of releases that ran.
    pub fn released(self) -> usize {
        self.0.released.load(Ordering::Relaxed)
    }

    pub fn address(self) -> i64 {
        (&raw const self.0.bytes).expose_provenance() as i64
    }
}

pub fn code<T>(result: Result<T>) -> tn_status {
    result.err().map_or(TN_OK, Status::code)
}

/// `TN_ERR_STALE` as "stale".
pub fn word(status: tn_status) -> String {
    let name = tenure::error::name(status).to_str().unwrap();
    name.trim_start_matches("TN_").trim_start_matches("ERR_").to_lowercase()
}

/// Two statuses as "ok stale".
pub fn words(first: tn_status, second: tn_status) -> String {
    format!("{} {}", word(first), word(second))
}

pub fn call() -> BorrowContext<'static> {
    BorrowContext::new(c"model")
}

pub fn host_stream() -> Result<StreamArg> {
    StreamArg::of(0)
}

/// Unused outputs.
struct Unseen;

impl borrow::LayoutSink for Unseen {
    fn see(&self, _: &Layout, _: &tn_device) {}
}

/// As the C functions do: the fast path first.
pub fn read(id: Id) -> Result<Id> {
    match borrow::open_fast(id, Use::Read { frozen: false }, &Unseen) {
        Some(guard) => Ok(guard),
        None => borrow::open(call(), id, host_stream(), borrow::reading(0, 0), false, &Unseen),
    }
}

/// As `read`, for writing.
pub fn write(id: Id, mode: u32) -> Result<Id> {
    let aliased = Use::Write { mode: Mode::Aliased, discard: false };
    let free = if mode == TN_WRITE_ALIASED { borrow::open_fast(id, aliased, &Unseen) } else { None };
    match free {
        Some(guard) => Ok(guard),
        None => borrow::open(call(), id, host_stream(), borrow::mode(mode, 0), false, &Unseen),
    }
}

pub fn end(id: Id) -> Result<()> {
    if borrow::end_fast(id, 0) { Ok(()) } else { borrow::end(id, 0, host_stream(), Ending::finish) }
}

/// Opens a shared view of an array and ends it.
pub fn share(id: Id) -> Result<()> {
    open_view(id).map(end_view)
}

/// A shared view, as the DLPack entry points open it: the fast path first.
pub fn open_view(id: Id) -> Result<&'static Guard> {
    if let Some((guard, ())) = borrow::export_fast(thread::current(), id, Class::ExportShared, |_, _| Some(())) {
        return Ok(guard);
    }
    let flags = TN_BORROW | TN_EXPORT_WRITABLE;
    let (class, unique) = host::class(flags, 0, true)?;
    let how = host::Export { function: c"model", flags, class, copy: Class::ExportExclusive, unique };
    Ok(host::export(id, &how, host_stream(), &|_| None)?.guard.into_guard())
}

/// The end of a shared view, fast path first.
pub fn end_view(guard: &'static Guard) {
    if !LockedSlot::held(thread::current(), guard).end_guard(false) {
        guard.lock().end_guard(guard, false);
    }
}

pub fn take(promises: &[Id]) -> Result<Vec<Id>> {
    let mut out = vec![None; promises.len()];
    tenure::promise::take(promises, &mut |position, id| out[position] = Some(id))?;
    Ok(out.into_iter().map(|id| id.expect("one for each promise")).collect())
}

/// The handles and their scope.
pub fn enter(params: &[Id]) -> Result<(Vec<Id>, Id)> {
    let mut out = vec![None; params.len()];
    let scope = tenure::promise::enter(params, &mut |position, id| out[position] = Some(id))?;
    Ok((out.into_iter().map(|id| id.expect("one for each parameter")).collect(), scope))
}

/// The address of the first element, and the number of claims on the store.
pub fn address_and_claims(id: Id) -> (i64, u32) {
    let mut found = (0, 0);
    tenure::array::with(id, |locked, claim| {
        found = (locked.get(claim).layout.offset(), locked.state(locked.ledger_of(claim)).claims);
        Ok(())
    })
    .unwrap();
    found
}

/// Runs two calls at the same time, the second on a thread of its own.
pub fn both<A, B: Send + 'static>(first: impl FnOnce() -> A, second: impl FnOnce() -> B + Send + 'static) -> (A, B) {
    let other = loom::thread::spawn(second);
    let first = first();
    (first, other.join().unwrap())
}
