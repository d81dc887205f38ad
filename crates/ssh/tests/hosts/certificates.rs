//! Certificates of users and hosts, and OpenSSH's settings, against OpenSSH's own server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::common::{host, keygen, options, ssh};
use crate::sshd::{Sshd, session};
use ssh::{ConfigFile, Endpoint, Ssh, SshOptions};
use tempfile::TempDir;
use transport::{ConnectError, Transport};

fn sign(args: &[&str], authority: &Path, key: &Path) -> PathBuf {
    let signed = Command::new("ssh-keygen")
        .args(["-q", "-I", "id", "-s"])
        .arg(authority)
        .args(args)
        .arg(key.with_extension("pub"))
        .status();
    assert!(signed.unwrap().success());
    PathBuf::from(format!("{}-cert.pub", key.display()))
}

/// With a configuration of OpenSSH's.
fn configured(sshd: &Sshd, text: &str) -> SshOptions {
    let config = sshd.file("ssh_config");
    fs::write(&config, text).unwrap();
    SshOptions {
        config: ConfigFile::Path(config),
        ..options()
    }
}

async fn refused(ssh: &Ssh) -> ConnectError {
    ssh.open(&host("db1")).await.err().expect("it should not connect")
}

/// A server that takes certificates of an authority, the folder of that authority, and its key.
fn with_authority() -> (Sshd, TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let authority = keygen(folder.path(), "ca", &["ed25519"], "");
    let public = authority.with_extension("pub");
    let sshd = Sshd::start(&format!("TrustedUserCAKeys {}", public.display()));
    (sshd, folder, authority)
}

/// An SSH agent, which ends with the test.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[tokio::test]
async fn a_user_s_certificate_logs_in_from_beside_its_key_and_from_where_it_is_named() {
    let (sshd, _folder, authority) = with_authority();
    for (name, kind) in [
        ("ed", &["ed25519"][..]),
        ("rsa", &["rsa", "-b", "2048"]),
        ("ec", &["ecdsa"]),
    ] {
        let identity = keygen(sshd.folder.path(), name, kind, "");
        let hosts = || vec![("db1", sshd.endpoint_with(&identity))];
        // The key alone is not enough.
        let error = refused(&ssh(options(), hosts())).await;
        assert!(error.message.contains("permission denied (publickey)"), "{error}");
        let certificate = sign(&["-n", &sshd.user], &authority, &identity);
        assert_eq!(session(&ssh(options(), hosts()), "db1").await.hello().pid, 42);
        let elsewhere = sshd.file(&format!("{name}-elsewhere"));
        fs::rename(&certificate, &elsewhere).unwrap();
        let options = configured(&sshd, &format!("CertificateFile {}\n", elsewhere.display()));
        assert_eq!(session(&ssh(options, hosts()), "db1").await.hello().pid, 42);
    }
}

#[tokio::test]
async fn a_certificate_that_a_server_does_not_take_is_named_with_what_is_wrong_with_it() {
    let (sshd, _folder, authority) = with_authority();
    let identity = keygen(sshd.folder.path(), "old", &["ed25519"], "");
    sign(
        &["-n", "somebody", "-V", "20200101:20200102"],
        &authority,
        &identity,
    );
    let error = refused(&ssh(options(), vec![("db1", sshd.endpoint_with(&identity))])).await;
    assert!(
        error
            .message
            .contains("old-cert.pub (certificate \"id\", expired, for somebody), "),
        "{error}"
    );
}

#[tokio::test]
async fn a_certificate_is_signed_for_by_the_ssh_agent_which_may_hold_it_too() {
    let (sshd, _folder, authority) = with_authority();
    let socket = sshd.file("agent.sock");
    let started = Command::new("ssh-agent")
        .args(["-D", "-a"])
        .arg(&socket)
        .stdout(Stdio::null())
        .spawn();
    let mut agent = Agent(started.unwrap());
    while !socket.exists() {
        assert!(agent.0.try_wait().unwrap().is_none(), "ssh-agent ended");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let add = |identity: &Path| {
        let added = Command::new("ssh-add")
            .arg("-q")
            .arg(identity)
            .env("SSH_AUTH_SOCK", &socket)
            .status();
        assert!(added.unwrap().success());
    };
    let config = format!("IdentityAgent {}\nIdentitiesOnly yes\n", socket.display());
    for (name, kind) in [("ed", &["ed25519"][..]), ("rsa", &["rsa", "-b", "2048"])] {
        // The agent has the key alone, and the certificate is beside its public half.
        let identity = keygen(sshd.folder.path(), name, kind, "");
        add(&identity);
        let certificate = sign(&["-n", &sshd.user], &authority, &identity);
        fs::remove_file(&identity).unwrap();
        let hosts = || vec![("db1", sshd.endpoint_with(&identity.with_extension("pub")))];
        let ssh_of = || ssh(configured(&sshd, &config), hosts());
        assert_eq!(session(&ssh_of(), "db1").await.hello().pid, 42);
        fs::remove_file(&certificate).unwrap();
        assert!(
            refused(&ssh_of())
                .await
                .message
                .contains("permission denied (publickey)")
        );
        // The agent has both, and nothing is beside it.
        let held = keygen(sshd.folder.path(), &format!("held-{name}"), kind, "");
        let certificate = sign(&["-n", &sshd.user], &authority, &held);
        add(&held);
        fs::remove_file(&held).unwrap();
        fs::remove_file(&certificate).unwrap();
        let hosts = vec![("db1", sshd.endpoint_with(&held.with_extension("pub")))];
        assert_eq!(
            session(&ssh(configured(&sshd, &config), hosts), "db1")
                .await
                .hello()
                .pid,
            42
        );
    }
}

#[tokio::test]
async fn a_host_is_known_by_its_certificate_and_not_by_one_for_another_host() {
    for (kind, bits) in [("ed25519", &[][..]), ("rsa", &["-b", "2048"]), ("ecdsa", &[])] {
        let folder = tempfile::tempdir().unwrap();
        let authority = keygen(folder.path(), "ca", &["ed25519"], "");
        let key = keygen(folder.path(), "host", &[&[kind], bits].concat(), "");
        let start = |args: &[&str]| {
            let certificate = sign(args, &authority, &key);
            Sshd::start(&format!(
                "HostKey {}\nHostCertificate {}",
                key.display(),
                certificate.display()
            ))
        };
        let public = fs::read_to_string(authority.with_extension("pub")).unwrap();
        let trust = |sshd: &Sshd| {
            fs::write(
                sshd.file("known_hosts"),
                format!("@cert-authority [127.0.0.1]:* {public}"),
            )
            .unwrap();
            ssh(options(), vec![("db1", sshd.endpoint())])
        };
        let sshd = start(&["-h", "-n", "127.0.0.1"]);
        assert_eq!(session(&trust(&sshd), "db1").await.hello().pid, 42, "{kind}");
        let sshd = start(&["-h", "-n", "db2"]);
        let error = refused(&trust(&sshd)).await;
        assert!(
            error
                .message
                .contains("is not accepted: it is for db2, and not for 127.0.0.1"),
            "{kind}: {error}"
        );
        assert!(!error.transient);
    }
    // A server without one.
    let sshd = Sshd::start("");
    let line = format!(
        "@cert-authority * {}",
        fs::read_to_string(sshd.file("id.pub")).unwrap()
    );
    fs::write(sshd.file("known_hosts"), line).unwrap();
    let accepting = SshOptions {
        accept_new_host_keys: true,
        ..options()
    };
    let error = refused(&ssh(accepting, vec![("db1", sshd.endpoint())])).await;
    assert!(
        error.message.contains("shows no host certificate, and "),
        "{error}"
    );
}

#[tokio::test]
async fn settings_of_openssh_that_protect_a_connection_are_followed() {
    let sshd = Sshd::start("Ciphers aes256-ctr\nMACs hmac-sha2-512\nKexAlgorithms curve25519-sha256");
    let revoked = sshd.file("revoked");
    fs::copy(sshd.file("host_key.pub"), &revoked).unwrap();
    for (text, expected) in [
        ("Ciphers aes256-ctr\nMACs hmac-sha2-512\nRekeyLimit 1M 1h\n", None),
        ("AddressFamily inet\nRequiredRSASize 4096\n", None),
        (
            "Ciphers aes256-gcm@openssh.com\n",
            Some("the SSH handshake failed"),
        ),
        ("MACs hmac-sha2-256\n", Some("the SSH handshake failed")),
        (
            "KexAlgorithms diffie-hellman-group14-sha256\n",
            Some("the SSH handshake failed"),
        ),
        (
            "HostKeyAlgorithms rsa-sha2-512\n",
            Some("the SSH handshake failed"),
        ),
        (
            "PubkeyAcceptedAlgorithms rsa-sha2-512\n",
            Some("PubkeyAcceptedAlgorithms does not permit"),
        ),
        ("AddressFamily inet6\n", Some("has no address")),
        (
            "KnownHostsCommand /bin/true\n",
            Some("has knownhostscommand \"/bin/true\", which is not supported"),
        ),
        (
            "PreferredAuthentications password\n",
            Some("switches public keys off"),
        ),
        (
            &format!("RevokedHostKeys {}\n", revoked.display()),
            Some("is revoked in "),
        ),
        (
            "RevokedHostKeys /nowhere\n",
            Some("cannot check whether the host key"),
        ),
    ] {
        let ssh = ssh(configured(&sshd, text), vec![("db1", sshd.endpoint())]);
        match expected {
            None => assert_eq!(session(&ssh, "db1").await.hello().pid, 42, "{text}"),
            Some(expected) => {
                let error = refused(&ssh).await;
                assert!(error.message.contains(expected), "{text}: {error}");
                assert!(!error.transient, "{text}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn a_connection_comes_from_where_bind_address_says() {
    let sshd = Sshd::start("");
    let authorized = fs::read_to_string(sshd.file("authorized")).unwrap();
    fs::write(
        sshd.file("authorized"),
        format!("from=\"127.0.0.2\" {authorized}"),
    )
    .unwrap();
    let hosts = || vec![("db1", sshd.endpoint())];
    let error = refused(&ssh(options(), hosts())).await;
    assert!(error.message.contains("permission denied (publickey)"), "{error}");
    let bound = ssh(configured(&sshd, "BindAddress 127.0.0.2\n"), hosts());
    assert_eq!(session(&bound, "db1").await.hello().pid, 42);
    let error = refused(&ssh(configured(&sshd, "BindAddress ::1\n"), hosts())).await;
    assert!(
        error
            .message
            .contains("which OpenSSH's configuration names as BindAddress"),
        "{error}"
    );
}

#[tokio::test]
async fn a_private_key_that_others_can_read_is_an_error() {
    let sshd = Sshd::start("");
    let identity = sshd.file("id");
    fs::set_permissions(&identity, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let endpoint = Endpoint { ..sshd.endpoint() };
    let error = refused(&ssh(options(), vec![("db1", endpoint)])).await;
    assert!(
        error.message.contains("its permissions 0644 are too open"),
        "{error}"
    );
    assert!(error.hint.contains("chmod 600"), "{}", error.hint);
    assert!(!error.transient);
}
