//! PD-7, ST-9: pools under random requests from several streams, whose work runs late and in random interleavings. Each
//! owner of a block writes its own pattern in its stream's order and reads it back in that order before the free. Two
//! owners at the same time would be detected.
//!
//! On the simulator the seed is the simulator's (TENURE_SIM_SEED), so each run of the gate and of the soak differs.
//! TENURE_CUDA_OPERATIONS (3000 by default; with the soak's 1000 seeds more than the row's 1 000 000) and
//! TENURE_TEST_SEEDS (1) set the amount.

use crate::driver_call;
use crate::support;
use std::ffi::c_void;
use support::cuda::{Device, device, with_context};
use support::device_pools::*;
use support::random::Random;
use tenure::types::*;
use tenure_harness::test;

/// Mostly small, sometimes large.
fn bytes(random: &mut Random) -> usize {
    let most = [2_000, 60_000, MIB, 3 * MIB][[0, 0, 0, 1, 1, 2, 2, 3][random.below(8)]];
    4 * (1 + random.below(most / 4))
}

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// An allocated block.
#[derive(Clone, Copy)]
struct Live {
    block: usize,
    bytes: usize,
    value: u32,
    stream: usize,
}

/// Bytes of a block that are read back, from its start and from its end.
const PROBE: usize = 32;

/// Largest number of pending probes of a stream.
const PROBES: usize = 1024;

/// The expected pattern at a destination, and its bytes. Destinations are page-locked: a copy into other memory would
/// be done when the call returns, and the stream with it.
struct Probe {
    value: u32,
    bytes: usize,
}

/// The context stays current for the whole test: the driver's own calls need it, and the library is unaffected.
struct Model<'a> {
    gpu: &'a Device,
    pool: Pool,
    streams: Vec<(Stream, u64)>,
    random: Random,
    live: Vec<Live>,
    probes: Vec<Vec<Probe>>,
    pinned: Pool,
    /// Destinations of a stream's probes.
    places: Vec<usize>,
    /// The address ranges of live blocks never overlap.
    ranges: std::collections::BTreeMap<usize, usize>,
    refused: usize,
    /// Number of waits for the device before.
    synchronizes: u64,
}

impl<'a> Model<'a> {
    fn new(gpu: &'a Device, seed: u64, options: impl FnOnce(&mut tn_pool_options)) -> Model<'a> {
        if let Some(sim) = gpu.sim {
            sim.set("seed", seed);
        }
        let streams: Vec<(Stream, u64)> = (0..4)
            .map(|i| {
                let stream = stream_on(GPU, if i == 3 { TN_STREAM_BLOCKING } else { 0 });
                let native = stream.native();
                (stream, native)
            })
            .collect();
        let probes = streams.iter().map(|_| Vec::new()).collect();
        let pinned = pool_on(PINNED, |_| ()).unwrap();
        let places = streams.iter().map(|_| pinned.take(PROBES * PROBE, &NOW).unwrap()).collect();
        let pool = pool_on(GPU, options).unwrap();
        let random = Random::new(seed);
        Model {
            gpu,
            pool,
            streams,
            random,
            live: Vec::new(),
            probes,
            pinned,
            places,
            ranges: Default::default(),
            refused: 0,
            synchronizes: gpu.sim.map_or(0, |sim| sim.get("device_synchronizes")),
        }
    }

    fn step(&mut self, operation: usize) {
        match self.random.below(100) {
            0..=54 if self.live.len() < 200 => self.take(operation as u32),
            55..=57 => self.use_elsewhere(),
            58 => self.finish(),
            59 if self.random.below(20) == 0 => {
                self.pool.trim();
            }
            _ => self.give(),
        }
    }

    fn take(&mut self, value: u32) {
        let (bytes, stream) = (bytes(&mut self.random), self.random.below(self.streams.len()));
        let block = match self.pool.take(bytes, &self.streams[stream].0) {
            Ok(block) => block,
            Err(status) => {
                assert!(status == TN_ERR_POOL_LIMIT || status == TN_ERR_NO_DEVICE_MEMORY, "{status}");
                self.refused += 1;
                return self.give();
            }
        };
        let end = block + usable(block);
        let below = self.ranges.range(..end).next_back();
        assert!(below.is_none_or(|(_, &other)| other <= block), "{block:#x} overlaps a live block");
        self.ranges.insert(block, end);
        self.set(Live { block, bytes, value, stream });
        self.live.push(Live { block, bytes, value, stream });
    }

    /// Writes the owner's pattern.
    fn set(&self, live: Live) {
        let (count, native) = (live.bytes / 4, self.streams[live.stream].1 as usize);
        let call = driver_call!(cuMemsetD32Async(
            live.block as u64 => u64, live.value => u32, count => usize, native => usize
        ));
        assert_eq!(call, 0);
    }

    /// Reads the owner's pattern back in the order of a stream.
    fn probe(&mut self, live: Live, stream: usize) {
        let native = self.streams[stream].1 as usize;
        let length = live.bytes.min(PROBE);
        if self.probes[stream].len() + 2 > PROBES {
            self.look(stream);
        }
        for from in [live.block, live.block + live.bytes - length] {
            let at = (self.places[stream] + self.probes[stream].len() * PROBE) as *mut c_void;
            let call = driver_call!(cuMemcpyDtoHAsync_v2(
                at => *mut c_void, from as u64 => u64, length => usize, native => usize
            ));
            assert_eq!(call, 0);
            self.probes[stream].push(Probe { value: live.value, bytes: length });
        }
    }

    fn give(&mut self) {
        if self.live.is_empty() {
            return;
        }
        let at = self.random.below(self.live.len());
        let live = self.live.swap_remove(at);
        self.probe(live, live.stream);
        self.ranges.remove(&live.block);
        self.pool.give(live.block, &self.streams[live.stream].0);
    }

    /// Another stream reads a block after an event of its owner, which does not wait for it.
    fn use_elsewhere(&mut self) {
        if self.live.is_empty() {
            return;
        }
        let at = self.random.below(self.live.len());
        let (live, other) = (self.live[at], self.random.below(self.streams.len()));
        let (mut event, own, theirs) = (0usize, self.streams[live.stream].1 as usize, self.streams[other].1 as usize);
        assert_eq!(driver_call!(cuEventCreate(&mut event => *mut usize, 2u32 => u32)), 0);
        assert_eq!(driver_call!(cuEventRecord(event => usize, own => usize)), 0);
        assert_eq!(driver_call!(cuStreamWaitEvent(theirs => usize, event => usize, 0u32 => u32)), 0);
        assert_eq!(driver_call!(cuEventDestroy_v2(event => usize)), 0);
        self.pool.record_use(live.block, &self.streams[other].0);
        self.probe(live, other);
    }

    /// Waits for a stream and checks the probes.
    fn finish(&mut self) {
        let stream = self.random.below(self.streams.len());
        self.look(stream);
    }

    fn look(&mut self, stream: usize) {
        assert_eq!(driver_call!(cuStreamSynchronize(self.streams[stream].1 as usize => usize)), 0);
        for (place, Probe { value, bytes }) in self.probes[stream].drain(..).enumerate() {
            let at = (self.places[stream] + place * PROBE) as *const u32;
            // SAFETY: page-locked memory of the host's, into which nothing is copied any more.
            let found: Vec<u32> = (0..bytes / 4).map(|word| unsafe { *at.add(word) }).collect();
            assert!(found.iter().all(|&found| found == value), "{value} was written, and {found:?} is there");
        }
    }

    fn end(mut self) {
        while !self.live.is_empty() {
            self.give();
        }
        (0..self.streams.len()).for_each(|stream| self.look(stream));
        for (stream, _) in &self.streams {
            stream.finish();
        }
        for &place in &self.places {
            self.pinned.give(place, &NOW);
        }
        let stats = self.pool.stats();
        assert_eq!((stats.in_use_bytes, stats.pending_bytes, stats.overhead_bytes), (0, 0, 0));
        self.pool.trim();
        assert_eq!(self.pool.stats().reserved_bytes, 0);
        // Before a request is refused, it waits for the device once.
        if let Some(sim) = self.gpu.sim.filter(|_| self.refused == 0) {
            assert_eq!(sim.get("device_synchronizes"), self.synchronizes, "nothing waits for the device");
        }
    }
}

/// Seeds, from the simulator's on.
fn seeds_of(gpu: &Device, count: usize) -> std::ops::Range<u64> {
    let first = gpu.sim.map_or(1, |sim| sim.get("seed"));
    first..first + count as u64
}

fn run(seeds: usize, change: impl Fn(&mut tn_pool_options)) {
    let gpu = device();
    let operations = number("TENURE_CUDA_OPERATIONS", 3_000);
    if let Some(sim) = gpu.sim {
        // With the driver's own allocation, a free would hide late uses.
        sim.set("free_waits", 0);
    }
    for seed in seeds_of(&gpu, seeds) {
        println!("seed {seed}, {operations} operations");
        let mut model = Model::new(&gpu, seed, &change);
        with_context(0, || {
            for operation in 1..=operations {
                model.step(operation);
                if operation % 1000 == 0 {
                    let stats = model.pool.stats();
                    assert_eq!(stats.live_blocks, model.live.len() as u64);
                    assert_eq!(stats.requested_bytes, model.live.iter().map(|live| live.bytes as u64).sum::<u64>());
                }
            }
            model.end();
        });
    }
    if let Some(sim) = gpu.sim {
        sim.set("free_waits", 1);
    }
}

/// PD-7: enough memory, so that streams rarely meet.
#[test]
fn pd_7_no_reuse_before_its_time() {
    run(number("TENURE_TEST_SEEDS", 1), |_| ());
}

/// PD-7, PD-4, PO-39: a limit far below the demand, so that streams wait for each other on the device.
#[test]
fn pd_7_no_reuse_before_its_time_under_pressure() {
    run(number("TENURE_TEST_SEEDS", 1), |o| o.max_size = 24 * MIB as u64);
}

/// PD-7 with plain segments.
#[test]
fn pd_7_no_reuse_before_its_time_in_plain_segments() {
    run(number("TENURE_TEST_SEEDS", 1), |o| (o.backend, o.max_size) = (TN_BACKEND_PLAIN, 48 * MIB as u64));
}

/// PD-7, PD-17 with the driver's own pool, also under a limit.
#[test]
fn pd_7_no_reuse_before_its_time_in_a_pool_of_the_driver() {
    run(number("TENURE_TEST_SEEDS", 1), |o| (o.backend, o.max_size) = (TN_BACKEND_DRIVER_POOL, 48 * MIB as u64));
}

/// PD-7 with nothing cached: each piece goes back as soon as it is finished, and not before.
#[test]
fn pd_7_direct_pools_give_back_in_time() {
    run(1, |o| o.flags = TN_POOL_DIRECT);
}

/// ST-9 on page-locked memory: the host fills a block, a stream copies out of it, and the block is freed on that
/// stream. The next owner on the host must not get it before the copy has read it.
#[test]
fn st_9_the_host_never_writes_under_a_copy() {
    let gpu = device();
    let (pinned, target) = (pool_on(PINNED, |o| o.max_size = 8 * MIB as u64).unwrap(), pool());
    let streams: Vec<Stream> = (0..3).map(|_| stream()).collect();
    let operations = number("TENURE_CUDA_OPERATIONS", 3_000) / 10;
    for seed in seeds_of(&gpu, number("TENURE_TEST_SEEDS", 1)) {
        if let Some(sim) = gpu.sim {
            sim.set("seed", seed);
        }
        let mut random = Random::new(seed);
        let mut arrived: Vec<(usize, usize, u8, usize)> = Vec::new();
        for operation in 0..operations {
            let (bytes, stream) = (1 + random.below(50_000), random.below(streams.len()));
            let Ok(block) = pinned.take(bytes, &NOW) else {
                streams.iter().for_each(Stream::finish);
                continue;
            };
            let value = operation as u8;
            // SAFETY: the host's block.
            unsafe { (block as *mut u8).write_bytes(value, bytes) };
            let to = target.take(bytes, &streams[stream]).unwrap();
            let native = streams[stream].native() as usize;
            with_context(0, || {
                let call = driver_call!(cuMemcpyHtoDAsync_v2(
                    to as u64 => u64, block as *const c_void => *const c_void, bytes => usize, native => usize
                ));
                assert_eq!(call, 0);
            });
            pinned.give(block, &streams[stream]);
            arrived.push((to, bytes, value, stream));
            if arrived.len() == 64 {
                streams.iter().for_each(Stream::finish);
                for (to, bytes, value, stream) in arrived.drain(..) {
                    let mut back = vec![0u8; bytes];
                    let at = back.as_mut_ptr().cast::<c_void>();
                    with_context(0, || {
                        let call = driver_call!(cuMemcpyDtoH_v2(at => *mut c_void, to as u64 => u64, bytes => usize));
                        assert_eq!(call, 0);
                    });
                    assert!(back.iter().all(|&byte| byte == value), "seed {seed}: {value}");
                    target.give(to, &streams[stream]);
                }
            }
        }
        arrived.into_iter().for_each(|(to, _, _, stream)| target.give(to, &streams[stream]));
    }
}
