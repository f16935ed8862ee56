//! Handles of the model and their world: the meaning of each id, whether it is live, and what ends with its last
//! holder.
//!
//! Contract: tables only grow, so an index keeps its meaning and a released id stays recognisable (I14). Claims are
//! counted by scanning all handles. [`Model::end_unused`] is the only place where leases, stores and callbacks end (I2,
//! I15).

use super::calls::Crossing;
use super::compute::Meter;
use super::function::Function;
use super::graph::{Form, Node};
use super::region::Region;
use super::rules::Status;
use super::store::{Group, Guard, Holding, Lease, Memory, Origin, Store};
use super::update::Frame;
use super::variable::Variable;
use std::collections::BTreeMap;
use tenure::types::*;

/// A handle argument: an index into the model's tables, or an invalid one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Ref {
    Null,
    Array(usize),
    Weak(usize),
    Promise(usize),
    Guard(usize),
    Scope(usize),
    Expr(usize),
    Shared(usize),
    Function(usize),
    /// A claim that only the library knows.
    Hidden,
    Pool(usize),
    /// Bits that no call ever returned.
    Junk,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Live,
    Given,
    Destructed,
    Released,
}

#[derive(Clone, Debug)]
pub struct Array {
    pub state: State,
    pub store: usize,
    pub region: Region,
    pub readonly: bool,
    pub form: Form,
    pub lease: Option<usize>,
    /// It may write the value that a variable lends to a callback (SV-34).
    pub granted: bool,
    /// The callback's own handle, which TN_WRITE_COW never moves.
    pub lent: bool,
    /// A call of a function uses it as an argument that it writes or takes. Until the end of the call it is GIVEN, and
    /// has no claim.
    pub rests: bool,
    /// The body has a copy of its bytes, so it has its claim in spite of that.
    pub copied: bool,
    /// The test does not know its handle.
    pub hidden: bool,
    /// Of the open give: the giver's variables (r) and outstanding promises (g).
    pub required: u32,
    pub given: u32,
    /// Released while GIVEN: the promises keep the claim.
    pub kept: bool,
}

impl Array {
    pub fn has_claim(&self) -> bool {
        (!self.rests || self.copied) && (matches!(self.state, State::Live | State::Given) || self.kept)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PromiseState {
    Outstanding,
    UsedUp,
    Released,
}

#[derive(Clone, Debug)]
pub struct Promise {
    pub state: PromiseState,
    /// The array that it refers to.
    pub array: usize,
}

#[derive(Clone, Debug)]
pub struct Weak {
    pub released: bool,
    /// The kind of handle that an upgrade makes.
    pub like: Array,
    /// The store's number of last claims when it was made.
    pub epoch: u32,
}

/// The handles that one `enter` made, in the order of its parameters.
#[derive(Clone, Debug)]
pub struct Scope {
    pub entered: bool,
    pub arrays: Vec<usize>,
}

/// The number of the current pool, which NULL means.
pub const CURRENT_POOL: usize = 0;
/// The number of a pool whose handle was released before the trace began.
pub const RELEASED_POOL: usize = 2;
/// The number of a pool that refuses every allocation. Only variables have it.
pub const FULL_POOL: usize = 3;
/// Blocks 0 and 1 are memory for imports, block 2 is for copies to and from the host.
pub const ARENAS: usize = 2;
pub const SCRATCH: usize = 2;
pub const ARENA_BYTES: usize = 512;
pub const SCRATCH_BYTES: usize = 8192;

/// The state of the rules.
#[derive(Clone, Default, Debug)]
pub struct Model {
    pub arrays: Vec<Array>,
    pub weaks: Vec<Weak>,
    pub promises: Vec<Promise>,
    pub guards: Vec<Guard>,
    pub scopes: Vec<Scope>,
    pub nodes: Vec<Node>,
    pub variables: Vec<Variable>,
    pub functions: Vec<Function>,
    /// The callbacks that are running, the innermost last.
    pub frames: Vec<Frame>,
    /// About the last computation, unless it was refused.
    pub meter: Option<Meter>,
    /// Bytes that an expression was allowed to overwrite, and that go on to exist: imported ones, and those lent to a
    /// callback. [start, end).
    pub scrapped: Vec<(i64, i64)>,
    /// The open guards.
    pub open: Vec<usize>,
    /// Includes every array with a claim, so that long released ones need not be scanned.
    pub claiming: Vec<usize>,
    pub groups: Vec<Group>,
    pub stores: Vec<Store>,
    pub leases: Vec<Lease>,
    pub memory: Memory,
    /// Callbacks: passed in, already run in this order, and queued for tn_run_releases.
    pub callbacks: usize,
    pub ran: Vec<usize>,
    pub queue: Vec<usize>,
    /// The call that queued a callback: the order within one call is open.
    pub queued_at: BTreeMap<usize, usize>,
    /// Number of calls that succeeded.
    pub calls: usize,
    /// Callbacks of imports with TN_TAKE_OWNERSHIP and TN_RELEASE_QUEUED.
    pub take_queued: Vec<usize>,
    /// Copies that calls of functions made, also those that failed, until the driver has seen them.
    pub copied: Vec<Crossing>,
    /// Depth of tn_copies_forbid.
    pub forbidden: u32,
    pub strict: bool,
    /// Makes every pattern different.
    pub seed: u32,
}

impl Model {
    /// An empty world with its foreign memory; `strict` is the option of that name.
    pub fn new(strict: bool) -> Model {
        let mut model = Model { strict, ..Model::default() };
        for arena in 0..ARENAS {
            model.memory.add((0..ARENA_BYTES).map(|k| (k * 7 + arena * 31) as u8).collect());
        }
        model.memory.add((0..SCRATCH_BYTES).map(|k| (k * 5) as u8).collect());
        model
    }

    pub fn array(&self, array: Ref) -> Result<usize, Status> {
        self.known(array)?;
        if let Ref::Array(index) = array { Ok(index) } else { Err(TN_ERR_KIND) }
    }

    /// An argument that may be NULL, as the test passes it.
    pub fn passed(&self, array: Ref) -> Ref {
        match array {
            Ref::Array(index) if self.arrays[index].hidden => Ref::Null,
            other => other,
        }
    }

    pub fn weak(&self, weak: Ref) -> Result<usize, Status> {
        self.known(weak)?;
        if let Ref::Weak(index) = weak { Ok(index) } else { Err(TN_ERR_KIND) }
    }

    pub fn promise(&self, promise: Ref) -> Result<usize, Status> {
        self.known(promise)?;
        if let Ref::Promise(index) = promise { Ok(index) } else { Err(TN_ERR_KIND) }
    }

    pub fn guard(&self, guard: Ref) -> Result<usize, Status> {
        self.known(guard)?;
        if let Ref::Guard(index) = guard { Ok(index) } else { Err(TN_ERR_KIND) }
    }

    pub fn scope(&self, scope: Ref) -> Result<usize, Status> {
        self.known(scope)?;
        if let Ref::Scope(index) = scope { Ok(index) } else { Err(TN_ERR_KIND) }
    }

    /// A pool argument; NULL is the current one.
    pub fn pool(&self, pool: Ref) -> Result<usize, Status> {
        if pool == Ref::Null {
            return Ok(CURRENT_POOL);
        }
        self.known(pool)?;
        if let Ref::Pool(index) = pool { Ok(index) } else { Err(TN_ERR_KIND) }
    }

    /// A released id stays STALE, also if another kind is expected (I14; STALE comes before KIND).
    pub fn known(&self, handle: Ref) -> Result<(), Status> {
        let released = match handle {
            Ref::Null => return Err(TN_ERR_NULL),
            // A node that the library added: the test passes NULL in its place.
            Ref::Expr(index) if self.nodes[index].implied => return Err(TN_ERR_NULL),
            // As above: a handle that the test does not know.
            Ref::Array(index) if self.arrays[index].hidden => return Err(TN_ERR_NULL),
            // As above: the guards of a launch have no handle.
            Ref::Guard(index) if self.guards[index].of_launch => return Err(TN_ERR_NULL),
            Ref::Array(index) => self.arrays[index].state == State::Released,
            Ref::Weak(index) => self.weaks[index].released,
            Ref::Promise(index) => self.promises[index].state == PromiseState::Released,
            Ref::Guard(index) => !self.guards[index].open,
            Ref::Expr(index) => !self.nodes[index].handle,
            Ref::Scope(index) => !self.scopes[index].entered,
            Ref::Shared(index) => !self.variables[index].handle,
            Ref::Function(index) => !self.functions[index].handle,
            Ref::Pool(index) => index == RELEASED_POOL,
            Ref::Junk | Ref::Hidden => return Err(TN_ERR_KIND),
        };
        if released { Err(TN_ERR_STALE) } else { Ok(()) }
    }

    /// DESTRUCTED and GIVEN, for a call that wants a LIVE handle.
    pub fn live(&self, array: usize) -> Result<(), Status> {
        match self.arrays[array].state {
            State::Destructed => Err(TN_ERR_DESTRUCTED),
            State::Given => Err(TN_ERR_GIVEN),
            _ => Ok(()),
        }
    }

    /// As above, for a call that also accepts a GIVEN one.
    pub fn not_destructed(&self, array: usize) -> Result<(), Status> {
        match self.live(array) {
            Err(TN_ERR_GIVEN) => Ok(()),
            other => other,
        }
    }

    /// The arrays with a claim on the store, including those whose handle was released while GIVEN. With the claims of
    /// expressions (P) their number is H.
    pub fn claims(&self, store: usize) -> impl Iterator<Item = usize> + '_ {
        self.claiming.iter().copied().filter(move |&k| self.arrays[k].store == store && self.arrays[k].has_claim())
    }

    /// Open guards and exports on the store, with the number of their guard.
    pub fn holdings(&self, store: usize) -> impl Iterator<Item = (usize, &Holding)> {
        self.open_holdings().filter(move |(_, hold)| hold.store == store)
    }

    fn open_holdings(&self) -> impl Iterator<Item = (usize, &Holding)> {
        self.open.iter().flat_map(|&k| self.guards[k].holds.iter().map(move |hold| (k, hold)))
    }

    /// Open guards and exports made through a handle.
    pub fn holds_through(&self, array: usize) -> impl Iterator<Item = &Holding> {
        self.open_holdings().map(|(_, hold)| hold).filter(move |hold| hold.by == array)
    }

    pub fn add_store(&mut self, origin: Origin, start: i64, end: i64) -> usize {
        self.stores.push(Store {
            origin,
            start,
            end,
            poison: vec![],
            writes: 0,
            alive: true,
            claimed: false,
            epoch: 0,
            private: false,
        });
        self.stores.len() - 1
    }

    /// A new store from a pool with the given bytes.
    pub fn allocate(&mut self, pool: usize, bytes: Vec<u8>) -> usize {
        let length = bytes.len() as i64;
        let start = self.memory.add(bytes);
        self.add_store(Origin::Pool(pool), start, start + length)
    }

    pub fn add_array(&mut self, store: usize, region: Region, readonly: bool, lease: Option<usize>) -> usize {
        self.arrays.push(Array {
            state: State::Live,
            store,
            region,
            readonly,
            form: Form::Full,
            lease,
            granted: false,
            lent: false,
            rests: false,
            copied: false,
            hidden: false,
            required: 0,
            given: 0,
            kept: false,
        });
        self.claiming.push(self.arrays.len() - 1);
        self.arrays.len() - 1
    }

    /// Another claim like this one, on the same store.
    pub fn add_clone(&mut self, like: &Array) -> usize {
        let clone = self.add_array(like.store, like.region.clone(), like.readonly, like.lease);
        self.arrays[clone].form = like.form;
        self.arrays[clone].granted = like.granted;
        clone
    }

    pub fn call_back(&mut self, callback: Option<usize>, queued: bool) {
        if let Some(callback) = callback {
            if queued {
                self.queue.push(callback);
                self.queued_at.insert(callback, self.calls);
            } else {
                self.ran.push(callback);
            }
        }
    }

    /// Ends everything without a holder; called after every call that succeeded.
    pub fn end_unused(&mut self) {
        self.calls += 1;
        self.sweep();
    }

    /// As above, in the middle of a call.
    pub fn sweep(&mut self) {
        let arrays = &self.arrays;
        self.claiming.retain(|&k| arrays[k].has_claim() || arrays[k].rests);
        for lease in 0..self.leases.len() {
            if self.leases[lease].open && !self.descends(lease) {
                self.leases[lease].open = false;
                self.call_back(self.leases[lease].callback, self.leases[lease].queued);
            }
        }
        for store in 0..self.stores.len() {
            if self.stores[store].alive {
                self.end_unused_store(store);
            }
        }
    }

    /// A claim, guard or export descends from the import.
    pub fn descends(&self, lease: usize) -> bool {
        self.claiming.iter().map(|&k| &self.arrays[k]).any(|a| a.lease == Some(lease) && (a.has_claim() || a.rests))
            || self.open_holdings().any(|(_, hold)| hold.lease == Some(lease))
            || self.nodes.iter().filter_map(|node| node.value.as_ref()).any(|claim| claim.lease == Some(lease))
            || self.variables.iter().flat_map(Variable::values).any(|value| value.lease == Some(lease))
            || self.functions.iter().flat_map(Function::values).any(|value| value.lease == Some(lease))
    }

    fn end_unused_store(&mut self, store: usize) {
        let claimed = self.claims(store).next().is_some()
            || self.node_claims(store).next().is_some()
            || self.counted_variables(store).next().is_some()
            || self.function_claims(store) > 0
            // What the library lends to a callback.
            || self.is_kept(store);
        let held = self.holdings(store).next().is_some();
        let s = &mut self.stores[store];
        if s.claimed && !claimed {
            s.epoch += 1;
        }
        s.claimed = claimed;
        if !claimed && !held {
            s.alive = false;
            match s.origin {
                Origin::Pool(_) => {
                    let block = Memory::block_of(s.start);
                    self.memory.blocks[block].alive = false;
                }
                Origin::Taken(callback) => {
                    let queued = self.take_queued.contains(&callback);
                    self.call_back(Some(callback), queued);
                }
                Origin::Lent => {}
            }
        } else if s.origin == Origin::Lent {
            let open = || self.leases.iter().filter(|lease| lease.open && lease.store == store);
            s.start = open().map(|lease| lease.start).min().expect("a lent store has an open lease");
            s.end = open().map(|lease| lease.end).max().expect("a lent store has an open lease");
            // Poison belongs to the store: outside of it, poisoned bytes are the lender's own affair again.
            let (start, end) = (s.start, s.end);
            s.poison.retain(|bad| bad.layout.extent().is_some_and(|(low, high)| low < end && start < high));
        }
    }

    /// Live bytes of a pool, and those of them without a claim (I11).
    pub fn pool_bytes(&self, pool: usize) -> (i64, i64) {
        let mut sums = (0, 0);
        for store in self.stores.iter().filter(|store| store.alive && store.origin == Origin::Pool(pool)) {
            sums.0 += store.bytes();
            sums.1 += if store.claimed { 0 } else { store.bytes() };
        }
        sums
    }
}
