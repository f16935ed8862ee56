//! Out of memory: each allocation of each path fails in turn. The call returns a status and changes nothing: arrays,
//! bytes, holders, pools, slots, copy book; no callback runs. Then the call succeeds. Calls that release something need
//! no memory.

mod support {
    pub mod capi;
    pub mod oom_inject;
    pub mod oom_scenarios;
}

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use support::capi::*;
use support::oom_inject::{Kind, ROOTS, Scarce, TABLES, arm, disarm, tables, with_nothing};
use support::oom_scenarios::{Path, World, do_not_fail, paths};
use tenure::thread::ColdLock;
use tenure::types::*;

#[global_allocator]
static HEAP: Scarce = Scarce;

/// Counts are per process.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs a test alone, on a thread of its own. When it returns, the thread has ended and its caches are returned.
fn alone<R: Send>(test: impl FnOnce() -> R + Send) -> R {
    let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let ended = std::thread::scope(|scope| scope.spawn(test).join());
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// More steps than any path has.
const MOST_STEPS: usize = 120;

/// Runs a path with a failure at each of its steps. Returns how many of them failed.
fn fail_each_step(path: &Path, kind: Kind) -> usize {
    let mut failed = 0;
    for step in 0..MOST_STEPS {
        let mut tables = tables();
        let world = World::new();
        let fill = if matches!(kind, Kind::Maps { .. }) { world.fill_pool(false) } else { Vec::new() };
        let before = world.snapshot(&tables).of(path);
        if let Kind::Slots(table) = kind {
            tables[table].fill();
            tables[table].give(step);
        }
        arm(kind, step as u64);
        let outcome = (path.run)(&world);
        let fired = disarm(kind);
        if let Kind::Slots(table) = kind {
            let taken = tables[table].taken();
            if outcome.is_err() {
                tables[table].fill();
                // A root that the first view made serves the next one.
                let kept = step - (tables[table].taken() - taken);
                assert!(kept == 0 || table == ROOTS, "{}, {kind:?} {step}: {kept} slots were not released", path.name);
            }
            let taken = tables[table].taken();
            tables[table].give(taken);
        }
        match outcome {
            Ok(()) => {
                world.empty_pool(fill);
                world.end(&tables);
                if !fired {
                    return failed;
                }
            }
            Err(status) => {
                let what = || format!("{}, {kind:?} {step}: {}", path.name, text());
                assert_eq!(name(status), "TN_ERR_NO_HOST_MEMORY", "{}", what());
                assert!(fired, "{}: nothing had failed", what());
                assert_eq!(world.snapshot(&tables).of(path).changes(&before), "", "{}", what());
                failed += 1;
                // The failure was for lack of memory only.
                if let Err(status) = (path.run)(&world) {
                    panic!("{}, {kind:?} {step}, again: {} {}", path.name, name(status), text());
                }
                world.empty_pool(fill);
                world.end(&tables);
            }
        }
    }
    panic!("{}, {kind:?}: still failing after {MOST_STEPS} steps", path.name);
}

fn every_step_fails(kinds: &[Kind]) -> usize {
    alone(|| {
        let mut all = 0;
        for path in paths() {
            let kinds = kinds.iter().filter(|kind| !(path.maps && matches!(kind, Kind::Slots(_))));
            let failed: usize = kinds.map(|kind| fail_each_step(&path, *kind)).sum();
            println!("{:5} {}", failed, path.name);
            all += failed;
        }
        assert_eq!(leak_count(), 0, "{:?}", leaks());
        all
    })
}

/// TH-21: the locks of parking_lot would allocate here, and end the process.
#[test]
fn a_thread_waits_for_a_lock_without_memory() {
    static LOCK: ColdLock<u32> = ColdLock::new(0);
    alone(|| {
        let waits = AtomicBool::new(false);
        let held = LOCK.lock();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                drop(LOCK_OF_NOBODY.lock()); // the thread has its record now
                let tried = with_nothing(|| {
                    waits.store(true, Ordering::Release);
                    *LOCK.lock() += 1;
                });
                assert_eq!(tried, 0);
            });
            while !waits.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
            // Long enough for the other thread to stop spinning; it passes also if that takes longer.
            std::thread::sleep(std::time::Duration::from_millis(20));
            drop(held);
        });
        assert_eq!(*LOCK.lock(), 1);
    });
}

static LOCK_OF_NOBODY: ColdLock<u32> = ColdLock::new(0);

/// OO-12, BR-32, XI-17, TH-21, I7
#[test]
fn every_step_of_the_heap_fails_once_and_changes_nothing() {
    let failed = every_step_fails(&[Kind::Heap { once: true }, Kind::Heap { once: false }]);
    assert!(failed > 50, "{failed}");
}

/// BR-12, BA-6, PO-44
#[test]
fn every_mapping_fails_once_and_changes_nothing() {
    let failed = every_step_fails(&[Kind::Maps { once: true }, Kind::Maps { once: false }]);
    assert!(failed > 30, "{failed}");
}

/// OO-12: the tables of handles and of the objects behind them.
#[test]
fn every_slot_that_is_missing_once_changes_nothing() {
    let kinds: Vec<Kind> = (0..TABLES).map(Kind::Slots).collect();
    let failed = every_step_fails(&kinds);
    assert!(failed > 100, "{failed}");
}

/// BR-12, BA-6, AR-9: a pool at its limit.
#[test]
fn every_path_in_a_full_pool_changes_nothing() {
    alone(|| {
        let mut refused = Vec::new();
        for path in paths() {
            let tables = tables();
            let world = World::new();
            let fill = world.fill_pool(true);
            let before = world.snapshot(&tables).of(&path);
            match (path.run)(&world) {
                Ok(()) => world.empty_pool(fill),
                Err(status) => {
                    assert_eq!(name(status), "TN_ERR_POOL_LIMIT", "{}: {}", path.name, text());
                    assert_eq!(world.snapshot(&tables).of(&path).changes(&before), "", "{}", path.name);
                    world.empty_pool(fill);
                    (path.run)(&world).unwrap_or_else(|status| panic!("{}, again: {}", path.name, name(status)));
                    refused.push(path.name);
                }
            }
            world.end(&tables);
        }
        println!("{refused:?}");
        for path in ["zeros", "copy", "write, COW", "borrow_all of six", "import, copied", "export_host, copied"] {
            assert!(refused.contains(&path), "{path} needs no bytes of the pool?");
        }
    })
}

/// The address index has a growing list of foreign ranges.
#[test]
fn an_import_into_a_full_address_index_changes_nothing() {
    alone(|| {
        let world = World::new();
        let tables = tables();
        let bytes = [0i64; 600];
        let (mut made, mut failed) = (Vec::new(), 0);
        for index in 0..300 {
            // Every second one, so that no two are adjacent.
            let at = bytes[2 * index..].as_ptr().cast_mut();
            let before = world.snapshot(&tables);
            let kind = Kind::Heap { once: false };
            arm(kind, 0);
            // SAFETY: the bytes outlive the arrays, and nothing writes them.
            let outcome = unsafe { import(at, &[1], TN_BORROW, None, std::ptr::null_mut()) };
            assert_eq!(disarm(kind), outcome.is_err());
            made.push(outcome.unwrap_or_else(|status| {
                assert_eq!((name(status), &*world.snapshot(&tables).changes(&before)), ("TN_ERR_NO_HOST_MEMORY", ""));
                failed += 1;
                // SAFETY: as above.
                unsafe { import(at, &[1], TN_BORROW, None, std::ptr::null_mut()) }.unwrap()
            }));
        }
        assert!(failed > 0, "300 ranges needed no list");
        made.into_iter().for_each(|array| release(array).unwrap());
        world.end(&tables);
    })
}

/// Calls that release something, and queries, work without any memory.
#[test]
fn ends_and_questions_need_no_memory() {
    alone(|| {
        let world = World::new();
        let mut tables = tables();
        let open = world.open_everything();
        // So does a failing call with its message.
        let texts = [c"near.c", c"far.c"];
        texts.iter().for_each(|text| here(text, 1));
        for table in &mut tables {
            table.fill();
        }
        let asked = with_nothing(|| {
            for text in texts {
                here(text, 1);
            }
            world.ask_everything();
            assert_eq!(write(world.twin, TN_WRITE_UNIQUE).unwrap_err(), TN_ERR_NO_HOST_MEMORY, "no slot for a guard");
            world.end_everything(open);
        });
        here(c"", 0);
        assert!(asked > 0, "the guard above has no slot");
        for table in &mut tables {
            let taken = table.taken();
            table.give(taken);
        }
        world.end(&tables);
        assert_eq!(leak_count(), 0);
    })
}

/// More than the library has spare records for.
const THREADS: usize = 100;

/// Runs a call as the first one of many threads, whose records cannot be mapped. What is refused succeeds afterwards.
/// Returns the threads that were refused.
fn first_calls(call: impl Fn(usize) -> Done + Sync) -> Vec<usize> {
    // The library has spare records for a few threads. All threads end together, so none reuses the record of another.
    let barrier = std::sync::Barrier::new(THREADS);
    let refused = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for n in 0..THREADS {
            let (call, barrier, refused) = (&call, &barrier, &refused);
            scope.spawn(move || {
                let mut refused_so_far = refused.lock().unwrap();
                tenure::sys::os::fail_calls(0, u64::MAX);
                // Space that earlier threads left in the arena's chunk would serve its record too.
                while tenure::arena::take(8, 8).is_some() {}
                let done = call(n);
                tenure::sys::os::fail_calls(0, 0);
                if let Err(status) = done {
                    refused_so_far.push((n, name(status), call(n)));
                }
                drop(refused_so_far);
                barrier.wait();
            });
        }
    });
    let refused = refused.into_inner().unwrap();
    assert!(!refused.is_empty(), "the spare records cannot serve {THREADS} threads");
    let expected = |(n, status, again)| {
        assert_eq!((status, again), ("TN_ERR_NO_HOST_MEMORY", Ok(())), "thread {n}");
        n
    };
    refused.into_iter().map(expected).collect()
}

/// OO-12: the first calls of threads whose records cannot be mapped. A release that is refused leaves the handle live.
/// One test, because threads that have ended leave their records to later ones of the process.
#[test]
fn threads_without_memory_get_a_status_and_release_nothing() {
    let make: [fn(Handle) -> Handle; 4] = [
        |a| clone(a).unwrap(),
        |a| shared_create(a, TN_BORROW).unwrap(),
        |a| mirror_create(a, 0).unwrap(),
        // SAFETY: the body uses no context.
        |_| unsafe { function_create((Some(do_not_fail), None), std::ptr::null_mut(), &[], &[], &[]) }.unwrap(),
    ];
    let releases: [fn(Handle) -> Done; 4] = [release, shared_release, mirror_release, function_release];
    alone(|| {
        let (world, tables) = (World::new(), tables());
        let made: Vec<Handle> = (0..THREADS / 5 * 4).map(|n| make[n % 4](world.b)).collect();
        let cloned = Mutex::new(Vec::new());
        // Of five threads, four release what was made, and one makes a clone.
        let refused = first_calls(|n| match n % 5 {
            4 => clone(world.a).map(|it| cloned.lock().unwrap().push(it)),
            kind => releases[kind](made[n / 5 * 4 + kind]),
        });
        assert!((0..5).all(|kind| refused.iter().any(|n| n % 5 == kind)), "{refused:?}");
        cloned.into_inner().unwrap().into_iter().for_each(|it| release(it).unwrap());
        world.end(&tables);
    })
}
