//! Whether the operator's file of revoked keys (`RevokedHostKeys`) names a host's key or its certificate's authority: a
//! file of public keys, or a revocation list of `ssh-keygen -k`, which `ssh-keygen -Q` is asked about. What cannot be
//! read revokes everything, as with OpenSSH.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use russh::keys::{PublicKey, PublicKeyOrCertificate};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::files::read_bounded;
use super::line::is_plain;

/// How a revocation list begins.
const LIST: &[u8] = b"SSHKRL\n\0";

/// How long `ssh-keygen` may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The line that revokes it, or 0 for a list without lines; `None` where it is not revoked. The error says why that
/// cannot be told.
pub(super) async fn line(file: &Path, shown: &PublicKeyOrCertificate) -> Result<Option<usize>, String> {
    let bytes = read_bounded(file).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.starts_with(LIST) {
        return Ok(ask(file, shown).await?.then_some(0));
    }
    let key = shown.public_key();
    let authority = shown.certificate().map(russh::keys::Certificate::signature_key);
    for (index, text) in String::from_utf8_lossy(&bytes).lines().enumerate() {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let revoked = parse(text).ok_or_else(|| format!("has no public key in line {}", index + 1))?;
        if revoked.key_data() == key.key_data() || Some(revoked.key_data()) == authority {
            return Ok(Some(index + 1));
        }
    }
    Ok(None)
}

fn parse(text: &str) -> Option<PublicKey> {
    let fields: Vec<&str> = text.split_whitespace().take(2).collect();
    let [kind, key] = fields[..] else { return None };
    is_plain(kind, key).then(|| PublicKey::from_openssh(&fields.join(" ")).ok())?
}

/// Asks OpenSSH about a revocation list: it knows serial numbers, names and hashes of keys.
async fn ask(file: &Path, shown: &PublicKeyOrCertificate) -> Result<bool, String> {
    let text = match shown.certificate() {
        Some(certificate) => certificate.to_openssh(),
        None => shown.public_key().to_openssh(),
    };
    let text = text.map_err(|error| format!("cannot be asked about the key: {error}"))?;
    let asking = async {
        let mut child = Command::new("ssh-keygen")
            .args(["-Q", "-f"])
            .arg(file)
            .arg("/dev/stdin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(format!("{text}\n").as_bytes()).await?;
        }
        child.wait_with_output().await
    };
    let output = match tokio::time::timeout(LIMIT, asking).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => {
            return Err(format!(
                "is a revocation list, and ssh-keygen cannot be asked: {error}"
            ));
        }
        Err(_) => return Err("is a revocation list, and ssh-keygen does not answer".to_owned()),
    };
    let said = String::from_utf8_lossy(&output.stdout);
    match output.status.code() {
        Some(0) if said.trim_end().ends_with(": ok") => Ok(false),
        Some(1) if said.trim_end().ends_with(": REVOKED") => Ok(true),
        _ => Err(format!(
            "is a revocation list that ssh-keygen does not read: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}
