//! The report while other threads work: always complete, never of a store that has ended, and without side effects.

mod support {
    pub mod capi;
}

use std::sync::atomic::{AtomicBool, Ordering};
use support::capi::*;
use tenure::types::*;

/// Braces and brackets match outside of strings, and strings end.
fn is_balanced(json: &str) -> bool {
    let (mut open, mut quoted, mut escaped) = (Vec::new(), false, false);
    for c in json.chars() {
        match (quoted, c) {
            (true, _) if escaped => escaped = false,
            (true, '\\') => escaped = true,
            (_, '"') => quoted = !quoted,
            (false, '{' | '[') => open.push(c),
            (false, '}') if open.pop() != Some('{') => return false,
            (false, ']') if open.pop() != Some('[') => return false,
            _ => {}
        }
    }
    open.is_empty() && !quoted
}

/// A thread's repeated work, through which all items of a report come and go.
fn churn(pool: Handle, shared: Handle, raw: &mut [i64; 8]) {
    let own = new_pool();
    let a = zeros(pool, &[4, 4]).unwrap();
    set_name(a, "churned \"a\"");
    let view = index(a, 0, 1).unwrap();
    let other = clone(shared).unwrap();
    let reader = read(other, 0).unwrap();
    let weak = weaken(a).unwrap();
    let block = allocate(own, 100).unwrap();
    // SAFETY: the bytes outlive the array, and nothing else uses them.
    let lent = unsafe { import(raw.as_mut_ptr(), &[8], TN_BORROW, None, std::ptr::null_mut()) }.unwrap();
    let promise = give(view, 1).unwrap();
    let taken = take(&[promise]).unwrap();
    assert!(copy_into(a, a, 0).is_ok());
    promise_release(promise).unwrap();
    end(reader.id, 0).unwrap();
    taken.into_iter().chain([view, a, other, lent]).for_each(|array| release(array).unwrap());
    weak_release(weak).unwrap();
    deallocate(block).unwrap();
    pool_release(own).unwrap();
}

/// PO-38
#[test]
fn reports_are_whole_while_threads_work() {
    let rounds = 60;
    let pool = new_pool();
    let shared = zeros(pool, &[100]).unwrap();
    set_name(shared, "shared");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut raw = [0i64; 8];
                while !stop.load(Ordering::Relaxed) {
                    churn(pool, shared, &mut raw);
                }
            });
        }
        for round in 0..rounds {
            let seen = with_report(|text| {
                assert!(is_balanced(text), "round {round}: {text}");
                assert!(text.contains("\"name\":\"shared\""), "round {round}");
                // A listed store has a holder.
                assert!(!text.contains("\"holders\":[]"), "round {round}: {text}");
            });
            assert!(seen.is_some(), "the report of a few things does not fit");
        }
        stop.store(true, Ordering::Relaxed);
    });
    release(shared).unwrap();
    pool_release(pool).unwrap();
    assert_eq!(leak_count(), 0, "{:?}", leaks());
    with_report(|text| assert!(text.contains("\"stores\":[],\"blocks\":[],\"open\":[]"), "{text}")).unwrap();
}
