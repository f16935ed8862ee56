//! Random programs of borrows on several streams against a model: which work is PENDING for the host, which streams wait, when the bytes of
//! imports are released. The simulator's streams stall until the model resumes them, so each call has one right result.
//!
//! The model shares only the C functions with the library: regions are sets of elements, a stream is a list of marks and waits that run in
//! order, and work is done when its mark has run. TENURE_MODEL_SEED runs one program, TENURE_MODEL_PROGRAMS sets how many run.

mod support {
    pub mod cuda;
    pub mod device_arrays;
    pub mod random;
}

use std::cell::RefCell;
use std::ptr::null_mut;
use std::rc::Rc;
use support::cuda::{Sim, device};
use support::device_arrays::*;
use support::random::Random;
use tenure::ffi::array::*;
use tenure::ffi::borrow::*;
use tenure::ffi::promise::*;
use tenure::ffi::view::*;
use tenure::types::*;
use tenure_harness::test;

fn main() -> std::process::ExitCode {
    tenure_harness::main()
}

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

struct Store {
    memory: Memory,
    device: tn_device,
    overwrite: bool,
    works: Vec<Work>,
    poison: Vec<Set>,
}

struct Handle {
    array: Array,
    store: usize,
    set: Set,
    promise: Option<*mut tn_promise>,
}

#[derive(Clone, Copy)]
struct Hold {
    store: usize,
    set: Set,
    writes: bool,
    discards: bool,
    streamed: bool,
}

struct Open {
    guard: Guard,
    all: bool,
    holds: Vec<Hold>,
}

struct World {
    sim: Sim,
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

impl World {
    fn new(sim: Sim, log: Rc<RefCell<Vec<String>>>) -> World {
        let queues = [0, 0, 0, 1].map(|gpu| {
            let handle = stream(gpu);
            Queue { handle, native: native(handle), gpu, held: false, items: Vec::new(), done: 0 }
        });
        let devices = [(gpu(0), true), (MANAGED, false), (PINNED, true), (HOST, true)];
        let stores = devices.map(|(device, overwrite)| Store {
            memory: Memory::new(N as usize),
            device,
            overwrite,
            works: Vec::new(),
            poison: Vec::new(),
        });
        let handles = stores.iter().enumerate().map(|(store, of)| Handle {
            array: of.memory.lend(of.device, of.overwrite, false),
            store,
            set: (1 << N) - 1,
            promise: None,
        });
        let handles = handles.collect();
        World { sim, queues: queues.into(), stores: stores.into(), handles, open: Vec::new(), log }
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
        let (store, set) = (handle.store, handle.set);
        if let Some(q) = ask.queue {
            for work in self.before(store, set, ask.writes) {
                if work.queue != q {
                    self.queues[q].items.push(Item::Wait(work.queue, work.place));
                }
            }
        }
        let discards = ask.mode & TN_WRITE_DISCARD != 0;
        Hold { store, set, writes: ask.writes, discards, streamed: ask.queue.is_some() }
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
        let none = tn_chunk { guard: null_mut(), data: null_mut(), start: 0, length: 0, reserved: [0; 4] };
        let mut chunks = [none; 3];
        let mode = if ask.wait { TN_WAIT } else { 0 };
        // SAFETY: as many places as chunks.
        let status =
            unsafe { tn_array_chunks_write(handle.array, 0, n, mode, self.stream(ask.queue), chunks.as_mut_ptr()) };
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
    }

    fn wait(&mut self, random: &mut Random) {
        let at = random.below(self.handles.len());
        let writes = random.chance(50);
        let handle = &self.handles[at];
        if handle.promise.is_some() || !self.before(handle.store, handle.set, writes).is_empty() {
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
                assert_eq!(store.memory.released(), u32::from(left.is_empty()), "memory {kind}, unfinished: {left:x?}");
            }
            self.queues[q].held = false;
            self.sim.release(self.queues[q].native);
        }
        self.run();
        run_releases();
        assert!(self.stores.iter().all(|store| store.memory.released() == 1));
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

fn program(sim: Sim, seed: u64) {
    let mut random = Random::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let log = Rc::new(RefCell::new(Vec::new()));
    let _told = Told(seed, log.clone());
    let mut world = World::new(sim, log);
    for _ in 0..STEPS {
        world.run();
        match random.below(20) {
            0..=5 => world.borrow(&mut random),
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

/// BR-60 to BR-67, BA-8, TR-10 to TR-12, ST-8, in random order.
#[test]
fn random_borrows_on_streams_agree_with_the_model() {
    let gpu = device();
    let sim = gpu.simulated();
    gpu.require_two();
    const RANDOM: u64 = 0;
    const MANUAL: u64 = 3;
    sim.set("pace", MANUAL);
    match number("TENURE_MODEL_SEED") {
        Some(seed) => program(sim, seed),
        None => (1..=number("TENURE_MODEL_PROGRAMS").unwrap_or(300)).for_each(|seed| program(sim, seed)),
    }
    sim.set("pace", RANDOM);
}
