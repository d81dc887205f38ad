//! Steps that do on each host what its own arguments say.
