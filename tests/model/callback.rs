//! Calls whose callback makes the next calls of the trace: updates of variables, functions, and launches.
//!
//! Contract: a trace is flat. The calls after one with a callback run in that callback, up to a Return, and each of
//! them is compared in full. The result of the outer call is that of its Return. The driver is reached through a
//! pointer while the library runs, and nothing else uses it then.

use super::api::*;
use super::calls::{Beside, Call, Done};
use super::driver::{Driver, Outcome, same};
use super::handle::{Model, Ref};
use super::invoke::Got;
use super::invoke_function::CallOutputs;
use super::invoke_launch::Kernel;
use super::library::UNTOUCHED;
use super::pass::{Entrance, Running};
use super::update::Frame;
use core::cell::Cell;
use core::ffi::c_void;
use core::ptr::null_mut;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tenure::types::*;

/// The source of calls.
pub trait Trace {
    /// The next call. All calls before it are done.
    fn next(&mut self, model: &Model) -> Option<(Call, Beside)>;
}

/// The end of a trace: callbacks return at once.
pub struct End;

impl Trace for End {
    fn next(&mut self, _: &Model) -> Option<(Call, Beside)> {
        None
    }
}

/// A call whose callback may run.
struct Waiting<'a> {
    driver: *mut Driver,
    trace: &'a mut dyn Trace,
    /// The outer call's result, once the callback has returned.
    outcome: Option<Result<Outcome, String>>,
    /// The kernel of a launch that the model accepts.
    kernel: Option<Kernel>,
}

thread_local! {
    /// The innermost call of a function, or launch: the context of a body is the function's, and a kernel has none.
    static INNERMOST: Cell<*mut Waiting<'static>> = const { Cell::new(null_mut()) };
}

impl Driver {
    /// Runs all calls of a trace.
    pub fn play(&mut self, trace: &mut dyn Trace) -> Result<(), String> {
        while let Some((call, beside)) = trace.next(&self.model) {
            self.step_in(call, beside, trace)?.ok();
        }
        Ok(())
    }

    /// A call with a callback, on the library. `begun` is what the model expects up to the callback.
    pub fn run_with_callback(
        &mut self,
        call: &Call,
        beside: Beside,
        begun: Outcome,
        trace: &mut dyn Trace,
    ) -> Result<Outcome, String> {
        let mut crossed = begun.as_ref().map(|done| done.crossed.clone()).unwrap_or_default();
        let refused = begun.is_err();
        self.expect_copies(&begun.as_ref().map(|done| done.copies.clone()).unwrap_or_default());
        let driver: *mut Driver = self;
        let kernel = match (call, &begun) {
            (Call::Launch { arguments, grid, block_bytes }, Ok(done)) => {
                Some(Kernel::new(arguments, *grid, *block_bytes, done))
            }
            _ => None,
        };
        let mut waiting = Waiting { driver, trace, outcome: None, kernel };
        // SAFETY: until the call returns, the driver is used only through this pointer.
        let (status, got) = unsafe { make(&mut waiting, call, beside) };
        let expected = match waiting.outcome.take() {
            Some(outcome) => outcome?,
            None if refused => begun,
            None => return Err(self.tell(&format!("the callback did not run, status {status}"))),
        };
        crossed.extend(expected.iter().flat_map(|done| &done.crossed));
        let compared = self.compare_finished(call, &expected, status, crossed, &got);
        compared.map_err(|what| self.tell(&what))?;
        Ok(expected)
    }

    fn compare_finished(
        &mut self,
        call: &Call,
        expected: &Outcome,
        status: tn_status,
        crossed: Vec<(u32, u32)>,
        got: &Got,
    ) -> Result<(), String> {
        same("status", expected.as_ref().err().copied().unwrap_or(TN_OK), status)?;
        // Arrays that the library made for itself have no handle here.
        self.library.arrays.resize(self.model.arrays.len(), null_mut());
        match expected {
            Ok(done) => {
                same("crossings", &crossed, &got.crossed)?;
                same("outputs", done.arrays.len(), got.arrays.len())?;
                for (&array, &handle) in done.arrays.iter().zip(&got.arrays) {
                    let known = &mut self.library.arrays[array];
                    if known.is_null() {
                        *known = handle;
                    }
                    same("the handle of an output", *known, handle)?;
                }
                self.expect_copies(&done.copies);
                self.find_new_blocks(&Done::default(), &Got::default())?;
                self.compare_copies()?;
            }
            Err(_) => self.find_new_blocks(&Done::default(), &Got::default())?,
        }
        self.compare_rest(call)
    }

    /// Runs the calls of a callback. Returns its status and the outer call's expected result.
    fn run_callback(&mut self, trace: &mut dyn Trace, leave: impl Fn(&Driver)) -> Result<(tn_status, Outcome), String> {
        self.find_new_blocks(&Done::default(), &Got::default()).map_err(|what| self.tell(&what))?;
        self.compare_world().map_err(|what| self.tell(&format!("at the start of the callback: {what}")))?;
        loop {
            let next = trace.next(&self.model);
            let (call, beside) = next.unwrap_or((Call::Return { status: TN_OK }, Beside::default()));
            if let Call::Return { status } = call {
                leave(self);
                let outcome = self.step_in(call, beside, trace)?;
                return Ok((status, outcome));
            }
            self.step_in(call, beside, trace)?.ok();
        }
    }

    /// The body's frame of the innermost call of a function.
    fn running(&self) -> &Running {
        match self.model.frames.last() {
            Some(Frame::Call(running)) => running,
            _ => unreachable!("the model has begun the call"),
        }
    }
}

impl Waiting<'_> {
    /// Runs the callback, and notes the outer call's result.
    fn run(&mut self, leave: impl Fn(&Driver)) -> tn_status {
        // SAFETY: `make` has the pointer, and waits.
        let driver = unsafe { &mut *self.driver };
        let trace = &mut *self.trace;
        let ran = catch_unwind(AssertUnwindSafe(|| driver.run_callback(trace, leave)));
        let ran = ran.unwrap_or_else(|_| Err("a check in the callback failed".into()));
        let status = ran.as_ref().map_or(TN_ERR_FAILED, |(status, _)| *status);
        self.outcome = Some(ran.map(|(_, outcome)| outcome));
        status
    }
}

/// # Safety
/// - The pointer is that of a driver that nothing else uses.
unsafe fn make(waiting: &mut Waiting<'_>, call: &Call, beside: Beside) -> (tn_status, Got) {
    // SAFETY: the caller's obligation; the reference ends before the call.
    let library = unsafe { &(*waiting.driver).library };
    let context: *mut Waiting<'_> = waiting;
    match call {
        Call::SharedUpdate { shared, flags } => {
            let shared = library.shared(*shared);
            let callback: tn_update_callback = if beside.no_out { None } else { Some(on_update) };
            let mut how = untouched_crossing();
            // SAFETY: handles are checked ids; the context outlives the call.
            let status = unsafe { tn_shared_update(shared, *flags, callback, context.cast(), &mut how) };
            let mut got = Got::default();
            got.keep_crossing(status, how);
            (status, got)
        }
        Call::RunFunction { function, arguments, n_out } => {
            let function = library.function(*function);
            let arguments: Vec<*mut tn_array> = arguments.iter().map(|&argument| library.array(argument)).collect();
            let mut outputs = CallOutputs::new(arguments.len(), *n_out);
            let outer = INNERMOST.replace(context.cast());
            let status = outputs.call(function, &arguments, beside.no_out);
            INNERMOST.set(outer);
            (status, outputs.got(status))
        }
        Call::Launch { arguments, grid, block_bytes } => {
            let outer = INNERMOST.replace(context.cast());
            let status = library.launch(arguments, *grid, *block_bytes, beside.stream.argument(), on_kernel);
            INNERMOST.set(outer);
            // SAFETY: the launch has returned, so nothing else uses it.
            unsafe { &mut *context }.check_that_all_blocks_ran();
            (status, Got::default())
        }
        _ => unreachable!("a call with a callback"),
    }
}

/// A crossing that no call reports.
pub fn untouched_crossing() -> tn_crossing {
    tn_crossing { how: UNTOUCHED as u32 as tn_how, why: UNTOUCHED as u32 }
}

impl Got {
    /// Notes a crossing, or checks that a failing call wrote none.
    pub fn keep_crossing(&mut self, status: tn_status, how: tn_crossing) {
        if status == TN_OK {
            self.crossed.push((how.how, how.why));
        } else {
            assert_eq!(how, untouched_crossing(), "a failing call wrote how");
        }
    }
}

unsafe extern "C" fn on_update(context: *mut c_void, value: *mut tn_array) -> tn_status {
    // SAFETY: `make` passes it, and waits.
    let waiting = unsafe { &mut *context.cast::<Waiting<'_>>() };
    // SAFETY: as above; the reference ends here.
    unsafe { &mut (*waiting.driver).library }.arrays.push(value);
    waiting.run(|_| {})
}

pub unsafe extern "C" fn on_body(
    _: *mut c_void,
    r#in: *const *mut tn_array,
    out: *mut *mut tn_array,
    update: *mut *mut tn_array,
) -> tn_status {
    // SAFETY: `make` has set it, and waits.
    let waiting = unsafe { &mut *INNERMOST.get() };
    // SAFETY: as above; the reference ends before the callback runs.
    let driver = unsafe { &mut *waiting.driver };
    let Some(Frame::Call(running)) = driver.model.frames.last() else {
        waiting.outcome = Some(Err(driver.tell("the body runs, and the model refuses the call")));
        return TN_ERR_FAILED;
    };
    let n_out = running.places.len() - running.updates.len();
    let place = move |place: usize| {
        // SAFETY: as many places as were declared.
        unsafe { if place < n_out { out.add(place) } else { update.add(place - n_out) } }
    };
    for entrance in &running.entry {
        // SAFETY: as many inputs and places as were declared.
        driver.library.arrays.push(unsafe {
            match *entrance {
                Entrance::Input(k) => *r#in.add(k),
                Entrance::Place(k) => *place(k),
            }
        });
    }
    for (k, there) in running.places.iter().enumerate() {
        // SAFETY: as above.
        let found = unsafe { *place(k) };
        if (*there == Ref::Null) != found.is_null() {
            let what = format!("place {k}: model {there:?}, library {found:?}");
            waiting.outcome = Some(Err(driver.tell(&what)));
            return TN_ERR_FAILED;
        }
    }
    waiting.run(move |driver| {
        for (k, &there) in driver.running().places.iter().enumerate() {
            // SAFETY: as above.
            unsafe { *place(k) = driver.library.array(there) };
        }
    })
}

/// KN-20: the first block makes the calls of the trace, and the last one writes.
unsafe extern "C" fn on_kernel(block: *const tn_host_block, args: *const *mut c_void) {
    // SAFETY: `make` has set it, and waits.
    let waiting = unsafe { &mut *INNERMOST.get() };
    let ran = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the library passes a block, which lives until the return.
        waiting.run_block(unsafe { &*block }, args)
    }));
    match ran.unwrap_or_else(|_| Err("a check in the kernel failed".into())) {
        Ok(()) => {}
        // SAFETY: the pointer is that of the driver, which waits.
        Err(what) => waiting.outcome = Some(Err(unsafe { &*waiting.driver }.tell(&what))),
    }
}

impl Waiting<'_> {
    fn run_block(&mut self, block: &tn_host_block, args: *const *mut c_void) -> Result<(), String> {
        let kernel = self.kernel.as_mut().ok_or("the kernel runs, and the model refuses the launch")?;
        // SAFETY: `make` has the pointer, and waits.
        let driver = unsafe { &mut *self.driver };
        let at = kernel.enter(block)?;
        if at.is_first {
            driver.library.guards.resize(driver.model.guards.len(), null_mut());
            let got = Got { views: kernel.seen(args)?, ..Got::default() };
            driver.find_new_blocks(&kernel.begun, &got)?;
            driver.compare_views(&kernel.begun, &got)?;
            // Contents that the launch discards are undefined until the kernel writes them.
            kernel.write(&driver.model, args, &kernel.begun.pokes);
            self.run(|_| {});
        }
        if let (true, Some(Ok(Ok(done)))) = (at.is_last, &self.outcome) {
            // SAFETY: as above.
            let model = unsafe { &(*self.driver).model };
            self.kernel.as_ref().expect("it runs").write(model, args, &done.pokes);
        }
        Ok(())
    }

    fn check_that_all_blocks_ran(&mut self) {
        let Some(kernel) = &self.kernel else { return };
        if matches!(self.outcome, Some(Ok(_)))
            && let Err(what) = kernel.is_done()
        {
            // SAFETY: the launch has returned, so nothing else uses the driver.
            self.outcome = Some(Err(unsafe { &*self.driver }.tell(&what)));
        }
    }
}
