//! A secret that cannot be read is never shown.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

#[test]
fn a_value_that_is_not_unicode_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let inventory = folder.path().join("inventory.toml");
    let text = "[hosts]\ndb1 = \"127.0.0.1\"\n\n[services.mq]\nkind = \"rabbitmq\"\nhosts = [\"db1\"]\n\
                cookie = { env = \"MQ_COOKIE\" }\n";
    fs::write(&inventory, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_clusterctl"))
        .args(["plan", "--ssh-config", "none"])
        .arg(&inventory)
        .env("MQ_COOKIE", OsStr::from_bytes(b"topsecret\xff"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the secret env:MQ_COOKIE cannot be read"), "{said}");
    assert!(!said.contains("topsecret"), "{said}");
}
