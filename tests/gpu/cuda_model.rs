//! Random programs of borrows and launches on several streams against a model: which work is PENDING for the host,
//! which streams wait, when the bytes of imports are released. The simulator's streams stall until the model resumes
//! them, so each call has one right result.
//!
//! The kernel of a launch notes its number. After each step the kernels that have run are those that the model's
//! streams have reached, so none overtakes what its stream has to wait for.
//!
//! Copies on write get their memory from small pools, whose free blocks often have unfinished work of former owners.
//! The address of a copy tells which block it is, so the model knows what the copy's stream has to wait for.
//!
//! The model shares only the C functions with the library: regions are sets of elements, a stream is a list of marks
//! and waits that run in order, and work is done when its mark has run. TENURE_MODEL_SEED runs one program,
//! TENURE_MODEL_PROGRAMS sets how many run.

use crate::driver_call;
use crate::support;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{c_char, c_int, c_uint, c_void};
use std::ptr::{null, null_mut};
use std::rc::Rc;
use std::sync::Mutex;
use support::cuda::{Sim, device, symbol, with_context};
use support::device_arrays::*;
use support::random::Random;
use tenure::ffi::array::*;
use tenure::ffi::borrow::*;
use tenure::ffi::launch::*;
use tenure::ffi::pool::*;
use tenure::ffi::promise::*;
use tenure::ffi::view::*;
use tenure::types::*;
use tenure_harness::test;

const N: i64 = 24;
const STEPS: usize = 120;

/// Elements of a vector of N.
type Set = u32;

#[derive(Clone, Copy)]
enum Item {
    Mark,
    /// Waits for the mark at a position of another queue.
    Wait(usize, usize),
}

struct Queue {
    handle: Stream,
    native: u64,
    gpu: i32,
    held: bool,
    items: Vec<Item>,
    done: usize,
}

#[derive(Clone, Copy, Debug)]
struct Work {
    set: Set,
    writes: bool,
    queue: usize,
    place: usize,
}

/// The bytes of a store.
enum Bytes {
    /// Memory that the test lends.
    Lent(Memory),
    /// A block of a pool, by its address.
    Block(usize),
}

struct Store {
    bytes: Bytes,
    device: tn_device,
    overwrite: bool,
    works: Vec<Work>,
    poison: Vec<Set>,
    /// The last handle and the last guard have ended.
    ended: bool,
}

struct Handle {
    array: Array,
    store: usize,
    set: Set,
    promise: Option<*mut tn_promise>,
}

#[derive(Clone, Copy)]
struct Hold {
    /// The array whose handle opened the guard.
    owner: Array,
    store: usize,
    set: Set,
    writes: bool,
    discards: bool,
    streamed: bool,
    /// The only stream that may end the guard, of a copy on write that discards: until then the pool alone knows which
    /// of the block's former work has passed.
    ends_on: Option<usize>,
}

struct Open {
    guard: Guard,
    all: bool,
    holds: Vec<Hold>,
}

/// A pool with a few blocks for arrays. Blocks that are never freed fill the rest, also between those few, which
/// therefore do not merge.
struct SmallPool {
    pool: *mut tn_pool,
    device: tn_device,
    filling: u64,
}

/// Number of arrays that a pool has memory for.
const BLOCKS: usize = 3;

impl SmallPool {
    fn new(device: tn_device) -> SmallPool {
        const RANGE_BYTES: usize = 2 << 20;
        const BLOCK_BYTES: usize = 512;
        let options =
            // SAFETY: zero is valid for every field.
            tn_pool_options { size: size_of::<tn_pool_options>(), max_size: RANGE_BYTES as _, ..unsafe { std::mem::zeroed() } };
        let mut pool = null_mut();
        // SAFETY: the pointers are ours.
        assert_eq!(unsafe { tn_pool_create(device, &options, &mut pool) }, TN_OK);
        let take = |bytes: usize| {
            let mut block: *mut c_void = null_mut();
            // SAFETY: the pointer is ours.
            let status = unsafe { tn_pool_allocate(pool, bytes, 0, null_mut(), &mut block) };
            (status == TN_OK).then_some(block)
        };
        let few: Vec<_> = (0..2 * BLOCKS).map(|_| take(BLOCK_BYTES).unwrap()).collect();
        let mut bytes = RANGE_BYTES / 2;
        while bytes >= BLOCK_BYTES {
            if take(bytes).is_none() {
                bytes /= 2;
            }
        }
        for block in few.into_iter().step_by(2) {
            assert_eq!(tn_pool_deallocate(pool, block, null_mut()), TN_OK);
        }
        assert_eq!(tn_pool_set_current(pool), TN_OK);
        let mut of = SmallPool { pool, device, filling: 0 };
        of.filling = of.live_blocks();
        of
    }

    fn live_blocks(&self) -> u64 {
        // SAFETY: zero is valid for every field; the pointer is ours.
        let mut stats = tn_pool_stats { size: size_of::<tn_pool_stats>(), ..unsafe { std::mem::zeroed() } };
        // SAFETY: as above.
        assert_eq!(unsafe { tn_pool_query(self.pool, &mut stats) }, TN_OK);
        stats.live_blocks
    }
}

/// The numbers of the launches whose kernels have run, in order.
static RAN: Mutex<Vec<u64>> = Mutex::new(Vec::new());

/// The kernel: it gets two views and the number of its launch.
unsafe extern "C" fn note(_: *const c_void, args: *const *const c_void) -> c_uint {
    // SAFETY: as many arguments as were registered; the third one is the number.
    RAN.lock().unwrap().push(unsafe { *(*args.add(2)).cast::<u64>() });
    0
}

/// The kernel on each GPU, as a CUfunction.
fn kernels() -> [*mut c_void; 2] {
    type Kernel = unsafe extern "C" fn(*const c_void, *const *const c_void) -> c_uint;
    type Register = unsafe extern "C" fn(*const c_char, Kernel, *const usize, usize, c_int) -> c_uint;
    const VIEW_BYTES: usize = 24;
    let sizes = [VIEW_BYTES, VIEW_BYTES, size_of::<u64>()];
    // SAFETY: the types in its header; the kernel lives as long as the process.
    let code = unsafe {
        let register: Register = symbol("tenure_sim_register_kernel").expect("the simulator");
        register(c"note".as_ptr(), note, sizes.as_ptr(), sizes.len(), 0)
    };
    assert_eq!(code, 0);
    [0, 1].map(|gpu| {
        let (mut module, mut function) = (null_mut(), null_mut());
        let (image, name) = (c".version 8.0".as_ptr(), c"note".as_ptr());
        with_context(gpu, || {
            assert_eq!(driver_call!(cuModuleLoadData(&mut module => *mut *mut c_void, image => *const c_char)), 0);
            assert_eq!(driver_call!(cuModuleGetFunction(&mut function => *mut *mut c_void, module => *mut c_void, name => *const c_char)), 0);
        });
        function
    })
}

struct World<'a> {
    sim: Sim,
    kernels: [*mut c_void; 2],
    /// Of each launch: its queue and the place of its mark.
    launches: Vec<(usize, usize)>,
    pools: &'a [SmallPool],
    /// Unfinished work of former owners, by the address of the block.
    former: HashMap<usize, Vec<Work>>,
    queues: Vec<Queue>,
    stores: Vec<Store>,
    handles: Vec<Handle>,
    open: Vec<Open>,
    log: Rc<RefCell<Vec<String>>>,
}

/// The request of a borrow.
#[derive(Clone, Copy)]
struct Ask {
    handle: usize,
    writes: bool,
    mode: u32,
    wait: bool,
    queue: Option<usize>,
}

/// The status that is returned if several apply.
fn first(statuses: impl IntoIterator<Item = tn_status>) -> tn_status {
    const ORDER: [tn_status; 9] = [
        TN_ERR_GIVEN,
        TN_ERR_DEVICE,
        TN_ERR_POISONED,
        TN_ERR_BORROWED_WRITE,
        TN_ERR_BORROWED,
        TN_ERR_SHARED,
        TN_ERR_PENDING,
        TN_ERR_FOREIGN,
        TN_ERR_ALIASED,
    ];
    let rank = |status: &tn_status| ORDER.iter().position(|known| known == status).expect("a status of the model");
    statuses.into_iter().filter(|status| *status != TN_OK).min_by_key(rank).unwrap_or(TN_OK)
}

impl World<'_> {
    fn new(sim: Sim, kernels: [*mut c_void; 2], pools: &[SmallPool], log: Rc<RefCell<Vec<String>>>) -> World<'_> {
        RAN.lock().unwrap().clear();
        let queues = [0, 0, 0, 1].map(|gpu| {
            let handle = stream(gpu);
            Queue { handle, native: native(handle), gpu, held: false, items: Vec::new(), done: 0 }
        });
        let mut world = World {
            sim,
            kernels,
            launches: Vec::new(),
            pools,
            former: HashMap::new(),
            queues: queues.into(),
            stores: Vec::new(),
            handles: Vec::new(),
            open: Vec::new(),
            log,
        };
        for (device, overwrite) in [(gpu(0), true), (MANAGED, false), (PINNED, true), (HOST, true)] {
            let memory = Memory::new(N as usize);
            let array = memory.lend(device, overwrite, false);
            world.add(array, Bytes::Lent(memory), device, overwrite);
        }
        for pool in pools {
            let (mut array, mut data, mut guard) = (null_mut(), null(), null_mut());
            let stream = world.queues[0].handle;
            // SAFETY: the pointers are ours.
            unsafe {
                assert_eq!(tn_array_empty(pool.pool, TN_F32, 1, [N].as_ptr(), null(), &mut array), TN_OK);
                assert_eq!(tn_array_borrow_read(array, 0, stream, &mut data, null_mut(), &mut guard), TN_OK);
            }
            end(guard, null_mut());
            world.add(array, Bytes::Block(data.addr()), pool.device, true);
        }
        world
    }

    fn add(&mut self, array: Array, bytes: Bytes, device: tn_device, overwrite: bool) {
        self.handles.push(Handle { array, store: self.stores.len(), set: (1 << N) - 1, promise: None });
        self.stores.push(Store { bytes, device, overwrite, works: Vec::new(), poison: Vec::new(), ended: false });
    }

    /// Ends the stores that have neither handles nor guards: the pool gets the block with its unfinished work.
    fn end_stores(&mut self) {
        for at in 0..self.stores.len() {
            let held = self.open.iter().flat_map(|open| &open.holds).any(|hold| hold.store == at);
            if self.stores[at].ended || held || self.handles.iter().any(|handle| handle.store == at) {
                continue;
            }
            self.stores[at].ended = true;
            if let Bytes::Block(address) = self.stores[at].bytes {
                self.former.insert(address, self.stores[at].works.clone());
            }
        }
    }

    /// Runs what can run, in the model and in the simulator.
    fn run(&mut self) {
        loop {
            let before: usize = self.queues.iter().map(|queue| queue.done).sum();
            for q in 0..self.queues.len() {
                while !self.queues[q].held && self.queues[q].done < self.queues[q].items.len() {
                    if let Item::Wait(other, place) = self.queues[q].items[self.queues[q].done]
                        && self.queues[other].done <= place
                    {
                        break;
                    }
                    self.queues[q].done += 1;
                }
            }
            if before == self.queues.iter().map(|queue| queue.done).sum() {
                break;
            }
        }
        while self.sim.step(1000) > 0 {}
        let mut ran = RAN.lock().unwrap().clone();
        ran.sort_unstable();
        let reached = |&number: &u64| {
            let (q, place) = self.launches[number as usize];
            self.queues[q].done > place
        };
        assert_eq!(ran, (0..self.launches.len() as u64).filter(reached).collect::<Vec<_>>(), "kernels that have run");
    }

    fn is_done(&self, work: &Work) -> bool {
        self.queues[work.queue].done > work.place
    }

    /// Pending work that a reader or writer must follow.
    fn before(&self, store: usize, set: Set, writes: bool) -> Vec<Work> {
        let works = self.stores[store].works.iter();
        works.filter(|work| work.set & set != 0 && (writes || work.writes) && !self.is_done(work)).copied().collect()
    }

    /// Whether a stream orders anything on memory of that device; TN_ERR_DEVICE otherwise.
    fn on(&self, device: tn_device, queue: Option<usize>) -> tn_status {
        match (device.r#type, queue) {
            (_, None) => TN_OK,
            (TN_CPU, Some(_)) => TN_ERR_DEVICE,
            (TN_CUDA, Some(q)) if self.queues[q].gpu != device.id => TN_ERR_DEVICE,
            _ => TN_OK,
        }
    }

    /// The result of a borrow. `beside`: other entries of the call.
    fn verdict(&self, ask: &Ask) -> tn_status {
        let handle = &self.handles[ask.handle];
        let (set, store) = (handle.set, &self.stores[handle.store]);
        let discards = ask.mode & TN_WRITE_DISCARD != 0;
        let alone = ask.mode & TN_WRITE_UNIQUE != 0;
        let open = || self.open.iter().flat_map(|open| &open.holds).filter(|hold| hold.store == handle.store);
        let over = |writes: bool| open().any(|hold| hold.writes == writes && hold.set & set != 0);
        let others = self.handles.iter().filter(|other| other.store == handle.store).count() - 1;
        let pending = ask.queue.is_none() && !self.before(handle.store, set, ask.writes).is_empty();
        let on = |applies: bool, status: tn_status| if applies { status } else { TN_OK };
        first([
            on(handle.promise.is_some(), TN_ERR_GIVEN),
            self.on(store.device, ask.queue),
            on(!discards && store.poison.iter().any(|bad| bad & set != 0), TN_ERR_POISONED),
            on(over(true), TN_ERR_BORROWED_WRITE),
            on(ask.writes && over(false), TN_ERR_BORROWED),
            on(alone && others > 0, TN_ERR_SHARED),
            on(pending && !ask.wait, TN_ERR_PENDING),
            on(alone && !store.overwrite, TN_ERR_FOREIGN),
        ])
    }

    /// Whether it would wait for a stalled stream: then the call is not made.
    fn would_hang(&self, ask: &Ask) -> bool {
        let handle = &self.handles[ask.handle];
        let pending = ask.queue.is_none() && !self.before(handle.store, handle.set, ask.writes).is_empty();
        ask.wait && pending && self.verdict(ask) == TN_OK
    }

    fn hold(&mut self, ask: &Ask) -> Hold {
        let handle = &self.handles[ask.handle];
        let (owner, store, set) = (handle.array, handle.store, handle.set);
        if let Some(q) = ask.queue {
            for work in self.before(store, set, ask.writes) {
                if work.queue != q {
                    self.queues[q].items.push(Item::Wait(work.queue, work.place));
                }
            }
        }
        let discards = ask.mode & TN_WRITE_DISCARD != 0;
        Hold { owner, store, set, writes: ask.writes, discards, streamed: ask.queue.is_some(), ends_on: None }
    }

    fn stream(&self, queue: Option<usize>) -> Stream {
        queue.map_or(null_mut(), |q| self.queues[q].handle)
    }

    fn ask(&self, random: &mut Random) -> Ask {
        let writes = random.chance(50);
        let modes = [0, 0, 0, TN_WRITE_UNIQUE, TN_WRITE_DISCARD, TN_WRITE_DISCARD | TN_WRITE_UNIQUE];
        Ask {
            handle: random.below(self.handles.len()),
            writes,
            mode: if writes { modes[random.below(modes.len())] } else { 0 },
            wait: random.chance(30),
            queue: random.chance(60).then(|| random.below(self.queues.len())),
        }
    }

    fn borrow(&mut self, random: &mut Random) {
        let ask = self.ask(random);
        if self.would_hang(&ask) {
            return;
        }
        let expected = self.verdict(&ask);
        self.log.borrow_mut().push(format!(
            "borrow {} {:#x} writes {} wait {} on {:?}: {expected}",
            ask.handle, ask.mode, ask.writes, ask.wait, ask.queue
        ));
        let (array, flags) = (self.handles[ask.handle].array, if ask.wait { TN_WAIT } else { 0 });
        let stream = self.stream(ask.queue);
        let got = if ask.writes { write(array, ask.mode | flags, stream) } else { read(array, flags, stream) };
        assert_eq!(got.map_or_else(|status| status, |_| TN_OK), expected);
        if let Ok(guard) = got {
            let hold = self.hold(&ask);
            self.open.push(Open { guard, all: false, holds: vec![hold] });
        }
    }

    /// A mark behind everything in a queue.
    fn mark(&mut self, q: usize) -> usize {
        self.queues[q].items.push(Item::Mark);
        self.queues[q].items.len() - 1
    }

    /// A write that moves the handle to a copy if anything is in the way.
    fn copy_on_write(&mut self, random: &mut Random) {
        let discards = if random.chance(50) { TN_WRITE_DISCARD } else { 0 };
        let ask = Ask { writes: true, mode: discards, ..self.ask(random) };
        let handle = &self.handles[ask.handle];
        let (array, store, set) = (handle.array, handle.store, handle.set);
        let (device, lent) = (self.stores[store].device, matches!(self.stores[store].bytes, Bytes::Lent(_)));
        // Lent memory is the test's own, which no device can copy.
        if set == 0 || device.r#type == TN_CPU || lent && discards == 0 {
            return;
        }
        let in_place = Ask { mode: TN_WRITE_UNIQUE | discards, ..ask };
        let copies = !matches!(self.verdict(&Ask { wait: true, ..in_place }), TN_OK | TN_ERR_GIVEN | TN_ERR_DEVICE);
        // The memory of a copy that the host makes, and the bytes that it reads, have no unfinished work.
        let by_host =
            discards == 0 && device.r#type != TN_CUDA && (ask.queue.is_none() || device.r#type != TN_CUDA_MANAGED);
        let queue = ask.queue.filter(|_| !by_host);
        let expected = if copies { self.verdict_of_copy(&ask, by_host) } else { self.verdict(&in_place) };
        if expected == TN_OK && copies {
            let pool = self.pools.iter().find(|pool| pool.device == device).expect("a pool for each device");
            let blocks = || self.stores.iter().filter(|store| store.device == device && !store.ended);
            let used = blocks().filter(|store| matches!(store.bytes, Bytes::Block(_))).count();
            let former = self.former_blocks(pool);
            let free = BLOCKS - used;
            let pending = former.iter().filter(|works| !works.is_empty()).count();
            // Without a stream the current one would copy, and the call would wait for it.
            if free == 0 || queue.is_none() && (device.r#type == TN_CUDA || pending == free) {
                return;
            }
        }
        let reads_pending = by_host && ask.wait && !self.before(store, set, false).is_empty();
        if copies && expected == TN_OK && reads_pending || !copies && self.would_hang(&in_place) {
            return;
        }
        self.log.borrow_mut().push(format!(
            "copy on write {} discards {} wait {} on {:?} copies {copies}: {expected}",
            ask.handle,
            discards != 0,
            ask.wait,
            ask.queue
        ));
        let (mut data, mut guard) = (null_mut(), null_mut());
        let mode = TN_WRITE_COW | discards | if ask.wait { TN_WAIT } else { 0 };
        // SAFETY: the pointers are ours.
        let got =
            unsafe { tn_array_borrow_write(array, mode, self.stream(ask.queue), &mut data, null_mut(), &mut guard) };
        assert_eq!(got, expected);
        if expected != TN_OK {
            return;
        }
        if !copies {
            let hold = self.hold(&in_place);
            self.open.push(Open { guard, all: false, holds: vec![hold] });
            return;
        }
        let (address, whole) = (data.addr(), (1 << set.count_ones()) - 1);
        let mut works = Vec::new();
        if let Some(q) = queue {
            let read = if discards == 0 { self.before(store, set, false) } else { Vec::new() };
            let former = self.former.remove(&address).unwrap_or_default();
            let former: Vec<Work> = former.into_iter().filter(|work| !self.is_done(work)).collect();
            for work in read.iter().chain(&former).filter(|work| work.queue != q) {
                self.queues[q].items.push(Item::Wait(work.queue, work.place));
            }
            if discards == 0 || !former.is_empty() {
                let place = self.mark(q);
                works.push(Work { set: whole, writes: true, queue: q, place });
                if discards == 0 {
                    self.stores[store].works.push(Work { set, writes: false, queue: q, place });
                }
            }
        } else {
            assert!(self.former.remove(&address).unwrap_or_default().iter().all(|work| self.is_done(work)));
        }
        let to = self.stores.len();
        self.log.borrow_mut().push(format!("  store {to} at {address:#x}: {works:x?}"));
        let bytes = Bytes::Block(address);
        self.stores.push(Store { bytes, device, overwrite: true, works, poison: Vec::new(), ended: false });
        let handle = &mut self.handles[ask.handle];
        (handle.store, handle.set) = (to, whole);
        let streamed = ask.queue.is_some();
        let ends_on = queue.filter(|_| discards != 0);
        let hold =
            Hold { owner: array, store: to, set: whole, writes: true, discards: discards != 0, streamed, ends_on };
        self.open.push(Open { guard, all: false, holds: vec![hold] });
        self.end_stores();
    }

    /// Unfinished work of the free blocks of a pool that had owners.
    fn former_blocks(&self, pool: &SmallPool) -> Vec<Vec<Work>> {
        let of_pool = |address: &usize| {
            self.stores
                .iter()
                .any(|store| store.device == pool.device && matches!(store.bytes, Bytes::Block(at) if at == *address))
        };
        let blocks = self.former.iter().filter(|(address, _)| of_pool(address));
        blocks.map(|(_, works)| works.iter().filter(|work| !self.is_done(work)).copied().collect()).collect()
    }

    /// The result of a copy on write that copies.
    fn verdict_of_copy(&self, ask: &Ask, by_host: bool) -> tn_status {
        let handle = &self.handles[ask.handle];
        let discards = ask.mode & TN_WRITE_DISCARD != 0;
        let open = || self.open.iter().flat_map(|open| &open.holds).filter(|hold| hold.store == handle.store);
        let own = |writes: bool| open().any(|hold| hold.owner == handle.array && hold.writes == writes);
        let written = open().any(|hold| hold.writes && hold.set & handle.set != 0);
        let poisoned = self.stores[handle.store].poison.iter().any(|bad| bad & handle.set != 0);
        let pending = by_host && !ask.wait && !self.before(handle.store, handle.set, false).is_empty();
        let on = |applies: bool, status: tn_status| if applies { status } else { TN_OK };
        first([
            on(!discards && poisoned, TN_ERR_POISONED),
            on(own(true) || !discards && written, TN_ERR_BORROWED_WRITE),
            on(own(false), TN_ERR_BORROWED),
            on(pending, TN_ERR_PENDING),
        ])
    }

    fn borrow_all(&mut self, random: &mut Random) {
        let asks = [self.ask(random), self.ask(random)];
        if asks.iter().any(|ask| self.would_hang(ask)) {
            return;
        }
        let [a, b] = &asks;
        let (left, right) = (&self.handles[a.handle], &self.handles[b.handle]);
        let clash = (a.writes || b.writes) && left.store == right.store && left.set & right.set != 0;
        let single = first(asks.iter().map(|ask| self.verdict(ask)));
        let expected = first([single, if clash { TN_ERR_ALIASED } else { TN_OK }]);
        self.log.borrow_mut().push(format!(
            "borrow_all {} and {} writes {} {} on {:?} {:?}: {expected}",
            a.handle, b.handle, a.writes, b.writes, a.queue, b.queue
        ));
        let specs = asks.map(|ask| {
            let access = if ask.writes { TN_READ_WRITE | ask.mode } else { TN_READ };
            let access = if ask.wait { access | TN_WAIT } else { access };
            tn_borrow_spec {
                array: self.handles[ask.handle].array,
                stream: self.stream(ask.queue),
                access,
                reserved: [0; 9],
            }
        });
        let mut guard = null_mut();
        // SAFETY: two specs; the pointer is ours.
        assert_eq!(unsafe { tn_borrow_all(2, specs.as_ptr(), null_mut(), &mut guard) }, expected);
        if expected == TN_OK {
            let holds = asks.iter().map(|ask| self.hold(ask)).collect();
            self.open.push(Open { guard, all: true, holds });
        }
    }

    /// An argument of a launch on a queue: mostly memory that its kernels reach.
    fn argument(&self, q: usize, random: &mut Random) -> Ask {
        let mut ask = Ask { queue: Some(q), ..self.ask(random) };
        for _ in 0..5 {
            let device = self.stores[self.handles[ask.handle].store].device;
            if self.on(device, ask.queue) == TN_OK && !self.is_out_of_reach(&ask) {
                break;
            }
            ask.handle = random.below(self.handles.len());
        }
        ask
    }

    /// Page-locked memory that is not mapped, unless the array has no elements and so no address.
    fn is_out_of_reach(&self, ask: &Ask) -> bool {
        let handle = &self.handles[ask.handle];
        self.stores[handle.store].device.r#type == TN_CUDA_HOST && handle.set != 0
    }

    /// KN-10, KN-11, KN-12: a launch with two arrays. Its guards have ended on return, behind the kernel.
    fn launch(&mut self, random: &mut Random) {
        let q = random.below(self.queues.len());
        let mut asks = [self.argument(q, random), self.argument(q, random)];
        if random.chance(20) {
            asks[1].handle = asks[0].handle;
        }
        let allows = [random.chance(40), random.chance(40)];
        let (left, right) = (&self.handles[asks[0].handle], &self.handles[asks[1].handle]);
        let meets = left.store == right.store && left.set & right.set != 0;
        let is_aliased = |ask: &Ask| ask.writes && ask.mode & TN_WRITE_UNIQUE == 0;
        let intends = |k: usize| {
            let (ask, other) = (&asks[k], &asks[1 - k]);
            allows[k] && is_aliased(other) && (!ask.writes || is_aliased(ask))
        };
        let clash = (asks[0].writes || asks[1].writes) && meets && !intends(0) && !intends(1);
        let reach = if asks.iter().any(|ask| self.is_out_of_reach(ask)) { TN_ERR_DEVICE } else { TN_OK };
        let single = first(asks.iter().map(|ask| self.verdict(ask)));
        let expected = first([single, reach, if clash { TN_ERR_ALIASED } else { TN_OK }]);
        let number = self.launches.len() as u64;
        self.log.borrow_mut().push(format!(
            "launch {number} of {:?} modes {:#x?} writes {:?} alias {allows:?} on {q}: {expected}",
            asks.map(|ask| ask.handle),
            asks.map(|ask| ask.mode),
            asks.map(|ask| ask.writes)
        ));
        let arg = |k: usize| {
            let ask = &asks[k];
            let access = if ask.writes { TN_READ_WRITE | ask.mode } else { TN_READ };
            let access = access | if allows[k] { TN_ALLOW_ALIAS } else { 0 } | if ask.wait { TN_WAIT } else { 0 };
            let what = self.handles[ask.handle].array.cast::<c_void>().cast_const();
            tn_arg { kind: TN_ARG_ARRAY, access, ndim: 1, reserved: 0, what, bytes: 0 }
        };
        let what = (&raw const number).cast();
        let value = tn_arg { kind: TN_ARG_VALUE, access: 0, ndim: 0, reserved: 0, what, bytes: size_of::<u64>() };
        let args = [arg(0), arg(1), value];
        let config = tn_launch_config {
            size: size_of::<tn_launch_config>(),
            function: self.kernels[self.queues[q].gpu as usize],
            grid: [1; 3],
            block: [1; 3],
            block_bytes: 0,
            stream: self.stream(Some(q)),
            host_function: None,
            flags: 0,
            cluster: [0; 3],
        };
        // SAFETY: as many arguments as the kernel has parameters, which are read during the call.
        assert_eq!(unsafe { tn_launch(&config, args.len(), args.as_ptr()) }, expected);
        if expected != TN_OK {
            return;
        }
        let holds = asks.map(|ask| self.hold(&ask));
        let place = self.mark(q);
        self.launches.push((q, place));
        for hold in holds {
            let store = &mut self.stores[hold.store];
            if hold.writes && hold.discards {
                store.poison.retain(|bad| bad & !hold.set != 0);
            }
            if hold.set != 0 {
                store.works.push(Work { set: hold.set, writes: hold.writes, queue: q, place });
            }
        }
    }

    fn chunks(&mut self, random: &mut Random) {
        let ask = Ask { writes: true, mode: 0, ..self.ask(random) };
        if self.would_hang(&ask) {
            return;
        }
        let handle = &self.handles[ask.handle];
        let members: Vec<u32> = (0..N as u32).filter(|i| handle.set & (1 << i) != 0).collect();
        let n = 1 + random.below(3);
        let expected = self.verdict(&ask);
        self.log.borrow_mut().push(format!("chunks of {} in {n} on {:?}: {expected}", ask.handle, ask.queue));
        let none = tn_part { guard: null_mut(), data: null_mut(), start: 0, length: 0, reserved: [0; 4] };
        let mut chunks = [none; 3];
        let mode = if ask.wait { TN_WAIT } else { 0 };
        // SAFETY: as many places as chunks.
        let status =
            unsafe { tn_array_split_write(handle.array, 0, n, mode, self.stream(ask.queue), chunks.as_mut_ptr()) };
        assert_eq!(status, expected);
        if expected != TN_OK {
            return;
        }
        let whole = self.hold(&ask);
        for chunk in &chunks[..n] {
            let part = &members[chunk.start as usize..(chunk.start + chunk.length) as usize];
            let set = part.iter().fold(0, |set, i| set | 1 << i);
            self.open.push(Open { guard: chunk.guard, all: false, holds: vec![Hold { set, ..whole }] });
        }
    }

    fn end(&mut self, random: &mut Random) {
        if self.open.is_empty() {
            return;
        }
        let at = random.below(self.open.len());
        let queue = random.chance(70).then(|| random.below(self.queues.len()));
        let failed = random.chance(10);
        let open = &self.open[at];
        let queue = open.holds[0].ends_on.or(queue);
        // The stream of a borrow_all is for the entries that were taken with one.
        let meant = open.holds.iter().filter(|hold| !open.all || hold.streamed);
        let expected = first(meant.map(|hold| self.on(self.stores[hold.store].device, queue)));
        self.log.borrow_mut().push(format!("end {at} failed {failed} on {queue:?}: {expected}"));
        let flags = if failed { TN_END_FAILED } else { 0 };
        assert_eq!(tn_borrow_end(open.guard, flags, self.stream(queue)), expected);
        if expected != TN_OK {
            return;
        }
        let open = self.open.swap_remove(at);
        for hold in &open.holds {
            let store = &mut self.stores[hold.store];
            if hold.writes && failed {
                store.poison.push(hold.set);
            } else if hold.writes && hold.discards {
                store.poison.retain(|bad| bad & !hold.set != 0);
            }
            if let Some(q) = queue.filter(|_| hold.set != 0 && (!open.all || hold.streamed)) {
                let place = self.queues[q].items.len();
                self.queues[q].items.push(Item::Mark);
                let work = Work { set: hold.set, writes: hold.writes, queue: q, place };
                self.log.borrow_mut().push(format!("  store {}: {work:x?}", hold.store));
                self.stores[hold.store].works.push(work);
            }
        }
        self.end_stores();
    }

    fn view(&mut self, random: &mut Random) {
        if self.handles.len() >= 14 {
            return;
        }
        let at = random.below(self.handles.len());
        let handle = &self.handles[at];
        if handle.promise.is_some() {
            return;
        }
        let members: Vec<u32> = (0..N as u32).filter(|i| handle.set & (1 << i) != 0).collect();
        let (start, step) = (random.below(members.len() + 1), 1 + random.below(3));
        let stop = start + random.below(members.len() + 1 - start);
        let spec = tn_slice_spec { start: start as i64, stop: stop as i64, step: step as i64, reserved: [0; 4] };
        let mut array = null_mut();
        // SAFETY: one axis, one spec; the pointer is ours.
        assert_eq!(unsafe { tn_array_slice(handle.array, 1, &spec, &mut array) }, TN_OK);
        let set = members[start..stop].iter().step_by(step).fold(0, |set, i| set | 1 << i);
        self.log.borrow_mut().push(format!("view {at} -> {} {set:#x}", self.handles.len()));
        let store = handle.store;
        self.handles.push(Handle { array, store, set, promise: None });
    }

    fn give_or_take(&mut self, random: &mut Random) {
        let at = random.below(self.handles.len());
        let handle = &mut self.handles[at];
        let mut out = null_mut();
        match handle.promise.take() {
            Some(promise) => {
                self.log.borrow_mut().push(format!("take {at}"));
                // SAFETY: one promise; the pointer is ours.
                assert_eq!(unsafe { tn_take(1, &promise, &mut out) }, TN_OK);
                assert_eq!(tn_promise_release(promise), TN_OK);
                release(handle.array);
                handle.array = out;
            }
            None => {
                let mut promise = null_mut();
                // SAFETY: the pointer is ours.
                let status = unsafe { tn_array_give(handle.array, 1, &mut promise) };
                self.log.borrow_mut().push(format!("give {at}: {status}"));
                if status == TN_OK {
                    handle.promise = Some(promise);
                } else {
                    assert!([TN_ERR_BORROWED, TN_ERR_BORROWED_WRITE].contains(&status));
                }
            }
        }
    }

    fn release(&mut self, random: &mut Random) {
        let at = random.below(self.handles.len());
        let store = self.handles[at].store;
        // One handle of each store stays, so that there is something to do.
        let others = self.handles.iter().filter(|other| other.store == store).count() - 1;
        if self.handles[at].promise.is_some() || others == 0 {
            return;
        }
        self.log.borrow_mut().push(format!("release {at}"));
        release(self.handles.swap_remove(at).array);
        self.end_stores();
    }

    fn wait(&mut self, random: &mut Random) {
        let at = random.below(self.handles.len());
        let writes = random.chance(50);
        let handle = &self.handles[at];
        let mut holds = self.open.iter().flat_map(|open| &open.holds);
        let unknown = holds.any(|hold| hold.store == handle.store && hold.ends_on.is_some());
        if handle.promise.is_some() || unknown || !self.before(handle.store, handle.set, writes).is_empty() {
            return;
        }
        assert_eq!(tn_array_wait(handle.array, if writes { TN_READ_WRITE } else { TN_READ }), TN_OK);
    }

    fn stall_or_go(&mut self, random: &mut Random) {
        let q = random.below(self.queues.len());
        let queue = &mut self.queues[q];
        queue.held = !queue.held;
        self.log.borrow_mut().push(format!("queue {q} {}", if queue.held { "stalls" } else { "goes on" }));
        if queue.held {
            self.sim.hold(queue.native);
        } else {
            self.sim.release(queue.native);
        }
    }

    /// Releases everything. The bytes of each store are released once its work is done, and not before.
    fn finish(mut self, random: &mut Random) {
        for handle in std::mem::take(&mut self.handles) {
            release(handle.array);
            if let Some(promise) = handle.promise {
                assert_eq!(tn_promise_release(promise), TN_OK);
            }
        }
        self.run();
        while !self.open.is_empty() {
            self.end(random);
        }
        for q in 0..self.queues.len() {
            self.run();
            run_releases();
            for store in &self.stores {
                let left: Vec<&Work> = store.works.iter().filter(|work| !self.is_done(work)).collect();
                let kind = store.device.r#type;
                let Bytes::Lent(memory) = &store.bytes else { continue };
                assert_eq!(memory.released(), u32::from(left.is_empty()), "memory {kind}, unfinished: {left:x?}");
            }
            self.queues[q].held = false;
            self.sim.release(self.queues[q].native);
        }
        self.run();
        run_releases();
        for store in &self.stores {
            assert!(!matches!(&store.bytes, Bytes::Lent(memory) if memory.released() != 1));
        }
        for pool in self.pools {
            assert_eq!(pool.live_blocks(), pool.filling, "blocks of {} stay", pool.device.r#type);
        }
        for queue in &self.queues {
            assert_eq!(tenure::ffi::stream::tn_stream_release(queue.handle), TN_OK);
        }
    }
}

/// The program's calls, printed if it fails.
struct Told(u64, Rc<RefCell<Vec<String>>>);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("TENURE_MODEL_SEED={}\n{}", self.0, self.1.borrow().join("\n"));
        }
    }
}

fn program(sim: Sim, kernels: [*mut c_void; 2], pools: &[SmallPool], seed: u64) {
    let mut random = Random::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let log = Rc::new(RefCell::new(Vec::new()));
    let _told = Told(seed, log.clone());
    let mut world = World::new(sim, kernels, pools, log);
    for _ in 0..STEPS {
        world.run();
        match random.below(26) {
            0..=5 => world.borrow(&mut random),
            20..=22 => world.copy_on_write(&mut random),
            23..=25 => world.launch(&mut random),
            6 => world.borrow_all(&mut random),
            7 => world.chunks(&mut random),
            8..=12 => world.end(&mut random),
            13 | 14 => world.view(&mut random),
            15 => world.release(&mut random),
            16 => world.give_or_take(&mut random),
            17 => world.wait(&mut random),
            _ => world.stall_or_go(&mut random),
        }
    }
    world.finish(&mut random);
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// BR-8, BR-11, BR-60 to BR-67, BA-8, TR-10 to TR-12, ST-8, KN-10 to KN-12, in random order.
#[test]
fn random_borrows_on_streams_agree_with_the_model() {
    let found = device();
    let sim = found.simulated();
    found.require_two();
    const RANDOM: u64 = 0;
    const MANUAL: u64 = 3;
    let pools = [gpu(0), MANAGED, PINNED].map(SmallPool::new);
    let kernels = kernels();
    sim.set("pace", MANUAL);
    match number("TENURE_MODEL_SEED") {
        Some(seed) => program(sim, kernels, &pools, seed),
        None => {
            (1..=number("TENURE_MODEL_PROGRAMS").unwrap_or(300)).for_each(|seed| program(sim, kernels, &pools, seed))
        }
    }
    sim.set("pace", RANDOM);
}
