//! Random traces: operations as a kind and some bytes, turned into calls that fit the current state.
//!
//! Contract: [`Op::call`] reads the model and changes nothing; equal operations on equal models give equal calls. A
//! byte of 0 selects the plainest argument, and handles are picked modulo their number. So removing operations and
//! lowering bytes always leaves a valid, simpler trace, which makes shrinking work.

use super::calls::{Beside, Call, Contents, Parts, Stream};
use super::draw::Reader;
use super::graph::{Node, Progress};
use super::handle::{ARENAS, Model, PromiseState, Ref, State};
use super::kinds::{Kind, Theme, WEIGHTS};
use super::store::Memory;
use super::update::Frame;
use proptest::prelude::*;
use proptest::strategy::Union;
use tenure::types::*;

#[derive(Clone)]
pub struct Op {
    kind: Kind,
    bytes: [u8; 20],
}

/// One line; the trace of calls has the details.
impl std::fmt::Debug for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let used = self.bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        write!(f, "{:?}{}", self.kind, self.bytes[..used].iter().map(|byte| format!(" {byte}")).collect::<String>())
    }
}

fn ops(theme: Theme) -> impl Strategy<Value = Vec<Op>> {
    let kinds = WEIGHTS.iter().map(|&(weight, kind)| (theme.weight(weight, kind), Just(kind)));
    let op = (Union::new_weighted(kinds.collect()), any::<[u8; 20]>()).prop_map(|(kind, bytes)| Op { kind, bytes });
    prop::collection::vec(op, 1..=119)
}

/// The most callbacks that run within one another.
const MOST_FRAMES: usize = 2;

/// One trace: whether in strict mode, and the operations.
pub fn traces() -> impl Strategy<Value = (bool, Vec<Op>)> {
    let themes = prop_oneof![4 => Just(Theme::Everything), 4 => Just(Theme::Expressions), 2 => Just(Theme::Scopes), 4 => Just(Theme::Variables), 5 => Just(Theme::Functions)];
    (prop::bool::weighted(0.15), themes.prop_flat_map(ops))
}

/// The trace that a line of the file of failures describes behind its seed; None if it has the seed alone.
pub fn trace_of_line(line: &str) -> Option<(bool, Vec<Op>)> {
    let (_, trace) = line.split_once("shrinks to ")?;
    let inside = trace.strip_prefix('(').and_then(|trace| trace.strip_suffix("])"));
    let (strict, ops) = inside.and_then(|trace| trace.split_once(", [")).expect("(strict, [operations])");
    Some((strict == "true", ops.split(", ").map(Op::of_line).collect()))
}

impl Op {
    /// As text, for a file.
    pub fn save(&self) -> String {
        let kind = WEIGHTS.iter().position(|&(_, kind)| kind == self.kind).expect("each kind has a weight");
        self.bytes.iter().fold(kind.to_string(), |text, byte| format!("{text} {byte}"))
    }

    pub fn load(text: &str) -> Op {
        let numbers: Vec<usize> = text.split(' ').map(|number| number.parse().expect("a number")).collect();
        Op { kind: WEIGHTS[numbers[0]].1, bytes: std::array::from_fn(|k| numbers[k + 1] as u8) }
    }

    /// From its line: the name of a kind and bytes, without zeros at the end.
    fn of_line(line: &str) -> Op {
        let (name, numbers) = line.split_once(' ').unwrap_or((line, ""));
        let kind = WEIGHTS.iter().map(|&(_, kind)| kind).find(|kind| format!("{kind:?}") == name);
        let mut bytes = [0; 20];
        for (byte, number) in bytes.iter_mut().zip(numbers.split_whitespace()) {
            *byte = number.parse().expect("a byte");
        }
        Op { kind: kind.unwrap_or_else(|| panic!("{name} is no kind of operation")), bytes }
    }

    /// The call of this operation in the current state.
    pub fn call(&self, model: &Model) -> (Call, Beside) {
        // The last two bytes, so that the bytes before them keep their meaning when they shrink.
        let (bytes, beside) = self.bytes.split_at(self.bytes.len() - 2);
        let stream = match beside[0] {
            0..=199 => Stream::Null,
            200..=217 => Stream::Legacy,
            218..=235 => Stream::PerThread,
            236..=252 => Stream::Current,
            _ => Stream::Junk,
        };
        let beside = Beside { no_out: beside[1] > 252, stream };
        (self.main_call(&mut Reader { bytes, model }), beside)
    }

    /// The operation itself if it is possible; without a subject, a call that makes one.
    fn possible(&self, model: &Model) -> Kind {
        let live = model.arrays.iter().any(|a| a.state == State::Live);
        let is_open = |node: &Node| node.handle && node.progress == Progress::Waiting;
        let kind = match self.kind {
            Kind::Take | Kind::Cancel | Kind::PromiseRelease
                if !model.promises.iter().any(|p| p.state == PromiseState::Outstanding) =>
            {
                Kind::Give
            }
            Kind::Build | Kind::Compute | Kind::ExprRelease if !model.nodes.iter().any(|node| node.handle) => {
                Kind::Leaf
            }
            // By the last byte, sometimes one that has its value already.
            Kind::Compute if self.bytes[17] < 200 && !model.nodes.iter().any(is_open) => Kind::Build,
            Kind::Leave if !model.scopes.iter().any(|scope| scope.entered) => Kind::Enter,
            Kind::End | Kind::WriteThrough if !model.guards.iter().any(|guard| guard.open) => Kind::BorrowWrite,
            Kind::SharedGet | Kind::SharedSet | Kind::SharedUpdate | Kind::UpdateBegin | Kind::SharedRelease
                if !model.variables.iter().any(|variable| variable.handle) =>
            {
                Kind::SharedCreate
            }
            // A callback is short.
            _ if !model.frames.is_empty() && self.bytes[16] > 210 => Kind::Return,
            Kind::Return if model.frames.is_empty() => Kind::RunReleases,
            Kind::SharedUpdate if model.frames.len() >= MOST_FRAMES => Kind::SharedGet,
            Kind::FunctionCall | Kind::FunctionRelease if !model.functions.iter().any(|f| f.handle) => {
                Kind::FunctionCreate
            }
            Kind::FunctionCall if model.frames.len() >= MOST_FRAMES => Kind::Return,
            Kind::Launch if model.frames.len() >= MOST_FRAMES => Kind::BorrowAll,
            Kind::Place if !matches!(model.frames.last(), Some(Frame::Call(call)) if !call.places.is_empty()) => {
                Kind::Clone
            }
            Kind::UpdateEnd if !model.variables.iter().any(|variable| variable.update.is_some()) => Kind::UpdateBegin,
            Kind::Upgrade | Kind::WeakRelease if !model.weaks.iter().any(|weak| !weak.released) => Kind::Weaken,
            kind => kind,
        };
        match kind {
            Kind::Import | Kind::RunReleases | Kind::Forbid | Kind::WriteForeign => kind,
            Kind::Take | Kind::Cancel | Kind::PromiseRelease | Kind::End | Kind::WriteThrough => kind,
            Kind::Upgrade | Kind::WeakRelease | Kind::Leave => kind,
            Kind::Build | Kind::Compute | Kind::ExprRelease | Kind::Return | Kind::Place => kind,
            _ if live => kind,
            _ => Kind::Make,
        }
    }

    fn main_call(&self, r: &mut Reader<'_>) -> Call {
        match self.possible(r.model) {
            Kind::Make => {
                let dtype = if r.chance(4) { r.one(&[0, TN_F64 | 1 << 17, TN_DTYPE_I4]) } else { r.dtype() };
                let contents = r.one(&[Contents::Zeros, Contents::Empty, Contents::Full]);
                let order = if r.chance(4) {
                    r.one(&[TN_ORDER_K, 7, u32::MAX])
                } else {
                    r.one(&[TN_ORDER_C, TN_ORDER_C, TN_ORDER_F])
                };
                let mut shape = r.shape();
                if r.chance(4) {
                    shape.push(-1);
                }
                if matches!(dtype, TN_F32 | TN_F64) && r.chance(110) {
                    shape = r.matrix_shape();
                }
                Call::Make { pool: r.pool(), dtype, shape, order, contents }
            }
            Kind::Release => r.release(),
            Kind::End => {
                let guard = r.guard();
                let export =
                    matches!(guard, Ref::Guard(k) if r.model.guards[k].holds.iter().any(|hold| !hold.kind.is_guard()));
                // The rules leave open what a failed end of an export means.
                let flags = if r.chance(60) && !export { TN_END_FAILED } else { 0 };
                Call::End { guard, flags: if r.chance(3) { 1 << 5 } else { flags } }
            }
            Kind::Clone => Call::Clone { array: r.array() },
            Kind::SetForm => r.set_form(),
            Kind::View => {
                let array = r.array();
                Call::View { array, view: r.view(array) }
            }
            Kind::BorrowRead => {
                let array = r.array();
                let flags = if r.chance(4) {
                    r.one(&[TN_WRITE_COW, TN_READ, 1 << 31])
                } else {
                    r.one(&[0, TN_FROZEN, TN_WAIT])
                };
                Call::BorrowRead { array, flags }
            }
            Kind::BorrowWrite => Call::BorrowWrite { array: r.array(), mode: r.mode() },
            Kind::Import => r.import(),
            Kind::Give => {
                let arrays = &r.model.arrays;
                let given: Vec<usize> = (0..arrays.len()).filter(|&k| arrays[k].state == State::Given).collect();
                let array = if r.chance(90) && !given.is_empty() { Ref::Array(r.one(&given)) } else { r.array() };
                Call::Give { array, required: if r.chance(5) { 0 } else { r.one(&[1, 2, 2, 3]) } }
            }
            Kind::Take => {
                let n = r.one(&[1, 2, 1, 3, 0]);
                Call::Take { promises: (0..n).map(|_| r.promise()).collect() }
            }
            Kind::Enter => {
                let mut params = Vec::new();
                for _ in 0..r.one(&[2, 1, 3, 2, 4, 0]) {
                    let param = r.param(&params);
                    params.push(param);
                }
                Call::Enter { params }
            }
            Kind::Leave => {
                let scope = r.scope();
                Call::Leave { scope, keep: r.keep(scope) }
            }
            Kind::Leaf => r.leaf(),
            Kind::Build => r.build(),
            Kind::Compute => r.compute(),
            Kind::ExprRelease => r.expr_release(),
            Kind::Export => {
                let array = r.array();
                r.export(array)
            }
            Kind::WriteThrough => match r.guard() {
                Ref::Guard(guard) if r.model.guards[guard].open => Call::WriteThrough { guard },
                _ => Call::RunReleases,
            },
            Kind::BorrowAll => {
                let n = r.one(&[2, 2, 1, 3, 0]);
                Call::BorrowAll { entries: (0..n).map(|_| (r.array(), r.access())).collect() }
            }
            Kind::SplitWrite => {
                let array = r.array();
                let ndim = r.region(array).map_or(0, |region| region.layout.shape.len());
                let n = if r.chance(8) { 0 } else { r.one(&[2, 3, 1, 5]) };
                Call::SplitWrite { array, axis: r.axis(ndim), n, mode: r.mode() }
            }
            Kind::Fill => Call::Fill { array: r.array(), value: !r.chance(4), mode: r.mode() },
            Kind::Zero => Call::Zero { array: r.array(), mode: r.mode() },
            Kind::CopyInto => {
                let source = r.array();
                let fits = |k: usize| {
                    let a = r.model.arrays.get(match source {
                        Ref::Array(s) => s,
                        _ => 0,
                    });
                    let b = &r.model.arrays[k];
                    b.state == State::Live
                        && a.is_some_and(|a| {
                            a.region.layout.shape == b.region.layout.shape
                                && a.region.layout.dtype == b.region.layout.dtype
                        })
                };
                let fitting: Vec<usize> = (0..r.model.arrays.len()).filter(|&k| fits(k)).collect();
                let destination =
                    if r.chance(40) || fitting.is_empty() { r.array() } else { Ref::Array(r.one(&fitting)) };
                Call::CopyInto { source, destination, mode: r.mode() }
            }
            Kind::Copy => Call::Copy { array: r.array(), pool: r.pool() },
            Kind::CopyToHost => {
                let array = r.array();
                Call::CopyToHost { array, host: r.host(array) }
            }
            Kind::CopyFromHost => {
                let array = r.array();
                Call::CopyFromHost { array, host: r.host(array), mode: r.mode() }
            }
            Kind::Cancel => Call::Cancel { promise: r.promise() },
            Kind::PromiseRelease => Call::PromiseRelease { promise: r.promise() },
            Kind::Weaken => Call::Weaken { array: r.array() },
            Kind::Upgrade => Call::Upgrade { weak: r.weak() },
            Kind::WeakRelease => Call::WeakRelease { weak: r.weak() },
            Kind::Parts => {
                let array = r.array();
                let ndim = r.region(array).map_or(0, |region| region.layout.shape.len());
                let n = if r.chance(6) { r.one(&[0, -1]) } else { r.one(&[2, 3, 1]) };
                let parts = if r.chance(128) { Parts::Split(n) } else { Parts::Chunks(n) };
                let capacity = if r.chance(30) { r.one(&[None, Some(1)]) } else { Some(8) };
                Call::Parts { array, axis: r.axis(ndim), parts, capacity }
            }
            Kind::WhyNot => {
                let array = r.array();
                Call::WhyNot { array, target: r.target(array) }
            }
            Kind::Overlap => Call::Overlap { a: r.array(), b: r.array() },
            Kind::HoldersOf => self.holders_of(r),
            Kind::RunReleases => Call::RunReleases,
            Kind::Forbid => Call::Forbid { on: i32::from(r.chance(100)) },
            Kind::WriteForeign => {
                let at = Memory::base(r.below(ARENAS)) + i64::from(r.byte());
                Call::WriteForeign { at, bytes: 16 }
            }
            Kind::Query => Call::Query { array: r.array() },
            Kind::IsUnique => Call::IsUnique { array: r.array() },
            Kind::SharedCreate => r.shared_create(),
            Kind::SharedGet => r.shared_get(),
            Kind::SharedSet => r.shared_set(),
            Kind::SharedUpdate => r.shared_update(),
            Kind::UpdateBegin => r.update_begin(),
            Kind::UpdateEnd => r.update_end(),
            Kind::SharedRelease => Call::SharedRelease { shared: r.shared() },
            Kind::Return => r.end_of_body(),
            Kind::FunctionCreate => r.function_create(),
            Kind::FunctionCall => r.function_call(),
            Kind::FunctionRelease => Call::FunctionRelease { function: r.function() },
            Kind::Launch => r.launch(),
            Kind::Place => match r.model.frames.last() {
                Some(Frame::Call(call)) => r.place(call),
                _ => Call::RunReleases,
            },
        }
    }

    /// Ranges inside one store, of two stores, or of none. The rules leave open ranges partly in a store.
    fn holders_of(&self, r: &mut Reader<'_>) -> Call {
        let array = r.array();
        let inside = match array {
            Ref::Array(k) if r.model.arrays[k].has_claim() => r.model.arrays[k].region.layout.extent(),
            _ => None,
        };
        match (inside, r.byte()) {
            (Some((low, high)), 0..=199) => Call::HoldersOf { at: low, bytes: high - low },
            (Some((low, _)), 200..=204) => Call::HoldersOf { at: low, bytes: 0 },
            (_, 205..=209) => Call::HoldersOf { at: 0, bytes: 8 },
            _ => Call::HoldersOf { at: Model::scratch(), bytes: 64 },
        }
    }
}

/// A signed integer of four bits, which is no element type here.
const TN_DTYPE_I4: u32 = 4 << 8 | 1 << 16;
