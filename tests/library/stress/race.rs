//! Two real threads that meet for each round of a race.

mod cow;
mod mix;

use crate::support::capi::{Done, Guard, Handle, Made, name, new_pool, numbers, pool_release, stats};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tenure::types::tn_status;

/// Rounds of each race. A round takes a microsecond or two, and in most of them the calls overlap.
pub const ROUNDS: usize = 2000;

/// Serialises races: their threads should run, not wait for those of another race.
static ALONE: Mutex<()> = Mutex::new(());

/// A pool of the test's own, in which nothing may be left at the end.
pub struct Pool(pub Handle);

impl Pool {
    pub fn new() -> Pool {
        Pool(new_pool())
    }
    pub fn numbers(&self) -> Handle {
        numbers(self.0, &[4])
    }
    #[track_caller]
    pub fn is_empty(&self) {
        let stats = stats(self.0);
        assert_eq!((stats.requested_bytes, stats.live_blocks, stats.held_bytes), (0, 0, 0));
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.is_empty();
        }
        pool_release(self.0).unwrap();
    }
}

/// Held by a test that runs queued releases and counts them, because the process has one queue.
pub static QUEUE: Mutex<()> = Mutex::new(());

/// Waits for a number, with few spins while the partner is about to arrive. Ends the process if it never does, because
/// the partner cannot be joined.
fn wait_for(number: &AtomicUsize, value: usize) {
    let start = Instant::now();
    let mut turns = 0u32;
    while number.load(Ordering::Acquire) < value {
        turns += 1;
        if turns.is_multiple_of(200) {
            std::thread::yield_now();
        } else {
            std::hint::spin_loop();
        }
        if turns.is_multiple_of(1 << 16) && start.elapsed() > Duration::from_secs(600) {
            eprintln!("the other thread hangs in its call");
            std::process::abort();
        }
    }
}

fn dawdle(turns: usize) {
    for _ in 0..turns {
        std::hint::spin_loop();
    }
}

/// Ends the partner also if a check fails.
struct Over<'a>(&'a AtomicBool, &'a AtomicUsize);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.store(usize::MAX, Ordering::Release);
    }
}

/// In each round `setup` makes the subject; `first` and `second` use it at the same time on two threads, one of them
/// delayed by a different time in each round; and `check` checks the results.
pub fn race<T: Copy + Send, A, B: Send>(
    rounds: usize,
    setup: impl Fn(usize) -> T,
    first: impl Fn(T) -> A,
    second: impl Fn(T) -> B + Sync,
    mut check: impl FnMut(T, A, B),
) {
    let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let (go, ready) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let over = AtomicBool::new(false);
    let subject: Mutex<Option<T>> = Mutex::new(None);
    let outcome: Mutex<Option<B>> = Mutex::new(None);
    std::thread::scope(|scope| {
        let _over = Over(&over, &go);
        scope.spawn(|| {
            for round in 1..=rounds {
                wait_for(&go, 2 * round - 1);
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let subject = subject.lock().unwrap().unwrap();
                ready.store(2 * round - 1, Ordering::Release);
                wait_for(&go, 2 * round);
                dawdle(if round % 3 == 1 { round * 7 % 300 } else { 0 });
                let made = second(subject);
                *outcome.lock().unwrap() = Some(made);
                ready.store(2 * round, Ordering::Release);
            }
        });
        for round in 1..=rounds {
            let made = setup(round);
            *subject.lock().unwrap() = Some(made);
            go.store(2 * round - 1, Ordering::Release);
            wait_for(&ready, 2 * round - 1);
            go.store(2 * round, Ordering::Release);
            dawdle(if round % 3 == 2 { round * 11 % 300 } else { 0 });
            let x = first(made);
            wait_for(&ready, 2 * round);
            let y = outcome.lock().unwrap().take().unwrap();
            check(made, x, y);
        }
    });
}

/// Exactly one of two succeeded; the other returned that status.
#[track_caller]
pub fn one_each<A: PartialEq, B: PartialEq>(x: &Result<A, tn_status>, y: &Result<B, tn_status>, status: tn_status) {
    let right = match (x, y) {
        (Ok(_), Err(code)) | (Err(code), Ok(_)) => *code == status,
        _ => false,
    };
    assert!(right, "{:?} and {:?}", x.as_ref().err().map(|s| name(*s)), y.as_ref().err().map(|s| name(*s)));
}

/// Releases all of them.
#[track_caller]
pub fn each(handles: impl IntoIterator<Item = Handle>, give_back: fn(Handle) -> Done) {
    handles.into_iter().for_each(|handle| give_back(handle).unwrap());
}

/// The contents of `Pool::numbers`.
pub const INTACT: [i64; 4] = [0, 1, 2, 3];

/// The guard alone.
pub fn guard(made: Result<Guard, tn_status>) -> Made {
    made.map(|guard| guard.id)
}
