//! The ownership rules: whether a use of an array's bytes may begin beside the guards, exports and claims that exist.
//! It implements the tables of "Borrows" in the ownership model. The bits of why_not come from the same facts.

use crate::array::{self, Checked, ExportEnd, Holder, Refusal};
use crate::error::{Result, fail};
use crate::ledger::{self, Claim, ClaimBody, Class, Guard, LedgerState, Locked, Points, UseTime};
use crate::names::Name;
use crate::region;
use crate::slots::Id;
use crate::thread;
use crate::types::*;

/// What a write means for other holders.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Other holders see the change.
    Aliased,
    /// Refused if there is another holder of the store.
    Unique,
    /// The handle moves to a copy if there is another holder.
    Cow,
    /// A mirror writes its own side, beside read-only exports too: their consumers have agreed to see new bytes.
    Refresh,
}

/// A use of an array's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Use {
    /// A read guard; a frozen one excludes shared views.
    Read {
        /// The bytes must not change.
        frozen: bool,
    },
    /// A write guard.
    Write {
        /// What the write means for other holders.
        mode: Mode,
        /// The old contents are not needed.
        discard: bool,
    },
    /// An export.
    Export {
        /// ExportRead, ExportShared or ExportExclusive.
        class: Class,
        /// Refused if there is another holder of the store.
        unique: bool,
    },
}

/// The guards, exports and claims on the bytes of one claim, and on its store.
pub(super) struct Facts {
    poison: Option<&'static Guard>,
    pub(super) readonly: bool,
    pub(super) write: Open,
    pub(super) read: Open,
    frozen: Open,
    export_read: Open,
    pub(super) export_shared: Open,
    pub(super) export_exclusive: Open,
    pub(super) any_export: Open,
    pub(super) shared: u32,
    pub(super) nodes: u32,
    /// The nodes whose region overlaps.
    nodes_over: u32,
    pub(super) managed: bool,
    pub(super) foreign: bool,
}

/// Number of open guards of a kind, and the oldest.
#[derive(Clone, Copy, Default)]
pub(super) struct Open {
    count: u32,
    first: Option<&'static Guard>,
}

impl Open {
    fn add(&mut self, guard: &'static Guard) {
        self.count += 1;
        self.first = Some(guard); // the list has the newest first
    }
    pub(super) fn any(self) -> bool {
        self.count > 0
    }
}

impl Facts {
    #[inline]
    pub(super) fn of(locked: &Locked, claim: &'static Claim) -> Facts {
        let ledger = locked.ledger_of(claim);
        let state = locked.state(ledger);
        let body = locked.get(claim);
        let mut facts = Facts {
            poison: None,
            readonly: body.readonly || state.readonly,
            write: Open::default(),
            read: Open::default(),
            frozen: Open::default(),
            export_read: Open::default(),
            export_shared: Open::default(),
            export_exclusive: Open::default(),
            any_export: Open::default(),
            shared: state.claims - state.nodes - u32::from(body.counted),
            nodes: state.nodes,
            nodes_over: 0,
            managed: state.managed > 0 && !body.grants && !body.is_of_variable(),
            foreign: state.foreign(),
        };
        if state.readers + state.writers + state.exports() + state.records > 0 {
            facts.add_guards(locked, claim);
        }
        if state.nodes > 0 {
            facts.count_nodes(locked, claim);
        }
        facts
    }

    #[inline(never)]
    fn add_guards(&mut self, locked: &Locked, claim: &'static Claim) {
        let ledger = locked.ledger_of(claim);
        let region = locked.region(claim);
        if locked.state(ledger).poisoned > 0 {
            self.poison = locked.poison_over(claim);
        }
        locked.each_guard(ledger, |guard| {
            let body = locked.get(guard);
            if body.class.is_export() {
                self.any_export.add(guard);
            }
            if region::disjoint(locked.region(body.region()), region) {
                return;
            }
            match body.class {
                Class::Read => {
                    self.read.add(guard);
                    if body.frozen {
                        self.frozen.add(guard);
                    }
                }
                Class::Write => self.write.add(guard),
                Class::ExportRead => self.export_read.add(guard),
                Class::ExportShared => self.export_shared.add(guard),
                Class::ExportExclusive => self.export_exclusive.add(guard),
                Class::Poison | Class::WorkRead | Class::WorkWrite | Class::Group => {}
            }
        });
    }

    #[cold]
    fn count_nodes(&mut self, locked: &Locked, claim: &'static Claim) {
        locked.each_claim(locked.ledger_of(claim), |other| {
            let over =
                locked.get(other).node.is_some() && !region::disjoint(locked.region(other), locked.region(claim));
            self.nodes_over += u32::from(over);
        });
    }

    /// TN_ERR_POISONED for bytes that a failed writer left undefined.
    pub(super) fn check_poison(&self, locked: &Locked, claim: &'static Claim) -> Checked<()> {
        match self.poison {
            None => Ok(()),
            Some(poison) => {
                let open = Open { count: 1, first: Some(poison) };
                Err(by_guard(locked, claim, TN_ERR_POISONED, open))
            }
        }
    }

    /// TN_ERR_BORROWED_WRITE while somebody moves the handle, or may write the bytes.
    pub(super) fn check_writers(&self, locked: &Locked, claim: &'static Claim) -> Checked<()> {
        check_moves(locked, claim)?;
        self.check_write_guards(locked, claim)
    }

    /// TN_ERR_BORROWED_WRITE while a write guard is open.
    pub(super) fn check_write_guards(&self, locked: &Locked, claim: &'static Claim) -> Checked<()> {
        if self.write.any() { Err(by_guard(locked, claim, TN_ERR_BORROWED_WRITE, self.write)) } else { Ok(()) }
    }

    fn exports_over(&self) -> [Open; 3] {
        [self.export_read, self.export_shared, self.export_exclusive]
    }
}

/// TN_ERR_BORROWED_WRITE while somebody moves the handle.
pub(super) fn check_moves(locked: &Locked, claim: &'static Claim) -> Checked<()> {
    if locked.get(claim).moving { Err(refuse_by_state(locked, claim, TN_ERR_BORROWED_WRITE)) } else { Ok(()) }
}

pub(super) fn by_guard(locked: &Locked, claim: &'static Claim, status: tn_status, open: Open) -> Refusal {
    let mut holder = Holder { count: open.count, ..Holder::of(status, locked.get(claim).name) };
    if let Some(guard) = open.first {
        let body = locked.get(guard);
        holder.name = locked.get(body.owner()).name;
        (holder.origin, holder.export_end) = (body.origin, ExportEnd::of(locked, guard));
    }
    Refusal::By(holder)
}

pub(super) fn by_claims(locked: &Locked, claim: &'static Claim, status: tn_status, count: u32) -> Refusal {
    let mut holder = Holder { count, ..Holder::of(status, locked.get(claim).name) };
    let wants_node = status == TN_ERR_IN_EXPRESSION;
    locked.each_claim(locked.ledger_of(claim), |other| {
        let body = locked.get(other);
        // For a refused copy, any other holder.
        let fits = status == TN_ERR_WOULD_COPY || body.node.is_some() == wants_node;
        if fits && !core::ptr::eq(other, claim) {
            holder.name = body.name;
            holder.origin = body.origin;
            holder.why = body.node.map_or(0, |node| node.waits as u32);
        }
    });
    Refusal::By(holder)
}

/// The refusal of a use of a shared variable's value.
pub(super) fn by_variable(locked: &Locked, claim: &'static Claim, status: tn_status) -> Refusal {
    let variable = locked.variable_beside(claim).map_or(Name::NONE, |variable| locked.get(variable).name);
    Refusal::Managed { status, subject: locked.get(claim).name, variable, cow: false }
}

/// The refusal of a COW write that would copy on a thread that forbids copies.
pub fn would_copy(locked: &Locked, claim: &'static Claim) -> Refusal {
    let facts = Facts::of(locked, claim);
    let refusal = if facts.shared + facts.nodes > 0 {
        by_claims(locked, claim, TN_ERR_WOULD_COPY, facts.shared)
    } else {
        let open = [facts.any_export, facts.read].into_iter().find(|open| open.any());
        by_guard(locked, claim, TN_ERR_WOULD_COPY, open.unwrap_or_default())
    };
    match refusal {
        Refusal::By(holder) => Refusal::By(Holder { why: why(locked, claim), ..holder }),
        other => other,
    }
}

pub(super) fn refuse_by_state(locked: &Locked, claim: &'static Claim, status: tn_status) -> Refusal {
    let body = locked.get(claim);
    Refusal::By(Holder { origin: body.origin, ..Holder::of(status, body.name) })
}

/// Whether a write guard is open on the bytes, and whether a failed writer left them undefined.
#[cold]
pub fn writes_over(locked: &Locked, claim: &'static Claim) -> (bool, bool) {
    let facts = Facts::of(locked, claim);
    (facts.write.any(), facts.poison.is_some())
}

/// The bits of why_not without a target: what prevents overwriting the bytes in place.
#[inline]
pub fn why(locked: &Locked, claim: &'static Claim) -> u32 {
    if is_alone(locked.get(claim), locked.state(locked.ledger_of(claim))) {
        return 0;
    }
    let facts = Facts::of(locked, claim);
    let body = locked.get(claim);
    [
        (TN_WHY_GIVEN, body.given > 0),
        (TN_WHY_SHARED, facts.shared > 0 || facts.managed),
        (TN_WHY_IN_EXPRESSION, facts.nodes > 0),
        (TN_WHY_EXPORTED, facts.any_export.any()),
        (TN_WHY_BORROWED, facts.read.any() || facts.write.any()),
        (TN_WHY_READONLY, facts.readonly),
        (TN_WHY_FOREIGN, facts.foreign),
        (TN_WHY_POISONED, facts.poison.is_some()),
        (TN_WHY_NOT_ALIASABLE, body.readonly && body.layout.self_overlaps()),
    ]
    .into_iter()
    .fold(0, |bits, (bit, on)| if on { bits | bit } else { bits })
}

/// Fast check of the common case: the claim is the only holder of its bytes, which nobody uses and which may be
/// written.
#[inline(always)]
fn is_alone(body: &ClaimBody, state: &LedgerState) -> bool {
    let is_constant = state.managed > 0 && !body.grants && !body.is_of_variable();
    body.given == 0
        && body.counted
        && state.claims == 1
        && state.readers | state.writers | state.exports() | state.records == 0
        && !(body.readonly || state.readonly || state.foreign() || is_constant)
}

/// Fast check of the common case: no other use, readers beside a reader, or shared views beside a shared view. If it is
/// true, the use may begin; otherwise [`check`] decides.
#[inline(always)]
pub fn may_begin(body: &ClaimBody, state: &LedgerState, wanted: Use) -> bool {
    let quiet = || state.records == 0 && may_begin_beside_records(body, state, wanted);
    // Shared views may coexist.
    let shareable = || state.writers | state.exports_exclusive | state.records == 0 && !body.moving;
    match wanted {
        Use::Read { .. } | Use::Write { .. } => quiet(),
        Use::Export { class: Class::ExportRead, .. } => shareable(),
        Use::Export { class: Class::ExportShared, unique: false } => {
            shareable() && state.frozen == 0 && is_writable(body, state)
        }
        _ => false,
    }
}

/// As [`may_begin`] for a guard, without a look at poisoned regions and unfinished device work.
#[inline(always)]
pub fn may_begin_beside_records(body: &ClaimBody, state: &LedgerState, wanted: Use) -> bool {
    let exports = state.exports_read | state.exports_shared | state.exports_exclusive;
    let quiet = state.writers | exports == 0 && !body.moving;
    match wanted {
        Use::Read { .. } => quiet,
        Use::Write { mode, .. } => {
            // Alone in the store, a copy on write happens in place.
            let alone = || state.claims == 1 && body.counted && !state.foreign();
            let fits = match mode {
                Mode::Aliased => true,
                Mode::Unique | Mode::Cow => alone(),
                Mode::Refresh => false,
            };
            fits && quiet && state.readers == 0 && is_writable(body, state)
        }
        Use::Export { .. } => false,
    }
}

/// Whether a write in mode ALIASED is allowed, as far as guards and exports do not prevent it.
#[inline(always)]
fn is_writable(body: &ClaimBody, state: &LedgerState) -> bool {
    state.nodes == 0 && !body.readonly && !state.readonly && (state.managed == 0 || body.grants)
}

/// Checks whether a use may begin now; for COW, whether it may begin in place, see also [`check_copy`].
///
/// Unfinished device work that comes first is added to `points`. If there is any, the use may not begin yet, whatever
/// is returned; the caller continues with [`wait_or_refuse`].
pub fn check(locked: &Locked, claim: &'static Claim, wanted: Use, order: UseTime, points: &mut Points) -> Checked<()> {
    let (body, state) = (locked.get(claim), locked.state(locked.ledger_of(claim)));
    if may_begin(body, state, wanted) {
        return check_host(state, order);
    }
    // Only a writer can use a copy, and a handle with open readers does not move. A COW write is checked again for it.
    let cow = matches!(wanted, Use::Write { mode, .. } if mode != Mode::Cow) && body.readers == 0;
    check_all(locked, claim, wanted, order, points).map_err(|refusal| match refusal {
        Refusal::By(holder) => Refusal::By(Holder { cow: cow && !keeps_from_reading(locked, claim, wanted), ..holder }),
        Refusal::Managed { status, subject, variable, .. } => Refusal::Managed { status, subject, variable, cow },
        other => other,
    })?;
    check_host(state, order)
}

/// Whether an exclusive export keeps a copy on write from reading the bytes that it copies.
#[cold]
fn keeps_from_reading(locked: &Locked, claim: &'static Claim, wanted: Use) -> bool {
    !matches!(wanted, Use::Write { discard: true, .. }) && Facts::of(locked, claim).export_exclusive.any()
}

/// TN_ERR_DRIVER if the host would access managed bytes of a lost device, which no longer provides them (DV-8).
#[inline]
fn check_host(state: &LedgerState, order: UseTime) -> Checked<()> {
    let in_doubt = thread::are_devices_in_doubt() && order.stream.is_none() && state.device.r#type == TN_CUDA_MANAGED;
    if in_doubt { array::check_alive(state.device) } else { Ok(()) }
}

#[inline(never)]
fn check_all(locked: &Locked, claim: &'static Claim, wanted: Use, order: UseTime, points: &mut Points) -> Checked<()> {
    let facts = Facts::of(locked, claim);
    let refuse = |status, open| Err(by_guard(locked, claim, status, open));
    let discards = matches!(wanted, Use::Write { discard: true, .. });
    if !discards {
        facts.check_poison(locked, claim)?;
    }
    let reads = matches!(wanted, Use::Read { .. } | Use::Export { class: Class::ExportRead, .. });
    if facts.readonly && !reads {
        return Err(refuse_by_state(locked, claim, TN_ERR_READONLY));
    }
    facts.check_writers(locked, claim)?;
    // Conflicting readers and exports, per column of the table.
    let alone = matches!(wanted, Use::Write { mode: Mode::Unique | Mode::Cow, .. } | Use::Export { unique: true, .. });
    let readers = match wanted {
        Use::Read { .. } => Open::default(),
        Use::Export { class: Class::ExportRead, .. } => Open::default(),
        Use::Export { class: Class::ExportShared, unique: false } => facts.frozen,
        _ => facts.read,
    };
    if readers.any() {
        return refuse(TN_ERR_BORROWED, readers);
    }
    let [xr, xs, xw] = facts.exports_over();
    let exports: &[Open] = match wanted {
        _ if alone => &[facts.any_export],
        Use::Read { frozen: true } => &[xw, xs],
        Use::Read { frozen: false } | Use::Write { mode: Mode::Refresh, .. } => &[xw],
        Use::Write { .. } => &[xw, xr],
        Use::Export { class: Class::ExportExclusive, .. } => &[xw, xr, xs],
        Use::Export { .. } => &[xw],
    };
    if let Some(open) = exports.iter().find(|open| open.any()) {
        return refuse(TN_ERR_EXPORTED, *open);
    }
    if reads {
        return check_work(locked, claim, false, order, points);
    }
    if facts.managed {
        return Err(by_variable(locked, claim, TN_ERR_SHARED));
    }
    if alone && facts.shared > 0 {
        return Err(by_claims(locked, claim, TN_ERR_SHARED, facts.shared));
    }
    // A unique use conflicts with any node of the store, another use with those that overlap.
    let nodes = if alone { facts.nodes } else { facts.nodes_over };
    if nodes > 0 {
        return Err(by_claims(locked, claim, TN_ERR_IN_EXPRESSION, nodes));
    }
    check_work(locked, claim, true, order, points)?;
    if alone && facts.foreign {
        return Err(refuse_by_state(locked, claim, TN_ERR_FOREIGN));
    }
    Ok(())
}

/// Whether nobody may be writing the bytes now: TN_ERR_BORROWED_WRITE, or TN_ERR_EXPORTED for an exclusive export.
pub fn check_unwritten(locked: &Locked, claim: &'static Claim) -> Checked<()> {
    let facts = Facts::of(locked, claim);
    facts.check_writers(locked, claim)?;
    if facts.export_exclusive.any() {
        return Err(by_guard(locked, claim, TN_ERR_EXPORTED, facts.export_exclusive));
    }
    Ok(())
}

/// Orders a use after the unfinished device work on an array's bytes: the stream of `order` waits for it, or the host
/// does. The caller has a guard on the bytes, so no other work begins meanwhile.
pub fn order_after_work(id: Id, writing: bool, order: UseTime) -> Result<()> {
    let mut points = Points::default();
    loop {
        array::with(id, |locked, claim| {
            let ledger = locked.ledger_of(claim);
            locked.drop_passed_work(ledger);
            check_work(locked, claim, writing, order.waiting(true), &mut points)
        })?;
        if points.is_empty() {
            return Ok(());
        }
        points.wait()?;
    }
}

/// TN_ERR_PENDING, unless the caller waits or uses a stream. The points to wait for are added to `points` in any case, and
/// so is a store that has to come back into memory.
pub(super) fn check_work(
    locked: &Locked,
    claim: &'static Claim,
    writing: bool,
    order: UseTime,
    points: &mut Points,
) -> Checked<()> {
    locked.add_if_away(claim, points);
    if locked.state(locked.ledger_of(claim)).works == 0 {
        return Ok(());
    }
    let mut open = Open::default();
    locked.each_record_over(claim, |record| {
        if let Some(point) = locked.blocking_work(record, writing, order) {
            points.add(point, order.stream);
            open.add(record);
        }
    });
    if open.any() && order.stream.is_none() && !order.wait {
        return Err(by_guard(locked, claim, TN_ERR_PENDING, open));
    }
    Ok(())
}

/// Handles a check that failed or found device work, after unlocking. Ok: the work was waited for, or has passed, and
/// the caller checks again. Err: the refusal, with its message. PENDING is polled first, and counts only if the work is
/// still unfinished. EXPORTED and FOREIGN count only if no import ended meanwhile that only finished device work had
/// kept.
pub fn wait_or_refuse(locked: Locked, outcome: Checked<()>, points: &mut Points) -> Result<()> {
    let ended = locked.finish();
    let Err(refusal) = outcome else { return points.wait() };
    let is_over = match refusal.code() {
        TN_ERR_PENDING => points.have_passed(),
        TN_ERR_EXPORTED | TN_ERR_FOREIGN => ended > 0 || ledger::poll_deferred(usize::MAX) > 0,
        _ => false,
    };
    if !is_over {
        return Err(refusal.into_status());
    }
    points.clear();
    Ok(())
}

/// Whether a COW write may begin on a copy of the bytes; `points` as for [`check`].
pub fn check_copy(
    locked: &Locked,
    claim: &'static Claim,
    discard: bool,
    order: UseTime,
    points: &mut Points,
) -> Checked<()> {
    if !discard {
        Facts::of(locked, claim).check_poison(locked, claim)?;
    }
    check_moves(locked, claim)?;
    let body = locked.get(claim);
    let own = |class: Class| {
        let mut open = Open::default();
        locked.each_guard(locked.ledger_of(claim), |guard| {
            let body = locked.get(guard);
            if body.class == class && core::ptr::eq(body.owner(), claim) {
                open.add(guard);
            }
        });
        open
    };
    if body.writers > 0 {
        return Err(by_guard(locked, claim, TN_ERR_BORROWED_WRITE, own(Class::Write)));
    }
    let reading = Use::Read { frozen: false };
    let readable = if discard { Ok(()) } else { check(locked, claim, reading, order, points) };
    if let Err(refusal) = readable {
        // A writer elsewhere is reported before the handle's own readers; an exclusive export and unfinished work after
        // them.
        if refusal.code() == TN_ERR_BORROWED_WRITE || body.readers == 0 {
            return Err(refusal);
        }
    }
    if body.readers > 0 {
        return Err(by_guard(locked, claim, TN_ERR_BORROWED, own(Class::Read)));
    }
    if body.lent {
        return Err(fail(
            TN_ERR_SHARED,
            format_args!(
                "{} is lent to this callback and has another holder now; end that one, or write with TN_WRITE_ALIASED",
                array::Quoted(&body.name)
            ),
        )
        .into());
    }
    Ok(())
}
