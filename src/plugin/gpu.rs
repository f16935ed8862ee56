//! Allocators of GPU libraries: PyTorch, CuPy, Numba and RMM.
//!
//! Contract: a block is allocated and freed in the order of a stream, which belongs to the library and is named by its
//! CUstream. The block is reused at once on the stream of its free, on others after that stream's work. A library that
//! names no stream uses the calling thread's current one, or else the legacy stream; such a free passes on other
//! streams after a wait for the whole device (AL-7). A free never fails for its stream: if that is not usable, the free
//! counts as one without a stream. The call is counted even where the driver has shut down (AL-10). A size of 0 gives
//! NULL, and NULL is never freed.

use crate::error::{self, Result, fail, quietly};
use crate::gpu;
use crate::options;
use crate::pool::{self, Client, Pool};
use crate::slots::Id;
use crate::stream::{self, Stream, StreamArg, StreamRef};
use crate::sys::os;
use crate::thread;
use crate::types::*;
use core::ffi::c_void;
use core::ptr::null_mut;

/// The least alignment of a block: that of the driver's own allocations (AL-5).
const ALIGNMENT_BYTES: usize = 256;

/// The stream of a call.
#[derive(Clone, Copy)]
pub enum Order {
    /// A CUstream's value. 0 is the legacy stream.
    On(u64),
    /// The library names no stream.
    Unnamed,
    /// A free: no stream uses the block any more.
    Done,
}

/// What a library passes with each call, beside the block.
#[derive(Clone, Copy)]
pub struct Call {
    /// The library.
    pub client: Client,
    /// The bits of the pool's handle. 0: the initial default pool of the GPU; a free finds the block's own pool.
    pub pool: u64,
    /// The GPU's ordinal. None: the library names none, and means the GPU of the thread's current context.
    pub gpu: Option<i32>,
    /// The stream.
    pub order: Order,
}

/// PyTorch's signed sizes. TN_ERR_INVALID: a negative one.
pub fn size(bytes: isize) -> Result<usize> {
    usize::try_from(bytes)
        .map_err(|_| fail(TN_ERR_INVALID, format_args!("{bytes} bytes are requested; a size is not negative")))
}

impl Call {
    /// A call of PyTorch for a GPU.
    pub fn torch(gpu: i32, stream: u64) -> Call {
        Call { client: Client::TORCH, pool: 0, gpu: Some(gpu), order: Order::On(stream) }
    }

    /// A call of PyTorch that names no GPU.
    pub fn torch_anywhere(stream: u64) -> Call {
        Call { client: Client::TORCH, pool: 0, gpu: None, order: Order::On(stream) }
    }

    /// A call of CuPy's CFunctionAllocator.
    pub fn cupy(pool: u64, gpu: i32) -> Call {
        Call { client: Client::CUPY, pool, gpu: Some(gpu), order: Order::Unnamed }
    }

    /// A call of RMM.
    pub fn rmm(pool: u64, stream: u64) -> Call {
        Call { client: Client::RMM, pool, gpu: None, order: Order::On(stream) }
    }

    /// A call of a client's plug-in in another language. `gpu` negative: none is named. TN_ERR_INVALID: no client of a
    /// GPU library.
    pub fn of(client: tn_client, pool: u64, gpu: i32, stream: u64) -> Result<Call> {
        let clients = [Client::TORCH, Client::CUPY, Client::NUMBA, Client::RMM, Client::OTHER];
        let Some(client) = clients.into_iter().find(|known| known.index() == client as usize) else {
            return Err(fail(
                TN_ERR_INVALID,
                format_args!(
                    "client {client} is no library of GPUs; use TN_CLIENT_TORCH to TN_CLIENT_RMM, or TN_CLIENT_OTHER"
                ),
            ));
        };
        let order = match stream {
            StreamArg::CURRENT => Order::Unnamed,
            u64::MAX => Order::Done,
            native => Order::On(native),
        };
        Ok(Call { client, pool, gpu: (gpu >= 0).then_some(gpu), order })
    }

    /// Allocates a block; NULL for 0 bytes.
    ///
    /// TN_ERR_STALE, TN_ERR_KIND: no handle of a pool. TN_ERR_DEVICE: a pool of another device, or an unusable stream.
    /// TN_ERR_UNSUPPORTED: no driver; or the stream captures a graph, and no free block fits. Otherwise as
    /// `tn_pool_allocate`.
    pub fn allocate(&self, bytes: usize) -> Result<*mut c_void> {
        os::pin_library();
        let pool = self.pool()?;
        if bytes == 0 {
            return Ok(null_mut());
        }
        let stream = self.stream_of_use(pool)?;
        let stream = stream.as_ref().map(StreamRef::stream);
        // No call site: the thread's recorded site belongs to its last call of this library, not to this allocation.
        let stamp = thread::stamp(thread::current().number(), 0);
        let alignment = ALIGNMENT_BYTES.max(pool.alignment());
        let block = pool.serving(stream).allocate_raw_on(self.client, stream, bytes, alignment, false, stamp)?;
        Ok(block.as_ptr().cast())
    }

    /// As `allocate`. With the option `torch.on_failure` a failure ends the process with its message, for a library
    /// that does not test the result.
    pub fn allocate_or_exit(&self, bytes: usize) -> Result<*mut c_void> {
        self.allocate(bytes).inspect_err(|_| {
            if options::torch_exits() {
                os::print_error(&["tenure: tn_torch_alloc: ", error::drafted().as_str(), "\n"]);
                std::process::abort();
            }
        })
    }

    /// Frees a block. `bytes`: the size that the library believes the block has, if it passes one.
    pub fn deallocate(&self, address: usize, bytes: Option<usize>) -> Result<()> {
        let through = self.owner(address)?;
        if matches!(self.order, Order::Done) {
            return pool::deallocate_finished(self.client, through, address, bytes);
        }
        let mut named = None;
        pool::deallocate_on(self.client, through, address, bytes, |device| {
            let Some(device) = self.device_of_free(device) else { return Ok(None) };
            named = self.named(device, stream::Use::Ends);
            Ok(self.end_of_use(named.as_ref(), device))
        })
    }

    /// Records that a stream uses a block until it is freed.
    pub fn record_use(&self, address: usize) -> Result<()> {
        let through = self.owner(address)?;
        let mut named = None;
        pool::record_use_on(self.client, through, address, |device| {
            let Some(device) = self.device_of_free(device) else { return Ok(None) };
            named = self.named(device, stream::Use::Begins);
            Ok(self.end_of_use(named.as_ref(), device))
        })
    }

    /// The pool of a request.
    fn pool(&self) -> Result<&'static Pool> {
        let pool = match self.pool {
            0 => return self.default_pool(),
            bits => pool::of_handle(Id::from_bits(bits))?,
        };
        let (device, name) = (pool.device(), pool.name());
        if device.r#type == TN_CPU {
            return Err(fail(
                TN_ERR_DEVICE,
                format_args!("pool \"{}\" is on the host, and GPUs cannot use its memory", name.as_str()),
            ));
        }
        if let Some(gpu) = self.gpu.filter(|gpu| device.r#type == TN_CUDA && *gpu != device.id) {
            return Err(fail(
                TN_ERR_DEVICE,
                format_args!(
                    "pool \"{}\" is on GPU {}, and memory of GPU {gpu} is requested; pass a pool of that GPU",
                    name.as_str(),
                    device.id
                ),
            ));
        }
        Ok(pool)
    }

    /// The initial default pool of the GPU, not the current pool of a thread (AL-2).
    fn default_pool(&self) -> Result<&'static Pool> {
        let id = match self.gpu {
            Some(id) => id,
            None => gpu::home()?.id(),
        };
        pool::initial(tn_device { r#type: TN_CUDA, id })
    }

    /// The pool that a free names. Where none is named and the address is in no pool, the misuse counts for the default
    /// pool.
    fn owner(&self, address: usize) -> Result<Option<&'static Pool>> {
        let named = super::of_free(self.pool)?;
        let has_owner = named.is_some() || address == 0 || pool::is_in_pool(address);
        Ok(if has_owner { named } else { quietly(|| self.default_pool()).ok() })
    }

    /// The stream that uses a new block. None: the pool's own rule for requests without a stream.
    fn stream_of_use(&self, pool: &'static Pool) -> Result<Option<StreamRef>> {
        match self.order {
            Order::On(native) if pool.is_stream_ordered() => {
                stream::named(self.device(pool.device())?, native, stream::Use::Begins).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The GPU of the call, for memory of a device. GPUs share page-locked and managed memory.
    fn device(&self, device: tn_device) -> Result<tn_device> {
        if device.r#type == TN_CUDA {
            return Ok(device);
        }
        let id = match self.gpu {
            Some(id) => id,
            None => gpu::home()?.id(),
        };
        Ok(tn_device { r#type: TN_CUDA, id })
    }

    /// As `device`. None: memory of the host, or the driver has shut down.
    fn device_of_free(&self, device: tn_device) -> Option<tn_device> {
        if device.r#type == TN_CPU { None } else { quietly(|| self.device(device)).ok() }
    }

    /// The stream that the call names, if it is usable.
    fn named(&self, device: tn_device, how: stream::Use) -> Option<StreamRef> {
        match self.order {
            Order::On(native) => quietly(|| stream::named(device, native, how)).ok(),
            Order::Unnamed | Order::Done => None,
        }
    }

    /// The stream whose work comes before the reuse of a block that is freed. None: the driver has shut down.
    fn end_of_use(&self, named: Option<&StreamRef>, device: tn_device) -> Option<&'static Stream> {
        match named {
            Some(named) => Some(named.stream()),
            None => quietly(|| stream::unnamed(device)).ok(),
        }
    }
}
