//! When queued work runs. Every stream is a queue; which of the heads that may run does so next is drawn from the seed.
//!
//! Contract: the order within a stream, events and the legacy stream's rules hold; nothing else does. Ranks of streams change now and
//! then, so one stream may starve while another races ahead. Steps are taken by callers that pass through the driver (so one thread
//! gives the same run for the same seed), by whoever waits, and after idle time by a thread of the device. Host functions and kernels
//! run on threads of their own, outside the lock.

use crate::config::{self, Pace};
use crate::fault;
use crate::graph::Node;
use crate::ipc::Slot;
use crate::status::*;
use crate::stream::Op;
use crate::types::Handle;
use crate::world::{self, WAKE, World};
use parking_lot::Condvar;
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A place in a stream: reached when the stream has completed that many pieces of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    pub stream: Handle,
    pub seq: u64,
}

/// What a piece of work waits for.
#[derive(Clone, Copy)]
pub enum Dependency {
    Point(Point),
    /// A record of an event that several processes share: its slot and number.
    Shared(usize, u64),
}

impl From<Point> for Dependency {
    fn from(point: Point) -> Dependency {
        Dependency::Point(point)
    }
}

pub type Inside = Arc<dyn Fn(&mut World, Handle) -> Answer + Send + Sync>;
pub type Outside = Arc<dyn Fn(u32) -> Answer + Send + Sync>;

/// What one piece of work does.
#[derive(Clone)]
pub enum Work {
    /// Only its place in the order matters.
    Nothing,
    /// Under the lock, in the context of the stream.
    Inside(Inside),
    /// Outside the lock, on a thread of its own; it is told the context's status.
    Outside(Outside),
    Graph(Arc<Vec<Node>>),
}

pub struct Job {
    stream: Handle,
    context: Handle,
    seq: u64,
    work: Vec<(&'static str, Work)>,
}

/// After so long without new work the device's own thread sleeps until it is woken.
const LONG_QUIET: Duration = Duration::from_millis(200);

/// Wakes the device's own thread when there is something to do at all.
static MOVER: Condvar = Condvar::new();
static JOBS: Condvar = Condvar::new();

#[derive(Default)]
pub struct Jobs {
    waiting: VecDeque<Job>,
    idle_threads: usize,
    /// The device's own thread waits to be woken; else it looks again soon, and waking it would only cost time.
    mover_sleeps: bool,
}

impl Jobs {
    /// The same threads with nothing to do.
    pub fn keep_threads(&self) -> Jobs {
        Jobs { waiting: VecDeque::new(), idle_threads: self.idle_threads, mover_sleeps: self.mover_sleeps }
    }
}

thread_local! {
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// This thread runs a host function or a kernel: the driver must not be called from there.
pub fn in_callback() -> bool {
    IN_CALLBACK.try_with(Cell::get).unwrap_or(false)
}

/// Runs a function of the program's, which must not call the driver.
pub fn as_callback<R>(run: impl FnOnce() -> R) -> R {
    let before = IN_CALLBACK.replace(true);
    let result = run();
    IN_CALLBACK.set(before);
    result
}

impl World {
    /// Whether the work up to `point` is done. Streams that are gone are done.
    pub fn reached(&self, point: Point) -> bool {
        self.streams.get(&point.stream).is_none_or(|stream| stream.completed >= point.seq)
    }

    pub fn met(&self, dependency: &Dependency) -> bool {
        match *dependency {
            Dependency::Point(point) => self.reached(point),
            Dependency::Shared(slot, record) => Slot::at(slot).has_passed(record),
        }
    }

    /// A caller passes: perhaps some work runs.
    pub fn progress(&mut self, poll: bool) {
        if self.busy.is_empty() {
            return;
        }
        self.last_call = Instant::now();
        let chance = match self.config.pace {
            Pace::Manual => return,
            Pace::Eager => {
                while self.step() {}
                return;
            }
            Pace::Lazy => u32::from(poll) * 64,
            Pace::Random if poll => self.pace.max(64),
            Pace::Random => self.pace.max(2),
        };
        if self.random.chance(chance) {
            for _ in 0..1 + self.random.below(3) {
                self.step();
            }
        }
    }

    /// Runs or starts one piece of work; false when none may run now.
    pub fn step(&mut self) -> bool {
        if self.busy.len() > 1 && self.random.chance(48) {
            let nth = self.random.below(self.busy.len());
            let rank = self.random.next();
            if let Some(stream) = self.busy.iter().nth(nth).copied().and_then(|stream| self.streams.get_mut(&stream)) {
                stream.rank = rank;
            }
        }
        let ready = self.busy.iter().copied().filter(|stream| self.is_ready(*stream));
        let Some(chosen) = ready.max_by_key(|stream| self.streams.get(stream).map(|stream| stream.rank)) else {
            return false;
        };
        self.run_head(chosen);
        true
    }

    /// Whether the first piece of work of a stream may run.
    fn is_ready(&self, stream: Handle) -> bool {
        let Some(stream) = self.streams.get(&stream) else { return false };
        let Some(head) = stream.queue.front() else { return false };
        let lost = self.contexts.get(&stream.context).is_none_or(|context| context.lost.is_some());
        let slow = stream.slow > Duration::ZERO && Instant::now() < stream.free_at;
        !stream.running && (lost || !stream.held && !slow && head.after.iter().all(|dependency| self.met(dependency)))
    }

    fn run_head(&mut self, handle: Handle) {
        let Some(stream) = self.streams.get_mut(&handle) else { return };
        let context = stream.context;
        let Some(Op { seq, work, label, .. }) = stream.queue.pop_front() else { return };
        if stream.queue.is_empty() {
            self.busy.remove(&handle);
        }
        if config::traces() {
            eprintln!("cuda-sim:     {label}, number {seq} of stream {handle:#x}");
        }
        let sound = self.sound(context).is_ok();
        let struck = if sound { fault::strike_work(self) } else { Ok(()) };
        let parts = match work {
            Work::Graph(nodes) => crate::graph::ordered(&nodes, &mut self.random),
            single => vec![(label, single)],
        };
        if struck.is_ok() && parts.iter().any(|(_, part)| matches!(part, Work::Outside(_))) {
            self.hand_over(Job { stream: handle, context, seq, work: parts });
            return;
        }
        let (mut answer, mut at) = (struck, label);
        for (label, part) in parts {
            if answer.is_ok()
                && sound
                && let Work::Inside(run) = part
            {
                (answer, at) = (run(self, context), label);
            }
        }
        self.finish(handle, context, seq, at, answer);
    }

    /// Work ended: whoever waits for it may go on, an error loses the context.
    fn finish(&mut self, handle: Handle, context: Handle, seq: u64, label: &'static str, answer: Answer) {
        self.notes.executed += 1;
        if let Some(stream) = self.streams.get_mut(&handle) {
            stream.completed = stream.completed.max(seq);
            stream.running = false;
            if stream.slow > Duration::ZERO {
                stream.free_at = Instant::now() + stream.slow;
            }
            if stream.destroyed && stream.is_idle() {
                self.streams.remove(&handle);
            }
        }
        if let Err(code) = answer {
            self.notes.last_failure = label;
            self.lose(context, code);
        }
        WAKE.notify_all();
    }

    /// How long whoever waits sleeps when nothing can run: other threads wake it, time passes by itself.
    pub fn pause(&self) -> Duration {
        let slow = self.streams.values().any(|stream| stream.slow > Duration::ZERO);
        Duration::from_micros(if slow { 200 } else { 5000 })
    }

    /// What is not done on each stream, and why.
    pub fn stuck(&self) -> String {
        let mut text = String::new();
        for (handle, stream) in self.streams.iter().filter(|(_, stream)| !stream.is_idle()) {
            let why = match stream.queue.front() {
                _ if stream.running => "a host function or kernel runs",
                _ if stream.held => "a test holds it",
                Some(head) if !head.after.iter().all(|before| self.met(before)) => "it waits for another stream",
                _ => "it could go on",
            };
            let next = stream.queue.front().map_or("nothing", |head| head.label);
            let queued = stream.queue.len();
            text += &format!("stream {handle:#x} has {queued} queued, next is {next}, {why}; ");
        }
        if text.is_empty() { "no stream has work".to_owned() } else { text }
    }

    fn hand_over(&mut self, job: Job) {
        if let Some(stream) = self.streams.get_mut(&job.stream) {
            stream.running = true;
        }
        self.jobs.waiting.push_back(job);
        if self.jobs.waiting.len() > self.jobs.idle_threads {
            spawn(serve);
        }
        JOBS.notify_one();
    }

    /// There is something in a queue.
    pub fn woken(&mut self, stream: Handle) {
        if self.busy.is_empty() {
            self.last_call = Instant::now();
            if std::mem::replace(&mut self.jobs.mover_sleeps, false) {
                MOVER.notify_one();
            }
        }
        self.busy.insert(stream);
    }
}

/// The thread that works while nobody calls asks anew how long it waits.
pub fn stir() {
    MOVER.notify_one();
}

/// Starts the thread that works while nobody calls.
pub fn start() {
    spawn(move_on);
}

/// A thread that no signal of the program's reaches and that ends with the process.
fn spawn(body: fn()) {
    // SAFETY: plain data; the masks are filled before they are read.
    unsafe {
        let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        // Without a thread the work still runs, whenever somebody waits or polls.
        std::thread::Builder::new().name("cuda-sim".to_owned()).spawn(body).ok();
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
    }
}

fn move_on() {
    let mut world = world::lock();
    while !world::ended() {
        let idle = world.config.idle;
        let quiet = world.last_call.elapsed();
        if world.busy.is_empty() {
            if quiet < LONG_QUIET {
                MOVER.wait_for(&mut world, idle.max(Duration::from_millis(1)));
            } else {
                world.jobs.mover_sleeps = true;
                MOVER.wait(&mut world);
            }
            continue;
        }
        if world.config.pace == Pace::Manual {
            MOVER.wait_for(&mut world, Duration::from_millis(50));
        } else if quiet < idle {
            MOVER.wait_for(&mut world, idle.saturating_sub(quiet).max(Duration::from_micros(100)));
        } else if !world.step() {
            let pause = world.pause();
            WAKE.wait_for(&mut world, pause);
        } else {
            parking_lot::MutexGuard::unlocked(&mut world, std::thread::yield_now);
        }
    }
}

fn serve() {
    IN_CALLBACK.set(true);
    let mut world = world::lock();
    while !world::ended() {
        let Some(job) = world.jobs.waiting.pop_front() else {
            world.jobs.idle_threads += 1;
            JOBS.wait(&mut world);
            world.jobs.idle_threads -= 1;
            continue;
        };
        let (mut answer, mut at) = (Ok(()), "");
        for (label, part) in job.work {
            let status = world.sound(job.context).err().unwrap_or(SUCCESS);
            let code = match part {
                Work::Inside(run) if answer.is_ok() && status == SUCCESS => run(&mut world, job.context),
                Work::Outside(run) => parking_lot::MutexGuard::unlocked(&mut world, || run(status)),
                _ => Ok(()),
            };
            if answer.is_ok() {
                (answer, at) = (code, label);
            }
        }
        world.finish(job.stream, job.context, job.seq, at, answer);
    }
}
