//! The hosts' root file system: built once from Debian's packages, kept under the hash of its recipe, and shared
//! read-only by all hosts of all labs.
//!
//! `<cache>/<hash>/` is an image; it appears by a rename when it is whole, so a killed build leaves nothing that
//! looks like one. `<cache>/debs/<suite>/` keeps the downloaded packages for the next recipe.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::cmd::{self, Cmd, CmdError};
use crate::lock::{Lock, LockError};
use crate::mounts::{self, MountError};
use crate::names;
use crate::{Progress, Suite};

/// What any host has: systemd, SSH, Python and the small tools that tests and people look around with.
const BASE: &str = "systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,python3,python3-apt,sudo,iproute2,procps,\
                    ca-certificates,iputils-ping,netcat-openbsd,curl,less,gpg";

/// `zookeeper` wants `default-jre`, which brings X11; an empty stand-in keeps 244 MB out of the image.
const STAND_IN: &str = "Package: default-jre\nVersion: 2:1.17-99lab\nArchitecture: all\n\
                        Maintainer: lab <lab@localhost>\nDescription: empty stand-in\n";

/// Options of mmdebstrap: no manuals and translations, no fsync while unpacking, downloads kept to the end.
/// openjdk's installation fails without the directory of section 1 of the manual.
const OPTIONS: [&str; 9] = [
    "--variant=minbase",
    "--format=directory",
    "--skip=essential/unlink",
    "--aptopt=Acquire::Languages \"none\"",
    "--dpkgopt=force-unsafe-io",
    "--dpkgopt=path-exclude=/usr/share/man/man*/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--setup-hook=mkdir -p \"$1\"/var/cache/apt/archives \"$1\"/usr/share/man/man1 \"$1\"/usr/share/man/man7 \
     \"$1\"/usr/share/man/man8",
];

/// What makes Debian's packages a lab's host.
const CUSTOMIZE: &str = include_str!("../assets/customize.sh");

/// How often a long build says how far it is.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// How long a build may take; it depends on the network.
const BUILD_LIMIT: Duration = Duration::from_mins(30);

/// How long one build waits for another one, which makes the same image.
const TURN_LIMIT: Duration = Duration::from_mins(35);

/// The exit code of `timeout` when the time was over.
const TIMED_OUT: i32 = 124;

/// The image could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A file of the cache could not be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another build goes on and on.
    #[error("the image's cache is locked")]
    Lock(#[from] LockError),
    /// What a killed build left could not be cleared.
    #[error("cannot clear what an earlier build left")]
    Clear(#[from] MountError),
    /// A tool failed.
    #[error("cannot prepare the image's build")]
    Command(#[from] CmdError),
    /// mmdebstrap was still at work when its time was over.
    #[error(
        "the image's build was not done within {} s; all of it is in {}; its end:\n{tail}",
        BUILD_LIMIT.as_secs(), log.display()
    )]
    TooLong {
        /// The whole log.
        log: PathBuf,
        /// The end of the log.
        tail: String,
    },
    /// mmdebstrap failed.
    #[error("the image's build failed ({status}); all of it is in {}; its end:\n{tail}", log.display())]
    Build {
        /// How mmdebstrap ended.
        status: ExitStatus,
        /// The whole log.
        log: PathBuf,
        /// The end of the log.
        tail: String,
    },
}

/// A recipe's name: changes whenever anything does that goes into the image.
fn recipe_hash(suite: Suite) -> String {
    hash_of(&[
        suite.name(),
        BASE,
        suite.services(),
        STAND_IN,
        &OPTIONS.join("\n"),
        CUSTOMIZE,
    ])
}

/// Sixteen digits are enough to tell recipes apart, and can be read out.
fn hash_of(parts: &[&str]) -> String {
    let mut whole = String::new();
    for part in parts {
        // With its length before it, no text can move from one part into the next unseen.
        let _ = writeln!(whole, "{}:{part}", part.len());
    }
    names::digest(&whole)[..16].to_owned()
}

/// Returns the image's directory, and builds it first where the cache does not have it.
pub(crate) fn ensure(suite: Suite, cache: &Path, progress: &Progress) -> Result<PathBuf, ImageError> {
    let hash = recipe_hash(suite);
    let image = cache.join(&hash);
    if image.is_dir() {
        return Ok(image);
    }
    let debs = cache.join("debs").join(suite.name());
    fs::create_dir_all(&debs).map_err(file(&debs))?;
    let _lock = Lock::take(cache, TURN_LIMIT, progress)?;
    if image.is_dir() {
        return Ok(image);
    }
    progress(&format!(
        "building image {hash} from the packages of Debian {suite} (once; a few minutes)"
    ));
    let began = Instant::now();
    let work = cache.join(format!("{hash}.partial"));
    mounts::remove_tree(&work)?;
    fs::create_dir(&work).map_err(file(&work))?;
    build(suite, &work, &debs, &cache.join(format!("{hash}.log")), progress)?;
    // The name must not reach the disk before the content does.
    Cmd::new("sync")
        .arg("--file-system")
        .arg(&work)
        .limit(BUILD_LIMIT)
        .run()?;
    fs::rename(work.join("root"), &image).map_err(file(&image))?;
    mounts::remove_tree(&work)?;
    progress(&format!(
        "image {hash} is built ({} s)",
        began.elapsed().as_secs()
    ));
    Ok(image)
}

fn file(path: &Path) -> impl FnOnce(io::Error) -> ImageError {
    let path = path.to_owned();
    move |source| ImageError::File { path, source }
}

/// Builds `work/root`.
fn build(suite: Suite, work: &Path, debs: &Path, log: &Path, progress: &Progress) -> Result<(), ImageError> {
    let control = work.join("default-jre/DEBIAN");
    fs::create_dir_all(&control).map_err(file(&control))?;
    let write = |path: PathBuf, text: &str| fs::write(&path, text).map_err(file(&path));
    write(control.join("control"), STAND_IN)?;
    write(work.join("customize.sh"), CUSTOMIZE)?;
    let stand_in = work.join("default-jre.deb");
    Cmd::new("dpkg-deb")
        .arg("-b")
        .arg(work.join("default-jre"))
        .arg(&stand_in)
        .run()?;
    let (work, stand_in, debs) = (work.display(), stand_in.display(), debs.display());
    // Its own process namespace, bound to this process's life: a killed build ends with all that it started.
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc"])
        .args(["timeout", &BUILD_LIMIT.as_secs().to_string(), "mmdebstrap", "--verbose"])
        .args(OPTIONS)
        .arg(format!("--include={BASE},{}", suite.services()))
        .arg(format!("--setup-hook=cp -n '{debs}'/*.deb \"$1\"/var/cache/apt/archives/ 2>/dev/null || :"))
        .arg(format!(
            "--essential-hook=cp '{stand_in}' \"$1\"/tmp/stand-in.deb && chroot \"$1\" dpkg -i /tmp/stand-in.deb && \
             rm \"$1\"/tmp/stand-in.deb"
        ))
        .arg(format!("--customize-hook=cp -n \"$1\"/var/cache/apt/archives/*.deb '{debs}'/"))
        .arg(format!("--customize-hook=sh '{work}/customize.sh' \"$1\""))
        // No mirror named: mmdebstrap takes the suite's own ones, with updates and security.
        .args([suite.name(), &format!("{work}/root")]);
    follow(command, log, progress)
}

/// Runs mmdebstrap, keeps what it writes in `log`, and reports how far it is.
fn follow(mut command: Command, log: &Path, progress: &Progress) -> Result<(), ImageError> {
    let (reader, writer) = io::pipe().map_err(file(log))?;
    let mut log_file = fs::File::create(log).map_err(file(log))?;
    let mut child = command
        .env("PATH", cmd::search_path())
        .env("LC_ALL", "C.UTF-8")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(writer.try_clone().map_err(file(log))?)
        .stderr(writer)
        .spawn()
        .map_err(|source| CmdError::Start {
            command: "mmdebstrap".to_owned(),
            source,
        })?;
    // It holds the pipe's other end, and the reading below would never end.
    drop(command);
    let mut report = BuildReport::new(progress);
    for line in BufReader::new(reader).split(b'\n') {
        let line = line.map_err(file(log))?;
        log_file
            .write_all(&line)
            .and_then(|()| log_file.write_all(b"\n"))
            .map_err(file(log))?;
        report.line(&String::from_utf8_lossy(&line));
    }
    let status = child.wait().map_err(file(log))?;
    if status.success() {
        return Ok(());
    }
    let text = fs::read(log).unwrap_or_default();
    let tail = cmd::tail(&String::from_utf8_lossy(&text), 15);
    let log = log.to_owned();
    if status.code() == Some(TIMED_OUT) {
        return Err(ImageError::TooLong { log, tail });
    }
    Err(ImageError::Build { status, log, tail })
}

/// Makes a few lines for a person out of thousands of mmdebstrap's.
struct BuildReport<'a> {
    progress: &'a Progress,
    installed: usize,
    began: Instant,
    said: Instant,
}

impl<'a> BuildReport<'a> {
    fn new(progress: &'a Progress) -> Self {
        Self {
            progress,
            installed: 0,
            began: Instant::now(),
            said: Instant::now(),
        }
    }

    fn line(&mut self, line: &str) {
        if line.starts_with("Setting up ") {
            self.installed += 1;
        }
        let stage = line
            .strip_prefix("I: ")
            .filter(|stage| !stage.contains("hook") && stage.ends_with("..."));
        if let Some(stage) = stage {
            self.say(stage);
        } else if self.said.elapsed() > REPORT_EVERY {
            self.say(&format!("{} packages are set up", self.installed));
        }
    }

    fn say(&mut self, what: &str) {
        self.said = Instant::now();
        (self.progress)(&format!("image [{:>3} s] {what}", self.began.elapsed().as_secs()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn any_change_of_the_recipe_changes_its_hash() {
        let hashes = Suite::ALL.map(recipe_hash);
        assert_eq!(hashes, Suite::ALL.map(recipe_hash));
        assert_eq!(hashes[0].len(), 16);
        assert_ne!(hashes[0], hashes[1]);
        assert_ne!(hash_of(&["ab", "c"]), hash_of(&["a", "bc"]));
        assert_ne!(hash_of(&["a"]), hash_of(&["a", ""]));
    }

    #[test]
    fn a_build_is_reported_in_stages() {
        let said = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&said);
        let progress: Progress = Arc::new(move |line: &str| sink.lock().unwrap().push(line.to_owned()));
        let mut report = BuildReport::new(&progress);
        for line in [
            "I: running apt-get update...",
            "Setting up libc6 (2.36) ...",
            "I: running --setup-hook in shell: x",
        ] {
            report.line(line);
        }
        assert_eq!(*said.lock().unwrap(), ["image [  0 s] running apt-get update..."]);
        assert_eq!(report.installed, 1);
    }
}
