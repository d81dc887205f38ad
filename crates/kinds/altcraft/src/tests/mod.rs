//! Case tests: what is planned in every situation that the platform can be in.

mod basis;
mod merged;
mod paused;
mod played;
mod refused;
mod rolling;
mod settings;
mod unmanaged;

use plan::Facts;
use protocol::facts::{FileFact, FileKind, FileMeta, LogFact, Silence, StartedWith, TcpFact, UnitFact};
use protocol::{Fact, FactQuery, Text};
use types::HostName;

use super::KIND;
use cases::{answer_all, plan_steps_allowing, render};
use formats::main_json;

/// The kinds that inventories here may name.
const KINDS: kit::Kinds = kit::Kinds::new(&[
    super::KIND,
    clickhouse::KIND,
    kvrocks::KIND,
    mongodb::KIND,
    rabbitmq::KIND,
    ssdb::KIND,
]);

/// What reading an inventory reports.
fn errors(inventory: &str) -> Vec<String> {
    cases::errors(KINDS, inventory)
}

/// The service of an inventory.
fn service(inventory: &str) -> Box<dyn kit::Service> {
    cases::service(KINDS, inventory)
}

pub(super) const INVENTORY: &str = r#"
[hosts]
app1 = "10.0.0.11"
app2 = "10.0.0.12"
app3 = "10.0.0.13"
db1 = "10.0.0.1"
db2 = "10.0.0.2"
db3 = "10.0.0.3"

[services.altcraft]
hosts = ["app1", "app2"]

[services.ssdb-notify]
kind = "ssdb"
hosts = ["db1", "db2", "db3"]
port = 4430
password = { file = "secrets/notify" }

[services.ssdb-hbsupp]
kind = "ssdb"
hosts = ["db1", "db2", "db3"]
password = { file = "secrets/hbsupp" }

[services.rabbitmq]
hosts = ["db1", "db2", "db3"]
cookie = { file = "secrets/cookie" }
users = { altcraft = { password = { file = "secrets/rabbitmq" }, permissions = { altcraft = ".*" } } }

[services.duplicates]
kind = "kvrocks"
hosts = ["db1", "db2", "db3"]
password = { file = "secrets/duplicates" }

[services.clickhouse]
hosts = ["db1", "db2", "db3"]
password = { file = "secrets/clickhouse" }
"#;

/// When processes were started; main.json is older unless a test says otherwise.
const STARTED: i64 = 1_000_000_000;

/// A host as a test describes it.
#[derive(Clone)]
struct Host {
    main: Option<String>,
    modified_us: i64,
    /// 0 where the agent does not tell it.
    changed_us: i64,
    ahead_us: i64,
    /// What the agent noted of main.json and both processes.
    noted: Option<bool>,
    /// What each process says of its role; `None` where it does not run.
    runs: [Option<Role>; 2],
}

#[derive(Clone, Copy, PartialEq)]
enum Role {
    Master,
    Slave,
    /// The line of its start is not in the log any more.
    Silent,
}

/// main.json before anybody touched it.
const PLAIN: &str = "{\n  \"PRODUCT_NAME\": \"Altcraft Platform\",\n  \"ID\": 12345678901234567890123\n}\n";

fn inventory(change: impl Fn(String) -> String) -> String {
    change(INVENTORY.to_owned())
}

/// A host that runs with what the inventory wants of it.
fn converged(inventory: &str, name: &str) -> Host {
    let facts = facts(inventory, &[(name, fresh())]);
    let plan = plan_steps_allowing(&*service(inventory), &["config"], &facts, &[]);
    let text = plan.tasks.iter().find_map(|task| match &task.preview {
        Some(plan::Preview::File { after, .. }) if task.host.as_str() == name => {
            Some(after.as_str().to_owned())
        }
        _ => None,
    });
    let main = text.unwrap();
    let said = main_json::parse(&main).unwrap();
    let members = said["CLUSTER"]["PROC_TASKS"].as_array().unwrap().clone();
    let own = members.iter().find(|member| member["HOST_ID"] == name).unwrap();
    let role = if own["FORCE_MASTER_ROLE"] == true {
        Role::Master
    } else {
        Role::Slave
    };
    Host {
        main: Some(main),
        runs: [Some(role); 2],
        ..fresh()
    }
}

/// A host where the platform was installed and never started.
fn fresh() -> Host {
    Host {
        main: Some(PLAIN.to_owned()),
        modified_us: STARTED - 1_000_000,
        changed_us: 0,
        ahead_us: 0,
        noted: None,
        runs: [None; 2],
    }
}

/// Facts of the hosts that a test describes; the others do not answer.
fn facts(inventory: &str, hosts: &[(&str, Host)]) -> Facts {
    let service = service(inventory);
    let answered = answer_all(&*service, |name, query| {
        let (_, host) = hosts.iter().find(|(known, _)| *known == name.as_str())?;
        Some(answer(name, host, query))
    });
    let mut all = Facts::default();
    for name in service.hosts() {
        let known = hosts.iter().any(|(known, _)| *known == name.as_str());
        let fact = answered
            .hosts()
            .find(|(host, _)| *host == name)
            .map(|(_, facts)| facts.clone());
        let lost = plan::HostFacts::Unreachable("connection refused".into());
        all.add(name.clone(), fact.filter(|_| known).unwrap_or(lost));
    }
    all
}

fn answer(name: &HostName, host: &Host, query: &FactQuery) -> Fact {
    let run = |path: &str| {
        if path.contains("proctask") {
            (0, 100)
        } else {
            (1, 200)
        }
    };
    match query {
        FactQuery::File(_) => Fact::File(match &host.main {
            None => FileFact::Absent,
            Some(text) => FileFact::Present(FileMeta {
                kind: FileKind::File,
                sha256: "aa".into(),
                len: 1,
                mode: 0o640,
                owner: "altcraft".into(),
                group: "www-data".into(),
                modified_us: host.modified_us,
                text: Some(Text::new(text.clone())),
                target: String::new(),
                names: 0,
                ahead_us: host.ahead_us,
                changed_us: host.changed_us,
            }),
        }),
        FactQuery::Unit(query) => {
            let (at, pid) = run(&query.name);
            let runs = host.runs[at].is_some();
            Fact::Unit(UnitFact {
                load: "loaded".into(),
                active: if runs { "active" } else { "inactive" }.into(),
                sub: if runs { "running" } else { "dead" }.into(),
                enabled: if runs { "enabled" } else { "disabled" }.into(),
                main_pid: if runs { pid } else { 0 },
                started_us: if runs { STARTED } else { 0 },
                invocation: String::new(),
                stale: false,
                started_with: host
                    .noted
                    .map(|is_same| StartedWith {
                        path: "/opt/akd/config/main.json".to_owned(),
                        is_same,
                    })
                    .into_iter()
                    .collect(),
            })
        }
        FactQuery::Tcp(query) if query.host != name.as_str() => Fact::Tcp(TcpFact::Open),
        FactQuery::Tcp(query) => {
            let at = usize::from(query.port == 7962);
            Fact::Tcp(match host.runs[at] {
                Some(_) => TcpFact::Open,
                None => TcpFact::Closed(Silence::refused()),
            })
        }
        FactQuery::Log(query) => {
            let (at, pid) = run(&query.path);
            // Of an earlier process.
            let mut starts = vec![start_line(name, at, 99, Role::Slave)];
            if let Some(role) = host.runs[at].filter(|role| *role != Role::Silent) {
                starts.push(start_line(name, at, pid, role));
            }
            Fact::Log(LogFact::Lines(vec![starts, vec![]]))
        }
        other => panic!("nobody asks {other:?}"),
    }
}

fn start_line(name: &HostName, at: usize, pid: u32, role: Role) -> Text {
    let master = role == Role::Master;
    let message = match at {
        0 => {
            format!("Altcraft Platform [proctask] v1 @Now {name} started on {name}:8962, is master {master}")
        }
        _ => format!(
            "Altcraft Platform [procworkflow] v1 @Now started, workers: 6, process: x, host_id: {name}, is_primary: \
             {master}, rpc addr: {name}:7962"
        ),
    };
    Text::new(format!(
        "{{\"level\":\"info\",\"pid\":{pid},\"hid\":\"{name}\",\"ver\":\"v2023.3.65.2060\",\"message\":\"{message}\"}}"
    ))
}

fn plan_of(inventory: &str, hosts: &[(&str, Host)], allow: &[&str]) -> String {
    render(&plan_steps_allowing(
        &*service(inventory),
        &KIND.steps(),
        &facts(inventory, hosts),
        allow,
    ))
}

/// The same without the text of the files: one line for each task and note.
fn outline(inventory: &str, hosts: &[(&str, Host)]) -> String {
    let plan = plan_of(inventory, hosts, &[]);
    plan.lines()
        .filter(|line| !line.starts_with("    |"))
        .collect::<Vec<_>>()
        .join("\n")
}
