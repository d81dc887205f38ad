//! Fetches secrets from where the operator keeps them, and creates the missing ones.
//!
//! A value goes from its source into a [`Secret`], which cannot be printed, and from there to the agents alone.

use std::collections::BTreeMap;
use std::env::VarError;
use std::fs::OpenOptions;
use std::io::{Read as _, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use config::{SecretRef, SecretSource};
use rand::RngExt;
use rand::distr::Alphanumeric;
use thiserror::Error;
use types::{Diagnostic, Secret, SecretId};
use zeroize::Zeroizing;

use crate::operator_files::{FileError, Rule, check, read_text};

/// Why a secret could not be created.
#[derive(Debug, Error)]
pub(crate) enum SecretError {
    #[error("the folder {} cannot be created", .path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the secret file {} cannot be created", .path.display())]
    Create {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Fetches each secret once, and checks its value by the rules of every reference.
pub(crate) fn fetch(
    refs: &[SecretRef],
    folder: &Path,
    allow_weak: bool,
) -> Result<Vec<(SecretId, Secret)>, Vec<Diagnostic>> {
    let mut values: BTreeMap<&SecretId, Option<Zeroizing<String>>> = BTreeMap::new();
    let mut errors = Vec::new();
    for secret in refs {
        let value = values
            .entry(&secret.id)
            .or_insert_with(|| match value_of(&secret.source, folder) {
                Ok(value) => Some(value),
                Err((why, hint)) => {
                    let error = Diagnostic::error(format!("the secret {} cannot be read", secret.id))
                        .at(secret.span, why);
                    errors.push(error.hint(hint));
                    None
                }
            });
        errors.extend(value.as_ref().and_then(|value| secret.check(value, allow_weak)));
    }
    same_values(refs, &values, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let known = values
        .into_iter()
        .filter_map(|(id, value)| Some((id.clone(), Secret::new(value?.as_str()))));
    Ok(known.collect())
}

/// A value in a file on a host is reported by its name; with two names for it, the plan would never be empty.
fn same_values(
    refs: &[SecretRef],
    values: &BTreeMap<&SecretId, Option<Zeroizing<String>>>,
    errors: &mut Vec<Diagnostic>,
) {
    let mut seen: BTreeMap<&str, &SecretId> = BTreeMap::new();
    for (id, value) in values {
        let Some(value) = value else { continue };
        let Some(other) = seen.insert(value.as_str(), *id) else {
            continue;
        };
        let span_of = |id: &SecretId| {
            refs.iter()
                .find(|secret| secret.id == *id)
                .map(|secret| secret.span)
        };
        let mut error = Diagnostic::error(format!("the secrets {other} and {id} have the same value"))
            .hint("name one source in both places, or give each service a secret of its own");
        if let (Some(span), Some(first)) = (span_of(id), span_of(other)) {
            error = error
                .at(span, "the same value as the other")
                .related(first, "the other");
        }
        errors.push(error);
    }
}

/// A secret's value; or why it cannot be read, and how to resolve it.
fn value_of(source: &SecretSource, folder: &Path) -> Result<Zeroizing<String>, (String, String)> {
    match source {
        SecretSource::Env(name) => std::env::var(name).map(Zeroizing::new).map_err(|error| {
            // The error itself would show the value.
            let why = match error {
                VarError::NotPresent => "the environment variable is not set",
                VarError::NotUnicode(_) => "the environment variable is not UTF-8",
            };
            (why.to_owned(), format!("set {name} for this command"))
        }),
        SecretSource::File(path) => read_file(&folder.join(path)),
        SecretSource::Command(words) => output_of(words, folder),
        SecretSource::Age(path) => {
            // The command starts in the inventory's folder, where a path relative to ours is another one.
            let file = std::path::absolute(folder.join(path)).unwrap_or_else(|_| folder.join(path));
            // Anyone can encrypt to a public key: an account that can write the file chooses the secret.
            if let Err(FileError::Untrusted(why)) = check(&file) {
                return Err((why.what(), why.remedy()));
            }
            let file = file.display().to_string();
            let mut words = vec!["age".to_owned(), "--decrypt".to_owned()];
            if let Some(identity) = std::env::var_os("CLUSTERCTL_AGE_IDENTITY") {
                words.extend(["--identity".to_owned(), identity.to_string_lossy().into_owned()]);
            }
            words.push(file);
            output_of(&words, folder)
        }
    }
}

fn read_file(path: &Path) -> Result<Zeroizing<String>, (String, String)> {
    let value = read_text(path, Rule::Private).map_err(|error| match error {
        FileError::Untrusted(why) => (why.what(), why.remedy()),
        FileError::Io(error) => {
            let hint =
                "create the missing files: clusterctl secrets init, with the same inventory and overlays";
            (format!("{}: {error}", path.display()), hint.to_owned())
        }
    })?;
    Ok(Zeroizing::new(without_newline(value)))
}

/// The output of a command. It runs in the inventory's folder and may ask on the terminal, as `pass` and `age` do.
fn output_of(words: &[String], folder: &Path) -> Result<Zeroizing<String>, (String, String)> {
    let shown = words.join(" ");
    let failed = |why: String| {
        (
            format!("`{shown}` {why}"),
            "run it by hand to see the error".to_owned(),
        )
    };
    let (program, args) = words.split_first().ok_or_else(|| failed("is empty".to_owned()))?;
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped());
    if !folder.as_os_str().is_empty() {
        command.current_dir(folder);
    }
    let mut child = command
        .spawn()
        .map_err(|error| failed(format!("cannot be started: {error}")))?;
    // The buffer has its final size from the beginning: one that grows leaves copies in memory.
    let mut printed = Zeroizing::new(Vec::with_capacity(PRINTED + 1));
    let read = match child.stdout.take() {
        // Closed at the end of this: a command that prints without end is not waited for.
        Some(stdout) => stdout.take(PRINTED as u64 + 1).read_to_end(&mut printed),
        None => Ok(0),
    };
    let status = child.wait();
    read.map_err(|error| failed(format!("cannot be read: {error}")))?;
    let status = status.map_err(|error| failed(format!("cannot be waited for: {error}")))?;
    if printed.len() > PRINTED {
        return Err(failed(format!("printed more than {} KiB", PRINTED >> 10)));
    }
    if !status.success() {
        return Err(failed(format!("ended with {status}")));
    }
    let value = std::str::from_utf8(&printed)
        .map_err(|_| failed("printed something that is not UTF-8".to_owned()))?;
    Ok(Zeroizing::new(without_newline(value.to_owned())))
}

/// The most that a command may print, in bytes.
const PRINTED: usize = 64 << 10;

fn without_newline(mut value: String) -> String {
    if value.ends_with('\n') {
        value.pop();
    }
    value
}

/// How many random letters and digits a new secret has: 285 bits.
const LENGTH: usize = 48;

/// Creates the missing secret files; their paths.
pub(crate) fn init(refs: &[SecretRef], folder: &Path) -> Result<Vec<PathBuf>, SecretError> {
    let mut made = Vec::new();
    for secret in refs {
        let SecretSource::File(path) = &secret.source else {
            continue;
        };
        let path = folder.join(path);
        if path.exists() {
            continue;
        }
        make(&path)?;
        made.push(path);
    }
    Ok(made)
}

fn make(path: &Path) -> Result<(), SecretError> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        let made = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent);
        made.map_err(|source| SecretError::Folder {
            path: parent.to_path_buf(),
            source,
        })?;
    }
    let value: Zeroizing<String> = Zeroizing::new(
        rand::rng()
            .sample_iter(Alphanumeric)
            .take(LENGTH)
            .map(char::from)
            .collect(),
    );
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(value.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    };
    write().map_err(|source| SecretError::Create {
        path: path.to_path_buf(),
        source,
    })
}
