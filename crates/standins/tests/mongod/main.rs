//! The mongod stand-in from outside: several servers in this process, asked over loopback in MongoDB's protocol.

mod bootstrap;
mod elections;
mod harness;
mod reconfig;
mod replication;
