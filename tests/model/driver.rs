//! Runs calls on the model and on the library and compares everything visible after each of them.
//!
//! Contract: after [`Driver::step`] returned Ok, the call's status and outputs are the model's, and so are all handles,
//! bits, holders, bytes, callbacks and pool statistics. A failing call leaves the model unchanged, so this also shows
//! that it changed nothing (I7). A difference is an Err with the whole trace. The library's state belongs to the
//! process, so only one driver exists at a time.

use super::callback::{End, Trace};
use super::calls::{Beside, Call, Crossing, Done};
use super::handle::{Model, Ref, State};
use super::invoke::Got;
use super::layout::{Layout, item};
use super::library::{self, Library};
use super::rules::Status;
use super::seen::Before;
use super::store::pattern;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tenure::types::*;

/// The result of a call on both sides.
pub type Outcome = Result<Done, Status>;

/// Copies by function, reason and whether they were forced: number and bytes.
type Book = BTreeMap<(String, u32, bool), (u64, u64)>;

pub struct Driver {
    pub model: Model,
    pub library: Library,
    /// Blocks of the model's memory whose real address is not known yet.
    pub unknown: Vec<usize>,
    /// The calls so far, with their statuses; callbacks have only begun when theirs is noted.
    pub trace: Vec<(Call, Beside, Result<(), Status>)>,
    /// The copy book at the start of the trace, and the model's additions.
    book: Book,
    copies: Book,
    leaks: usize,
    callbacks_seen: usize,
    closed: bool,
    _only: MutexGuard<'static, ()>,
}

static ONLY: Mutex<()> = Mutex::new(());
static SERIAL: Mutex<usize> = Mutex::new(0);

fn book() -> Book {
    let mut book = Book::new();
    for (function, why, forced, count, bytes) in library::copy_book() {
        // Copies that the computation over copies asks for.
        if function == "tn_expr_compute" && !forced {
            continue;
        }
        let sum = book.entry((function, why, forced)).or_insert((0, 0));
        *sum = (sum.0 + count, sum.1 + bytes);
    }
    book
}

/// Err with both values unless they are equal.
pub fn same<T: PartialEq + std::fmt::Debug>(what: &str, model: T, library: T) -> Result<(), String> {
    if model == library { Ok(()) } else { Err(format!("{what}: model {model:?}, library {library:?}")) }
}

impl Driver {
    /// An empty world on both sides. Waits until the previous driver is dropped.
    pub fn new(strict: bool) -> Driver {
        let only = ONLY.lock().unwrap_or_else(PoisonError::into_inner);
        let serial = {
            let mut serial = SERIAL.lock().unwrap_or_else(PoisonError::into_inner);
            *serial += 1;
            *serial
        };
        let model = Model::new(strict);
        let leaks = library::leaks();
        let book = book();
        let library = Library::new(serial, strict, &model.memory);
        Driver {
            model,
            library,
            unknown: vec![],
            trace: vec![],
            book,
            copies: Book::new(),
            leaks,
            callbacks_seen: 0,
            closed: false,
            _only: only,
        }
    }

    /// Runs one call on both sides. A callback returns at once.
    pub fn step(&mut self, call: Call, beside: Beside) -> Result<Outcome, String> {
        self.step_in(call, beside, &mut End)
    }

    /// As above, where callbacks take their calls from a trace.
    pub fn step_in(&mut self, call: Call, beside: Beside, trace: &mut dyn Trace) -> Result<Outcome, String> {
        let element = self.next_element(&call);
        let before = self.before(&call);
        self.model.meter = None;
        let expected = self.model.run(&call, beside);
        let copied = std::mem::take(&mut self.model.copied);
        self.expect_copies(&copied);
        // The model's invariants; not after each step, which would take most of the time.
        let books = if self.model.calls.is_multiple_of(8) { self.model.broken() } else { Ok(()) };
        books.map_err(|what| format!("the model breaks an invariant: {what}\n{call:?}"))?;
        self.trace.push((call.clone(), beside, expected.as_ref().map(|_| ()).map_err(|&status| status)));
        match call {
            // The call that it ends is compared when it has returned.
            Call::Return { .. } => return Ok(expected),
            Call::SharedUpdate { .. } | Call::RunFunction { .. } | Call::Launch { .. } => {
                return self.run_with_callback(&call, beside, expected, trace);
            }
            _ => {}
        }
        self.compare(&call, beside, &expected, &element, before).map_err(|what| self.tell(&what))?;
        Ok(expected)
    }

    /// The value that `full` and `fill` use.
    fn next_element(&self, call: &Call) -> Vec<u8> {
        let dtype = match call {
            Call::Make { dtype, .. } => *dtype,
            Call::Fill { array: Ref::Array(array), .. } => self.model.arrays[*array].region.layout.dtype,
            _ => TN_U8,
        };
        let dtype = if item(dtype) == 0 { TN_C128 } else { dtype };
        pattern(&Layout::dense(dtype, &[], TN_ORDER_C, 0), self.model.seed + 1)
    }

    pub fn tell(&self, what: &str) -> String {
        let mut text = format!(
            "{what}\nlast text: {}\ntrace{}:",
            library::last_error(),
            if self.model.strict { " in strict mode" } else { "" }
        );
        for (k, (call, beside, status)) in self.trace.iter().enumerate() {
            let beside = if *beside == Beside::default() { String::new() } else { format!("  {beside:?}") };
            let _ = write!(text, "\n  {k:3} {call:?}{beside} -> {status:?}");
        }
        text
    }

    fn compare(
        &mut self,
        call: &Call,
        beside: Beside,
        expected: &Outcome,
        element: &[u8],
        before: Option<Before>,
    ) -> Result<(), String> {
        let got = self.library.run(call, beside, element);
        let copies = self.model.meter.as_mut().map(|meter| std::mem::take(&mut meter.copies)).unwrap_or_default();
        self.expect_copies(&copies);
        match (expected, got) {
            (Ok(done), Ok(got)) => {
                self.compare_outputs(call, done, &got)?;
                before.map_or(Ok(()), |before| self.after(before, Ok(&got)))?;
            }
            (Err(expected), Err(got)) => {
                same("status", *expected, got)?;
                // A failed computation may have made some of its results.
                self.find_new_blocks(&Done::default(), &Got::default())?;
                before.map_or(Ok(()), |before| self.after(before, Err(got)))?;
            }
            (expected, got) => {
                same("status", expected.as_ref().err().copied().unwrap_or(TN_OK), got.err().unwrap_or(TN_OK))?;
            }
        }
        self.compare_rest(call)
    }

    /// Compares everything except the outputs of the call.
    pub fn compare_rest(&mut self, call: &Call) -> Result<(), String> {
        self.look_at_values()?;
        self.compare_callbacks(call)?;
        self.compare_world()
    }

    pub fn compare_outputs(&mut self, call: &Call, done: &Done, got: &Got) -> Result<(), String> {
        same("new arrays", done.arrays.len(), got.arrays.len())?;
        self.library.arrays.extend(&got.arrays);
        self.library.guards.extend(&got.guards);
        self.library.weaks.extend(&got.weak);
        self.library.promises.extend(&got.promise);
        self.library.scopes.extend(&got.scope);
        if let Some(number) = done.expr {
            // Nodes that the library added have no handle.
            self.library.exprs.resize(number, std::ptr::null_mut());
        }
        self.library.exprs.extend(&got.expr);
        self.library.variables.extend(&got.shared);
        self.library.functions.extend(&got.function);
        same("new function", done.function, got.function.map(|_| self.library.functions.len() - 1))?;
        same("guards", self.model.guards.len(), self.library.guards.len())?;
        self.find_new_blocks(done, got)?;
        for layout in &done.pokes {
            for at in layout.addresses() {
                self.library.poke(at, self.model.memory.bytes(at, layout.item()));
            }
        }
        if !done.crossed.is_empty() {
            same("crossings", &done.crossed, &got.crossed)?;
        }
        if done.how.is_some() {
            same("how", done.how, got.how)?;
        }
        if let Some(number) = done.number {
            let store = matches!(call, Call::HoldersOf { .. });
            same(
                "number",
                if store { self.library.real(number) as i64 } else { number },
                got.number.unwrap_or(i64::MIN),
            )?;
        }
        if let Some(holders) = &done.holders {
            same("holders", self.ids_of(holders), self.known(got.holders.clone().unwrap_or_default()))?;
        }
        same("chunks", &done.chunks, &got.chunks)?;
        self.compare_views(done, got)?;
        self.expect_copies(&done.copies);
        if !done.copies.is_empty() {
            self.compare_copies()?;
        }
        Ok(())
    }

    pub fn compare_views(&self, done: &Done, got: &Got) -> Result<(), String> {
        same("views", done.views.len(), got.views.len())?;
        for (layout, seen) in done.views.iter().zip(&got.views) {
            let data = if layout.count() > 0 { self.library.real(layout.at) } else { 0 };
            same("data pointer", data, seen.data)?;
            if done.chunks.is_empty() {
                same("view", (layout.dtype, layout.bytes() as u64), (seen.dtype, seen.bytes))?;
                same("shape of the view", &layout.shape, &seen.shape)?;
                same("strides of the view", &layout.strides, &seen.strides)?;
            }
        }
        Ok(())
    }

    pub fn expect_copies(&mut self, copies: &[Crossing]) {
        for copy in copies {
            let sum = self.copies.entry((copy.function.to_string(), copy.why, copy.forced)).or_insert((0, 0));
            *sum = (sum.0 + 1, sum.1 + copy.bytes as u64);
        }
    }

    /// Each callback ran once and at the model's time; those of tn_run_releases in the order in which calls queued
    /// them.
    fn compare_callbacks(&mut self, call: &Call) -> Result<(), String> {
        let mut expected = self.model.ran[self.callbacks_seen..].to_vec();
        self.callbacks_seen = self.model.ran.len();
        let mut ran = self.library.ran();
        if matches!(call, Call::RunReleases) {
            let batches: Vec<usize> =
                ran.iter().filter_map(|callback| self.model.queued_at.get(callback).copied()).collect();
            if batches.windows(2).any(|pair| pair[0] > pair[1]) {
                return Err(format!("queued callbacks ran as {ran:?}, queued in the order {expected:?}"));
            }
        }
        expected.sort_unstable();
        ran.sort_unstable();
        same("callbacks that ran", expected, ran)
    }

    pub fn compare_copies(&self) -> Result<(), String> {
        let mut now = book();
        now.retain(|key, sum| {
            let before = self.book.get(key).copied().unwrap_or((0, 0));
            *sum = (sum.0 - before.0, sum.1 - before.1);
            sum.0 > 0
        });
        same("copy book", &self.copies, &now)
    }

    /// Releases everything and checks that nothing is left (I12).
    pub fn finish(mut self) -> Result<(), String> {
        let result = self.give_all_back().map_err(|what| self.tell(&what));
        if result.is_ok() {
            self.library.free_arenas();
        }
        result
    }

    fn give_all_back(&mut self) -> Result<(), String> {
        self.compare_copies()?;
        self.closed = true;
        self.library.give_back();
        let as_new = self.library.all_as_new();
        self.library.close();
        as_new?;
        self.model.open.clear();
        self.model.nodes.clear();
        self.model.variables.clear();
        for function in 0..self.model.functions.len() {
            self.model.functions[function].handle = false;
            self.model.end_unused_function(function);
        }
        for array in &mut self.model.arrays {
            (array.state, array.kept) = (State::Released, false);
        }
        self.model.end_unused();
        let waiting = std::mem::take(&mut self.model.queue);
        self.model.ran.extend(waiting);
        let mut all = self.model.ran.clone();
        all.sort_unstable();
        same("callbacks that ever ran", (0..self.model.callbacks).collect(), all)?;
        let mut expected = self.model.ran[self.callbacks_seen..].to_vec();
        let mut ran = self.library.ran();
        expected.sort_unstable();
        ran.sort_unstable();
        same("callbacks at the end", expected, ran)?;
        same("tn_leaks", self.leaks, library::leaks())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if !self.closed {
            self.library.give_back();
            self.library.close();
        }
    }
}
