//! The scenarios of the out-of-memory tests: arrays in all states, and the paths that run on them.

use crate::support::capi::*;
use crate::support::oom_inject::{Drain, ROOTS};
use std::ffi::{CStr, CString, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tenure::sys::os;
use tenure::types::*;

/// Number of release callbacks that ran.
static RAN: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn count_release(_: *mut c_void) {
    RAN.fetch_add(1, Ordering::Relaxed);
}

/// Arrays in all states in which paths begin.
pub struct World {
    pub pool: Handle,
    /// 2 x 3 x 4, with a clone and a view.
    pub a: Handle,
    pub twin: Handle,
    /// The elements of `a` with 6 axes, more than a slot holds.
    pub many: Handle,
    /// 2 x 3 x 4, alone on its store.
    pub b: Handle,
    /// 6 axes, alone on its store.
    pub wide: Handle,
    /// 64 elements, and two views of it that overlap.
    pub line: Handle,
    pub low: Handle,
    pub high: Handle,
    /// 64 elements in reverse.
    pub back: Handle,
    /// Imported bytes.
    pub lent: Handle,
    pub weak: Handle,
    pub weak_many: Handle,
    /// float64: a matrix that has a Cholesky factor, and a vector.
    pub matrix: Handle,
    pub vector: Handle,
    /// Given away, with a promise each.
    pub given: [Handle; 6],
    pub promises: [Handle; 6],
    /// Exported DLPack structs of `b` and of `wide`.
    pub tensors: [Handle; 2],
    /// Foreign bytes; the first 24 are imported.
    bytes: Box<[i64; 128]>,
    path: CString,
}

const SHAPE: [i64; 3] = [2, 3, 4];
const SIX: [i64; 6] = [1, 2, 1, 3, 1, 4];

/// The state that a failing call must not change.
#[derive(PartialEq, Debug)]
pub struct Snapshot {
    arrays: Vec<Seen>,
    /// requested, in use, blocks, held
    pool: [u64; 4],
    leaks: usize,
    slots: Vec<usize>,
    callbacks: usize,
    copies: u64,
}

impl Snapshot {
    /// For a path of several calls: the copies of those that succeeded stay in the copy book.
    pub fn of(mut self, path: &Path) -> Snapshot {
        if path.calls_several {
            self.copies = 0;
        }
        self
    }

    /// The differences from `before`.
    pub fn changes(&self, before: &Snapshot) -> String {
        let mut text = String::new();
        for (index, (now, then)) in self.arrays.iter().zip(&before.arrays).enumerate() {
            if now != then {
                text += &format!("array {index} was {then:?}, is {now:?}; ");
            }
        }
        let rest = |s: &Snapshot| format!("{:?}", (s.pool, s.leaks, &s.slots, s.callbacks, s.copies));
        if rest(self) != rest(before) {
            text += &format!("(pool, leaks, slots, callbacks, copies) were {}, are {}", rest(before), rest(self));
        }
        text
    }
}

/// The visible state of an array.
#[derive(PartialEq, Debug)]
struct Seen {
    shape: Vec<i64>,
    strides: Vec<i64>,
    flags: u32,
    offset: i64,
    store_bytes: u64,
    why: (u32, usize),
    elements: Vec<i64>,
}

impl World {
    pub fn new() -> World {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let pool = pool_of(|options| options.max_size = 8 << 20).unwrap();
        set_current(pool).unwrap();
        // The pool has memory from the system for every size that the paths request.
        let sizes = [16, 64, 128, 200, 300, 512, 700, 1024, 4096, 1 << 16, 1 << 20];
        let blocks = sizes.map(|bytes| [allocate(pool, bytes).unwrap(), allocate(pool, bytes).unwrap()]);
        blocks.into_iter().flatten().for_each(|block| deallocate(block).unwrap());
        let a = numbers(pool, &SHAPE);
        let line = numbers(pool, &[64]);
        let (b, wide) = (numbers(pool, &SHAPE), numbers(pool, &SIX));
        let many = reshape(a, &SIX).unwrap();
        closed(Ok(sent(many))).unwrap();
        let mut bytes = Box::new([7i64; 128]);
        // SAFETY: the box outlives the world.
        let lent = unsafe { import(bytes.as_mut_ptr(), &SHAPE, TN_BORROW, None, std::ptr::null_mut()) }.unwrap();
        let given = [0, 1, 2, 3, 4, 5].map(|i| numbers(pool, if i % 2 == 0 { &SHAPE[..] } else { &SIX[..] }));
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tenure-oom-{}-{number}.npy", std::process::id()));
        let path = CString::new(path.into_os_string().into_encoded_bytes()).unwrap();
        save_npy(b, &path).unwrap();
        World {
            pool,
            twin: clone(a).unwrap(),
            matrix: floats(pool, &[3, 3], &[4., 1., 0., 1., 5., 2., 0., 2., 6.]),
            vector: floats(pool, &[3], &[1., 2., 3.]),
            weak: weaken(a).unwrap(),
            weak_many: weaken(many).unwrap(),
            low: slice(line, 0, 40, 1).unwrap(),
            high: slice(line, 8, 48, 1).unwrap(),
            back: slice(line, i64::MIN, i64::MIN, -1).unwrap(),
            promises: given.map(|array| give(array, 1).unwrap()),
            tensors: [export_dlpack(b, TN_BORROW).unwrap(), export_dlpack(wide, TN_BORROW).unwrap()],
            a,
            many,
            b,
            wide,
            line,
            lent,
            given,
            bytes,
            path,
        }
    }

    fn arrays(&self) -> impl Iterator<Item = Handle> {
        let named = [self.a, self.twin, self.many, self.b, self.wide, self.line, self.low, self.high, self.back];
        named.into_iter().chain([self.lent, self.matrix, self.vector]).chain(self.given)
    }

    pub fn snapshot(&self, tables: &[Box<dyn Drain>]) -> Snapshot {
        let stats = stats(self.pool);
        Snapshot {
            arrays: self.arrays().map(Seen::of).collect(),
            pool: [stats.requested_bytes, stats.in_use_bytes, stats.live_blocks, stats.held_bytes],
            leaks: leak_count(),
            // Roots are excluded: one that a first view made serves the next one, and goes with its array.
            slots: tables[..ROOTS].iter().map(|table| table.in_use()).collect(),
            callbacks: RAN.load(Ordering::Relaxed),
            copies: copies(),
        }
    }

    /// Releases everything, and checks that nothing is left.
    pub fn end(self, tables: &[Box<dyn Drain>]) {
        self.tensors.into_iter().for_each(delete_dlpack);
        self.promises.into_iter().for_each(|promise| promise_release(promise).unwrap());
        [self.weak, self.weak_many].into_iter().for_each(|weak| weak_release(weak).unwrap());
        self.arrays().for_each(|array| release(array).unwrap());
        run_releases();
        let stats = stats(self.pool);
        assert_eq!((stats.requested_bytes, stats.live_blocks, stats.held_bytes), (0, 0, 0));
        set_current(0).unwrap();
        pool_release(self.pool).unwrap();
        std::fs::remove_file(self.path.to_str().unwrap()).unwrap();
        assert_eq!(tables.iter().map(|table| table.in_use()).collect::<Vec<_>>(), vec![0; tables.len()]);
    }

    /// Allocates the rest of the pool, up to its limit or of its current memory.
    pub fn fill_pool(&self, growing: bool) -> Vec<Handle> {
        let mut blocks = Vec::new();
        os::fail_calls(0, if growing { 0 } else { u64::MAX });
        for bytes in [1 << 20, 1 << 16, 1 << 12, 1 << 10, 512, 256, 64] {
            while let Ok(block) = allocate(self.pool, bytes) {
                blocks.push(block);
            }
        }
        os::fail_calls(0, 0);
        blocks
    }

    pub fn empty_pool(&self, blocks: Vec<Handle>) {
        blocks.into_iter().for_each(|block| deallocate(block).unwrap());
    }

    fn import_at(&self, first: usize, shape: &[i64], flags: u32, shift: usize) -> Result<(), tn_status> {
        let at = self.bytes[first..].as_ptr().cast_mut().wrapping_byte_add(shift);
        // SAFETY: bytes of the world, which outlive the array.
        let array = unsafe { import(at, shape, flags, Some(count_release), std::ptr::null_mut()) }?;
        release(array).unwrap();
        assert_eq!(run_releases(), usize::from(flags & TN_RELEASE_QUEUED != 0));
        Ok(())
    }

    /// Imports bytes of a pool's store.
    fn join(&self, array: Handle, count: i64) -> Result<(), tn_status> {
        let guard = read(array, 0)?;
        // SAFETY: bytes of an array that lives longer.
        let joined = unsafe {
            import(guard.data as *mut i64, &[count], TN_REQUIRE_BORROW, Some(count_release), std::ptr::null_mut())
        };
        end(guard.id, 0).unwrap();
        gone(joined?)
    }

    /// Opens one of everything that can be released, beside the world's own.
    pub fn open_everything(&self) -> Open {
        Open {
            guards: [
                read(self.a, 0).unwrap().id,
                read(self.many, 0).unwrap().id,
                borrow_all(&[(self.b, TN_READ), (self.twin, TN_READ)]).unwrap(),
                export(self.a, TN_BORROW, 0).unwrap(),
                export(self.back, TN_BORROW | TN_EXPORT_NONNEGATIVE, 0).unwrap(),
            ],
            failing: write(self.lent, TN_WRITE_DISCARD).unwrap().id,
            chunks: split_write(self.line, 3, TN_WRITE_DISCARD)
                .unwrap()
                .into_iter()
                .map(|(guard, _)| guard.id)
                .collect(),
            tensor: export_dlpack_legacy(self.many, TN_BORROW).unwrap(),
            block: allocate(self.pool, 100).unwrap(),
            queued: {
                let at = self.bytes[100..].as_ptr().cast_mut();
                // SAFETY: bytes of the world.
                unsafe {
                    import(at, &[4], TN_TAKE_OWNERSHIP | TN_RELEASE_QUEUED, Some(count_release), std::ptr::null_mut())
                }
                .unwrap()
            },
        }
    }

    /// Makes every query.
    pub fn ask_everything(&self) {
        for array in [self.a, self.many, self.b, self.wide, self.lent] {
            assert_eq!(try_info(array).map(|info| info.dtype), Ok(TN_I64));
            why_not(array);
            assert!(try_unique(array).is_ok());
        }
        stats(self.pool);
        assert!(leak_count() > 0);
        copies();
        assert_eq!(with_report(|text| text.starts_with('{') && text.ends_with('}')), Some(true));
        assert_eq!(with_page(|page| page.starts_with("<!doctype html>") && page.ends_with("</html>\n")), Some(true));
        assert_eq!(slice(self.a, 0, 1, 0), Err(TN_ERR_INVALID));
    }

    /// Releases all of it without any memory.
    pub fn end_everything(&self, open: Open) {
        end(open.failing, TN_END_FAILED).unwrap();
        assert_eq!(read(self.b, 0).unwrap_err(), TN_ERR_NO_HOST_MEMORY);
        open.guards.into_iter().for_each(|guard| end(guard, 0).unwrap());
        open.chunks.iter().for_each(|guard| end(*guard, 0).unwrap());
        delete_dlpack_legacy(open.tensor);
        deallocate(open.block).unwrap();
        release(open.queued).unwrap();
        assert_eq!(run_releases(), 1);
        cancel(self.promises[0]).unwrap();
    }
}

/// See [`World::open_everything`].
pub struct Open {
    guards: [Handle; 5],
    failing: Handle,
    chunks: Vec<Handle>,
    tensor: Handle,
    block: Handle,
    queued: Handle,
}

impl Seen {
    fn of(array: Handle) -> Seen {
        let info = info(array);
        let ndim = info.ndim as usize;
        let why = why_not(array);
        Seen {
            shape: info.shape[..ndim].to_vec(),
            strides: info.strides[..ndim].to_vec(),
            flags: info.flags,
            offset: info.offset,
            store_bytes: info.store_bytes,
            why,
            elements: if why.0 & TN_WHY_GIVEN == 0 { elements(array) } else { Vec::new() },
        }
    }
}

/// The copies in the copy book.
fn copies() -> u64 {
    // SAFETY: plain data.
    let mut sites = [const { unsafe { std::mem::zeroed::<tn_copy_site>() } }; 64];
    let mut count = 0;
    // SAFETY: as many places as said.
    done(|| unsafe {
        tenure::ffi::report::tn_copies_query(size_of::<tn_copy_site>(), sites.len(), sites.as_mut_ptr(), &mut count)
    })
    .unwrap();
    sites[..count].iter().map(|site| site.count).sum()
}

/// A path, and its inverse, which needs no memory.
pub struct Path {
    pub name: &'static str,
    /// It requests memory from the system in any case.
    pub maps: bool,
    /// It makes several calls that copy, or one that copies several times.
    pub calls_several: bool,
    pub run: Box<dyn Fn(&World) -> Done>,
}

/// Releases a path's results.
fn gone(array: Handle) -> Done {
    release(array).unwrap();
    Ok(())
}

fn ended(guard: Result<Guard, tn_status>) -> Done {
    end(guard?.id, 0).unwrap();
    Ok(())
}

fn path(name: &'static str, run: impl Fn(&World) -> Done + 'static) -> Path {
    let maps = ["pool with", "block, longer", "export to another", "offer to another"]
        .iter()
        .any(|start| name.starts_with(start));
    Path { name, maps, calls_several: name.starts_with("call") || name.starts_with("function"), run: Box::new(run) }
}

/// All paths.
pub fn paths() -> Vec<Path> {
    [
        creation(),
        imports(),
        views(),
        claims(),
        borrows(),
        ownership(),
        variables(),
        functions(),
        mirrors(),
        modules(),
        expressions(),
        exports(),
        files(),
        arrows(),
        tensors(),
        movement(),
        pools(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn creation() -> Vec<Path> {
    vec![
        path("zeros", |w| gone(zeros(w.pool, &SHAPE)?)),
        path("zeros, 6 axes", |w| gone(zeros(w.pool, &SIX)?)),
        path("zeros, no elements", |w| gone(zeros(w.pool, &[0, 3])?)),
        path("zeros, large", |w| gone(zeros(w.pool, &[1 << 16])?)),
        path("zeros, current pool", |_| gone(zeros(0, &SHAPE)?)),
        path("full", |w| gone(full(w.pool, &[1, 1, 1, 1, 5], 3)?)),
        path("like", |w| gone(like(w.pool, w.many)?)),
    ]
}

fn imports() -> Vec<Path> {
    let mut all = vec![
        path("import, copied", |w| w.import_at(40, &[5], 0, 0)),
        path("import, copied, 6 axes", |w| w.import_at(40, &SIX, 0, 0)),
        path("import, unaligned", |w| w.import_at(40, &[5], TN_BORROW, 1)),
        path("import, unaligned, taken", |w| w.import_at(40, &[5], TN_TAKE_OWNERSHIP, 1)),
        path("import, unaligned, taken, queued", |w| w.import_at(40, &[5], TN_TAKE_OWNERSHIP | TN_RELEASE_QUEUED, 1)),
        path("import, lent bytes", |w| w.import_at(2, &[5], TN_BORROW, 0)),
        path("import, wider than the lent bytes", |w| w.import_at(20, &[30], TN_BORROW, 0)),
        path("import, bytes of a pool", |w| w.join(w.a, 24)),
        path("import, bytes of a pool, all", |w| w.join(w.wide, 7)),
    ];
    for (name, flags) in [
        ("import, TN_BORROW", TN_BORROW),
        ("import, TN_REQUIRE_BORROW", TN_REQUIRE_BORROW),
        ("import, TN_MAY_OVERWRITE", TN_MAY_OVERWRITE),
        ("import, TN_TAKE_OWNERSHIP", TN_TAKE_OWNERSHIP),
        ("import, TN_TAKE_OWNERSHIP, queued", TN_TAKE_OWNERSHIP | TN_RELEASE_QUEUED),
        ("import, TN_BORROW, read-only", TN_BORROW | TN_IMPORT_READONLY),
    ] {
        all.push(path(name, move |w| w.import_at(40, &SIX, flags, 0)));
    }
    all
}

fn views() -> Vec<Path> {
    vec![
        path("index", |w| gone(index(w.b, 1, 2)?)),
        path("index, 6 axes", |w| gone(index(w.wide, 0, 0)?)),
        path("slice", |w| gone(slice(w.b, 0, 1, 1)?)),
        path("slice, 6 axes", |w| gone(slice(w.many, 0, 1, 1)?)),
        path("transpose", |w| gone(transpose(w.b)?)),
        path("transpose, 6 axes", |w| gone(transpose(w.wide)?)),
        path("permute", |w| gone(permute(w.wide, &[5, 0, 1, 2, 3, 4])?)),
        path("reshape", |w| gone(reshape(w.b, &[24])?)),
        path("reshape to 6 axes", |w| gone(reshape(w.b, &SIX)?)),
        path("expand to 7 axes", |w| gone(expand(w.wide, 0)?)),
        path("broadcast", |w| gone(broadcast(w.b, &[5, 2, 3, 4])?)),
        path("broadcast to 7 axes", |w| gone(broadcast(w.wide, &[5, 1, 2, 1, 3, 1, 4])?)),
        path("split", |w| {
            split(w.line, 0, 7)?.into_iter().for_each(|part| release(part).unwrap());
            Ok(())
        }),
        path("split, 6 axes", |w| {
            split(w.wide, 5, 3)?.into_iter().for_each(|part| release(part).unwrap());
            Ok(())
        }),
    ]
}

fn claims() -> Vec<Path> {
    vec![
        path("clone", |w| gone(clone(w.a)?)),
        path("clone, 6 axes", |w| gone(clone(w.many)?)),
        path("copy", |w| gone(copy(w.a, w.pool)?)),
        path("copy, 6 axes", |w| gone(copy(w.many, 0)?)),
        path("copy of lent bytes", |w| gone(copy(w.lent, 0)?)),
        path("pool of an array", |w| pool_release(array_pool(w.a)?)),
        path("weaken", |w| weak_release(weaken(w.a)?)),
        path("weaken, 6 axes", |w| weak_release(weaken(w.many)?)),
        path("upgrade", |w| gone(upgrade(w.weak)?)),
        path("upgrade, 6 axes", |w| gone(upgrade(w.weak_many)?)),
    ]
}

fn borrows() -> Vec<Path> {
    let mut all = vec![
        path("read", |w| ended(read(w.a, 0))),
        path("read, frozen, 6 axes", |w| ended(read(w.many, TN_FROZEN))),
        path("write", |w| ended(write(w.a, 0))),
        path("write, COW", |w| ended(write(w.a, TN_WRITE_COW))),
        path("write, COW, 6 axes", |w| ended(write(w.many, TN_WRITE_COW))),
        path("write, COW, of a view", |w| ended(write(w.back, TN_WRITE_COW))),
        path("write, COW, of lent bytes", |w| ended(write(w.lent, TN_WRITE_COW))),
        path("write, COW, DISCARD", |w| ended(write(w.twin, TN_WRITE_COW | TN_WRITE_DISCARD))),
        path("borrow_all of two", |w| {
            end(borrow_all(&[(w.a, TN_READ), (w.line, TN_READ_WRITE)])?, 0).unwrap();
            Ok(())
        }),
        path("borrow_all of six", |w| {
            let cow = TN_READ_WRITE | TN_WRITE_COW;
            let wanted =
                [(w.a, cow), (w.lent, TN_READ), (w.many, cow), (w.low, TN_READ), (w.back, cow), (w.lent, TN_READ)];
            end(borrow_all(&wanted)?, 0).unwrap();
            Ok(())
        }),
    ];
    for (name, mode) in [("split_write", 0), ("split_write, COW", TN_WRITE_COW)] {
        all.push(path(name, move |w| {
            split_write(w.line, 5, mode)?.into_iter().for_each(|(guard, _)| end(guard.id, 0).unwrap());
            Ok(())
        }));
    }
    all.push(path("split_write, 6 axes, COW", |w| {
        split_write(w.many, 1, TN_WRITE_COW)?.into_iter().for_each(|(guard, _)| end(guard.id, 0).unwrap());
        Ok(())
    }));
    all
}

fn ownership() -> Vec<Path> {
    vec![
        path("give", |w| promise_release(give(w.a, 1)?)),
        path("take of one", |w| {
            let taken = take(&w.promises[1..2])?;
            taken.into_iter().for_each(|array| release(array).unwrap());
            Ok(())
        }),
        path("take of six", |w| {
            let taken = take(&w.promises)?;
            taken.into_iter().for_each(|array| release(array).unwrap());
            Ok(())
        }),
        path("move of a promise", |w| moves(w, clone(w.lent)?)),
        path("move of a promise, 6 axes", |w| moves(w, reshape(w.lent, &SIX)?)),
        path("enter of four", |w| {
            let (_, scope) = enter(&[w.a, w.promises[0], w.many, w.promises[1]])?;
            leave(scope)
        }),
    ]
}

/// Gives an array, and moves it to the world's pool.
fn moves(w: &World, array: Handle) -> Done {
    let moved = give(array, 1).and_then(|promise| {
        let moved = promise_to_device(promise, w.pool);
        assert!(moved.is_ok() || why_not(array).0 & TN_WHY_GIVEN != 0, "the promise is as before");
        promise_release(promise).unwrap();
        moved
    });
    release(array).unwrap();
    release(moved?)
}

fn variables() -> Vec<Path> {
    let taken = |array: Handle, flags: u32| {
        let made = shared_create(array, TN_TAKE_OWNERSHIP | flags);
        assert_eq!(made.is_ok(), try_unique(array) == Err(TN_ERR_DESTRUCTED), "the handle is as before");
        release(array).unwrap();
        shared_release(made?)
    };
    let got = |w: &World, flags: u32| {
        changes(w, &SIX, |variable| {
            gone(shared_get(variable, flags)?)?;
            Err(TN_OK)
        })
    };
    vec![
        path("variable, copied", |w| shared_release(shared_create(w.a, 0)?)),
        path("variable, copied, 6 axes", |w| shared_release(shared_create(w.many, 0)?)),
        path("variable, TN_BORROW", |w| shared_release(shared_create(w.b, TN_BORROW)?)),
        path("variable, TN_BORROW, 6 axes", |w| shared_release(shared_create(w.many, TN_BORROW)?)),
        path("variable, TN_TAKE_OWNERSHIP", move |w| taken(clone(w.a)?, TN_REQUIRE_BORROW)),
        path("variable, TN_TAKE_OWNERSHIP, copied", move |w| taken(broadcast(w.b, &[5, 2, 3, 4])?, 0)),
        path("read of a variable, copied", move |w| got(w, 0)),
        path("read of a variable", move |w| got(w, TN_BORROW)),
        path("set, into the buffer", |w| changes(w, &SHAPE, |variable| shared_set(variable, w.a, 0))),
        path("set, into the buffer, 6 axes", |w| changes(w, &[1, 4, 1, 2, 1, 3], |it| shared_set(it, w.many, 0))),
        path("set, into the buffer, another shape", |w| changes(w, &[4, 3, 2], |it| shared_set(it, w.b, 0))),
        path("set, longer", |w| changes(w, &[3], |variable| shared_set(variable, w.line, 0))),
        path("set, held", |w| {
            changes(w, &SHAPE, |variable| {
                let held = shared_get(variable, TN_BORROW)?;
                let done = shared_set(variable, w.a, 0);
                release(held).unwrap();
                done
            })
        }),
        path("set, TN_BORROW, 6 axes", |w| changes(w, &SIX, |variable| shared_set(variable, w.wide, TN_BORROW))),
        path("set, TN_TAKE_OWNERSHIP, copied into the buffer", |w| {
            let stretched = broadcast(w.b, &[5, 2, 3, 4])?;
            let done = changes(w, &[5, 2, 3, 4], |variable| shared_set(variable, stretched, TN_TAKE_OWNERSHIP));
            assert_eq!(done.is_ok(), try_unique(stretched) == Err(TN_ERR_DESTRUCTED), "the handle is as before");
            release(stretched).unwrap();
            done
        }),
        path("update", |w| changes(w, &SHAPE, |variable| shared_update(variable, 0, Some(fill_8)))),
        path("update, 6 axes", |w| changes(w, &SIX, |variable| shared_update(variable, 0, Some(fill_8)))),
        path("update in place, 6 axes", |w| {
            changes(w, &SIX, |variable| shared_update(variable, TN_MAY_OVERWRITE, Some(do_nothing)))
        }),
    ]
}

fn mirrors() -> Vec<Path> {
    let used = |m: Handle, access: u32| {
        let done = mirror_acquire(m, access).and_then(|guard| end(guard, 0));
        mirror_release(m).unwrap();
        done
    };
    vec![
        path("mirror, copied", |w| mirror_release(mirror_create(w.a, 0)?)),
        path("mirror, copied, 6 axes", |w| mirror_release(mirror_create(w.many, 0)?)),
        path("mirror, TN_BORROW, 6 axes", |w| mirror_release(mirror_create(w.wide, TN_BORROW)?)),
        path("mirror, read", move |w| used(mirror_create(w.b, TN_BORROW)?, TN_READ)),
        path("mirror, written, 6 axes", move |w| used(mirror_create(w.wide, TN_BORROW)?, TN_READ_WRITE)),
        path("mirror, overwritten", move |w| used(mirror_create(w.b, TN_BORROW)?, TN_WRITE)),
        path("mirror, array of a side", |w| {
            let m = mirror_create(w.many, TN_BORROW)?;
            let array = mirror_get(m);
            mirror_release(m).unwrap();
            release(array?)
        }),
    ]
}

fn modules() -> Vec<Path> {
    vec![path("module", |_| module_release(module_load(b".version 8.0")?))]
}

/// Makes a variable of zeros, and changes it. A change that fails leaves value and version; `Err(TN_OK)` stands for
/// success without one.
fn changes(w: &World, shape: &[i64], change: impl FnOnce(Handle) -> Done) -> Done {
    let value = zeros(w.pool, shape)?;
    let guard = read(value, 0).inspect_err(|_| release(value).unwrap())?;
    let at = guard.data as *const i64;
    end(guard.id, 0).unwrap();
    let made = shared_create(value, TN_TAKE_OWNERSHIP);
    release(value).unwrap();
    let variable = made?;
    let before = shared_info(variable);
    let changed = change(variable);
    let after = shared_info(variable);
    if changed.is_err() {
        assert_eq!((before.version, before.shape, after.is_poisoned), (after.version, after.shape, 0));
        // SAFETY: the value's first element; the variable has not taken another buffer.
        assert_eq!(unsafe { at.read() }, 0, "the value is as before");
    }
    shared_release(variable).unwrap();
    changed.or_else(|status| if status == TN_OK { Ok(()) } else { Err(status) })
}

/// Allocations in it are those of the library.
unsafe extern "C" fn fill_8(_: *mut c_void, value: *mut tn_array) -> tn_status {
    let eight = 8i64;
    // SAFETY: one element.
    unsafe {
        tenure::ffi::transfer::tn_array_fill(value, (&raw const eight).cast(), TN_WRITE_UNIQUE, std::ptr::null_mut())
    }
}

unsafe extern "C" fn do_nothing(_: *mut c_void, _: *mut tn_array) -> tn_status {
    TN_OK
}

fn functions() -> Vec<Path> {
    let plain = |flags: u32| input(flags, 0, 0);
    vec![
        path("function", |w| {
            changes(w, &SHAPE, |variable| {
                let inputs = [input(0, 0, 0), input(0, w.many, 0), input(TN_BORROW, 0, variable)];
                function_release(function(do_not_run, &inputs, &[0, TN_REUSE], &[(variable, TN_REUSE)], [0, 0])?)
                    .unwrap();
                Err(TN_OK)
            })
        }),
        path("call", move |w| called(&[plain(0), plain(TN_BORROW)], &[], &[], &[w.a, w.many])),
        path("call, an input overwritten", move |w| called(&[plain(TN_MAY_OVERWRITE)], &[], &[], &[w.wide])),
        path("call, an input copied", move |w| called(&[plain(TN_MAY_OVERWRITE)], &[], &[], &[w.a])),
        path("call, an input copied, 6 axes", move |w| called(&[plain(TN_MAY_OVERWRITE)], &[], &[], &[w.many])),
        path("call, an input of lent bytes copied", move |w| called(&[plain(TN_MAY_OVERWRITE)], &[], &[], &[w.lent])),
        path("call, an input taken", move |w| {
            let array = copy(w.many, w.pool)?;
            let done = called(&[plain(TN_TAKE_OWNERSHIP)], &[], &[], &[array]);
            assert_eq!(done.is_ok(), try_unique(array) == Err(TN_ERR_DESTRUCTED), "the handle is as before");
            release(array).unwrap();
            done
        }),
        path("call, a default", |w| called(&[input(0, w.many, 0)], &[], &[], &[0])),
        path("call, an output copied", move |w| called(&[plain(0)], &[0], &[], &[w.b])),
        path("call, outputs copied, 6 axes", move |w| {
            called(&[plain(0), plain(TN_BORROW)], &[TN_BORROW, 0], &[], &[w.wide, w.many])
        }),
        path("call, an output aliased, 6 axes", move |w| {
            called(&[plain(TN_BORROW)], &[TN_REQUIRE_BORROW], &[], &[w.many])
        }),
        path("call, an output kept", move |w| {
            let array = copy(w.many, w.pool)?;
            let done = called(&[plain(TN_TAKE_OWNERSHIP)], &[TN_REUSE], &[], &[array]);
            release(array).unwrap();
            done
        }),
        path("call, a new value, copied", |w| {
            changes(w, &SHAPE, |variable| called(&[input(0, 0, 0)], &[], &[(variable, 0)], &[w.a]))
        }),
        path("call, a new value, copied, 6 axes", |w| {
            changes(w, &SIX, |variable| called(&[input(0, 0, 0)], &[], &[(variable, TN_REUSE)], &[w.many]))
        }),
        path("call, a value and its output", |w| {
            changes(w, &SIX, |variable| called(&[input(TN_BORROW, 0, variable)], &[TN_BORROW], &[(variable, 0)], &[]))
        }),
        path("call, two values exchanged, 6 axes", |w| {
            let other = shared_create(w.many, 0)?;
            let done = changes(w, &SIX, |variable| {
                let inputs = [input(0, 0, other), input(0, 0, variable)];
                called(&inputs, &[0], &[(variable, 0), (other, 0)], &[])
            });
            shared_release(other).unwrap();
            done
        }),
        path("call, expressions", |w| {
            let inputs = [input(0, 0, 0), input(TN_BORROW, 0, 0), input(0, w.vector, 0)];
            // SAFETY: the body needs no context.
            let f =
                unsafe { function_create((None, Some(scale_and_solve)), std::ptr::null_mut(), &inputs, &[0, 0], &[]) }?;
            let done = function_call(f, &[w.matrix, w.vector, 0], 2);
            function_release(f).unwrap();
            done?.into_iter().for_each(|array| release(array).unwrap());
            Ok(())
        }),
        path("call, a value held, in place", |w| {
            changes(w, &SIX, |variable| {
                let held = shared_get(variable, TN_BORROW)?;
                let f = function(do_not_fail, &[], &[], &[(variable, TN_MAY_OVERWRITE)], [0, 0]);
                let done = f.and_then(|f| {
                    let done = function_call(f, &[], 0);
                    function_release(f).unwrap();
                    done
                });
                release(held).unwrap();
                done.map(drop)
            })
        }),
    ]
}

/// Creates a function.
fn function(
    body: unsafe extern "C" fn(*mut c_void, *const *mut tn_array, *mut *mut tn_array, *mut *mut tn_array) -> tn_status,
    inputs: &[tn_in],
    outputs: &[u32],
    updates: &[(Handle, u32)],
    counts: [u32; 2],
) -> Made {
    let context = (counts[0] << 8 | counts[1]) as usize as *mut c_void;
    // SAFETY: the bodies here take a number as their context.
    unsafe { function_create((Some(body), None), context, inputs, outputs, updates) }
}

/// Calls a function whose body leaves clones of the inputs: of the first ones as outputs, and of the first ones as
/// values.
fn called(inputs: &[tn_in], outputs: &[u32], updates: &[(Handle, u32)], arguments: &[Handle]) -> Done {
    let f = function(leave_clones, inputs, outputs, updates, [outputs.len() as u32, updates.len() as u32])?;
    let done = function_call(f, arguments, outputs.len());
    function_release(f).unwrap();
    done?.into_iter().for_each(|array| release(array).unwrap());
    Ok(())
}

/// Allocations in it are those of the library.
unsafe extern "C" fn leave_clones(
    context: *mut c_void,
    inputs: *const *mut tn_array,
    outputs: *mut *mut tn_array,
    updates: *mut *mut tn_array,
) -> tn_status {
    let (n_out, n_update) = (context as usize >> 8, context as usize & 0xff);
    for index in 0..n_out + n_update {
        // SAFETY: as many places and inputs as declared.
        let status = unsafe {
            let (from, to) = if index < n_out { (index, outputs) } else { (index - n_out, updates) };
            tenure::ffi::array::tn_array_clone(*inputs.add(from), to.add(from))
        };
        if status != TN_OK {
            return status;
        }
    }
    TN_OK
}

/// Leaves 2 x and the solution of the equations m x = b. Allocations in it are those of the library.
unsafe extern "C" fn scale_and_solve(
    _: *mut c_void,
    inputs: *const *mut tn_expr,
    outputs: *mut *mut tn_expr,
    _: *mut *mut tn_expr,
) -> tn_status {
    // SAFETY: three inputs and two outputs are declared.
    unsafe {
        let status = tenure::ffi::expr::tn_expr_scale(*inputs.add(2), 2.0, outputs);
        if status != TN_OK {
            return status;
        }
        tenure::ffi::expr::tn_expr_solve(*inputs, *inputs.add(1), outputs.add(1))
    }
}

pub unsafe extern "C" fn do_not_fail(
    _: *mut c_void,
    _: *const *mut tn_array,
    _: *mut *mut tn_array,
    _: *mut *mut tn_array,
) -> tn_status {
    TN_OK
}

unsafe extern "C" fn do_not_run(
    _: *mut c_void,
    _: *const *mut tn_array,
    _: *mut *mut tn_array,
    _: *mut *mut tn_array,
) -> tn_status {
    panic!("this function is not called")
}

/// A node that is released with its variable.
struct Node(Handle);

impl Drop for Node {
    fn drop(&mut self) {
        expr_release(self.0).unwrap();
    }
}

fn of(array: Handle, form: u32) -> Result<Node, tn_status> {
    leaf(array, form).map(Node)
}

fn expressions() -> Vec<Path> {
    vec![
        path("leaf", |w| of(w.matrix, TN_FORM_FULL).map(drop)),
        path("a matrix and a diagonal, added", |w| {
            let (x, y) = (of(w.matrix, TN_FORM_FULL)?, of(w.vector, TN_FORM_DIAGONAL)?);
            let sum = Node(add(x.0, y.0)?);
            gone(compute(sum.0, 0)?)
        }),
        path("a product", |w| {
            let (x, y) = (of(w.matrix, TN_FORM_FULL)?, of(w.vector, TN_FORM_FULL)?);
            let product = Node(multiply(x.0, y.0)?);
            gone(compute(product.0, TN_KEEP_ON_FAIL)?)
        }),
        path("a factor, and equations", |w| {
            let (x, y) = (of(w.matrix, TN_FORM_FULL)?, of(w.vector, TN_FORM_FULL)?);
            let factor = Node(cholesky(x.0)?);
            let solved = Node(solve(factor.0, y.0)?);
            gone(compute(solved.0, 0)?)
        }),
        path("LU factors for two solutions", |w| {
            let (x, y) = (of(w.matrix, TN_FORM_FULL)?, of(w.vector, TN_FORM_FULL)?);
            let factors = Node(lu(x.0)?);
            let (one, other) = (Node(solve(factors.0, y.0)?), Node(solve(factors.0, y.0)?));
            gone(compute(one.0, 0)?)?;
            gone(compute(other.0, 0)?)
        }),
        path("an explanation", |w| {
            let (x, y) = (of(w.matrix, TN_FORM_FULL)?, of(w.vector, TN_FORM_DIAGONAL)?);
            let sum = Node(add(x.0, y.0)?);
            let twice = Node(add(sum.0, x.0)?);
            explain(twice.0, TN_EXPLAIN_DOT)
        }),
        path("equations of a full matrix", |w| {
            let (x, y) = (of(w.matrix, TN_FORM_FULL)?, of(w.vector, TN_FORM_FULL)?);
            let solved = Node(solve(x.0, y.0)?);
            gone(compute(solved.0, 0)?)
        }),
    ]
}

fn exports() -> Vec<Path> {
    let host = |array: Handle, flags: u32| {
        end(export(array, flags, 0)?, 0).unwrap();
        Ok(())
    };
    let dlpack = |array: Handle, flags: u32| {
        delete_dlpack(export_dlpack(array, flags)?);
        Ok(())
    };
    vec![
        path("export_host", move |w| host(w.a, TN_BORROW)),
        path("export_host, 6 axes, shared", move |w| host(w.many, TN_BORROW | TN_EXPORT_WRITABLE)),
        path("export_host, copied", move |w| host(w.a, 0)),
        path("export_host, copied, 6 axes", move |w| host(w.many, 0)),
        path("export_host, forward", move |w| host(w.back, TN_BORROW | TN_EXPORT_NONNEGATIVE)),
        path("export to DLPack", move |w| dlpack(w.a, TN_BORROW)),
        path("export to DLPack, 6 axes", move |w| dlpack(w.many, TN_BORROW)),
        path("export to DLPack, copied, 6 axes", move |w| dlpack(w.many, 0)),
        path("export to DLPack, no version, 6 axes", |w| {
            delete_dlpack_legacy(export_dlpack_legacy(w.many, TN_BORROW | TN_EXPORT_WRITABLE)?);
            Ok(())
        }),
        path("import from DLPack, our own", |w| gone_tensor(export_dlpack(w.line, TN_BORROW)?, TN_BORROW)),
        path("import from DLPack, our own, 6 axes", |w| gone_tensor(export_dlpack(w.many, TN_BORROW)?, TN_BORROW)),
        path("import from DLPack, copied", |w| gone_tensor(export_dlpack(w.many, TN_BORROW)?, 0)),
        path("export to another process, copied, 6 axes", |w| closed(export_ipc(w.many, 0))),
        path("offer to another process, 6 axes", |_| offered()),
        path("offer to another process, or a lock, 6 axes", |_| locked_between_processes()),
        path("import from another process, 6 axes", |w| gone(import_ipc(sent(w.many), 0)?)),
    ]
}

/// An array with 6 axes for other processes, exported once: the process's pool for such copies stays.
fn sent(many: Handle) -> (Vec<u8>, i32) {
    static SENT: OnceLock<(Vec<u8>, i32)> = OnceLock::new();
    let (descriptor, fd) = SENT.get_or_init(|| export_ipc(many, 0).unwrap());
    // SAFETY: an open descriptor.
    (descriptor.clone(), unsafe { libc::dup(*fd) })
}

/// An array with 6 axes that processes can share.
fn shareable() -> Made {
    let pool = pool_of(|options| options.flags = TN_POOL_SHAREABLE)?;
    let array = full(pool, &SIX, 1);
    pool_release(pool).unwrap();
    array
}

/// Offers an array with 6 axes, and ends the offer.
fn offered() -> Done {
    let array = shareable()?;
    let sent = export_ipc(array, TN_IPC_GIVE);
    release(array).unwrap();
    closed(sent)
}

/// Writes an array with 6 axes under a lock that other processes see.
fn locked_between_processes() -> Done {
    let array = shareable()?;
    let guard = write(array, TN_INTERPROCESS);
    release(array).unwrap();
    end(guard?.id, 0)
}

/// Closes what an export to another process returned.
fn closed(sent: Result<(Vec<u8>, i32), tn_status>) -> Done {
    // SAFETY: the export's own descriptor.
    unsafe { libc::close(sent?.1) };
    Ok(())
}

fn arrows() -> Vec<Path> {
    let gone_to = |array: Handle, flags: u32| export_arrow(array, flags).map(drop);
    let back = |array: Handle, flags: u32, again: u32| gone(import_arrow(&mut export_arrow(array, flags)?, again)?);
    vec![
        path("export to Arrow", move |w| gone_to(w.line, TN_BORROW)),
        path("export to Arrow, 6 axes", move |w| gone_to(w.many, TN_BORROW)),
        path("export to Arrow, copied", move |w| gone_to(w.back, TN_BORROW)),
        path("export to Arrow, copied, 6 axes", move |w| gone_to(w.many, 0)),
        path("import from Arrow, our own", move |w| back(w.a, TN_BORROW, TN_BORROW)),
        path("import from Arrow, our own, 6 axes", move |w| back(w.many, TN_BORROW, TN_REQUIRE_BORROW)),
        path("import from Arrow, copied", move |w| back(w.many, TN_BORROW, 0)),
    ]
}

fn tensors() -> Vec<Path> {
    const HEADER: &str = r#"{"a":{"dtype":"I64","shape":[1,1,2,1,3,1],"data_offsets":[0,48]},"b":{"dtype":"F32","shape":[4],"data_offsets":[48,64]},"c":{"dtype":"F64","shape":[0],"data_offsets":[64,64]}}"#;
    fn open(w: &World, padding: usize, flags: u32) -> Done {
        let path = format!("{}.safetensors", w.path.to_str().unwrap());
        let header = format!("{HEADER}{:1$}", "", padding + (8 - HEADER.len() % 8) % 8);
        let length = (header.len() as u64).to_le_bytes();
        std::fs::write(&path, [&length, header.as_bytes(), &[7; 64]].concat()).unwrap();
        let done = open_safetensors(&CString::new(&*path).unwrap(), &[c"a", c"b", c"c", c"a"], w.pool, flags);
        std::fs::remove_file(path).unwrap();
        done
    }
    vec![
        path("open tensors", |w| open(w, 0, TN_REQUIRE_BORROW)),
        path("open tensors, one not aligned", |w| open(w, 4, TN_BORROW)),
        path("read tensors", |w| open(w, 0, 0)),
    ]
}

/// Imports a struct, which stays the caller's on failure.
fn gone_tensor(tensor: Handle, flags: u32) -> Done {
    match import_dlpack(tensor, flags) {
        Ok(array) => gone(array),
        Err(status) => {
            delete_dlpack(tensor);
            Err(status)
        }
    }
}

fn files() -> Vec<Path> {
    fn open(path: &CStr, mode: u32, pool: Handle) -> Done {
        gone(open_npy(path, mode, pool)?)
    }
    vec![
        path("open a file", |w| open(&w.path, TN_NPY_READ, 0)),
        path("open a file, private", |w| open(&w.path, TN_NPY_COW, 0)),
        path("open a file, to write", |w| open(&w.path, TN_NPY_WRITE, 0)),
        path("read a file", |w| open(&w.path, TN_NPY_COPY, w.pool)),
        path("save a file", |w| save_npy(w.a, &w.path)),
        path("save a file, not dense", |w| save_npy(w.back, &w.path)),
        path("save a file, 6 axes", |w| save_npy(w.many, &w.path)),
    ]
}

fn movement() -> Vec<Path> {
    vec![
        path("fill", |w| fill(w.high, 8, 0).and_then(|()| fill(w.high, 8, TN_WRITE_ALIASED))),
        path("fill, COW", |w| fill(w.twin, 8, TN_WRITE_COW)),
        path("copy_into", |w| copy_into(w.a, w.lent, 0)),
        path("launch on the host", |w| launch_on_host(&[(w.a, TN_READ_WRITE), (w.line, TN_WRITE)], 0)),
        path("launch on the host, six arrays, COW, block memory", |w| {
            let cow = TN_READ_WRITE | TN_WRITE_COW;
            let (low, back) = (w.low, w.back);
            launch_on_host(
                &[(w.a, cow), (w.lent, TN_READ), (w.many, cow), (low, TN_READ), (back, cow), (w.vector, TN_WRITE)],
                300,
            )
        }),
        path("copy_into, overlapping", |w| copy_into(w.low, w.high, 0)),
        path("copy_into, itself backwards", |w| copy_into(w.back, w.line, 0)),
        path("copy_into, 6 axes, COW", |w| copy_into(w.wide, w.many, TN_WRITE_COW)),
    ]
}

fn pools() -> Vec<Path> {
    vec![
        path("pool", |_| pool_release(pool_of(|_| ())?)),
        path("pool with memory", |_| pool_release(pool_of(|options| options.initial_size = 1 << 16)?)),
        path("block", |w| deallocate(allocate(w.pool, 1000)?)),
        path("block, longer", |w| {
            let block = allocate(w.pool, 1000)?;
            let longer = reallocate(w.pool, block, 300_000);
            deallocate(*longer.as_ref().unwrap_or(&block)).unwrap();
            longer.map(drop)
        }),
    ]
}
