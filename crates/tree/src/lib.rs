//! All work on files: paths are opened component by component, and everything is done relative to what was checked.
//!
//! The agent is root, and it works in folders that service accounts own. Such an account can put a symbolic link, a hard
//! link, a FIFO or a sparse file where a file is expected, and swap them while the agent works. So a path is never
//! handed to the kernel as a whole:
//!
//! - Each component is opened without following links, and held by a descriptor ([`Folder`]). A link on the way is
//!   followed only where nobody but root (or the agent's own user) could have put it there: it and all folders above it
//!   belong to root and nobody else can write them. So `/var/run` works, and a service's own link does not.
//! - The last component ([`Place`]) is never followed. What is not a regular file is not opened at all.
//! - A file with further names (hard links) in a folder that others can write is neither read nor given away:
//!   where `fs.protected_hardlinks` is off, such a name can be that of `/etc/shadow`. Debian sets it; containers, and
//!   kernels without systemd, need not. A folder of root's own is trusted with hard links.
//! - Files are read up to a limit of size and time, and never by their length alone.
//! - New content goes into a new file in the same folder, through the folder's descriptor ([`Draft`]); owner and mode are
//!   set on descriptors that were checked ([`Access`]).
//!
//! A walk over descriptors does what `openat2` does with `RESOLVE_NO_SYMLINKS`, tells which link stood in the way, and
//! works on every kernel.

mod access;
mod draft;
mod error;
mod error_text;
mod folder;
mod hash;
mod place;

pub use access::Access;
pub use draft::Draft;
pub use error::TreeError;
pub use error_text::error_text;
pub use folder::Folder;
pub use hash::sha256;
pub use place::{Found, Open, Place};
