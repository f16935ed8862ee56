//! Devices: where memory lives and how it is had.
//!
//! Contract: a [`Device`] hands out ranges and takes them back; it keeps no list of what it gave. It is called under no
//! lock. Reuse, limits and counting are the pools' business.
//!
//! | device | what it is |
//! |---|---|
//! | [`host`] | the memory of the system; waits for nobody and calls nobody |
//! | [`upstream`] | callbacks of the program: one device for each pool that is made over them |
//! | [`cuda`] | GPUs, by the CUDA driver if there is one |

use crate::error::{Result, fail};
use crate::stream::Queue;
use crate::types::*;

pub mod host;

pub mod upstream;

// Programs' malloc has no device.
#[cfg(not(preload))]
pub mod cuda;

/// In what a device differs from others, for those who keep its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Bytes that ranges are multiples of: a multiple of [`host::GRANULE`], to which every range is aligned.
    pub granule: usize,
    /// Bytes that large blocks are rounded to; divides the granule.
    pub page: usize,
    /// The status of a refusal: TN_ERR_NO_HOST_MEMORY or TN_ERR_NO_DEVICE_MEMORY.
    pub refusal: tn_status,
    /// Ranges that lie side by side are as good as one.
    pub joins: bool,
    /// A part of a range can go back before the rest.
    pub splits: bool,
    /// The pages of a range can move to other addresses.
    pub moves: bool,
    /// Memory reads 0 when it comes.
    pub zeroed: bool,
    /// The host may read and write it.
    pub touch: bool,
    /// Devices work on it behind the host's back: what is given back may be in use still.
    pub ordered: bool,
}

impl Terms {
    /// Those of no device.
    pub const NONE: Terms = Terms {
        granule: host::GRANULE,
        page: host::GRANULE,
        refusal: TN_ERR_NO_HOST_MEMORY,
        joins: false,
        splits: false,
        moves: false,
        zeroed: false,
        touch: false,
        ordered: false,
    };
}

/// What a pool needs from the place where memory lives. Ranges are given by address and bytes.
pub trait Device: Sync {
    /// What it is like; the same for as long as it lives.
    fn terms(&self) -> Terms;

    /// A range of addresses at a multiple of `alignment`, of which nothing is committed. `node`: 0, or 1 + the NUMA
    /// node to prefer. None: refused. A status: it gave what is no such range, and has that back.
    fn reserve(&self, bytes: usize, alignment: usize, node: u32) -> Result<Option<usize>>;

    /// Whether addresses may be reserved long before they are committed, at no cost.
    fn reserves_ahead(&self) -> bool {
        false
    }

    /// Asks for huge pages on a reserved range, or for none; `how`: TN_HUGE_. Contents of the range are lost where it is EXPLICIT. False: it
    /// is as it was.
    ///
    /// # Safety
    /// - the range came from `reserve` of this device, and nobody uses it meanwhile.
    unsafe fn set_huge(&self, _start: usize, _bytes: usize, _how: tn_huge_pages) -> bool {
        false
    }

    /// TN_HOST_ flags of page-locked memory; 0 of any other.
    fn host_flags(&self) -> u32 {
        0
    }

    /// Makes pages of a reserved range usable. False: refused.
    fn commit(&self, start: usize, bytes: usize) -> bool;

    /// Gives a range back, memory and addresses. False: the addresses did not go, or nothing did.
    ///
    /// # Safety
    /// - the range came from `reserve` of this device, whole or, if it splits, in part, and nobody uses it any more.
    unsafe fn free(&self, start: usize, bytes: usize) -> bool;

    /// Gives the memory of committed pages back and keeps them committed: the contents are undefined, or, with `zero`,
    /// read 0. False: this device cannot, and they are as they were.
    ///
    /// # Safety
    /// - the pages are committed, and nobody needs their contents or uses them meanwhile.
    unsafe fn discard(&self, start: usize, bytes: usize, zero: bool) -> bool;

    /// Makes committed pages present now rather than at first touch. Contents stay.
    ///
    /// # Safety
    /// - the range is committed, and nobody writes it meanwhile.
    unsafe fn prefault(&self, start: usize, bytes: usize);

    /// Moves the pages of an old range to the beginning of a larger one without copying. True: the old range is gone.
    /// False: refused, or this device cannot: the old range is as it was, and whether the new one still exists is not
    /// known, so that the caller must forget it without freeing it.
    ///
    /// # Safety
    /// - the old range came from `reserve` of this device, and nobody uses it meanwhile;
    /// - the new one came from `reserve` of this device, is committed, and was never used.
    unsafe fn move_pages(&self, old: usize, old_bytes: usize, to: usize, new_bytes: usize) -> bool;

    /// As `move_pages`, for a range that consists of parts which the system has apart, behind each other from the beginning on; what the new
    /// one has beyond them stays. True: the old range is gone. False: the old range is as it was, and the new one must be forgotten.
    ///
    /// # Safety
    /// - as for `move_pages`.
    unsafe fn move_parts(&self, _parts: &[(usize, usize)], _to: usize) -> bool {
        false
    }

    /// Makes committed bytes read 0, done on return; how many of them read 0 already and were not touched.
    ///
    /// # Safety
    /// - the bytes are committed, and nobody else uses them meanwhile.
    unsafe fn clear(&self, start: usize, bytes: usize) -> usize {
        // SAFETY: the caller's promise.
        unsafe { self.fill(start, bytes, 0) };
        0
    }

    /// Sets committed bytes to a value, done on return.
    ///
    /// # Safety
    /// - the bytes are committed, and nobody else uses them meanwhile.
    unsafe fn fill(&self, start: usize, bytes: usize, value: u8);

    /// Copies between committed ranges that do not overlap, done on return.
    ///
    /// # Safety
    /// - both ranges are committed and do not overlap; nobody writes the source or uses the target meanwhile.
    unsafe fn copy(&self, to: usize, from: usize, bytes: usize);

    /// Whether committed bytes all have a value; None where the host cannot read them.
    ///
    /// # Safety
    /// - the bytes are committed, and nobody writes them meanwhile.
    unsafe fn is_filled(&self, start: usize, bytes: usize, value: u8) -> Option<bool> {
        // SAFETY: the caller's promise; read one by one, so that no reference to the bytes is formed.
        self.terms().touch.then(|| (start..start + bytes).all(|at| unsafe { (at as *const u8).read() } == value))
    }

    /// Sets committed bytes to a value, in the order of a queue; not done on return.
    ///
    /// # Safety
    /// - the bytes are committed, and until then nobody uses them but in that order.
    unsafe fn fill_on(&self, _queue: &'static Queue, _start: usize, _bytes: usize, _value: u8) -> Result<()> {
        Err(no_queue())
    }

    /// Copies between committed ranges that do not overlap, in the order of a queue; not done on return.
    ///
    /// # Safety
    /// - both ranges are committed and do not overlap; until then nobody uses them but in that order.
    unsafe fn copy_on(&self, _queue: &'static Queue, _to: usize, _from: usize, _bytes: usize) -> Result<()> {
        Err(no_queue())
    }

    /// Whether nobody can reach its memory any more: its device is lost, or it is another process's.
    fn is_gone(&self) -> bool {
        false
    }

    /// Memory of the device: (total, free now), bytes. None: it does not say.
    fn memory(&self) -> Option<(u64, u64)>;
}

#[cold]
fn no_queue() -> crate::error::Status {
    fail(TN_ERR_DEVICE, format_args!("no device works on this memory in the order of a stream; pass NULL"))
}

/// Where a pool's memory comes from, as a number that fits an atomic; 0: the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Source(usize);

impl Source {
    /// The host.
    pub const HOST: Source = Source(0);

    /// The source for a device, as the options of a pool ask for it. TN_ERR_DEVICE: there is none such; TN_ERR_UNSUPPORTED: this build, or
    /// this machine, has none of that type.
    pub fn of(device: tn_device, host_flags: u32) -> Result<Source> {
        known_type(device.r#type)?;
        match (device.r#type, device.id) {
            (TN_CPU, 0) => Ok(Source::HOST),
            (TN_CPU, id) => {
                Err(fail(TN_ERR_DEVICE, format_args!("device {{cpu, {id}}} does not exist; the host is {{TN_CPU, 0}}")))
            }
            _ => Source::cuda(device, host_flags),
        }
    }

    #[cfg(not(preload))]
    fn cuda(device: tn_device, host_flags: u32) -> Result<Source> {
        cuda::memory(device, host_flags).map(|memory| Source(core::ptr::from_ref(memory) as usize))
    }

    #[cfg(preload)]
    fn cuda(device: tn_device, _host_flags: u32) -> Result<Source> {
        let name = type_name(device.r#type);
        Err(fail(TN_ERR_UNSUPPORTED, format_args!("this library has no code for devices of type {name}")))
    }

    /// As a number.
    pub fn bits(self) -> usize {
        self.0
    }

    /// Back from [`Source::bits`].
    ///
    /// # Safety
    /// - the number came from there.
    pub unsafe fn from_bits(bits: usize) -> Source {
        Source(bits)
    }

    /// The device.
    pub fn device(self) -> &'static dyn Device {
        match self.0 {
            0 => &host::HOST,
            // SAFETY: set by `cuda` from a reference that lasts for ever.
            #[cfg(not(preload))]
            at => unsafe { &*(at as *const cuda::Memory) },
            #[cfg(preload)]
            _ => &host::HOST,
        }
    }
}

/// The name of a device type in texts.
pub fn type_name(device_type: tn_device_type) -> &'static str {
    match device_type {
        TN_CPU => "cpu",
        TN_CUDA => "cuda",
        TN_CUDA_HOST => "cuda_host",
        TN_CUDA_MANAGED => "cuda_managed",
        _ => "unknown",
    }
}

/// A device as texts write it: "{cuda, 0}", as C writes its struct.
pub struct Shown(pub tn_device);

impl core::fmt::Display for Shown {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match type_name(self.0.r#type) {
            "unknown" => write!(f, "{{{}, {}}}", self.0.r#type, self.0.id),
            name => write!(f, "{{{name}, {}}}", self.0.id),
        }
    }
}

fn known_type(device_type: tn_device_type) -> Result<()> {
    match device_type {
        TN_CPU | TN_CUDA | TN_CUDA_HOST | TN_CUDA_MANAGED => Ok(()),
        _ => Err(fail(
            TN_ERR_DEVICE,
            format_args!(
                "device type {device_type} is unknown; use TN_CPU ({TN_CPU}), TN_CUDA ({TN_CUDA}), \
                 TN_CUDA_HOST ({TN_CUDA_HOST}) or TN_CUDA_MANAGED ({TN_CUDA_MANAGED})"
            ),
        )),
    }
}

/// Whether an array or pool may say that its memory lives there, if somebody else takes care of that memory: of what this
/// build has no code for, any number will do.
fn check_label(device: tn_device) -> Result<()> {
    known_type(device.r#type)?;
    if device.r#type == TN_CPU || device.id < 0 { find(device).map(|_| ()) } else { Ok(()) }
}

/// The device, or TN_ERR_DEVICE where there is none such, TN_ERR_UNSUPPORTED where this build has no code for its type.
pub fn find(device: tn_device) -> Result<&'static host::Host> {
    known_type(device.r#type)?;
    if device.r#type != TN_CPU {
        return Err(fail(
            TN_ERR_UNSUPPORTED,
            format_args!(
                "device {{{}, {}}} needs the CUDA driver (libcuda.so.1), for which this build has no code; use TN_CPU",
                type_name(device.r#type),
                device.id
            ),
        ));
    }
    match device.id {
        0 => Ok(&host::HOST),
        id => Err(fail(TN_ERR_DEVICE, format_args!("device {{cpu, {id}}} does not exist; the host is {{TN_CPU, 0}}"))),
    }
}

/// How many devices of a type there are.
pub fn count(device_type: tn_device_type) -> Result<i32> {
    known_type(device_type)?;
    match device_type {
        TN_CPU => Ok(1),
        #[cfg(not(preload))]
        cuda => cuda::count_of(cuda),
        #[cfg(preload)]
        _ => Ok(0),
    }
}

/// Describes a device; `flags` 0 or TN_QUERY_MEMORY. What pools hold is filled in by `pool::describe`.
pub fn query(device: tn_device, flags: u32) -> Result<tn_device_info> {
    if flags & !TN_QUERY_MEMORY != 0 {
        return Err(fail(
            TN_ERR_INVALID,
            format_args!("flag bits {:#x} are unknown; use 0 or TN_QUERY_MEMORY", flags & !TN_QUERY_MEMORY),
        ));
    }
    let with_memory = flags & TN_QUERY_MEMORY != 0;
    known_type(device.r#type)?;
    #[cfg(not(preload))]
    if device.r#type != TN_CPU {
        return cuda::query(device, with_memory);
    }
    let device = find(device)?;
    let mut info = NO_INFO;
    device.describe(with_memory, &mut info);
    Ok(info)
}

/// What is known of no device: the size, and zeros.
pub const NO_INFO: tn_device_info = tn_device_info {
    size: size_of::<tn_device_info>(),
    name: [0; 128],
    uuid: [0; 16],
    pci_bus_id: [0; 16],
    compute_major: 0,
    compute_minor: 0,
    driver_version: 0,
    multiprocessors: 0,
    warp_size: 0,
    features: 0,
    block_memory_bytes: 0,
    block_memory_optin_bytes: 0,
    total_bytes: 0,
    free_bytes: 0,
    used_bytes: 0,
    pool_bytes: 0,
    pool_free_bytes: 0,
    to_device_count: 0,
    to_device_bytes: 0,
    to_host_count: 0,
    to_host_bytes: 0,
    staged_bytes: 0,
    registered_bytes: 0,
    queued_releases: 0,
    queued_bytes: 0,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dv_1_and_pn_13_counts() {
        assert_eq!(count(TN_CPU).unwrap(), 1);
        for cuda in [TN_CUDA, TN_CUDA_HOST, TN_CUDA_MANAGED] {
            // Most machines have none.
            let found = find(tn_device { r#type: cuda, id: 0 });
            match count(cuda) {
                Ok(0) => assert!([TN_ERR_UNSUPPORTED, TN_ERR_DEVICE].contains(&found.err().unwrap().code())),
                counted => assert_eq!(found.is_ok(), counted.is_ok()),
            }
        }
        assert_eq!(count(7).unwrap_err().code(), TN_ERR_DEVICE);
    }

    #[test]
    fn dv_2_3_4_the_host() {
        let host = tn_device { r#type: TN_CPU, id: 0 };
        let plain = query(host, 0).unwrap();
        assert!(plain.total_bytes > 0 && plain.multiprocessors > 0 && plain.warp_size == 1 && plain.name[0] != 0);
        assert_eq!((plain.free_bytes, plain.uuid, plain.pci_bus_id[0]), (0, [0; 16], 0));
        let memory = query(host, TN_QUERY_MEMORY).unwrap();
        assert!(memory.free_bytes > 0 && memory.free_bytes <= memory.total_bytes);
        assert_eq!(memory.used_bytes, memory.total_bytes - memory.free_bytes);
        assert_eq!(query(host, 1 << 1).unwrap_err().code(), TN_ERR_INVALID);
        for id in [-1, 1] {
            assert_eq!(query(tn_device { r#type: TN_CPU, id }, 0).unwrap_err().code(), TN_ERR_DEVICE);
        }
    }
}
