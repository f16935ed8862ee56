//! Expressions of the model: nodes, the rules of operations, references between nodes, and releases.
//!
//! Contract: as `claims`: finds every error first, then changes the model, or changes nothing. It computes nothing.
//! Written from section 8.1 and the rows EX-1, EX-2, EX-31, EX-32, EX-34, EX-41.

use super::calls::{Build, Done};
use super::handle::{Array, Model, Ref};
use super::matrices::Values;
use super::region::Region;
use super::rules::{Faults, Status};
use tenure::types::*;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    Full,
    Diagonal,
    Lower,
    /// The transpose of a Lower.
    Upper,
    /// What lu makes of a full matrix. The model has the matrix itself.
    Factors,
}

impl Form {
    /// TN_FORM_.
    pub fn of(raw: u32) -> Option<Form> {
        match raw {
            TN_FORM_FULL => Some(Form::Full),
            TN_FORM_DIAGONAL => Some(Form::Diagonal),
            TN_FORM_LOWER => Some(Form::Lower),
            TN_FORM_UPPER => Some(Form::Upper),
            _ => None,
        }
    }

    pub fn raw(self) -> u32 {
        match self {
            Form::Full => TN_FORM_FULL,
            Form::Diagonal => TN_FORM_DIAGONAL,
            Form::Lower => TN_FORM_LOWER,
            Form::Upper => TN_FORM_UPPER,
            Form::Factors => TN_FORM_FACTORS,
        }
    }

    /// FM-1
    pub fn fits(self, shape: &[i64]) -> bool {
        match self {
            Form::Full => true,
            Form::Diagonal => shape.len() == 1,
            Form::Lower | Form::Upper => shape.len() == 2 && shape[0] == shape[1],
            Form::Factors => false,
        }
    }

    pub fn turned(self) -> Form {
        match self {
            Form::Lower => Form::Upper,
            Form::Upper => Form::Lower,
            same => same,
        }
    }

    /// Whether a matrix of this form has the element (i, j).
    pub fn has(self, i: usize, j: usize) -> bool {
        match self {
            Form::Full | Form::Factors => true,
            Form::Diagonal => i == j,
            Form::Lower => i >= j,
            Form::Upper => i <= j,
        }
    }

    pub fn union(a: Form, b: Form) -> Form {
        Form::smallest(|i, j| a.has(i, j) || b.has(i, j))
    }

    pub fn intersection(a: Form, b: Form) -> Form {
        Form::smallest(|i, j| a.has(i, j) && b.has(i, j))
    }

    /// The smallest form that has every element for which `needed` says so, judged by a 2 x 2 matrix.
    fn smallest(needed: impl Fn(usize, usize) -> bool) -> Form {
        let all = [(0, 0), (0, 1), (1, 0), (1, 1)];
        let fits = |form: &Form| all.iter().all(|&(i, j)| form.has(i, j) || !needed(i, j));
        [Form::Diagonal, Form::Lower, Form::Upper].into_iter().find(fits).unwrap_or(Form::Full)
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Operation {
    Leaf,
    Add,
    Subtract,
    Multiply,
    Cholesky,
    Lu,
    Solve,
    Scale(f64),
    Transpose,
    Sum(usize),
    Times,
    Divide,
    Negate,
    Sqrt,
    Exp,
    Log,
    Dense,
}

impl Operation {
    /// The operation that comes first on an operand of this form. Zeros are written out where 0 gives something that the
    /// form of the result does not have; equations of a full matrix are solved with its factors.
    fn implied(self, side: usize, form: Form) -> Option<Operation> {
        match self {
            Operation::Divide | Operation::Exp | Operation::Log if form != Form::Full => Some(Operation::Dense),
            Operation::Sum(_) if matches!(form, Form::Lower | Form::Upper) => Some(Operation::Dense),
            Operation::Solve if side == 0 && form == Form::Full => Some(Operation::Lu),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    Waiting,
    Done,
    Failed,
}

/// A node's claim on a store.
#[derive(Clone, Debug)]
pub struct NodeClaim {
    pub store: usize,
    pub region: Region,
    pub readonly: bool,
    pub lease: Option<usize>,
    /// As `Array::granted`.
    pub granted: bool,
}

#[derive(Clone, Debug)]
pub struct Node {
    /// Its handle is not released.
    pub handle: bool,
    /// The library added it, so it never had a handle.
    pub implied: bool,
    pub what: Operation,
    pub form: Form,
    pub dtype: u32,
    pub shape: Vec<i64>,
    /// The edges; none once they are released.
    pub operands: Vec<usize>,
    pub progress: Progress,
    pub value: Option<NodeClaim>,
    /// The value from scalar loops, until the library's value is visible.
    pub unseen: Option<Values>,
}

impl Node {
    /// Rows and columns, if it is a matrix.
    fn matrix(&self) -> Option<(i64, i64)> {
        match (self.form, &self.shape[..]) {
            (Form::Diagonal, &[n]) => Some((n, n)),
            (_, &[rows, columns]) => Some((rows, columns)),
            _ => None,
        }
    }

    /// The shape of all elements.
    fn dense_shape(&self) -> Vec<i64> {
        self.matrix().map_or_else(|| self.shape.clone(), |(rows, columns)| vec![rows, columns])
    }

    /// Whether its value is that of its operand, by another name.
    pub fn is_view(&self) -> bool {
        self.what == Operation::Transpose || (self.what == Operation::Lu && self.form != Form::Factors)
    }

    /// Whether it is the matrix of an operand with its zeros, which no caller asked for.
    pub fn is_written_out(&self) -> bool {
        self.implied && self.what == Operation::Dense
    }

    fn vector(&self) -> Option<i64> {
        if self.form == Form::Full && self.shape.len() == 1 { Some(self.shape[0]) } else { None }
    }
}

impl Model {
    pub fn expr(&self, expr: Ref) -> Result<usize, Status> {
        self.known(expr)?;
        if let Ref::Expr(index) = expr { Ok(index) } else { Err(TN_ERR_KIND) }
    }

    /// Nodes with a claim on the store. Their number is P.
    pub fn node_claims(&self, store: usize) -> impl Iterator<Item = (usize, &NodeClaim)> {
        let claim = |k: usize| self.nodes[k].value.as_ref().map(|claim| (k, claim));
        (0..self.nodes.len()).filter_map(claim).filter(move |(_, claim)| claim.store == store)
    }

    fn add_node(&mut self, node: Node) -> Done {
        self.nodes.push(node);
        Done { expr: Some(self.nodes.len() - 1), ..Done::default() }
    }

    pub fn leaf(&mut self, array: Ref, raw: u32) -> Result<Done, Status> {
        let mut faults = Faults::default();
        let array = faults.take(self.array(array));
        faults.when(Form::of(raw).is_none() && raw != TN_FORM_OF_HANDLE, TN_ERR_INVALID);
        faults.none()?;
        let array = array.expect("no fault");
        let form = Form::of(raw).unwrap_or(self.arrays[array].form);
        self.live(array)?;
        let Array { store, region, readonly, lease, granted, .. } = self.arrays[array].clone();
        let layout = &region.layout;
        let (dtype, shape) = (layout.dtype, layout.shape.clone());
        faults.when(!matches!(dtype, TN_F32 | TN_F64), TN_ERR_DTYPE);
        faults.when(!form.fits(&shape), TN_ERR_SHAPE);
        let steps = shape.iter().zip(&layout.strides).all(|(&n, &stride)| n <= 1 || stride % layout.item() == 0);
        faults.when(!layout.is_aligned() || !steps, TN_ERR_LAYOUT);
        self.read_faults(array, false, &mut faults);
        faults.none()?;
        let value = Some(NodeClaim { store, region, readonly, lease, granted });
        let (what, progress) = (Operation::Leaf, Progress::Done);
        Ok(self.add_node(Node {
            handle: true,
            implied: false,
            what,
            form,
            dtype,
            shape,
            operands: vec![],
            progress,
            value,
            unseen: None,
        }))
    }

    pub fn build(&mut self, build: Build, x: Ref, y: Ref) -> Result<Done, Status> {
        let mut node = self.built(build, x, y)?;
        for at in 0..node.operands.len() {
            let k = node.operands[at];
            let Some(what) = node.what.implied(at, self.nodes[k].form) else { continue };
            // For this operation alone.
            let first = Node {
                handle: false,
                implied: true,
                what,
                form: if what == Operation::Lu { Form::Factors } else { Form::Full },
                dtype: node.dtype,
                shape: self.nodes[k].dense_shape(),
                operands: vec![k],
                progress: Progress::Waiting,
                value: None,
                unseen: None,
            };
            self.nodes.push(first);
            let made = self.nodes.len() - 1;
            node.operands[at] = made;
            if what == Operation::Dense {
                node.operands.iter_mut().filter(|operand| **operand == k).for_each(|operand| *operand = made);
            }
        }
        Ok(self.add_node(node))
    }

    /// The node that a call would make.
    pub fn built(&self, build: Build, x: Ref, y: Ref) -> Result<Node, Status> {
        let mut faults = Faults::default();
        let x = faults.take(self.expr(x));
        let (binary, what) = match build {
            Build::Add => (true, Some(Operation::Add)),
            Build::Subtract => (true, Some(Operation::Subtract)),
            Build::Multiply => (true, Some(Operation::Multiply)),
            Build::Solve => (true, Some(Operation::Solve)),
            Build::Cholesky => (false, Some(Operation::Cholesky)),
            Build::Lu => (false, Some(Operation::Lu)),
            Build::Scale(factor) => (false, Some(Operation::Scale(factor))),
            Build::Transpose => (false, Some(Operation::Transpose)),
            Build::Sum(_) => (false, Some(Operation::Sum(0))),
            Build::Dense => (false, Some(Operation::Dense)),
            Build::Elementwise(TN_EXPR_ADD) => (true, Some(Operation::Add)),
            Build::Elementwise(TN_EXPR_SUBTRACT) => (true, Some(Operation::Subtract)),
            Build::Elementwise(TN_EXPR_MULTIPLY) => (true, Some(Operation::Times)),
            Build::Elementwise(TN_EXPR_DIVIDE) => (true, Some(Operation::Divide)),
            Build::Elementwise(TN_EXPR_NEGATE) => (false, Some(Operation::Negate)),
            Build::Elementwise(TN_EXPR_SQRT) => (false, Some(Operation::Sqrt)),
            Build::Elementwise(TN_EXPR_EXP) => (false, Some(Operation::Exp)),
            Build::Elementwise(TN_EXPR_LOG) => (false, Some(Operation::Log)),
            Build::Elementwise(_) => (false, None),
        };
        let mut other = None;
        if let Build::Elementwise(_) = build {
            faults.when(what.is_none() || binary != (y != Ref::Null), TN_ERR_INVALID);
            other = if y == Ref::Null { None } else { faults.take(self.expr(y)) };
        } else if binary {
            other = faults.take(self.expr(y));
        }
        faults.none()?;
        let (x, mut what) = (x.expect("no fault"), what.expect("no fault"));
        let node = &self.nodes[x];
        if let Build::Sum(axis) = build {
            let n = node.dense_shape().len() as i64;
            let at = if axis < 0 { i64::from(axis) + n } else { i64::from(axis) };
            faults.when(!(0..n).contains(&at), TN_ERR_RANGE);
            what = Operation::Sum(at.clamp(0, (n - 1).max(0)) as usize);
        }
        let (form, shape) = match other {
            None => unary(what, node, &mut faults),
            Some(other) => binary_of(what, node, &self.nodes[other], &mut faults),
        };
        let operands: Vec<usize> = [Some(x), other].into_iter().flatten().collect();
        let solves = |at: usize| what == Operation::Solve && at == 0;
        let misused = |(at, k): (usize, &usize)| self.nodes[*k].form == Form::Factors && !solves(at);
        faults.when(operands.iter().enumerate().any(misused), TN_ERR_UNSUPPORTED);
        faults.when(operands.iter().any(|&k| self.nodes[k].progress == Progress::Failed), TN_ERR_POISONED);
        faults.none()?;
        let (dtype, progress) = (node.dtype, Progress::Waiting);
        Ok(Node {
            handle: true,
            implied: false,
            what,
            form,
            dtype,
            shape,
            operands,
            progress,
            value: None,
            unseen: None,
        })
    }

    pub fn expr_release(&mut self, expr: Ref) -> Result<Done, Status> {
        let expr = self.expr(expr)?;
        self.nodes[expr].handle = false;
        self.end_unused_nodes();
        Ok(Done::default())
    }

    /// Its handle, and edges from operations that still need its value. A computed operation needs it no more, even if
    /// TN_KEEP_ON_FAIL keeps the edge until the end.
    pub fn references(&self, node: usize) -> usize {
        let edges = |other: &Node| other.operands.iter().filter(|&&k| k == node).count();
        let waiting = self.nodes.iter().filter(|other| other.progress == Progress::Waiting);
        usize::from(self.nodes[node].handle) + waiting.map(edges).sum::<usize>()
    }

    pub fn let_go(&mut self, node: usize) {
        self.nodes[node].operands.clear();
        self.end_unused_nodes();
    }

    /// A node ends with the last reference, and releases the nodes below it.
    fn end_unused_nodes(&mut self) {
        loop {
            let used = |k: usize| self.nodes[k].handle || self.nodes.iter().any(|other| other.operands.contains(&k));
            let ended = |k: &usize| {
                let node = &self.nodes[*k];
                (node.value.is_some() || !node.operands.is_empty()) && !used(*k)
            };
            let Some(end) = (0..self.nodes.len()).find(ended) else { return };
            let node = &mut self.nodes[end];
            node.operands.clear();
            (node.value, node.unseen) = (None, None);
        }
    }

    /// The node and all nodes above it (EX-41).
    pub fn fail(&mut self, node: usize) {
        let mut failed = vec![node];
        while let Some(k) = failed.pop() {
            self.nodes[k].progress = Progress::Failed;
            let above = |j: &usize| self.nodes[*j].operands.contains(&k);
            failed.extend((0..self.nodes.len()).filter(above));
        }
        for k in 0..self.nodes.len() {
            if self.nodes[k].progress == Progress::Failed {
                self.nodes[k].operands.clear();
            }
        }
        self.end_unused_nodes();
    }
}

/// The form and shape of an operation with one operand.
fn unary(what: Operation, x: &Node, faults: &mut Faults) -> (Form, Vec<i64>) {
    let (form, mut shape) = (x.form, x.shape.clone());
    let square = x.matrix().is_some_and(|(rows, columns)| rows == columns);
    match what {
        Operation::Cholesky => {
            faults.when(!square, TN_ERR_SHAPE);
            faults.when(matches!(form, Form::Lower | Form::Upper), TN_ERR_UNSUPPORTED);
            (if form == Form::Full { Form::Lower } else { form }, shape)
        }
        Operation::Lu => {
            faults.when(!square, TN_ERR_SHAPE);
            (if form == Form::Full { Form::Factors } else { form }, shape)
        }
        Operation::Transpose => {
            faults.when(x.matrix().is_none(), TN_ERR_SHAPE);
            shape.reverse();
            (form.turned(), shape)
        }
        Operation::Scale(_) | Operation::Negate | Operation::Sqrt => (form, shape),
        Operation::Sum(axis) => {
            shape = x.dense_shape();
            if axis < shape.len() {
                shape.remove(axis);
            }
            (Form::Full, shape)
        }
        // These do not map 0 to 0, or show the zeros.
        _ => (Form::Full, x.dense_shape()),
    }
}

fn binary_of(what: Operation, x: &Node, y: &Node, faults: &mut Faults) -> (Form, Vec<i64>) {
    faults.when(x.dtype != y.dtype, TN_ERR_DTYPE);
    let square = |node: &Node| node.matrix().is_some_and(|(rows, columns)| rows == columns);
    let shape = match what {
        Operation::Multiply | Operation::Solve => {
            let inner = x.matrix().map(|(_, columns)| columns);
            let rows = y.vector().or(y.matrix().map(|(rows, _)| rows));
            faults.when(inner.is_none() || inner != rows, TN_ERR_SHAPE);
            faults.when(what == Operation::Solve && !square(x), TN_ERR_SHAPE);
            let rows = x.matrix().map_or(0, |(rows, _)| rows);
            match (y.vector(), y.matrix()) {
                (None, Some((_, columns))) => vec![rows, columns],
                _ => vec![rows],
            }
        }
        _ => {
            let fits = if (x.form, y.form) == (Form::Full, Form::Full) {
                x.shape == y.shape
            } else {
                x.matrix().is_some() && x.matrix() == y.matrix()
            };
            faults.when(!fits, TN_ERR_SHAPE);
            x.dense_shape()
        }
    };
    let form = match what {
        Operation::Times => Form::intersection(x.form, y.form),
        Operation::Divide => Form::Full,
        _ => Form::union(x.form, y.form),
    };
    let axes = if form == Form::Diagonal { 1 } else { shape.len() };
    (form, shape.into_iter().take(axes).collect())
}
