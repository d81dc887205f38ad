//! Step kinds that belong to no service: files, packages, units and the like.
//!
//! They make the tool useful beyond the built-in services, and the built-in playbooks are made of them too.
