//! Private pools: another pool serves a pool's requests on a stream, so that the blocks of a captured graph stay its
//! own (PD-15).
//!
//! Contract: the private pool is an ordinary pool of the same device, with its own limits and statistics. A block goes
//! back to the pool that served it. Without redirections a request reads one word more.

use crate::error::{Result, fail};
use crate::pool::Pool;
use crate::pool::redirections::Redirection;
use crate::pool::span::stream_uses::Stream;
use crate::types::*;
use core::sync::atomic::Ordering;

impl Pool {
    /// The pool that serves a request on a stream: the pool itself, unless a private one does. None: the thread's
    /// current stream.
    #[inline]
    pub fn serving(&'static self, stream: Option<&'static Stream>) -> &'static Pool {
        if self.redirection_count.load(Ordering::Relaxed) == 0 { self } else { self.serving_slow(stream) }
    }

    #[cold]
    fn serving_slow(&'static self, stream: Option<&'static Stream>) -> &'static Pool {
        let Ok(Some(stream)) = self.stream_of(stream) else { return self };
        self.redirections.lock().find(stream).unwrap_or(self)
    }

    /// Whether the pool serves, or has served, requests of another one. Blocks of this pool may be passed with that
    /// one.
    pub(in crate::pool) fn serves(&self, other: &Pool) -> bool {
        self.serves.load(Ordering::Relaxed) == other.serial.load(Ordering::Relaxed)
    }

    /// Lets a private pool serve this pool's requests on a stream. None: the thread's current stream.
    pub fn private_begin(&'static self, private: &'static Pool, stream: Option<&'static Stream>) -> Result<()> {
        let name = private.name();
        let fits = self.is_stream_ordered() && private.is_stream_ordered() && self.device() == private.device();
        if !fits || core::ptr::eq(self, private) {
            return Err(fail(
                if fits { TN_ERR_INVALID } else { TN_ERR_DEVICE },
                format_args!("pool \"{}\" must be another pool of a device, and of the same one", name.as_str()),
            ));
        }
        self.check_process()?;
        let Some(stream) = self.stream_of(stream)? else {
            return Err(fail(
                TN_ERR_NULL,
                format_args!("stream is NULL, and the memory is the host's too; pass a stream"),
            ));
        };
        let serial = self.serial.load(Ordering::Relaxed);
        let served = private.serves.compare_exchange(0, serial, Ordering::Relaxed, Ordering::Relaxed);
        if served.is_err_and(|other| other != serial) {
            return Err(fail(
                TN_ERR_INVALID,
                format_args!("pool \"{}\" has served another pool, and can serve only that one", name.as_str()),
            ));
        }
        private.keep()?;
        let mut redirections = self.redirections.lock();
        let known = redirections.find(stream).is_some();
        let added = if known { None } else { redirections.add(Redirection::new(stream, private)) };
        drop(redirections);
        if let Some(ended) = added {
            self.redirection_count.fetch_add(u32::from(ended.is_none()), Ordering::Relaxed);
            ended.into_iter().for_each(Pool::drop_ref);
            return Ok(());
        }
        private.drop_ref();
        let (status, why) = match known {
            true => (TN_ERR_DUPLICATE, "a private pool serves this stream already"),
            false => (TN_ERR_LIMIT, "private pools serve 16 streams of this pool already"),
        };
        Err(fail(status, format_args!("{why}; end that with tn_pool_private_end")))
    }

    /// Ends it.
    pub fn private_end(&'static self, stream: Option<&'static Stream>) -> Result<()> {
        let stream = self.stream_of(stream)?;
        match stream.and_then(|stream| self.take_redirection(Some(stream))) {
            Some(private) => {
                private.drop_ref();
                Ok(())
            }
            None => Err(fail(TN_ERR_INVALID, format_args!("no private pool serves this stream of the pool"))),
        }
    }

    /// Ends all redirections of a pool that is retired.
    pub(in crate::pool) fn end_redirections(&'static self) {
        while let Some(private) = self.take_redirection(None) {
            private.drop_ref();
        }
    }

    /// Removes the redirection of a stream; None: any.
    fn take_redirection(&self, stream: Option<&'static Stream>) -> Option<&'static Pool> {
        let private = self.redirections.lock().take(stream)?;
        self.redirection_count.fetch_sub(1, Ordering::Relaxed);
        Some(private)
    }
}
