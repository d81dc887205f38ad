//! main.json as the processes read it, with what they refuse and log (see the stand-in).

use serde_json::Value;

use super::program::Program;

/// The role of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    pub(super) host_id: String,
    pub(super) place: String,
    pub(super) port: u16,
    pub(super) is_master: bool,
    /// Whether main.json names a cluster; without one every host is alone, and its own master.
    pub(super) is_clustered: bool,
}

impl Role {
    /// Reads it for a program; the error is what the process logs before it ends.
    pub(super) fn read(text: &str, program: &Program) -> Result<Self, String> {
        let root: Value =
            serde_json::from_str(text).map_err(|error| format!("cannot parse main.json: {error}"))?;
        let Some(cluster) = root.get("CLUSTER") else {
            return Ok(Self {
                host_id: "localhost".to_owned(),
                place: "127.0.0.1".to_owned(),
                port: program.alone,
                is_master: true,
                is_clustered: false,
            });
        };
        let wrong = |key: &str| format!("main.json: {key} is missing or wrong");
        let own = cluster.get("HOST_ID").and_then(Value::as_str);
        let own = own.ok_or_else(|| wrong("HOST_ID"))?;
        let list = program.list;
        let entries = cluster
            .get(list)
            .and_then(Value::as_array)
            .ok_or_else(|| wrong(list))?;
        let members = entries
            .iter()
            .map(|entry| member(entry).ok_or_else(|| wrong(list)));
        let members: Vec<Self> = members.collect::<Result<_, _>>()?;
        let masters = members.iter().filter(|member| member.is_master).count();
        if masters != 1 {
            return Err(format!(
                "{list}: {masters} hosts have FORCE_MASTER_ROLE, exactly one must"
            ));
        }
        let mut found = members.into_iter().filter(|member| member.host_id == own);
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => Err(format!("{list}: HOST_ID {own} is not unique")),
            (Some(member), None) => Ok(member),
            (None, _) => Err(wrong(list)),
        }
    }

    /// The runbook's line.
    pub(super) fn line(&self, program: &str, pid: u32) -> String {
        let Self {
            host_id,
            place,
            port,
            is_master,
            ..
        } = self;
        let message = if program == "proctask" {
            format!(
                "Altcraft Platform [proctask] v1 @Now {host_id} started on {place}:{port}, is master {is_master}"
            )
        } else {
            format!(
                "Altcraft Platform [procworkflow] v1 @Now started, workers: 6, process: x, host_id: {host_id}, is_primary: \
                 {is_master}, rpc addr: {place}:{port}"
            )
        };
        line("info", pid, host_id, &message)
    }
}

/// A line of a log.
pub(super) fn line(level: &str, pid: u32, host_id: &str, message: &str) -> String {
    format!(
        "{{\"level\":\"{level}\",\"pid\":{pid},\"hid\":\"{host_id}\",\"ver\":\"v2023.3.65.2060\",\"message\":\"{message}\"}}"
    )
}

fn member(entry: &Value) -> Option<Role> {
    let text = |key: &str| entry.get(key)?.as_str().map(str::to_owned);
    Some(Role {
        host_id: text("HOST_ID")?,
        place: text("RPC_HOST_CLI")?,
        port: u16::try_from(entry.get("RPC_PORT")?.as_u64()?).ok()?,
        is_master: entry.get("FORCE_MASTER_ROLE")?.as_bool()?,
        is_clustered: true,
    })
}
