//! What OpenSSH's configuration says of a host, asked of OpenSSH itself.
//!
//! `ssh -G HOST` prints the settings that `ssh HOST` would use. Asking it costs a few milliseconds, and gets `Match`,
//! `Include`, patterns and quoting right, which the libraries that read the file themselves do not. Where the
//! configuration has nothing to say (see [`system`]) it is not asked at all.

mod error;
mod parse;
mod settings;
mod system;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::process::Command;
use tokio::sync::{OnceCell, Semaphore};

use crate::options::ConfigFile;
use error::LIMIT;
use parse::Defaults;

pub(crate) use error::ConfigError;
pub(crate) use parse::{AgentSocket, Family, HostConfig};

/// What the inventory says of a host, as `ssh -G` must know it for `Match` to see it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    pub(crate) host: String,
    pub(crate) address: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) port: Option<u16>,
}

/// OpenSSH's configuration.
#[derive(Debug)]
pub(crate) struct Config {
    source: Source,
    running: Semaphore,
    /// A jump host is asked about by all hosts behind it, and each host again when a connection is retried.
    answers: Mutex<HashMap<Question, Arc<OnceCell<HostConfig>>>>,
    /// What OpenSSH's settings are where nobody sets them: they differ between its versions.
    defaults: OnceCell<Defaults>,
}

#[derive(Debug)]
enum Source {
    /// Not to be asked: it says this of every host.
    Same(Box<HostConfig>),
    /// To be asked.
    Ask(Option<PathBuf>),
}

/// Whether a text as `ssh -G` prints it can be followed; for the fuzz targets.
pub(crate) fn follows(text: &str) -> bool {
    parse::parse("db1", text, &Defaults::default()).is_ok()
}

impl Config {
    /// The configuration that the options name.
    pub(crate) fn new(file: &ConfigFile, home: Option<&Path>) -> Self {
        let source = match file {
            ConfigFile::None => Source::Same(Box::default()),
            ConfigFile::Path(path) => Source::Ask(Some(path.clone())),
            ConfigFile::Default => match system::says_nothing(home) {
                Some(same) => Source::Same(Box::new(same)),
                None => Source::Ask(None),
            },
        };
        Self::with(source)
    }

    fn with(source: Source) -> Self {
        // More at once than there are processors to run them would only take memory.
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            source,
            running: Semaphore::new(2 * processors),
            answers: Mutex::default(),
            defaults: OnceCell::new(),
        }
    }

    /// What it says of a host.
    pub(crate) async fn of(&self, question: Question) -> Result<HostConfig, ConfigError> {
        let file = match &self.source {
            Source::Same(same) => return Ok(HostConfig::clone(same)),
            Source::Ask(file) => file.as_deref(),
        };
        let answer = {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(answers.entry(question.clone()).or_default())
        };
        let asking = || async {
            let defaults = self.defaults.get_or_try_init(|| self.ask_defaults()).await?;
            let _turn = self.running.acquire().await;
            parse::parse(&question.host, &ask(&question, file).await?, defaults)
        };
        answer.get_or_try_init(asking).await.cloned()
    }

    async fn ask_defaults(&self) -> Result<Defaults, ConfigError> {
        let question = Question {
            host: "localhost".to_owned(),
            address: None,
            user: None,
            port: None,
        };
        let _turn = self.running.acquire().await;
        Ok(Defaults::read(&ask(&question, Some(Path::new("none"))).await?))
    }
}

async fn ask(question: &Question, file: Option<&Path>) -> Result<String, ConfigError> {
    let host = || question.host.clone();
    let mut command = Command::new("ssh");
    command.arg("-G").arg("-T");
    if let Some(file) = file {
        command.arg("-F").arg(file);
    }
    if let Some(address) = &question.address {
        command.arg("-o").arg(format!("HostName={address}"));
    }
    if let Some(user) = &question.user {
        command.arg("-o").arg(format!("User={user}"));
    }
    if let Some(port) = question.port {
        command.arg("-o").arg(format!("Port={port}"));
    }
    command
        .arg("--")
        .arg(&question.host)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = match tokio::time::timeout(LIMIT, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => return Err(ConfigError::NoSsh),
        Ok(Err(source)) => return Err(ConfigError::Run { host: host(), source }),
        Err(_) => return Err(ConfigError::Slow { host: host() }),
    };
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(ConfigError::Failed { host: host(), said })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    #[tokio::test]
    async fn ssh_is_asked_about_a_file_with_match_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        let text = "Host db*\n  Port=2222\n  ProxyJump ops@gate:2200\nMatch host 10.0.0.9\n  User nine\n\
                    Host *\n  User everyone\n  IdentityFile \"/keys/my key\"\n  IdentitiesOnly yes\n";
        std::fs::write(&file, text).unwrap();
        let config = Config::new(&ConfigFile::Path(file), None);
        let ask = async |host: &str, address: Option<&str>, user: Option<&str>| {
            let question = Question {
                host: host.to_owned(),
                address: address.map(str::to_owned),
                user: user.map(str::to_owned),
                port: None,
            };
            config.of(question).await.unwrap()
        };
        let db1 = ask("db1", None, None).await;
        assert_eq!((db1.user.as_deref(), db1.port), (Some("everyone"), Some(2222)));
        assert_eq!(
            db1.jumps.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["ops@gate:2200"]
        );
        assert_eq!(db1.identity_files, [PathBuf::from("/keys/my key")]);
        assert!(db1.identities_only);
        // The address and the user of the inventory are what `Match` sees.
        let nine = ask("web1", Some("10.0.0.9"), None).await;
        assert_eq!((nine.user.as_deref(), nine.port), (Some("nine"), Some(22)));
        let me = ask("db1", Some("10.0.0.9"), Some("me")).await;
        assert_eq!(
            (me.user.as_deref(), me.address.as_deref()),
            (Some("me"), Some("10.0.0.9"))
        );
    }

    #[tokio::test]
    async fn what_ssh_complains_of_is_passed_on() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        std::fs::write(&file, "Nonsense yes\n").unwrap();
        let config = Config::new(&ConfigFile::Path(file), None);
        let question = Question {
            host: "db1".to_owned(),
            address: None,
            user: None,
            port: None,
        };
        let error = config.of(question).await.unwrap_err().to_string();
        assert!(error.contains("`ssh -G db1` failed: "), "{error}");
        assert!(error.to_lowercase().contains("nonsense"), "{error}");
    }

    #[tokio::test]
    async fn what_openssh_does_by_itself_is_no_setting_and_what_differs_from_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        let text = "Host plain\nHost strict\n  Ciphers aes256-gcm@openssh.com\n  RequiredRSASize 3072\nHost old\n  \
                    Ciphers +aes128-cbc\nHost never\n  KnownHostsCommand /bin/true\nHost ip\n  CheckHostIP yes\n";
        std::fs::write(&file, text).unwrap();
        let config = Config::new(&ConfigFile::Path(file), None);
        let ask = async |host: &str| {
            let question = Question {
                host: host.to_owned(),
                address: None,
                user: None,
                port: None,
            };
            config.of(question).await
        };
        assert_eq!(ask("plain").await.unwrap().policy, Policy::default());
        let strict = ask("strict").await.unwrap().policy;
        assert_eq!((strict.ciphers().len(), strict.rsa_bits), (1, 3072));
        let old = ask("old").await.unwrap().policy;
        assert!(old.ciphers().len() > 3, "{old:?}");
        for host in ["never", "ip"] {
            let error = ask(host).await.unwrap_err();
            assert!(matches!(error, ConfigError::Unsupported { .. }), "{error}");
        }
    }
}
