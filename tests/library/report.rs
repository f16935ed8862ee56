//! The report while other threads work: always complete, never of a store that has ended, and without side effects.

use crate::support;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use support::capi::*;
use tenure::types::*;
use tenure_harness::test;

/// The tests of this file count what the whole process has.
static ALONE: Mutex<()> = Mutex::new(());

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

/// The JSON of a page.
fn snapshot_of(page: &str) -> &str {
    let (_, from) =
        page.split_once("<script type=\"application/json\" id=\"snapshot\">").expect("the page has a snapshot");
    from.split_once("</script>").expect("the snapshot ends").0
}

/// PO-66: the page of a process that holds nothing is whole.
#[test]
fn po_66_the_page_without_arrays_is_valid() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let page = with_page(|page| page.to_owned()).expect("the page fits");
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    assert_eq!(page.matches("<script").count(), 2, "the snapshot and the program");
    let snapshot = snapshot_of(&page);
    assert!(
        is_balanced(snapshot) && snapshot.contains("\"pools\":[") && snapshot.contains("\"copies\":["),
        "{snapshot}"
    );
    assert!(!snapshot.contains(['<', '>', '&', '\u{2028}']), "{snapshot}");
}

/// PO-67, PO-69: however many spans and stores there are, the map and the lists of a page are bounded, and nothing is
/// missing from their sums.
#[test]
fn po_67_a_page_is_bounded() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let pool = new_pool();
    let arrays: Vec<Handle> = (0..20_000).map(|i| zeros(pool, &[1 + i % 700]).unwrap()).collect();
    // Every third one, so that spans of all sizes have holes.
    let (kept, freed): (Vec<_>, Vec<_>) = arrays.into_iter().enumerate().partition(|(i, _)| i % 3 != 0);
    freed.into_iter().for_each(|(_, array)| release(array).unwrap());
    with_page(|page| {
        assert!(page.len() < 1_500_000, "{} bytes", page.len());
        let snapshot = snapshot_of(page);
        assert!(is_balanced(snapshot));
        assert!(snapshot.contains("\"more_stores\":[{"));
        let listed = snapshot.matches("\"imports\":").count();
        let number = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse::<usize>().unwrap();
        let (_, more) = snapshot.split_once("\"more_stores\":").unwrap();
        let left: usize = more.split(']').next().unwrap().split("\"blocks\":").skip(1).map(number).sum();
        assert_eq!((listed, listed + left), (1000, kept.len()));
        assert!(snapshot.matches("\"cells\":").count() > 10);
        assert!(snapshot.matches("{\"bytes\":").count() < 6000, "runs of the map");
    })
    .expect("the page fits");
    kept.into_iter().for_each(|(_, array)| release(array).unwrap());
    pool_release(pool).unwrap();
}

/// PO-38
#[test]
fn reports_are_whole_while_threads_work() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
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
    with_report(|text| {
        assert!(text.contains("\"stores\":[],\"blocks\":[],\"shared_out\":[],\"shared_in\":[],\"open\":[]"), "{text}")
    })
    .unwrap();
}
