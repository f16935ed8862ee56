//! Lazy expressions: built now, computed once, and what nobody else needs is overwritten.
//!
//! Contract: a leaf is a claim on its array's store, so the array may be released at once, and its bytes stay as they are until the
//! expression needs them no more. Building checks and computes nothing. `compute` evaluates operands first, left before right, each node
//! once; a value is let go right after its last use. Whether an operation overwrites an operand is decided when it runs, with the
//! ledgers of its operands locked, by the rule in `rules`; results have the same bits either way. Nothing recurses, so expressions may
//! be as deep as memory allows. Any thread; one lock guards all graphs, no kernel runs and nothing is freed under it.
//!
//! | file | what |
//! |---|---|
//! | `node` | the graph: nodes, references, what ends with what |
//! | `rules` | which result operands give, and whether one may be overwritten |
//! | `build` | leaves and operations |
//! | `compute` | the life of an evaluation |
//! | `job` | one operation, and what it may overwrite |
//! | `step` | one operation, worked out |
//! | `apply` | its numbers |
//! | `explain` | what an evaluation would do, and why |
//! | `foresee` | the same of one operation |
//! | `words` | how that is written |
#![forbid(unsafe_code)]

mod execute;

mod build;

mod compute;

mod explain;

mod predict;

mod op;

mod node;

mod rules;

mod step;

mod format;

pub use build::{Arguments, elementwise, leaf, operation};
pub use compute::compute;
pub use explain::{Format, explain};
pub use node::{Expr, each_open, release};
