//! Pressure callbacks: functions of the program that are called when a pool runs out of memory.
//!
//! Contract: a callback runs on the thread that needs memory, under no lock, in the order of registration, at most
//! once for a request. What a callback allocates fails without calling callbacks again. After a registration ended,
//! its `release` runs once, when no thread is in its callback any more. Ending a registration never waits (PO-43).

use super::listener::{Callback, Listener, Release};
use crate::error::{Result, fail};
use crate::pool::Pool;
use crate::pool::state::PoolState;
use crate::types::*;
use core::cell::Cell;
use core::ffi::c_void;
use std::sync::OnceLock;

/// Drops the buffers that a layer above keeps in a pool for later use. True: it dropped some. It may not allocate from
/// a pool.
pub type SpareHook = fn(&'static Pool) -> bool;

static SPARES: OnceLock<SpareHook> = OnceLock::new();

/// Sets the function that drops buffers kept for later use. Only the first call counts.
pub fn on_missing_memory(drop_spares: SpareHook) {
    let _ = SPARES.set(drop_spares);
}

thread_local! {
    // Without Drop, so that no destructor is registered. True: the thread is in a callback.
    static CALLED: Cell<bool> = const { Cell::new(false) };
}

impl PoolState {
    /// The next registration after number `order`.
    fn listener_after(&self, order: usize) -> Option<&'static Listener> {
        let mut at = self.listeners;
        while at.is_some_and(|listener| listener.order.get() <= order) {
            at = at.and_then(Listener::next);
        }
        at
    }

    /// Removes the first registration that `which` accepts. The second value: no thread is in its callback.
    fn end_listener(&mut self, which: impl Fn(&Listener) -> bool) -> Option<(&'static Listener, bool)> {
        let (mut before, mut at) = (None::<&'static Listener>, self.listeners);
        while let Some(listener) = at.filter(|listener| !which(listener)) {
            (before, at) = (at, listener.next());
        }
        let listener = at?;
        match before {
            Some(before) => before.set_next(listener.next()),
            None => self.listeners = listener.next(),
        }
        listener.ended.set(1);
        Some((listener, listener.users.get() == 0))
    }
}

impl Pool {
    /// Registers a callback. TN_ERR_DUPLICATE for a callback and context that are registered, TN_ERR_STALE for a pool
    /// that was released, TN_ERR_NO_HOST_MEMORY.
    pub fn on_pressure(
        &'static self,
        callback: Callback,
        context: *mut c_void,
        release: Option<Release>,
    ) -> Result<()> {
        let Some(listener) = Listener::create() else {
            return Err(fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for one more callback; free some memory")));
        };
        let mut state = self.state.lock();
        let name = state.name;
        let mut last = state.listeners;
        let mut known = last.is_some_and(|first| first.is(callback, context));
        while let Some(next) = last.and_then(Listener::next) {
            known |= next.is(callback, context);
            last = Some(next);
        }
        if known || state.retired {
            let retired = state.retired;
            drop(state);
            listener.release();
            let name = name.as_str();
            return Err(if retired {
                fail(TN_ERR_STALE, format_args!("pool \"{name}\" was released already"))
            } else {
                let at = callback as usize;
                let text = format_args!(
                    "callback {at:#x} with context {context:p} is registered at pool \"{name}\" already; \
                     end that with tn_pool_off_pressure, or pass another context"
                );
                fail(TN_ERR_DUPLICATE, text)
            });
        }
        listener.callback.set(callback as usize);
        listener.context.set(context as usize);
        listener.release.set(release.map_or(0, |release| release as usize));
        listener.users.set(0);
        listener.ended.set(0);
        listener.order.set(last.map_or(0, |last| last.order.get()) + 1);
        listener.set_next(None);
        match last {
            Some(last) => last.set_next(Some(listener)),
            None => state.listeners = Some(listener),
        }
        Ok(())
    }

    /// Ends a registration. TN_ERR_RANGE: there is no such registration.
    pub fn off_pressure(&'static self, callback: Callback, context: *mut c_void) -> Result<()> {
        let mut state = self.state.lock();
        let ended = state.end_listener(|listener| listener.is(callback, context));
        let name = state.name;
        drop(state);
        let Some((listener, idle)) = ended else {
            let (at, name) = (callback as usize, name.as_str());
            let text = format_args!("callback {at:#x} with context {context:p} is not registered at pool \"{name}\"");
            return Err(fail(TN_ERR_RANGE, text));
        };
        if idle {
            listener.finish_release();
        }
        Ok(())
    }

    /// Ends all registrations: the pool is retired.
    pub(in crate::pool) fn end_pressure(&'static self) {
        loop {
            let ended = self.state.lock().end_listener(|_| true);
            match ended {
                Some((listener, true)) => listener.finish_release(),
                Some((_, false)) => {}
                None => return,
            }
        }
    }

    /// Drops the buffers that a layer above keeps in this pool for later use. True: it dropped some. Called under no
    /// lock.
    pub(in crate::pool) fn drop_spares(&'static self) -> bool {
        SPARES.get().is_some_and(|drop_spares| drop_spares(self))
    }

    /// Calls the callbacks after number `heard`, which is 0 for a new request, until one says that it freed
    /// something. False: none did. Called under no lock.
    pub(in crate::pool) fn call_listeners(
        &'static self,
        needed: usize,
        reason: tn_pressure,
        heard: &mut usize,
    ) -> bool {
        if CALLED.get() {
            return false;
        }
        loop {
            let mut state = self.state.lock();
            let Some(listener) = state.listener_after(*heard) else { return false };
            *heard = listener.order.get();
            listener.users.set(listener.users.get() + 1);
            state.busy += 1;
            state.figures.pressure_count += 1;
            let (callback, context) = (listener.callback.get(), listener.context.get());
            drop(state);
            // SAFETY: only `on_pressure` stores here, and only such functions.
            let callback = unsafe { core::mem::transmute::<usize, Callback>(callback) };
            CALLED.set(true);
            // SAFETY: the program promised that it may run on any thread while the registration lasts; `users` keeps
            // it registered.
            let freed = unsafe { callback(context as *mut c_void, needed, reason) };
            CALLED.set(false);
            let mut state = self.state.lock();
            listener.users.set(listener.users.get() - 1);
            state.busy -= 1;
            let over = listener.ended.get() == 1 && listener.users.get() == 0;
            // The callback may have released the pool.
            self.enforce_threshold(state, usize::MAX);
            if over {
                listener.finish_release();
            }
            if freed > 0 {
                return true;
            }
        }
    }
}
