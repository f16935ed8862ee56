//! The cases of `benches/pool` by group, with their names in tables and plots.

/// The unit of a figure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    Ns,
    /// Ratios of bytes to bytes.
    Times,
    Percent,
    Bytes,
    Instructions,
}

impl Unit {
    pub fn name(self) -> &'static str {
        match self {
            Unit::Ns => "ns",
            Unit::Times => "times",
            Unit::Percent => "%",
            Unit::Bytes => "bytes",
            Unit::Instructions => "instructions",
        }
    }
}

/// One figure of each allocator.
pub struct Case {
    pub id: &'static str,
    pub label: &'static str,
    pub unit: Unit,
}

/// The cases of one table.
pub struct Group {
    /// The marker in docs/performance.md, and the name of the plot.
    pub name: &'static str,
    pub title: &'static str,
    pub cases: &'static [Case],
}

const fn ns(id: &'static str, label: &'static str) -> Case {
    Case { id, label, unit: Unit::Ns }
}

const fn times(id: &'static str, label: &'static str) -> Case {
    Case { id, label, unit: Unit::Times }
}

const fn left(id: &'static str, label: &'static str) -> Case {
    Case { id, label, unit: Unit::Percent }
}

const fn counted(id: &'static str, label: &'static str) -> Case {
    Case { id, label, unit: Unit::Instructions }
}

/// All groups, in the order of the tables.
pub const GROUPS: &[Group] = &[
    Group {
        name: "small",
        title: "Small blocks, one thread",
        cases: &[
            ns("alloc.lone_16", "16 B"),
            ns("alloc.lone_64", "64 B"),
            ns("alloc.lone_256", "256 B"),
            ns("alloc.lone_4096", "4 KiB"),
            ns("alloc.batch_64", "100 of 64 B"),
            ns("alloc.batch_mixed", "100 of 8-4096 B"),
            ns("alloc.order_64_lifo", "10 000 of 64 B, last first"),
            ns("alloc.order_64_shuffled", "10 000 of 64 B, shuffled"),
            ns("alloc.order_mixed_lifo", "10 000 of 8-4096 B, last first"),
            ns("alloc.order_mixed_shuffled", "10 000 of 8-4096 B, shuffled"),
        ],
    },
    Group {
        name: "large",
        title: "Large blocks and threads",
        cases: &[
            ns("alloc.large_64k", "64 KiB"),
            ns("alloc.large_1m", "1 MiB"),
            ns("alloc.large_64m", "64 MiB"),
            ns("threads.own_1", "own 64 B, one thread"),
            ns("threads.own_2", "own 64 B, two threads"),
            ns("threads.pass_64", "passed on, 64 B"),
            ns("threads.pass_4096", "passed on, 4 KiB"),
            ns("mixes.server", "server"),
            ns("mixes.arrays", "arrays"),
            ns("mixes.arrays.longest", "arrays: 99.9 % of the calls"),
        ],
    },
    Group {
        name: "memory",
        title: "Resident by live bytes",
        cases: &[
            times("memory.small.peak", "small: peak"),
            times("memory.small.fall", "small: at 40 %"),
            times("memory.small.trimmed", "small: trimmed"),
            left("memory.small.left", "small: left, %"),
            times("memory.mixed.peak", "mixed: peak"),
            times("memory.mixed.fall", "mixed: at 40 %"),
            times("memory.mixed.trimmed", "mixed: trimmed"),
            left("memory.mixed.left", "mixed: left, %"),
            times("memory.arrays.peak", "arrays: peak"),
            times("memory.arrays.fall", "arrays: at 40 %"),
            times("memory.arrays.trimmed", "arrays: trimmed"),
            left("memory.arrays.left", "arrays: left, %"),
            times("mixes.arrays.resident", "mix of arrays"),
        ],
    },
    Group {
        name: "price",
        title: "The time of the same, per block",
        cases: &[ns("memory.small.ns", "small"), ns("memory.mixed.ns", "mixed"), ns("memory.arrays.ns", "arrays")],
    },
    Group {
        name: "replay",
        title: "Recorded programs: time per allocation",
        cases: &[
            ns("replay.numpy.run", "NumPy's tests"),
            ns("replay.numpy.calls", "its calls alone"),
            ns("replay.arrow.run", "Arrow job"),
            ns("replay.arrow.calls", "its calls alone"),
            ns("replay.training.run", "training loop"),
            ns("replay.training.calls", "its calls alone"),
        ],
    },
    Group {
        name: "replay-memory",
        title: "Recorded programs: peak resident by peak live bytes",
        cases: &[
            times("replay.numpy.memory", "NumPy's tests"),
            times("replay.arrow.memory", "Arrow job"),
            times("replay.training.memory", "training loop"),
        ],
    },
    Group {
        name: "touch",
        title: "Large blocks with every page touched, and zeros",
        cases: &[
            ns("touch.fresh_256m", "fresh 256 MiB"),
            ns("touch.again_64m", "64 MiB again"),
            ns("touch.zeros_fresh", "zeros, fresh 256 MiB"),
            Case { id: "touch.zeros_resident", label: "bytes of them resident", unit: Unit::Bytes },
            Case { id: "touch.zeros_books", label: "bytes added to the process", unit: Unit::Bytes },
            ns("touch.zeros_again", "zeros, recycled 64 MiB"),
            ns("touch.memset", "memset of such a block"),
            ns("touch.by_hand_256m", "huge pages by hand, 256 MiB"),
            ns("touch.array_again_64m", "array of 64 MiB again"),
            ns("touch.array_zeros_again", "array of zeros, recycled 64 MiB"),
        ],
    },
    Group {
        name: "instructions",
        title: "Instructions per allocation with its free",
        cases: &[
            counted("instructions.lone_64", "64 B"),
            counted("instructions.batch_64", "100 of 64 B"),
            counted("instructions.batch_mixed", "100 of 8-4096 B"),
        ],
    },
];

/// All cases.
pub fn all() -> impl Iterator<Item = &'static Case> {
    GROUPS.iter().flat_map(|group| group.cases)
}
