//! Arguments of random calls, drawn from the bytes of an operation.
//!
//! Contract: reads the model, changes nothing. A byte of 0 selects the plainest argument; handles are picked modulo
//! their number. Calls whose result the rules leave open are not drawn; each such case has a comment.

use super::calls::{Call, Target};
use super::function::Function;
use super::handle::{ARENA_BYTES, ARENAS, Model, PromiseState, RELEASED_POOL, Ref, SCRATCH_BYTES, State};
use super::layout::{Layout, item};
use super::region::Region;
use super::store::{Memory, Origin};
use super::variable::Variable;
use super::views::{NONE, View};
use tenure::types::*;

/// The most elements of an array. The limit is low because the model enumerates all elements.
const MOST_ELEMENTS: i64 = 128;
/// The most axes of an array.
const MOST_AXES: usize = 4;

/// Reads the bytes of an operation. After the last byte it reads zeros.
pub struct Reader<'a> {
    pub bytes: &'a [u8],
    pub model: &'a Model,
}

impl Reader<'_> {
    pub fn byte(&mut self) -> u8 {
        let (&first, rest) = self.bytes.split_first().unwrap_or((&0, &[]));
        self.bytes = rest;
        first
    }

    /// Whether the next byte is one of the `n` highest: true in `n` of 256 cases.
    pub fn chance(&mut self, n: u8) -> bool {
        self.byte() > 255 - n
    }

    pub fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n.max(1)
    }

    pub fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// One of `all` handles: mostly one for which `live` holds, sometimes one for which `known` holds. Rarely any of
    /// them, NULL, a number that is no handle, or a handle of another kind.
    pub fn pick(
        &mut self,
        all: usize,
        live: impl Fn(usize) -> bool,
        known: impl Fn(usize) -> bool,
        make: fn(usize) -> Ref,
    ) -> Ref {
        let how = self.byte();
        let choose = |n: usize, from: &dyn Fn(usize) -> bool| -> Ref {
            let some: Vec<usize> = (0..all).filter(|&k| from(k)).collect();
            if some.is_empty() { Ref::Null } else { make(some[n % some.len()]) }
        };
        let n = self.byte() as usize;
        match how {
            0..=229 => choose(n, &live),
            230..=243 => choose(n, &known),
            244..=247 => choose(n, &|_| true),
            248..=249 => Ref::Null,
            250 => Ref::Junk,
            _ => self.other_kind(n),
        }
    }

    pub fn other_kind(&self, n: usize) -> Ref {
        let m = self.model;
        let mut all = vec![Ref::Pool(0)];
        all.extend(m.arrays.len().checked_sub(1).map(|k| Ref::Array(n % (k + 1))));
        all.extend(m.promises.len().checked_sub(1).map(|k| Ref::Promise(n % (k + 1))));
        all.extend(m.guards.len().checked_sub(1).map(|k| Ref::Guard(n % (k + 1))));
        all.extend(m.nodes.len().checked_sub(1).map(|k| Ref::Expr(n % (k + 1))));
        all.extend(m.scopes.len().checked_sub(1).map(|k| Ref::Scope(n % (k + 1))));
        all.extend(m.variables.len().checked_sub(1).map(|k| Ref::Shared(n % (k + 1))));
        all.extend(m.functions.len().checked_sub(1).map(|k| Ref::Function(n % (k + 1))));
        all.extend(m.weaks.len().checked_sub(1).map(|k| Ref::Weak(n % (k + 1))));
        // A node that the library added never had a handle, nor had the guards of a launch; and NULL is a pool.
        match all[n % all.len()] {
            Ref::Expr(k) if m.nodes[k].implied => Ref::Pool(0),
            Ref::Array(k) if m.arrays[k].hidden => Ref::Pool(0),
            Ref::Guard(k) if m.guards[k].of_launch => Ref::Pool(0),
            other => other,
        }
    }

    pub fn array(&mut self) -> Ref {
        let arrays = &self.model.arrays;
        let lent = self.model.lent_arrays();
        if !lent.is_empty() && self.chance(90) {
            return Ref::Array(self.one(&lent));
        }
        let is = |state| move |k: usize| arrays[k].state == state;
        self.pick(arrays.len(), is(State::Live), |k| arrays[k].state != State::Released, Ref::Array)
    }

    pub fn promise(&mut self) -> Ref {
        let promises = &self.model.promises;
        let is = |state| move |k: usize| promises[k].state == state;
        self.pick(promises.len(), is(PromiseState::Outstanding), is(PromiseState::UsedUp), Ref::Promise)
    }

    pub fn guard(&mut self) -> Ref {
        let guards = &self.model.guards;
        self.pick(guards.len(), |k| guards[k].open, |k| guards[k].open, Ref::Guard)
    }

    pub fn weak(&mut self) -> Ref {
        let weaks = &self.model.weaks;
        self.pick(weaks.len(), |k| !weaks[k].released, |k| !weaks[k].released, Ref::Weak)
    }

    pub fn pool(&mut self) -> Ref {
        match self.byte() {
            0..=159 => Ref::Null,
            160..=251 => Ref::Pool(1),
            252 => Ref::Pool(RELEASED_POOL),
            253 => Ref::Junk,
            _ => self.other_kind(3),
        }
    }

    pub fn dtype(&mut self) -> u32 {
        self.one(&[TN_F64, TN_U8, TN_F64, TN_I16, TN_F32, TN_F64, TN_I32, TN_C128, TN_C64, TN_BOOL, TN_F64, TN_F32])
    }

    pub fn shape(&mut self) -> Vec<i64> {
        let n = self.one(&[1, 2, 1, 2, 2, 3, 0]);
        let mut shape: Vec<i64> = (0..n).map(|_| self.one(&[4, 3, 2, 6, 1, 5, 4, 3, 0])).collect();
        // Expressions want square matrices.
        if n == 2 && self.chance(150) {
            shape[1] = shape[0];
        }
        while shape.iter().product::<i64>() > MOST_ELEMENTS {
            shape.pop();
        }
        shape
    }

    pub fn mode(&mut self) -> u32 {
        let (cow, unique, discard) = (TN_WRITE_COW, TN_WRITE_UNIQUE, TN_WRITE_DISCARD);
        let usual = [0, unique, cow, discard, 0, cow, cow | discard, unique | discard, TN_WAIT];
        if self.chance(6) { self.one(&[unique | cow, 1 << 31, TN_FROZEN, TN_READ_WRITE]) } else { self.one(&usual) }
    }

    pub fn access(&mut self) -> u32 {
        let (cow, unique, discard) = (TN_WRITE_COW, TN_WRITE_UNIQUE, TN_WRITE_DISCARD);
        let (r, w, rw) = (TN_READ, TN_WRITE, TN_READ_WRITE);
        let usual = [r, rw, w, r, rw | cow, w | cow, rw, r | TN_FROZEN, rw | unique, rw | discard, r | TN_WAIT];
        let wrong = [0, r | cow, rw | TN_FROZEN, r | 1 << 7, r | discard, rw | unique | cow, w | 1 << 30];
        if self.chance(5) { self.one(&wrong) } else { self.one(&usual) }
    }

    /// The region of the picked array, or of any array if it has none.
    pub fn region(&self, array: Ref) -> Option<&Region> {
        match array {
            Ref::Array(k) => Some(&self.model.arrays[k].region),
            _ => self.model.arrays.first().map(|a| &a.region),
        }
    }

    pub fn axis(&mut self, ndim: usize) -> i32 {
        let axis = self.below(ndim) as i32;
        if self.chance(8) {
            return ndim as i32 + axis;
        }
        if self.chance(60) { axis - ndim as i32 } else { axis }
    }

    pub fn bound(&mut self) -> i64 {
        self.one(&[NONE, 1, 2, -1, 0, 3, -2, 100, -100, i64::MAX, i64::MIN + 2])
    }

    pub fn view(&mut self, array: Ref) -> View {
        let Some(region) = self.region(array) else { return View::Transpose };
        let layout = region.layout.clone();
        let n = layout.shape.len();
        let order = |r: &mut Self| {
            if r.chance(6) { TN_ORDER_K } else { r.one(&[TN_ORDER_C, TN_ORDER_F, TN_ORDER_C, TN_ORDER_A]) }
        };
        match self.below(16) {
            0..=4 => {
                let most = n + usize::from(self.chance(6));
                let count = if self.chance(60) { most } else { most.min(1) };
                let specs = (0..count)
                    .map(|_| {
                        let (start, stop) = (self.bound(), self.bound());
                        let step = if self.chance(4) { 0 } else { self.one(&[NONE, 2, -1, 3, -2, 1]) };
                        tn_slice_spec { start, stop, step, reserved: [0; 4] }
                    })
                    .collect();
                View::Slice { specs }
            }
            5 | 6 => View::Index { axis: self.axis(n), index: self.one(&[0, 1, -1, 2, 0, 7]) },
            7 => View::Transpose,
            8 => {
                let mut axes: Vec<i32> = (0..n as i32).collect();
                axes.rotate_left(self.below(n));
                if self.chance(20) && n > 1 {
                    axes[0] = axes[1];
                }
                if self.chance(8) {
                    axes.pop();
                }
                View::Permute { axes }
            }
            9 | 10 => View::Reshape { shape: self.new_shape(&layout), order: order(self) },
            11 => View::Ravel { order: order(self) },
            12 if n < MOST_AXES => View::Expand { axis: self.axis(n + 1) },
            13 => {
                let ones: Vec<i32> = (0..n).filter(|&k| layout.shape[k] == 1).map(|k| k as i32).collect();
                let named = self.chance(128) && n > 0;
                let axes = named.then(|| if ones.is_empty() { vec![self.axis(n)] } else { ones });
                View::Squeeze { axes }
            }
            14 => {
                let mut shape = layout.shape.clone();
                for length in &mut shape {
                    if *length == 1 || self.chance(6) {
                        *length = self.one(&[3, 2, 1, 0]);
                    }
                }
                if n < MOST_AXES && self.chance(128) {
                    shape.insert(0, self.one(&[2, 1]));
                }
                if shape.iter().product::<i64>() > MOST_ELEMENTS { View::Transpose } else { View::Broadcast { shape } }
            }
            _ => View::Dtype { dtype: self.dtype() },
        }
    }

    pub fn new_shape(&mut self, layout: &Layout) -> Vec<i64> {
        let count = layout.count();
        let mut shape = match self.below(6) {
            0 if count % 2 == 0 => vec![2, count / 2],
            1 if count % 3 == 0 => vec![count / 3, 3],
            2 if count > 0 => vec![1, count],
            3 => layout.shape.iter().rev().copied().collect(),
            4 => layout.shape.clone(),
            _ => vec![count],
        };
        if self.chance(40) && !shape.is_empty() {
            let k = self.below(shape.len());
            shape[k] = -1;
        }
        if self.chance(6) {
            shape.push(self.one(&[2, -1, -5]));
        }
        shape
    }

    /// Foreign memory to import: memory of its own, a store's, or a range that extends beyond a store.
    pub fn import(&mut self) -> Call {
        let flags = self.import_flags();
        let callback = !self.chance(24);
        let dtype = if self.chance(3) { self.one(&[0, TN_F64 | 1 << 17]) } else { self.dtype() };
        let place = self.byte();
        let offset = i64::from(self.byte());
        // The addresses of some expressions' values, of what functions keep, and of variables without a handle cannot
        // be found out.
        let hidden = |k: usize| {
            let kept = self.model.functions.iter().flat_map(Function::values);
            let unnamed = self.model.variables.iter().filter(|variable| !variable.handle);
            self.model.node_claims(k).any(|(node, _)| self.model.nodes[node].unseen.is_some())
                || kept.chain(unnamed.flat_map(Variable::values)).any(|value| value.store == k)
        };
        let fits = |&k: &usize| {
            let store = &self.model.stores[k];
            store.alive && !store.private && store.bytes() > 0 && !hidden(k)
        };
        let stores: Vec<usize> = (0..self.model.stores.len()).filter(fits).collect();
        let null = Call::Import { ptr: 0, offset: 0, dtype, shape: vec![0, 3], strides: None, flags, callback };
        let mut start = match place {
            0..=119 => Memory::base(usize::from(place) % ARENAS) + offset * 8 % ARENA_BYTES as i64,
            _ if stores.is_empty() => Memory::base(0),
            _ => {
                let store = &self.model.stores[stores[usize::from(place) % stores.len()]];
                match self.one(&[0, 0, 1, 2]) {
                    0 => store.start,
                    1 => store.start + offset % (store.bytes() / 8 + 1) * 8,
                    _ => store.start - 16,
                }
            }
        };
        if self.chance(16) {
            start += 1;
        }
        if self.chance(3) {
            return null;
        }
        let shape = self.shape();
        let strides = self.import_strides(dtype, &shape);
        let full = strides.clone().unwrap_or_else(|| Layout::dense(dtype, &shape, TN_ORDER_C, 0).strides);
        let flat = Layout { dtype, at: 0, shape, strides: full };
        let (low, high) = flat.extent().unwrap_or((0, 0));
        // Without memory at the address, the flags must forbid a copy and some store must be touched, because the test
        // must have the bytes that it passes.
        let (from, to) = (start, start + high - low);
        let touched: Vec<Origin> = self.model.touched(from, to).iter().map(|&k| self.model.stores[k].origin).collect();
        let refused = !touched.is_empty() && flags & (TN_TAKE_OWNERSHIP | TN_MAY_OVERWRITE) != 0
            || !touched.is_empty() && touched != [Origin::Lent] && flags & TN_REQUIRE_BORROW != 0;
        if item(dtype) != 0 && !self.model.memory.has(from, to) && !refused {
            return null;
        }
        Call::Import { ptr: start, offset: -low, dtype, shape: flat.shape, strides, flags, callback }
    }

    pub fn import_flags(&mut self) -> u32 {
        let (b, r, m, t) = (TN_BORROW, TN_REQUIRE_BORROW, TN_MAY_OVERWRITE, TN_TAKE_OWNERSHIP);
        let (q, ro) = (TN_RELEASE_QUEUED, TN_IMPORT_READONLY);
        let usual =
            [b, t, r, 0, m, b | ro, b | q, t | q, b, t, r | m, t | r, q, ro, t | ro, r | q | ro, b | t, b | m | q];
        if self.chance(4) { self.one(&[1 << 2, b | 1 << 6, t | 1 << 31, TN_IMPORT_WRITABLE]) } else { self.one(&usual) }
    }

    pub fn import_strides(&mut self, dtype: u32, shape: &[i64]) -> Option<Vec<i64>> {
        let c = Layout::dense(dtype, shape, TN_ORDER_C, 0).strides;
        let size = item(dtype);
        match self.byte() {
            0..=139 => None,
            140..=169 => Some(Layout::dense(dtype, shape, TN_ORDER_F, 0).strides),
            170..=199 => Some(c.iter().map(|stride| -stride).collect()),
            200..=224 => Some(c.iter().map(|stride| stride * 2).collect()),
            225..=239 => Some(vec![size; shape.len()]),
            240..=246 => Some(vec![0; shape.len()]),
            _ => Some(c.iter().map(|stride| stride + 1).collect()),
        }
    }

    /// The layout in the scratch memory that a copy from or to the host passes. None: the call passes no layout.
    pub fn host(&mut self, array: Ref) -> Option<Layout> {
        let how = self.byte();
        let a = self.region(array)?.layout.clone();
        let mut host =
            Layout::dense(a.dtype, &a.shape, if how & 1 == 0 { TN_ORDER_F } else { TN_ORDER_C }, Model::scratch() + 8);
        match how {
            0..=127 => return None,
            128..=219 => {}
            220..=239 => host.strides.iter_mut().for_each(|stride| *stride *= 2),
            240..=244 => host.strides.iter_mut().for_each(|stride| *stride = 0),
            245..=249 => host.dtype = if a.dtype == TN_F64 { TN_I64 } else { TN_F64 },
            _ => host.shape.push(1),
        }
        host.strides.resize(host.shape.len(), host.item());
        let fits = host.extent().is_none_or(|(_, end)| end <= Model::scratch() + SCRATCH_BYTES as i64);
        fits.then_some(host)
    }

    pub fn export(&mut self, array: Ref) -> Call {
        let (b, r, w, x) = (TN_BORROW, TN_REQUIRE_BORROW, TN_EXPORT_WRITABLE, TN_EXPORT_EXCLUSIVE);
        let (reads, plus) = (TN_EXPORT_CONSUMER_READS, TN_EXPORT_NONNEGATIVE);
        let usual = [
            b,
            b | w,
            b | w | x,
            r | w,
            r,
            b | reads,
            b | plus,
            0,
            r | plus,
            b | w | plus,
            b | TN_UNORDERED,
            b | TN_WAIT,
            b | TN_EXPORT_C_CONTIGUOUS,
            TN_EXPORT_C_CONTIGUOUS,
        ];
        let wrong = [b | x, b | w | reads, b | TN_TAKE_OWNERSHIP, b | 1 << 31, b | TN_IMPORT_READONLY];
        let flags = if self.chance(6) { self.one(&wrong) } else { self.one(&usual) };
        let mode = match (flags & w != 0, self.byte()) {
            (_, 250..) => self.one(&[TN_WRITE_COW, TN_WRITE_DISCARD, TN_WRITE_UNIQUE, 1 << 30]),
            (true, 170..) => TN_WRITE_UNIQUE,
            _ => 0,
        };
        Call::Export { array, flags, mode }
    }

    pub fn target(&mut self, array: Ref) -> Option<Target> {
        let how = self.byte();
        let layout = self.region(array)?.layout.clone();
        let mut target = Target { dtype: layout.dtype, shape: layout.shape, device: (TN_CPU, 0) };
        match how {
            0..=99 => return None,
            100..=149 => {}
            150..=199 => target.shape = vec![self.one(&[1, 2, 8])],
            200..=229 => target.dtype = self.dtype(),
            230..=249 => target.device = (TN_CUDA, 0),
            _ => target.dtype = 0,
        }
        Some(target)
    }
}
