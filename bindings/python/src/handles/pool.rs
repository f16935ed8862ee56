//! `tenure.Pool`: the memory of arrays, and `with pool:`.
//!
//! Contract: one object owns one pool handle; arrays outlive it. `with pool:` makes it the current pool of this thread
//! and restores the previous one, also where blocks nest. Each thread has its own current pool.

use crate::api::{self, Id};
use crate::base::errors;
use crate::handles::pressure::Listeners;
use crate::handles::stream::Stream;
use crate::sys::*;
use crate::values::convert::{HOST, cached_objects, device_of, device_text, fixed_text, parameter_of, text_of};
use crate::values::file::path_of;
use core::sync::atomic::{AtomicU64, Ordering};
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::sync::{Mutex, PoisonError};
use std::thread::ThreadId;

/// A pool of memory. Options are keywords; an option that is not given has its default.
///
/// device: "cpu", "cuda:0", "cuda_host" (page-locked) or "cuda_managed:0". name: for messages and reports.
/// initial_size: bytes committed at once. max_size: upper bound of committed bytes. alignment: a power of two.
/// numa_node: n + 1 for node n. thread_cache_size, release_threshold, release_delay_ms: how much is kept for reuse, and
/// how long (`tenure.NONE`: nothing, or without limit). growth_factor, max_growth: how far ahead address space is
/// reserved. huge_pages: 1 never, 2 from the system's reserve. flags: `tenure.PoolFlags`. host_flags:
/// `tenure.cuda.HostFlags`, for page-locked and managed memory. peers: for CUDA memory, one bit for each other device
/// that may use it. backend: `tenure.PoolBackend`, for CUDA memory.
///
/// >>> pool = tenure.Pool(name="staging", max_size=1 << 30)
/// >>> with pool:
/// ...     x = tenure.empty((1000, 1000))
/// >>> pool.stats().live_blocks
/// 1
#[pyclass(frozen, weakref, module = "tenure", name = "Pool")]
pub struct Pool {
    /// 0: released.
    id: AtomicU64,
    name: Option<String>,
    device: tn_device,
    /// The previous current pool of each open block, to be restored: (thread, handle).
    before: Mutex<Vec<(ThreadId, Id)>>,
    listeners: Listeners,
}

impl Pool {
    /// Makes the object that owns a handle.
    pub fn wrap(py: Python<'_>, id: Id, device: tn_device) -> PyResult<Bound<'_, Pool>> {
        Bound::new(py, Pool::of(id, None, device))
    }

    fn of(id: Id, name: Option<String>, device: tn_device) -> Pool {
        let (before, listeners) = (Mutex::new(Vec::new()), Listeners::default());
        Pool { id: AtomicU64::new(id.0), name, device, before, listeners }
    }

    fn id(&self) -> Id {
        Id(self.id.load(Ordering::Relaxed))
    }

    /// The handle for a call. NULL, where there is no pool, means the current one.
    #[inline]
    pub fn id_of(pool: Option<&Bound<'_, Pool>>) -> PyResult<Id> {
        pool.map_or(Ok(Id::NULL), |pool| pool.get().live())
    }

    fn live(&self) -> PyResult<Id> {
        if self.id() == Id::NULL { Err(self.released_error()) } else { Ok(self.id()) }
    }

    /// " on cuda:0" for memory that is not plain host memory.
    fn elsewhere(&self) -> String {
        if self.device.r#type == TN_CPU { String::new() } else { format!(" on {}", device_text(self.device)) }
    }

    fn released_error(&self) -> PyErr {
        let what = self.name.as_ref().map_or_else(|| "this pool".to_owned(), |name| format!("pool {name:?}"));
        let text = format!("{what} was released; only its repr works");
        Python::attach(|py| errors::with_text(py, TN_ERR_STALE, &text, false))
    }
}

/// The pool of a new array, from the arguments `pool=` and `device=`.
pub struct PoolChoice {
    id: Id,
    /// This value owns the handle.
    owned: bool,
    /// Filling the memory may wait for a device.
    pub slow: bool,
}

impl PoolChoice {
    /// At most one argument may be given. Without both: the thread's current host pool.
    #[inline]
    pub fn of(pool: Option<&Bound<'_, Pool>>, device: Option<&str>) -> PyResult<PoolChoice> {
        let Some(device) = device else {
            let slow = pool.is_some_and(|pool| pool.get().device.r#type != TN_CPU);
            return Ok(PoolChoice { id: Pool::id_of(pool)?, owned: false, slow });
        };
        if pool.is_some() {
            return Err(PyValueError::new_err("pass pool= or device=, not both: a pool has a device of its own"));
        }
        Self::current_of(device_of(device)?)
    }

    /// The current pool of a device.
    pub fn current_of(device: tn_device) -> PyResult<PoolChoice> {
        Ok(PoolChoice { id: api::pool_current(device)?, owned: true, slow: device.r#type != TN_CPU })
    }

    /// The pool's handle for a call. NULL means the current pool.
    pub fn id(&self) -> Id {
        self.id
    }
}

impl Drop for PoolChoice {
    fn drop(&mut self) {
        if self.owned {
            // Arrays outlive the handle, and an open handle can always be released.
            let _ = api::pool_release(self.id);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut ids = vec![Id(*self.id.get_mut())];
        ids.extend(self.before.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..).map(|(_, id)| id));
        for id in ids.into_iter().filter(|id| *id != Id::NULL) {
            let _ = api::pool_release(id);
        }
    }
}

/// The device of a new pool's memory. Page-locked memory with TN_HOST_BEST_EFFORT is plain host memory where no driver
/// can lock pages.
fn memory_device(device: tn_device, host_flags: u32) -> tn_device {
    let may_be_plain = device.r#type == TN_CUDA_HOST && host_flags & TN_HOST_BEST_EFFORT != 0;
    let locks = !may_be_plain || api::cuda::device_count(TN_CUDA_HOST).is_ok_and(|count| count > 0);
    if locks { device } else { HOST }
}

#[pymethods]
impl Pool {
    #[new]
    #[pyo3(signature = (device="cpu", *, name=None, initial_size=0, max_growth=0, max_size=0, growth_factor=0.0,
                        alignment=0, thread_cache_size=0, release_threshold=0, release_delay_ms=0, huge_pages=0,
                        numa_node=0, flags=0, host_flags=0, peers=0, backend=0, spill=None, spill_limit=0))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        device: &str,
        name: Option<String>,
        initial_size: u64,
        max_growth: u64,
        max_size: u64,
        growth_factor: f64,
        alignment: u64,
        thread_cache_size: u64,
        release_threshold: u64,
        release_delay_ms: u64,
        huge_pages: u32,
        numa_node: i32,
        flags: u32,
        host_flags: u32,
        peers: u64,
        backend: u32,
        spill: Option<&Bound<'_, PyAny>>,
        spill_limit: u64,
    ) -> PyResult<Pool> {
        let device = device_of(device)?;
        let text = name.as_deref().map(text_of).transpose()?;
        let options = tn_pool_options {
            size: size_of::<tn_pool_options>(),
            name: text.as_ref().map_or(core::ptr::null(), |t| t.as_ptr()),
            initial_size,
            max_growth,
            max_size,
            growth_factor,
            alignment,
            thread_cache_size,
            release_threshold,
            release_delay_ms,
            peers,
            huge_pages,
            backend,
            numa_node,
            host_flags,
            flags,
            reserved: 0,
        };
        // SAFETY: the name is NULL or terminated, and lives until the call returned.
        let id = unsafe { api::pool_create(device, &options)? };
        let pool = Pool::of(id, name, memory_device(device, host_flags));
        if spill.is_some() {
            pool.set_spill(py, spill, spill_limit, 0)?;
        }
        Ok(pool)
    }

    /// Lets the pool spill: at `max_size` it writes arrays that nobody uses to nameless files in `folder`, the one that was
    /// used longest ago first, and frees their memory. The next use brings an array back. An array stays in memory while it
    /// is borrowed, exported, viewed by NumPy, or in a lazy expression. This concerns arrays that are made from now on, of
    /// at least `min_array_bytes` (65536). `limit`: the most bytes in files; 0: none. None as folder ends spilling.
    ///
    /// >>> pool = tenure.Pool(max_size=1 << 30, spill="/var/tmp")
    #[pyo3(signature = (folder, limit=0, min_array_bytes=0))]
    fn set_spill(
        &self,
        py: Python<'_>,
        folder: Option<&Bound<'_, PyAny>>,
        limit: u64,
        min_array_bytes: u64,
    ) -> PyResult<()> {
        let folder = folder.map(path_of).transpose()?;
        let id = self.live()?;
        py.detach(|| api::pool_set_spill(id, folder.as_deref(), limit, min_array_bytes).map_err(PyErr::from))
    }

    /// Spills arrays that nobody uses now, the one that was used longest ago first, until `nbytes` bytes of memory are free,
    /// or all that can be. Returns the number of bytes.
    #[pyo3(signature = (nbytes=None))]
    fn spill(&self, py: Python<'_>, nbytes: Option<usize>) -> PyResult<usize> {
        let id = self.live()?;
        py.detach(|| api::pool_spill(id, nbytes.unwrap_or(usize::MAX)).map_err(PyErr::from))
    }

    /// Until the end of the block, the thread's new arrays on the pool's device come from this pool.
    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        let pool = slf.get();
        let id = pool.live()?;
        let before = api::pool_current(pool.device)?;
        if let Err(failure) = api::pool_set_current(id) {
            let error = failure.into();
            let _ = api::pool_release(before);
            return Err(error);
        }
        pool.before.lock().unwrap_or_else(PoisonError::into_inner).push((std::thread::current().id(), before));
        Ok(slf)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        let thread = std::thread::current().id();
        let before = {
            let mut list = self.before.lock().unwrap_or_else(PoisonError::into_inner);
            list.iter().rposition(|(of, _)| *of == thread).map(|at| list.remove(at).1)
        };
        let Some(before) = before else {
            return Err(PyRuntimeError::new_err("this thread has no open `with` block of this pool"));
        };
        let restored = api::pool_set_current(before).map_err(PyErr::from);
        let _ = api::pool_release(before);
        restored
    }

    /// The pool's statistics: a `tenure.PoolStats`.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let s = api::pool_query(self.live()?)?;
        let fields = PyDict::new(py);
        macro_rules! set {
            ($($name:ident)*) => { $(fields.set_item(stringify!($name), s.$name)?;)* };
        }
        set!(requested_bytes in_use_bytes cached_bytes pending_bytes overhead_bytes reserved_bytes);
        set!(address_bytes huge_bytes metadata_bytes peak_in_use_bytes peak_reserved_bytes peak_requested_bytes);
        set!(allocation_count deallocation_count reallocation_count failure_count live_blocks hit_count);
        set!(thread_hit_count device_allocate_count device_free_count device_bytes_total trim_count pressure_count);
        set!(oom_count misuse_count zero_bytes_skipped largest_free_bytes limit_bytes thread_count held_bytes);
        set!(shared_out_bytes serial spilled_bytes spill_count unspill_count);
        cached_objects(py)?.types_module.bind(py).getattr("PoolStats")?.call((), Some(&fields))
    }

    /// The pool's statistics by client: a `tenure.PoolClient` for arrays, for raw blocks and for each library that
    /// allocates from the pool.
    fn clients<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let class = cached_objects(py)?.types_module.bind(py).getattr("PoolClient")?;
        let entry = |c: &tn_pool_client| {
            class.call1((
                fixed_text(&c.name),
                c.live_blocks,
                c.live_bytes,
                c.requested_bytes,
                c.peak_bytes,
                c.allocation_count,
                c.failure_count,
                c.misuse_count,
                c.mismatch_count,
            ))
        };
        api::pool_clients(self.live()?)?.iter().map(entry).collect()
    }

    /// The pool's statistics by block size: a `tenure.PoolClass` for large blocks (`block_bytes` 0), then one for each
    /// size that was used.
    fn classes<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let class = cached_objects(py)?.types_module.bind(py).getattr("PoolClass")?;
        let entry = |c: &tn_pool_class_stats| {
            let fields = (c.block_bytes, c.span_bytes, c.live_blocks, c.cached_blocks, c.span_count);
            class.call1((fields.0, fields.1, fields.2, fields.3, fields.4, c.allocation_count, c.hit_count))
        };
        api::pool_classes(self.live()?)?.iter().map(entry).collect()
    }

    /// Calls `callback(needed, reason)` when the pool runs out of memory, before the request fails. `reason` is "limit"
    /// or "device". The callback returns the number of bytes that it freed. After None or 0 the next callback runs
    /// without another attempt. The registration ends at `off_pressure`, or with the pool.
    fn on_pressure(&self, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        if !callback.is_callable() {
            return Err(PyTypeError::new_err("callback must be callable"));
        }
        self.listeners.on(self.live()?, callback)
    }

    /// Ends a registration that `on_pressure` of this object made.
    fn off_pressure(&self, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.listeners.off(self.live()?, callback)
    }

    /// Releases cached memory to the system until at most `keep` bytes are cached. Returns the number of bytes
    /// released.
    #[pyo3(signature = (keep=0))]
    fn trim(&self, py: Python<'_>, keep: usize) -> PyResult<usize> {
        let id = self.live()?;
        py.detach(|| api::pool_trim(id, keep).map_err(PyErr::from))
    }

    /// Makes this pool the process-wide default of its device, also after the first use: NULL in C, and calls without
    /// `pool=` on threads without a `with pool:` block take memory from it from now on. Existing arrays stay where they
    /// are. The pool stays alive while it is the default. `previous = tenure.default_pool()` before, and
    /// `previous.enable()` later, undo it.
    ///
    /// >>> previous = tenure.default_pool()
    /// >>> pool.enable()
    /// >>> tenure.zeros(3).pool.name == pool.name
    /// True
    /// >>> previous.enable()
    fn enable(&self, py: Python<'_>) -> PyResult<()> {
        let id = self.live()?;
        // It waits until no other thread is inside the library.
        py.detach(|| api::pool_set_default(id).map_err(PyErr::from))
    }

    /// `tenure.cuda.private_pool` calls this at the beginning of its block.
    fn _private_begin(&self, private_pool: &Bound<'_, Pool>, stream: &Bound<'_, Stream>) -> PyResult<()> {
        Ok(api::pool_private_begin(self.live()?, private_pool.get().live()?, stream.get().id()?)?)
    }

    /// `tenure.cuda.private_pool` calls this at the end of its block.
    fn _private_end(&self, stream: &Bound<'_, Stream>) -> PyResult<()> {
        Ok(api::pool_private_end(self.live()?, stream.get().id()?)?)
    }

    /// Sets the peaks in `stats` to the current values.
    fn reset_peak(&self) -> PyResult<()> {
        Ok(api::pool_reset_peak(self.live()?)?)
    }

    /// The name in messages and reports.
    #[getter]
    fn name(&self) -> PyResult<String> {
        if let Some(name) = &self.name {
            return Ok(name.clone());
        }
        // Another object or language made this pool. The list of open handles has its name.
        let id = self.live()?;
        let open = api::leaks()?;
        let entry = open.iter().find(|h| h.kind == TN_HOLDER_POOL && h.id == id.0);
        Ok(entry.map(|h| fixed_text(&h.name)).unwrap_or_default())
    }

    /// The device of the memory: "cpu", "cuda:0", "cuda_host", "cuda_managed:0".
    #[getter]
    fn device(&self) -> String {
        device_text(self.device)
    }

    /// The handle as an integer, valid while this object exists.
    #[getter]
    fn handle(&self) -> PyResult<u64> {
        Ok(self.live()?.0)
    }

    /// The handle for ctypes.
    #[getter]
    fn _as_parameter_<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        parameter_of(py, self.live()?)
    }

    /// Releases this handle. Cached memory goes back to the system now; arrays stay valid. Calling it twice is allowed.
    fn release(&self) -> PyResult<()> {
        match self.id.swap(0, Ordering::Relaxed) {
            0 => Ok(()),
            id => {
                self.listeners.forget();
                Ok(api::pool_release(Id(id))?)
            }
        }
    }

    fn __repr__(&self) -> String {
        match (self.id(), self.name()) {
            (Id::NULL, _) => "<released pool>".to_owned(),
            (_, Ok(name)) => format!("<tenure.Pool {name:?}{}>", self.elsewhere()),
            (id, Err(_)) => format!("<tenure.Pool {:#x}{}>", id.0, self.elsewhere()),
        }
    }
}

/// The process-wide pool of a device.
#[pyfunction]
#[pyo3(signature = (device="cpu"))]
pub fn default_pool<'py>(py: Python<'py>, device: &str) -> PyResult<Bound<'py, Pool>> {
    let device = device_of(device)?;
    Pool::wrap(py, api::pool_default(device)?, device)
}

/// The thread's current pool of a device: the default one outside of `with pool:`.
#[pyfunction]
#[pyo3(signature = (device="cpu"))]
pub fn current_pool<'py>(py: Python<'py>, device: &str) -> PyResult<Bound<'py, Pool>> {
    let device = device_of(device)?;
    Pool::wrap(py, api::pool_current(device)?, device)
}
