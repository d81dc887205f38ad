//! A host's root file system: the image below, what the host writes above, and the few files that the lab plants.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use super::{Host, HostError, Seed};
use crate::cmd::Cmd;
use crate::files::{self, FileError};
use crate::{mounts, programs, ssh_files};

/// The host's key, in its root.
const HOST_KEY: &str = "etc/ssh/ssh_host_ed25519_key";

impl Host<'_> {
    pub(super) fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    fn upper(&self) -> PathBuf {
        self.dir.join("upper")
    }

    /// Whether the host was ever made.
    pub(crate) fn exists(&self) -> bool {
        self.dir.join("image").is_file()
    }

    /// What it wrote over its image, in bytes.
    pub(crate) fn disk(&self) -> Result<u64, HostError> {
        if !self.exists() {
            return Ok(0);
        }
        let du = Cmd::new("du")
            .args(["-s", "--block-size=1"])
            .arg(self.upper())
            .output()?;
        // Its exit code also tells of files that went away meanwhile.
        Ok(du
            .stdout
            .split_whitespace()
            .next()
            .and_then(|bytes| bytes.parse().ok())
            .unwrap_or(0))
    }

    /// Its public key, as it is on its disk now.
    pub(crate) fn public_key(&self) -> Result<String, HostError> {
        Ok(files::read_or_empty(
            &self.upper().join(HOST_KEY).with_extension("pub"),
        )?)
    }

    /// Mounts its root, of the image that it was made from, and puts the lab's files into it.
    pub(super) fn make_root(&self, seed: &Seed<'_>) -> Result<(), HostError> {
        let marker = self.dir.join("image");
        let mut image = PathBuf::from(files::read_or_empty(&marker)?);
        let made = !image.as_os_str().is_empty();
        if !made || !image.is_dir() {
            if made {
                self.say("its image is no longer in the cache: it is made anew");
            }
            mounts::remove_tree(&self.dir)?;
            image.clone_from(&seed.image);
        } else {
            self.tell_older_image(seed)?;
        }
        let (root, upper, work) = (self.root(), self.upper(), self.dir.join("work"));
        for dir in [&root, &upper, &work] {
            files::make_dir(dir)?;
        }
        mounts::overlay(&image, &upper, &work, &root)?;
        self.plant(seed)?;
        programs::plant(seed.programs, &root)?;
        Ok(files::write(&marker, &image.to_string_lossy())?)
    }

    /// Says so where the host was made from another image than today's: it may lack what that one has.
    pub(crate) fn tell_older_image(&self, seed: &Seed<'_>) -> Result<(), HostError> {
        let image = files::read_or_empty(&self.dir.join("image"))?;
        if seed.image != Path::new(&image) {
            self.say(
                "keeps the older image that it was made from, until its reset (or the lab's `down --purge`)",
            );
        }
        Ok(())
    }

    /// Puts the lab's files into the host's root, unless they are there: what the host changed in them later stays.
    fn plant(&self, seed: &Seed<'_>) -> Result<(), HostError> {
        let (root, marker) = (self.root(), self.dir.join("seed"));
        let hosts_file = seed.hosts_file();
        let planted = format!("{}\n{hosts_file}{}", self.name, seed.public_key);
        if files::read_or_empty(&marker)? == planted {
            return Ok(());
        }
        let put = |path: &str, text: &str| files::write(&root.join(path), text);
        put("etc/hostname", &format!("{}\n", self.name))?;
        put("etc/hosts", &hosts_file)?;
        for home in ["root", "home/deploy"] {
            authorize(&root.join(home).join(".ssh"), &seed.public_key)?;
        }
        let key = root.join(HOST_KEY);
        if !key.is_file() {
            ssh_files::make_key(&key, self.name)?;
        }
        Ok(files::write(&marker, &planted)?)
    }
}

/// Lets the lab's key in, as the owner of the home that `.ssh` stands in.
fn authorize(ssh_dir: &Path, public_key: &str) -> Result<(), FileError> {
    let path = ssh_dir.join("authorized_keys");
    files::make_dir(ssh_dir)?;
    files::write(&path, public_key)?;
    let owner = fs::metadata(ssh_dir).map_err(files::failed("read", ssh_dir))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
        .and_then(|()| chown(&path, Some(owner.uid()), Some(owner.gid())))
        .map_err(files::failed("set the owner of", &path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Programs;
    use crate::spec::default_hosts;

    #[test]
    fn every_host_knows_all_hosts_by_their_outer_addresses() {
        let hosts = default_hosts();
        let seed = Seed {
            range: "10.78.0.0/24".parse().unwrap(),
            hosts: &hosts[..2],
            programs: &Programs::new(),
            public_key: String::new(),
            image: PathBuf::new(),
            supervisor: PathBuf::new(),
        };
        assert_eq!(
            seed.hosts_file(),
            "127.0.0.1 localhost\n10.78.0.11 db1\n10.78.0.12 db2\n"
        );
    }
}
