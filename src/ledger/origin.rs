//! Where a handle, guard or promise was made.

use crate::names::Site;
use crate::thread::Thread;

/// Where something was made.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Origin {
    /// Number of the TN_HERE site; 0: none.
    pub(crate) site: u32,
    /// The system's number of the thread.
    pub(crate) thread: u32,
}

impl Origin {
    /// Here: the thread, and the site that it set.
    #[inline]
    pub fn by(thread: &Thread) -> Origin {
        Origin { site: thread.site(), thread: thread.number() }
    }

    /// The site, to be resolved once no lock is held.
    pub(crate) fn site(self) -> Site {
        Site::from_number(self.site)
    }
}
