//! The common part of `take` and `enter`: promises, and with `enter` arrays, become new handles, all or none.
//!
//! The steps: reserve slots and memory, lock all ledgers in ascending order, check everything, copy and pass claims.
//! The last step cannot fail. Claims are cloned before any claim passes, while every promise still names its claim.

use crate::array::{self, Checked};
use crate::error::{Result, Status, fail};
use crate::layout::Layout;
use crate::ledger::{self, Claim, Ledger, Locked, Promise, SpareClaim, TakenBy};
use crate::lists;
use crate::probes;
use crate::slots::{Id, Kind};
use crate::thread::Thread;
use crate::types::*;
use smallvec::SmallVec;

/// A list of parameters; a short one needs no allocation.
pub type List<T> = SmallVec<[T; 8]>;

/// The calling function: it determines the accepted parameters, and the message of a destructed handle.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Promises only.
    Take,
    /// Promises and arrays.
    Enter,
}

impl From<By> for TakenBy {
    fn from(by: By) -> TakenBy {
        match by {
            By::Take => TakenBy::Take,
            By::Enter => TakenBy::Enter,
        }
    }
}

/// A parameter with an unreleased handle.
#[derive(Clone, Copy)]
enum Param {
    Promise(&'static Promise),
    Plain(&'static Claim),
}

impl Param {
    fn find(id: Id, by: By) -> Result<Param> {
        if by == By::Take || id.is_of(Kind::Promise) {
            ledger::find::<Promise>(id).map(Param::Promise)
        } else {
            ledger::find::<Claim>(id).map(Param::Plain)
        }
    }

    fn is_promise(self) -> bool {
        matches!(self, Param::Promise(_))
    }

    /// The array's claim, or that of an outstanding promise.
    fn claim(self, locked: &Locked) -> &'static Claim {
        match self {
            Param::Promise(promise) => locked.promised(promise),
            Param::Plain(claim) => claim,
        }
    }
}

#[cold]
pub(super) fn used_up(promise: Id) -> Status {
    fail(
        TN_ERR_DESTRUCTED,
        format_args!("the promise {promise} was taken or cancelled already; it can only be released"),
    )
}

fn ledger_of(id: Id, by: By) -> Result<&'static Ledger> {
    if by == By::Take || id.is_of(Kind::Promise) {
        return ledger::ledger_of::<Promise>(id);
    }
    ledger::ledger_of::<Claim>(id).map_err(|status| match status.code() {
        TN_ERR_KIND => fail(TN_ERR_KIND, format_args!("{id} is neither a tn_array nor a tn_promise")),
        _ => status,
    })
}

fn same<T>(a: &'static T, b: &'static T) -> bool {
    core::ptr::eq(a, b)
}

/// Makes a new handle for each parameter, all or none. `out(i, id)` receives the i-th, under the ledgers' locks.
pub fn open(thread: &'static Thread, ids: &[Id], by: By, out: &mut dyn FnMut(usize, Id)) -> Result<()> {
    let n = ids.len();
    let mut spares: List<Option<SpareClaim>> = List::new();
    lists::reserve(&mut spares, n)?;
    for _ in 0..n {
        spares.push(Some(SpareClaim::take(thread)?));
    }
    let mut params: List<Param> = List::new();
    lists::reserve(&mut params, n)?;
    let mut waiting: List<Waiting> = List::new();
    lists::reserve(&mut waiting, n)?;
    loop {
        params.clear();
        let mut locked = ledger::lock_all(n, &|i| ledger_of(ids[i], by))?;
        for id in ids {
            match Param::find(*id, by) {
                Ok(param) => params.push(param),
                Err(_) => break,
            }
        }
        if params.len() < n {
            continue;
        }
        if let Err(refusal) = check(&locked, ids, &params) {
            drop(locked);
            return Err(refusal.into_status());
        }
        let small = (0..n).find(|i| {
            let claim = params[*i].claim(&locked);
            !spare(&mut spares, *i).layout().set(&locked.get(claim).layout)
        });
        if let Some(position) = small {
            let ndim = locked.get(params[position].claim(&locked)).layout.ndim();
            drop(locked);
            *spare(&mut spares, position).layout() = Layout::room(ndim)?;
            continue;
        }
        let mut told = |position: usize, id: Id| {
            if params[position].is_promise() {
                probes::take(ids[position].bits(), id.bits());
            }
            out(position, id);
        };
        pass(&mut locked, &params, by, &mut spares, &mut waiting, &mut told);
        return Ok(());
    }
}

fn spare(spares: &mut [Option<SpareClaim>], position: usize) -> &mut SpareClaim {
    spares[position].as_mut().expect("a spare for each parameter")
}

/// Returns the first refusal in the order of checks, then by position.
fn check(locked: &Locked, ids: &[Id], params: &[Param]) -> Checked<()> {
    for (id, param) in ids.iter().zip(params) {
        match param {
            Param::Promise(promise) if ledger::is_spent(*promise) => return Err(used_up(*id).into()),
            Param::Promise(_) => {}
            Param::Plain(claim) => array::check_not_destructed(locked, claim)?,
        }
    }
    for param in params {
        if let Param::Plain(claim) = *param
            && locked.get(claim).given > 0
        {
            // A given array may come together with its promise: it is cloned before its claim passes.
            let beside = params.iter().any(|other| other.is_promise() && same(other.claim(locked), claim));
            if !beside {
                array::check_live(locked, claim)?;
            }
        }
    }
    for param in params {
        array::check_process(locked, param.claim(locked))?;
    }
    let twice = (1..ids.len()).find(|i| params[*i].is_promise() && ids[..*i].contains(&ids[*i]));
    match twice {
        None => Ok(()),
        Some(at) => Err(fail(
            TN_ERR_DUPLICATE,
            format_args!("the promise {} stands twice in the list (the second time at {at})", ids[at]),
        )
        .into()),
    }
}

/// The first promise of a Case I: its position, the claim that passes, and the promise's id.
type Waiting = (usize, &'static Claim, Id);

/// Copies and passes the claims, after all checks. It cannot fail.
fn pass(
    locked: &mut Locked,
    params: &[Param],
    by: By,
    spares: &mut [Option<SpareClaim>],
    waiting: &mut List<Waiting>,
    out: &mut dyn FnMut(usize, Id),
) {
    let mut next = |position: usize| spares[position].take().expect("a spare for each parameter");
    for (position, param) in params.iter().enumerate() {
        let claim = param.claim(locked);
        match param {
            Param::Promise(promise) if moves(locked, params, position, claim) => {
                waiting.push((position, claim, promise.id()));
            }
            _ => out(position, locked.copy_claim(claim, next(position))),
        }
    }
    for param in params {
        let Param::Promise(promise) = param else { continue };
        let claim = locked.promised(promise);
        locked.spend_promise(promise);
        let case_one = waiting.iter().any(|(_, waits, _)| same(*waits, claim));
        if locked.get(claim).given == 0 && !case_one {
            locked.ungive(claim);
        }
    }
    for (position, claim, promise) in waiting.drain(..) {
        out(position, locked.pass_claim(claim, next(position), by.into(), promise));
    }
}

/// Whether the promise at `position` is the first of as many as its giver required.
fn moves(locked: &Locked, params: &[Param], position: usize, claim: &'static Claim) -> bool {
    let promised = |param: &Param| param.is_promise() && same(param.claim(locked), claim);
    let together = params.iter().filter(|param| promised(param)).count();
    together as u32 == locked.get(claim).required && !params[..position].iter().any(promised)
}
