//! Against OpenSSH's own server, on a loopback port with a configuration of its own: the upload, the warm start, jump
//! hosts, encrypted identities and the SSH agent. It needs openssh-server, and runs as whoever runs the tests.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::common::{Typed, endpoint, fake_agent, host, keygen, options, ssh, ssh_with};
use ssh::{Endpoint, Jump, Privilege, Ssh};
use tempfile::TempDir;
use transport::{Session, Transport};

/// A server, which ends with the test.
pub(crate) struct Sshd {
    pub(crate) folder: TempDir,
    child: Child,
    port: u16,
    pub(crate) user: String,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // Only our own child; its connections end with their clients.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Sshd {
    pub(crate) fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let host_key = keygen(folder.path(), "host_key", &["ed25519"], "");
        keygen(folder.path(), "id", &["ed25519"], "");
        fs::copy(folder.path().join("id.pub"), folder.path().join("authorized")).unwrap();
        let port = crate::common::free_port();
        // SHLVL keeps bash from reading the start-up file of whoever runs the tests.
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nLogLevel ERROR\n\
             SetEnv XDG_CACHE_HOME={} SHLVL=1\n{more}\n",
            host_key.display(),
            at("authorized"),
            at("cache"),
        );
        fs::write(folder.path().join("sshd_config"), config).unwrap();
        // Where the server shuts itself in before authentication; a service manager would make it.
        let _exists = fs::create_dir_all("/run/sshd");
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", &at("sshd_config")])
            .stdin(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .expect("these tests need openssh-server");
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                Instant::now() < until,
                "{}",
                fs::read_to_string(at("log")).unwrap()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        let public = fs::read_to_string(folder.path().join("host_key.pub")).unwrap();
        fs::write(
            folder.path().join("known_hosts"),
            format!("[127.0.0.1]:{port} {public}"),
        )
        .unwrap();
        let output = Command::new("id").arg("-un").output().unwrap();
        let user = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        Self {
            folder,
            child,
            port,
            user,
        }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn authorize(&self, private: &Path) {
        let more = fs::read_to_string(private.with_extension("pub")).unwrap();
        let all = fs::read_to_string(self.file("authorized")).unwrap() + &more;
        fs::write(self.file("authorized"), all).unwrap();
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.endpoint_with(&self.file("id"))
    }

    pub(crate) fn endpoint_with(&self, identity: &Path) -> Endpoint {
        Endpoint {
            user: Some(self.user.clone()),
            ..endpoint(self.port, identity, &self.file("known_hosts"))
        }
    }
}

pub(crate) async fn session(ssh: &Ssh, name: &str) -> Session {
    let stream = match ssh.open(&host(name)).await {
        Ok(stream) => stream,
        Err(error) => panic!("{error} ({})", error.hint),
    };
    Session::start(stream).await.unwrap()
}

#[tokio::test]
async fn the_agent_is_sent_once_and_then_found() {
    let sshd = Sshd::start("");
    let agent = fake_agent(1_500_000);
    let file = sshd
        .file("cache/clusterctl")
        .join(format!("agent-{}", agent.sha256()));
    let ssh = ssh_with(
        options(),
        vec![("db1", sshd.endpoint())],
        agent,
        Box::new(ssh::NoPrompt),
    );
    assert_eq!(session(&ssh, "db1").await.hello().pid, 42);
    let sent = fs::metadata(&file).unwrap().modified().unwrap();
    assert_eq!(session(&ssh, "db1").await.hello().pid, 42);
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), sent);
}

#[tokio::test]
async fn the_last_words_are_the_exit_status_and_the_tail_of_the_errors() {
    let sshd = Sshd::start("");
    let ssh = ssh(options(), vec![("db1", sshd.endpoint())]);
    let mut stream = ssh.open(&host("db1")).await.unwrap();
    tokio::io::AsyncWriteExt::shutdown(&mut stream.writer)
        .await
        .unwrap();
    let mut rest = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut stream.reader, &mut rest)
        .await
        .unwrap();
    assert_eq!(rest.first(), Some(&0));
    assert_eq!(stream.epilogue.await, "exit status 7: bye");
}

#[tokio::test]
async fn a_jump_host_is_one_connection_for_all_behind_it() {
    let sshd = Sshd::start("");
    let through = Endpoint {
        jump_hosts: Some(vec!["gate".parse::<Jump>().unwrap()]),
        ..sshd.endpoint()
    };
    let hosts = vec![
        ("gate", sshd.endpoint()),
        ("db1", through.clone()),
        (
            "db2",
            Endpoint {
                jump_hosts: Some(Jump::parse_list("gate,db1").unwrap()),
                ..through
            },
        ),
    ];
    let ssh = ssh(options(), hosts);
    let (one, two, again) = tokio::join!(session(&ssh, "db1"), session(&ssh, "db2"), session(&ssh, "db1"));
    for session in [one, two, again] {
        assert_eq!(session.hello().pid, 42);
    }
}

#[tokio::test]
async fn what_a_jump_host_cannot_reach_is_named() {
    let sshd = Sshd::start("");
    let behind = Endpoint {
        port: Some(crate::common::free_port()),
        jump_hosts: Some(vec!["gate".parse().unwrap()]),
        ..sshd.endpoint()
    };
    let ssh = ssh(options(), vec![("gate", sshd.endpoint()), ("db1", behind)]);
    let error = ssh.open(&host("db1")).await.err().unwrap();
    assert!(
        error
            .message
            .contains(&format!("the jump host {}@127.0.0.1:", sshd.user)),
        "{error}"
    );
    assert!(error.transient, "{error}");
}

#[tokio::test]
async fn an_encrypted_identity_is_asked_for_once() {
    let sshd = Sshd::start("");
    let asked = Arc::new(AtomicU32::new(0));
    for (name, kind) in [("ed", &["ed25519"][..]), ("pem", &["rsa", "-b", "2048"][..])] {
        let identity = keygen(sshd.folder.path(), name, kind, "sesame");
        sshd.authorize(&identity);
        asked.store(0, Ordering::SeqCst);
        let typed = Typed {
            passphrase: "sesame",
            asked: Arc::clone(&asked),
        };
        let endpoint = sshd.endpoint_with(&identity);
        let hosts = vec![("db1", endpoint.clone()), ("db2", endpoint)];
        let ssh = ssh_with(options(), hosts, fake_agent(0), Box::new(typed));
        tokio::join!(session(&ssh, "db1"), session(&ssh, "db2"));
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{name}");
    }
    // A key that the server does not want needs no passphrase.
    let stranger = keygen(sshd.folder.path(), "stranger", &["ed25519"], "sesame");
    let ssh = ssh(options(), vec![("db1", sshd.endpoint_with(&stranger))]);
    let error = ssh.open(&host("db1")).await.err().unwrap();
    assert!(error.message.contains("permission denied (publickey)"), "{error}");
    assert!(error.message.contains("/stranger (SHA256:"), "{error}");
    assert!(!error.transient);
}

#[tokio::test]
async fn the_ssh_agent_signs_for_a_public_key() {
    let sshd = Sshd::start("");
    let socket = sshd.file("agent.sock");
    let mut agent = Command::new("ssh-agent")
        .args(["-D", "-a"])
        .arg(&socket)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while !socket.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for (name, kind) in [
        ("held-ed", &["ed25519"][..]),
        ("held-rsa", &["rsa", "-b", "2048"][..]),
    ] {
        let identity = keygen(sshd.folder.path(), name, kind, "");
        sshd.authorize(&identity);
        let added = Command::new("ssh-add")
            .arg("-q")
            .arg(&identity)
            .env("SSH_AUTH_SOCK", &socket)
            .status();
        assert!(added.unwrap().success());
        fs::remove_file(&identity).unwrap();
        let config = sshd.file("ssh_config");
        fs::write(
            &config,
            format!("IdentityAgent {}\nIdentitiesOnly yes\n", socket.display()),
        )
        .unwrap();
        let options = ssh::SshOptions {
            config: ssh::ConfigFile::Path(config),
            ..options()
        };
        let ssh = ssh(
            options,
            vec![("db1", sshd.endpoint_with(&identity.with_extension("pub")))],
        );
        assert_eq!(session(&ssh, "db1").await.hello().pid, 42);
    }
    agent.kill().unwrap();
    agent.wait().unwrap();
}

#[tokio::test]
async fn what_a_login_shell_prints_is_skipped() {
    // A forced command that behaves like a shell with a talkative start-up file.
    let sshd = Sshd::start("ForceCommand echo Welcome; printf hello; exec sh -c \"$SSH_ORIGINAL_COMMAND\"");
    let ssh = ssh(options(), vec![("db1", sshd.endpoint())]);
    assert_eq!(session(&ssh, "db1").await.hello().pid, 42);
}

#[tokio::test]
async fn an_account_that_runs_something_else_is_named() {
    let sshd = Sshd::start("ForceCommand echo This account is not available; exit 1");
    let ssh = ssh(options(), vec![("db1", sshd.endpoint())]);
    let error = ssh.open(&host("db1")).await.err().unwrap();
    assert!(
        error
            .message
            .contains("This account is not available (exit status 1)"),
        "{error}"
    );
    assert!(error.hint.contains("nologin"), "{}", error.hint);
    assert!(!error.transient);
}

#[tokio::test]
async fn sudo_that_wants_a_password_is_named() {
    let sshd = Sshd::start("");
    // Stand-ins, which come first in the PATH that the forced command sets.
    let bin = sshd.file("bin");
    fs::create_dir(&bin).unwrap();
    for (tool, text) in [
        ("sudo", "echo 'sudo: a password is required' >&2; exit 1"),
        ("id", "echo 1000"),
    ] {
        let tool = bin.join(tool);
        fs::write(&tool, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::os::unix::fs::PermissionsExt::set_mode(&mut fs::metadata(&tool).unwrap().permissions(), 0o755);
        assert!(
            Command::new("chmod")
                .arg("755")
                .arg(&tool)
                .status()
                .unwrap()
                .success()
        );
    }
    let wrapper = sshd.file("wrapper");
    fs::write(
        &wrapper,
        format!(
            "PATH={}:$PATH exec sh -c \"$SSH_ORIGINAL_COMMAND\"\n",
            bin.display()
        ),
    )
    .unwrap();
    let forced = format!("command=\"sh {}\" ", wrapper.display());
    let authorized = fs::read_to_string(sshd.file("authorized")).unwrap();
    fs::write(sshd.file("authorized"), forced + &authorized).unwrap();
    let endpoint = Endpoint {
        privilege: Privilege::Sudo,
        ..sshd.endpoint()
    };
    let ssh = ssh(options(), vec![("db1", endpoint)]);
    let error = ssh.open(&host("db1")).await.err().unwrap();
    assert!(error.message.contains("sudo requires a password"), "{error}");
    assert!(error.hint.contains("NOPASSWD"), "{}", error.hint);
}

#[tokio::test]
async fn a_warm_start_costs_no_more_than_a_plain_ssh() {
    let sshd = Sshd::start("");
    let agent = fake_agent(1_400_000);
    let ssh = ssh_with(
        options(),
        vec![("db1", sshd.endpoint())],
        agent,
        Box::new(ssh::NoPrompt),
    );
    let cold = Instant::now();
    session(&ssh, "db1").await;
    println!("cold start, with 1.4 MB sent: {:?}", cold.elapsed());
    let mut ours = Vec::new();
    let mut plain = Vec::new();
    for _ in 0..10 {
        let start = Instant::now();
        session(&ssh, "db1").await;
        ours.push(start.elapsed());
        let start = Instant::now();
        let status = Command::new("ssh")
            .args(["-F", "none", "-o", "KexAlgorithms=curve25519-sha256", "-i"])
            .arg(sshd.file("id"))
            .arg("-o")
            .arg(format!(
                "UserKnownHostsFile={}",
                sshd.file("known_hosts").display()
            ))
            .args([
                "-p",
                &sshd.port.to_string(),
                &format!("{}@127.0.0.1", sshd.user),
                "true",
            ])
            .stdin(Stdio::null())
            .status();
        assert!(status.unwrap().success());
        plain.push(start.elapsed());
    }
    ours.sort();
    plain.sort();
    println!(
        "warm start: {:?}; `ssh ... true` with curve25519: {:?} (medians of 10)",
        ours[5], plain[5]
    );
}
