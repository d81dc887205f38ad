//! The files are the runbook's, but for their indentation.

use insta::assert_snapshot;

use super::*;
use crate::tests::rig::Rig as _;
use fakes::clickhouse::CONFIG_D;

/// The commands of "ClickHouse Cluster Setup" for db1; the end-to-end tests run them.
const COMMANDS: &str = include_str!("runbook.sh");

/// What they write into a file: what stands between the two lines with EOF.
fn example(name: &str) -> &'static str {
    let begin = format!("/{name}.xml\n");
    let (_, rest) = COMMANDS.split_once(&begin).expect("a file of that name");
    rest.split_once("EOF\n").expect("its end").0
}

/// A text without its indentation.
fn flat(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.join("\n") + "\n"
}

#[test]
fn every_file_is_the_runbooks_but_for_its_indentation() {
    let cluster = built(&*keeper(""), MODERN);
    for name in ["clusters", "macros", "keeper", "settings"] {
        let ours = cluster
            .node("db1")
            .machine
            .text(&format!("{CONFIG_D}/{name}.xml"));
        // The runbook leaves the name that replicas fetch from to each host's own idea of it.
        let named = match name {
            "settings" => "</listen_host>\n<interserver_http_host>db1</interserver_http_host>",
            _ => "</listen_host>",
        };
        assert_eq!(
            flat(ours),
            example(name).replace("</listen_host>", named),
            "{name}.xml"
        );
    }
    let other = cluster
        .node("db3")
        .machine
        .text(&format!("{CONFIG_D}/macros.xml"));
    assert_eq!(flat(other), example("macros").replace("db1", "db3"));
    let other = cluster
        .node("db3")
        .machine
        .text(&format!("{CONFIG_D}/keeper.xml"));
    let id = |id: u32| format!("<server_id>{id}</server_id>");
    assert_eq!(flat(other), example("keeper").replace(&id(1), &id(3)));
}

#[test]
fn the_files_as_they_are_written() {
    let cluster = built(
        &*keeper("password = { file = \"pw\" }\nrestrict_default_user = true"),
        MODERN,
    );
    let files = &cluster.node("db2").machine.files;
    let ours: Vec<String> = files
        .iter()
        .filter(|(path, _)| path.contains(".d/"))
        .map(|(path, file)| {
            format!(
                "{path} {:04o} {}:{}\n{}",
                file.mode, file.owner, file.group, file.text
            )
        })
        .collect();
    assert_snapshot!(ours.join("\n"));
}

#[test]
fn old_servers_get_the_old_root_element() {
    let cluster = built(&*zookeeper(""), DEBIAN);
    let ours = cluster
        .node("db1")
        .machine
        .text(&format!("{CONFIG_D}/clusters.xml"));
    assert_eq!(flat(ours), example("clusters").replace("clickhouse>", "yandex>"));
}

/// Asks the engine of a new server, which prints an answer a line. It aborts at its end, after everything was said.
const ASK: &str = r#"
import chdb, sys
connection = chdb.connect("file:%s/data?config-file=%s/config.xml" % (sys.argv[1], sys.argv[1]))
for question in sys.argv[2:]:
    print("answer", str(connection.query(question, "TabSeparated")).strip().replace("\n", " "))
sys.stdout.flush()
"#;

/// `cargo xtask test` installs the module and says where: without it nothing is proven here.
#[test]
fn the_engine_of_a_new_server_takes_the_files() {
    let Some(python) = std::env::var_os("CLUSTERCTL_TEST_CHDB") else {
        return;
    };
    let cluster = built(
        &*keeper("password = { file = \"pw\" }\nrestrict_default_user = true"),
        MODERN,
    );
    let dir = tempfile::tempdir().unwrap();
    for (path, file) in &cluster.node("db2").machine.files {
        if let Some(name) = path.strip_prefix("/etc/clickhouse-server/") {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            // Directories are made with the files in them.
            let is_file = path.extension().is_some_and(|ending| ending != "d");
            if is_file && file.kind == protocol::facts::FileKind::File {
                std::fs::write(path, &file.text).unwrap();
            }
        }
    }
    let questions = [
        "SELECT host_name, port, shard_num FROM system.clusters WHERE cluster = 'altcraft' ORDER BY replica_num",
        "SELECT macro, substitution FROM system.macros ORDER BY macro",
    ];
    let output = std::process::Command::new(python)
        .args(["-c", ASK])
        .arg(dir.path())
        .args(questions)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let answers: Vec<&str> = said
        .lines()
        .filter_map(|line| line.strip_prefix("answer "))
        .collect();
    assert_eq!(
        answers,
        [
            "db1\t9000\t1 db2\t9000\t1 db3\t9000\t1",
            "cluster\taltcraft replica\tdb2 shard\t01"
        ],
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
