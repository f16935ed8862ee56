//! Where a handle, guard or promise was made.

use crate::sites::Site;
use crate::thread::Thread;

/// A call site and a thread.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Origin {
    /// Number of the call site (TN_HERE); 0: none.
    pub(crate) site: u32,
    /// The operating system's number of the thread.
    pub(crate) thread: u32,
}

impl Origin {
    /// The current site of a thread.
    #[inline]
    pub fn by(thread: &Thread) -> Origin {
        Origin { site: thread.site(), thread: thread.number() }
    }

    /// The site, to be resolved under no lock.
    pub(crate) fn site(self) -> Site {
        Site::from_number(self.site)
    }
}
