//! Certificates and revoked keys, as `ssh-keygen` makes them.

use super::*;

use russh::keys::{Certificate, PublicKeyOrCertificate};

use super::super::certificate::Fault;

/// Keys, authorities and certificates of `ssh-keygen`.
struct Ca {
    folder: tempfile::TempDir,
}

impl Ca {
    fn new() -> Self {
        let ca = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for (name, kind) in [
            ("ca", "ed25519"),
            ("other", "ed25519"),
            ("rsa", "rsa"),
            ("host", "ed25519"),
        ] {
            ca.keygen(&["-t", kind, "-N", "", "-f", name]);
        }
        ca
    }

    fn keygen(&self, args: &[&str]) {
        let made = std::process::Command::new("ssh-keygen")
            .arg("-q")
            .args(args)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{args:?}: {made:?}");
    }

    fn public(&self, name: &str) -> String {
        let text = fs::read_to_string(self.folder.path().join(format!("{name}.pub"))).unwrap();
        text.trim().to_owned()
    }

    fn certificate(&self, authority: &str, args: &[&str]) -> Certificate {
        self.keygen(&[&["-s", authority, "-I", "id"][..], args, &["host.pub"]].concat());
        Certificate::from_openssh(&self.public("host-cert")).unwrap()
    }

    fn found(&self, text: &str, host: &RecordedAs) -> Vec<Found> {
        let file = self.folder.path().join("known_hosts");
        fs::write(&file, text).unwrap();
        KnownHosts::default().find(&[file], host).unwrap()
    }
}

const NOW: u64 = 1_800_000_000;

#[test]
fn a_host_certificate_is_accepted_for_its_names_its_time_and_its_authority_alone() {
    let ca = Ca::new();
    let host = RecordedAs::new("DB1", 2222, None);
    let authorities = format!(
        "@cert-authority *db* {}\n@cert-authority db1 {}",
        ca.public("ca"),
        ca.public("rsa")
    );
    let always = ["-V", "20200101:20990101"];
    let judge_with = |authority: &str, args: &[&str], text: &str, policy: &Policy| {
        let certificate = ca.certificate(authority, args);
        match certificate::judge(&certificate, &ca.found(text, &host), &host, policy, NOW) {
            Ok(()) => "accepted".to_owned(),
            Err(fault) => fault.to_string(),
        }
    };
    let policy = Policy::default();
    for (what, authority, args, expected) in [
        ("good", "ca", &["-h", "-n", "web,db1"][..], "accepted"),
        ("a pattern", "ca", &["-h", "-n", "db*"], "accepted"),
        ("by RSA", "rsa", &["-h", "-n", "db1"], "accepted"),
        (
            "another host",
            "ca",
            &["-h", "-n", "db2,web"],
            "it is for db2,web, and not for db1",
        ),
        ("every host", "ca", &["-h"], "it names no host"),
        ("a user", "ca", &["-n", "db1"], "it is a user's certificate"),
        (
            "an option",
            "ca",
            &["-h", "-n", "db1", "-O", "critical:force=1"],
            "it has the critical option force, which is not known",
        ),
        (
            "another authority",
            "other",
            &["-h", "-n", "db1"],
            "no @cert-authority line for the host has the key",
        ),
    ] {
        let args = [args, &always].concat();
        let said = judge_with(authority, &args, &authorities, &policy).replace(", web", ",web");
        assert!(said.starts_with(expected), "{what}: {said}");
    }
    let good = ["-h", "-n", "db1"];
    for (time, expected) in [
        ("20200101:20200102", "it has expired"),
        (
            "20900101:20990101",
            "it is not valid yet: is this machine's clock right?",
        ),
    ] {
        let said = judge_with("ca", &[&good[..], &["-V", time]].concat(), &authorities, &policy);
        assert_eq!(said, expected);
    }
    let good = [&good[..], &always].concat();
    let revoked = format!("{authorities}\n@revoked * {}", ca.public("ca"));
    let said = judge_with("ca", &good, &revoked, &policy);
    assert!(
        said.starts_with("the key of its authority is revoked in ") && said.ends_with(":3"),
        "{said}"
    );
    let elsewhere = format!("@cert-authority web {}", ca.public("ca"));
    let said = judge_with("ca", &good, &elsewhere, &policy);
    assert!(said.starts_with("no @cert-authority line"), "{said}");
    let mut strict = Policy::default();
    strict.set("casignaturealgorithms", "ssh-ed25519").unwrap();
    strict.set("requiredrsasize", "1024").unwrap();
    assert_eq!(judge_with("ca", &good, &authorities, &strict), "accepted");
    let said = judge_with("rsa", &good, &authorities, &strict);
    assert!(
        said.ends_with("which CASignatureAlgorithms does not permit"),
        "{said}"
    );
    strict.set("requiredrsasize", "8192").unwrap();
    let said = judge_with("rsa", &good, &authorities, &strict);
    assert_eq!(
        said,
        "its authority's key is smaller than the RequiredRSASize of 8192 bits"
    );
    let sha1 = judge_with(
        "rsa",
        &[&good[..], &["-t", "ssh-rsa"]].concat(),
        &authorities,
        &policy,
    );
    assert!(
        sha1.ends_with("which CASignatureAlgorithms does not permit"),
        "{sha1}"
    );
}

#[test]
fn a_changed_certificate_is_not_its_authority_s() {
    let ca = Ca::new();
    let host = RecordedAs::new("db1", 22, None);
    let found = ca.found(&format!("@cert-authority * {}", ca.public("ca")), &host);
    let args = ["-h", "-n", "db2", "-V", "20200101:20990101"];
    let mut bytes = ca.certificate("ca", &args).to_bytes().unwrap();
    let at = bytes.windows(3).position(|part| part == b"db2").unwrap();
    bytes[at + 2] = b'1';
    let forged = Certificate::from_bytes(&bytes).unwrap();
    let fault = certificate::judge(&forged, &found, &host, &Policy::default(), NOW).unwrap_err();
    assert_eq!(fault, Fault::Signature);
}

#[test]
fn a_key_without_a_certificate_is_not_accepted_where_an_authority_is_recorded() {
    let ca = Ca::new();
    let file = ca.folder.path().join("known_hosts");
    fs::write(&file, format!("@cert-authority [db1]:* {}\n", ca.public("ca"))).unwrap();
    let plain = PublicKeyOrCertificate::from(key(&ca.public("host")));
    let mut check = check(&Arc::default(), &file, true, false);
    let error = check.check(&plain).unwrap_err();
    assert!(
        error.to_string().contains("shows no host certificate, and"),
        "{error}"
    );
    assert!(error.hint().contains("HostCertificate"), "{}", error.hint());
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 1);
    // A certificate that does not count is worth its key.
    let expired = ca.certificate("ca", &["-h", "-n", "db1", "-V", "20200101:20200102"]);
    let expired = PublicKeyOrCertificate::from(expired);
    let error = check.check(&expired).unwrap_err();
    assert!(
        error.to_string().ends_with("is not accepted: it has expired"),
        "{error}"
    );
    let text = fs::read_to_string(&file).unwrap() + &format!("[db1]:2222 {}\n", ca.public("host"));
    let host = check.host.clone();
    check.found = ca.found(&text, &host);
    check.check(&expired).unwrap();
    check.found = ca.found(&format!("{text}@revoked * {}\n", ca.public("ca")), &host);
    check.check(&plain).unwrap();
    let valid = ca.certificate("ca", &["-h", "-n", "db1"]);
    check.check(&PublicKeyOrCertificate::from(valid)).unwrap_err();
}

#[tokio::test]
async fn keys_that_the_operator_s_file_revokes_are_refused_and_so_is_everything_where_it_cannot_be_read() {
    let ca = Ca::new();
    let (key, certificate) = (
        PublicKeyOrCertificate::from(key(&ca.public("host"))),
        PublicKeyOrCertificate::from(ca.certificate("ca", &["-h", "-n", "db1"])),
    );
    let file = ca.folder.path().join("revoked");
    let mut check = check(&Arc::default(), &ca.folder.path().join("none"), true, false);
    check.revoked_keys = vec![ca.folder.path().join("empty"), file.clone()];
    fs::write(ca.folder.path().join("empty"), "").unwrap();
    for name in ["host", "ca", "other"] {
        ca.keygen(&["-k", "-f", &format!("{name}.krl"), &format!("{name}.pub")]);
        let list = fs::read(ca.folder.path().join(format!("{name}.krl"))).unwrap();
        let text = format!("# gone\n\n{}\n", ca.public(name)).into_bytes();
        for bytes in [list, text] {
            fs::write(&file, bytes).unwrap();
            let is_revoked = |result: Result<(), HostKeyError>| match result {
                Ok(()) => false,
                Err(HostKeyError::Revoked { .. }) => true,
                Err(other) => panic!("{other}"),
            };
            assert_eq!(
                is_revoked(check.check_revoked(&key).await),
                name == "host",
                "{name}"
            );
            assert_eq!(
                is_revoked(check.check_revoked(&certificate).await),
                name != "other",
                "{name}"
            );
        }
    }
    for bytes in [
        &b"no key\n"[..],
        b"SSHKRL\n\0and more",
        A.split_at(40).0.as_bytes(),
    ] {
        fs::write(&file, bytes).unwrap();
        let error = check.check_revoked(&key).await.unwrap_err();
        assert!(matches!(error, HostKeyError::Revocations { .. }), "{error}");
    }
    fs::remove_file(&file).unwrap();
    let error = check.check_revoked(&key).await.unwrap_err();
    assert!(
        error.to_string().contains("RevokedHostKeys, cannot be read"),
        "{error}"
    );
}

#[test]
fn a_key_that_is_too_small_or_of_an_algorithm_that_is_not_permitted_is_refused() {
    let ca = Ca::new();
    let file = ca.folder.path().join("known_hosts");
    let rsa = PublicKeyOrCertificate::from(key(&ca.public("rsa")));
    fs::write(&file, format!("[db1]:2222 {}\n", ca.public("rsa"))).unwrap();
    let mut check = check(&Arc::default(), &file, false, false);
    check.check(&rsa).unwrap();
    check.policy.set("requiredrsasize", "4096").unwrap();
    let error = check.check(&rsa).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("of 3072 bits where RequiredRSASize is 4096"),
        "{error}"
    );
    check.policy = Policy::default();
    check.policy.set("hostkeyalgorithms", "ssh-ed25519").unwrap();
    let error = check.check(&rsa).unwrap_err();
    assert!(
        error.to_string().ends_with("HostKeyAlgorithms does not permit"),
        "{error}"
    );
    // A certificate in a key's place, which nobody asked for.
    let certificate = ca.certificate("ca", &["-h", "-n", "db1"]);
    let bytes = certificate.to_bytes().unwrap();
    let disguised = PublicKeyOrCertificate::from(PublicKey::from_bytes(&bytes).unwrap());
    check.accept_new = true;
    assert!(matches!(
        check.check(&disguised),
        Err(HostKeyError::Forbidden { .. })
    ));
    // A key by itself, where certificates alone are permitted.
    check.found = ca.found(&format!("[db1]:2222 {}\n", ca.public("host")), &check.host);
    let certificates = "ssh-ed25519-cert-v01@openssh.com";
    check.policy.set("hostkeyalgorithms", certificates).unwrap();
    let plain = PublicKeyOrCertificate::from(key(&ca.public("host")));
    assert!(matches!(check.check(&plain), Err(HostKeyError::Forbidden { .. })));
    check.check(&PublicKeyOrCertificate::from(certificate)).unwrap();
    let asked_for = preferred_algorithms(&check.found, &check.policy);
    assert_eq!((asked_for.keys.len(), asked_for.certificates.len()), (0, 1));
}

#[test]
fn a_revoked_key_is_refused_whatever_certificate_it_has() {
    let ca = Ca::new();
    let file = ca.folder.path().join("known_hosts");
    let valid = PublicKeyOrCertificate::from(ca.certificate("ca", &["-h", "-n", "db1"]));
    let mut check = check(&Arc::default(), &file, true, false);
    let (host, authority) = (
        ca.public("host"),
        format!("@cert-authority * {}\n", ca.public("ca")),
    );
    check.found = ca.found(&authority, &check.host);
    check.check(&valid).unwrap();
    check.found = ca.found(&format!("{authority}@revoked * {host}\n"), &check.host);
    let error = check.check(&valid).unwrap_err();
    assert!(matches!(error, HostKeyError::Revoked { .. }), "{error}");
    // Nor is one that is recorded, where its authority is revoked.
    let revoked = format!("{authority}[db1]:2222 {host}\n@revoked * {}\n", ca.public("ca"));
    check.found = ca.found(&revoked, &check.host);
    let error = check.check(&valid).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the key of its authority is revoked in"),
        "{error}"
    );
}
