//! Helpers of the tests of device pools: pools, blocks and streams by the C functions, with statuses as results.
#![allow(dead_code)]

use crate::driver_call;
use crate::support::cuda::with_context;
use std::ffi::c_void;
use std::ptr::null_mut;
use tenure::ffi::pool::*;
use tenure::ffi::stream::*;
use tenure::types::*;

pub const HOST: tn_device = tn_device { r#type: TN_CPU, id: 0 };
pub const PINNED: tn_device = tn_device { r#type: TN_CUDA_HOST, id: 0 };
pub const MANAGED: tn_device = tn_device { r#type: TN_CUDA_MANAGED, id: 0 };
pub const GPU: tn_device = tn_device { r#type: TN_CUDA, id: 0 };
pub const MIB: usize = 1 << 20;

pub type Status<T> = Result<T, tn_status>;

fn made<T>(status: tn_status, value: T) -> Status<T> {
    if status == TN_OK { Ok(value) } else { Err(status) }
}

/// A pool, released on drop.
pub struct Pool(pub *mut tn_pool);

// SAFETY: handles may be used from any thread.
unsafe impl Sync for Pool {}
// SAFETY: as above.
unsafe impl Sync for Stream {}

impl Drop for Pool {
    fn drop(&mut self) {
        assert_eq!(tn_pool_release(self.0), TN_OK);
    }
}

pub fn options(change: impl FnOnce(&mut tn_pool_options)) -> tn_pool_options {
    let mut options = tn_pool_options { size: size_of::<tn_pool_options>(), ..tn_pool_options::default() };
    change(&mut options);
    options
}

pub fn pool_on(device: tn_device, change: impl FnOnce(&mut tn_pool_options)) -> Status<Pool> {
    let mut pool = null_mut();
    // SAFETY: all of it is ours.
    let status = unsafe { tn_pool_create(device, &options(change), &mut pool) };
    made(status, pool).map(Pool)
}

pub fn pool() -> Pool {
    pool_on(GPU, |_| ()).unwrap()
}

impl Pool {
    pub fn take(&self, bytes: usize, stream: &Stream) -> Status<usize> {
        self.take_at(bytes, 0, stream.0)
    }

    pub fn take_at(&self, bytes: usize, alignment: usize, stream: *mut tn_stream) -> Status<usize> {
        let mut block = null_mut();
        // SAFETY: the pointer is ours.
        let status = unsafe { tn_pool_allocate(self.0, bytes, alignment, stream, &mut block) };
        made(status, block as usize)
    }

    pub fn take_zeroed(&self, bytes: usize, stream: *mut tn_stream) -> Status<usize> {
        let mut block = null_mut();
        // SAFETY: the pointer is ours.
        let status = unsafe { tn_pool_allocate_zeroed(self.0, bytes, 0, stream, &mut block) };
        made(status, block as usize)
    }

    pub fn resize(&self, block: usize, bytes: usize, stream: &Stream) -> Status<usize> {
        let mut out = null_mut();
        // SAFETY: the pointer is ours.
        let status = unsafe { tn_pool_reallocate(self.0, block as *mut c_void, bytes, stream.0, &mut out) };
        made(status, out as usize)
    }

    pub fn give(&self, block: usize, stream: &Stream) {
        assert_eq!(self.try_give(block, stream.0), TN_OK);
    }

    pub fn try_give(&self, block: usize, stream: *mut tn_stream) -> tn_status {
        tn_pool_deallocate(self.0, block as *mut c_void, stream)
    }

    pub fn record_use(&self, block: usize, stream: &Stream) {
        assert_eq!(tn_pool_record_use(self.0, block as *mut c_void, stream.0), TN_OK);
    }

    pub fn trim(&self) -> usize {
        let mut released = 0;
        // SAFETY: the number is ours.
        assert_eq!(unsafe { tn_pool_trim(self.0, 0, &mut released) }, TN_OK);
        released
    }

    /// The statistics, after their identities are checked.
    pub fn stats(&self) -> tn_pool_stats {
        let mut stats = tn_pool_stats { size: size_of::<tn_pool_stats>(), ..tn_pool_stats::default() };
        // SAFETY: the struct is ours, and says its size.
        assert_eq!(unsafe { tn_pool_query(self.0, &mut stats) }, TN_OK);
        let sum = stats.in_use_bytes + stats.cached_bytes + stats.pending_bytes + stats.overhead_bytes;
        assert_eq!(stats.reserved_bytes, sum, "{stats:?}");
        assert_eq!(stats.live_blocks, stats.allocation_count - stats.deallocation_count);
        stats
    }
}

pub fn usable(block: usize) -> usize {
    let mut bytes = 0;
    // SAFETY: the number is ours.
    assert_eq!(unsafe { tn_pool_usable_size(block as *const c_void, &mut bytes) }, TN_OK);
    bytes
}

/// A stream, released on drop.
pub struct Stream(pub *mut tn_stream);

impl Drop for Stream {
    fn drop(&mut self) {
        if self.0 as u64 > 3 {
            assert_eq!(tn_stream_release(self.0), TN_OK);
        }
    }
}

pub const NOW: Stream = Stream(null_mut());

pub fn stream_on(device: tn_device, flags: u32) -> Stream {
    let mut stream = null_mut();
    // SAFETY: the pointer is ours.
    assert_eq!(unsafe { tn_stream_create(device, flags, 0, &mut stream) }, TN_OK);
    Stream(stream)
}

/// A handle on another library's CUstream.
pub fn imported(native: u64) -> Stream {
    let mut stream = null_mut();
    // SAFETY: the pointer is ours.
    assert_eq!(unsafe { tn_stream_import(GPU, native, &mut stream) }, TN_OK);
    Stream(stream)
}

pub fn stream() -> Stream {
    stream_on(GPU, 0)
}

impl Stream {
    pub fn native(&self) -> u64 {
        let mut native = 0;
        // SAFETY: the number is ours.
        assert_eq!(unsafe { tn_stream_native(self.0, &mut native) }, TN_OK);
        native
    }

    pub fn finish(&self) {
        assert_eq!(tn_stream_synchronize(self.0), TN_OK);
    }
}

/// A capture of a stream, in thread-local mode: calls of this thread that could wait are refused unless they are made
/// in relaxed mode.
pub struct Capture<'a>(&'a Stream);

impl Capture<'_> {
    pub fn begin(stream: &Stream) -> Capture<'_> {
        let native = stream.native() as usize;
        assert_eq!(with_context(0, || driver_call!(cuStreamBeginCapture_v2(native => usize, 1u32 => u32))), 0);
        Capture(stream)
    }

    /// Its graph; the capture must be valid.
    pub fn end(self) -> usize {
        let (native, mut graph) = (self.0.native() as usize, 0usize);
        let ended = with_context(0, || driver_call!(cuStreamEndCapture(native => usize, &mut graph => *mut usize)));
        assert!(ended == 0 && graph != 0, "the capture is sound: {ended}");
        graph
    }
}

/// Runs a graph once on a stream.
pub fn launch(graph: usize, stream: &Stream) {
    let (mut made, native) = (0usize, stream.native() as usize);
    with_context(0, || {
        assert_eq!(driver_call!(cuGraphInstantiateWithFlags(&mut made => *mut usize, graph => usize, 0u64 => u64)), 0);
        assert_eq!(driver_call!(cuGraphLaunch(made => usize, native => usize)), 0);
        assert_eq!(driver_call!(cuStreamSynchronize(native => usize)), 0);
        assert_eq!(driver_call!(cuGraphExecDestroy(made => usize)), 0);
        assert_eq!(driver_call!(cuGraphDestroy(graph => usize)), 0);
    });
}
