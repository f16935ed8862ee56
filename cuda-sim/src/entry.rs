//! How a call enters: `driver!` writes the exported function, `enter` is what all of them do.
//!
//! In this order: the process (exit, fork), the counter, symbols declared missing, injected faults, initialisation, the current
//! context and its sticky error, then some queued work, then the body. A panic in the body is CUDA_ERROR_UNKNOWN.

use crate::config::{self, Pace};
use crate::context;
use crate::counters::Site;
use crate::engine;
use crate::fault;
use crate::status::*;
use crate::types::Handle;
use crate::world::{self, World};
use parking_lot::MutexGuard;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// What a function needs before its body may run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Works before `cuInit` and on a lost device.
    Nothing,
    /// `cuInit` has been called.
    Init,
    /// A living context is current and not lost.
    Context,
    /// As `Context`, and the call only asks whether work is done: it always gives the device a chance to go on.
    Poll,
}

/// A call inside: the whole world, locked, and what is known about the caller.
pub struct Call<'a> {
    name: &'static str,
    pub world: MutexGuard<'a, World>,
    /// The current context; 0 where none is needed and none is set.
    pub context: Handle,
    /// Stream 0 means the per-thread stream (the `_ptsz` and `_ptds` functions).
    pub per_thread: bool,
}

impl Deref for Call<'_> {
    type Target = World;
    fn deref(&self) -> &World {
        &self.world
    }
}

impl DerefMut for Call<'_> {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.world
    }
}

impl Call<'_> {
    /// Lets the device work until `done`; other threads get in between. An error of the context ends the wait.
    pub fn wait(&mut self, done: impl Fn(&World) -> bool) -> Answer {
        let mut since = None;
        while !done(&self.world) {
            if world::ended() {
                return Err(DEINITIALIZED);
            }
            let since: &mut Instant = since.get_or_insert_with(Instant::now);
            let patience = self.world.config.patience;
            if since.elapsed() >= patience {
                *since = Instant::now();
                eprintln!("cuda-sim: {} waits for {patience:?}: {}", self.name, self.world.stuck());
            }
            if !self.world.step() {
                let pause = self.world.pause();
                world::WAKE.wait_for(&mut self.world, pause);
            }
        }
        self.world.sound(self.context)
    }

    /// The ordinal of the current context's device.
    pub fn device(&self) -> usize {
        self.world.contexts.get(&self.context).map_or(0, |context| context.device)
    }
}

/// What every exported function does around its body.
pub fn enter(site: &'static Site, need: Need, per_thread: bool, body: impl FnOnce(&mut Call) -> Answer) -> u32 {
    if world::ended() {
        return DEINITIALIZED;
    }
    if world::forked() {
        return NOT_INITIALIZED;
    }
    site.count();
    if need != Need::Nothing && engine::in_callback() {
        return NOT_PERMITTED;
    }
    let inner = || {
        let mut world = world::lock();
        while world.closed.contains(crate::counters::plain(site.name)) && !world::ended() {
            world::WAKE.wait(&mut world);
        }
        fault::strike(&mut world, site.name)?;
        if need != Need::Nothing && !world.initialised {
            return Err(NOT_INITIALIZED);
        }
        let context = context::current();
        if matches!(need, Need::Context | Need::Poll) {
            world.living(context)?;
            world.progress(need == Need::Poll);
            world.sound(context)?;
        }
        let mut call = Call { name: site.name, world, context, per_thread };
        body(&mut call)?;
        if call.world.config.pace == Pace::Eager {
            while call.world.step() {}
        }
        Ok(())
    };
    let code = match catch_unwind(AssertUnwindSafe(inner)) {
        Ok(Ok(())) => SUCCESS,
        Ok(Err(code)) => code,
        Err(_) => UNKNOWN,
    };
    if config::traces() {
        eprintln!("cuda-sim: {} on thread {} gives {code}", site.name, crate::stream::thread_id());
    }
    code
}

/// For functions that know their answer without the world: they work before `cuInit`, after exit began and in a child of fork.
pub fn aside(site: &'static Site, body: impl FnOnce() -> Answer) -> u32 {
    site.count();
    if crate::missing::is_missing(site.name) {
        return NOT_SUPPORTED;
    }
    body().err().unwrap_or(SUCCESS)
}

/// Writes `value` where the caller wants it; NULL is an invalid argument.
pub fn put<T>(place: *mut T, value: T) -> Answer {
    if place.is_null() {
        return Err(INVALID_VALUE);
    }
    // SAFETY: not NULL, and by the driver's interface writable for one T, perhaps unaligned in a caller's packed struct.
    unsafe { place.write_unaligned(value) };
    Ok(())
}

/// As `put`, for outputs that the caller may leave out.
pub fn put_if<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: as in `put`.
        unsafe { place.write_unaligned(value) };
    }
}

/// Reads the struct that the caller passes; NULL is an invalid argument.
pub fn get<T: Copy>(place: *const T) -> Answer<T> {
    if place.is_null() {
        return Err(INVALID_VALUE);
    }
    // SAFETY: not NULL, and by the driver's interface one T.
    Ok(unsafe { place.read_unaligned() })
}

/// Exports functions of the driver: `fn name(arguments) | name_ptsz in Need => |call| { body }`. The second name, where there is
/// one, is the variant whose stream 0 is the per-thread stream. The body answers `Answer`. Need is one of `Need`, or Aside (see `aside`).
macro_rules! driver {
    ($($(#[$doc:meta])* fn $name:ident $arguments:tt $(| $variant:ident)? in $need:ident => |$call:pat_param| $body:block)*) => {
        $(
            driver!(@one $name, false, $arguments, $need, $call, $body);
            $(driver!(@one $variant, true, $arguments, $need, $call, $body);)?
        )*
    };
    (@one $name:ident, false, ($($argument:ident : $kind:ty),* $(,)?), Aside, $call:pat_param, $body:block) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $kind),*) -> u32 {
            static SITE: $crate::counters::Site = $crate::counters::Site::new(stringify!($name));
            $crate::entry::aside(&SITE, || $body)
        }
    };
    (@one $name:ident, $per_thread:literal, ($($argument:ident : $kind:ty),* $(,)?), $need:ident, $call:pat_param, $body:block) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $kind),*) -> u32 {
            static SITE: $crate::counters::Site = $crate::counters::Site::new(stringify!($name));
            $crate::entry::enter(&SITE, $crate::entry::Need::$need, $per_thread, |$call: &mut $crate::entry::Call| $body)
        }
    };
}
