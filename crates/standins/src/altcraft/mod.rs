//! The Altcraft Platform's two clustered processes, `proctask` and `procworkflow`.
//!
//! The platform is proprietary, so its stand-in does what a cluster tool can get wrong: it reads main.json and refuses
//! one that is not right, opens the RPC port that stands there, and says in its log which host it takes itself for and
//! whether it is the master, in the lines of the runbook ("Altcraft Platform Cluster Setup", "Configuring Custom Reader
//! Groups"). It does no work and asks no database.

mod log;
pub mod main_json;
pub mod process;
