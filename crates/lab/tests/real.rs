//! The lab on this very machine: `cargo test -p lab -- --ignored`, as root. It leaves nothing behind but the cache.

use std::path::Path;
use std::process::Command;

use lab::{Cut, HostSpec, HostState, Lab, LabError, LabOptions};

/// A lab with the last parts of its hosts' addresses.
fn open(name: &str, octets: &[u8]) -> Result<Lab, LabError> {
    let hosts = octets
        .iter()
        .map(|octet| HostSpec {
            name: format!("h{octet}"),
            octet: *octet,
        })
        .collect();
    Lab::open(LabOptions {
        name: name.to_owned(),
        hosts: Some(hosts),
        ..LabOptions::default()
    })
}

fn states(lab: &Lab) -> Result<Vec<HostState>, LabError> {
    Ok(lab.status()?.iter().map(|host| host.state).collect())
}

fn traces(name: &str) -> Vec<String> {
    let own = |text: String| {
        text.lines()
            .filter(|line| line.contains(name))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let mut found = own(std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default());
    for place in [
        "/run/netns",
        "/sys/class/net",
        "/sys/fs/cgroup/systemd/clusterctl-lab",
        "/var/lib/clusterctl-lab",
    ] {
        let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
        found.extend(
            entries
                .map(|entry| entry.path().display().to_string())
                .filter(|path| path.contains(name)),
        );
    }
    found
}

#[test]
#[ignore = "needs root, and builds the hosts' image"]
fn a_host_keeps_its_data_until_its_reset() {
    let lab = open("keeps", &[11, 12]).unwrap();
    lab.down(true).unwrap();
    lab.up().unwrap();
    lab.up().unwrap();
    assert_eq!(states(&lab).unwrap(), [HostState::Up, HostState::Up]);
    let mut ssh = Command::new("ssh");
    let deploy = ssh
        .arg("-F")
        .arg(lab.ssh_config())
        .args(["deploy@h11", "sudo -n id -un"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&deploy.stdout), "root\n");

    lab.check("h11", "echo data > /srv/kept").unwrap();
    lab.stop("h11").unwrap();
    assert_eq!(states(&lab).unwrap(), [HostState::Off, HostState::Up]);
    lab.start("h11").unwrap();
    lab.kill("h11").unwrap();
    lab.start("h11").unwrap();
    assert_eq!(lab.check("h11", "cat /srv/kept").unwrap(), "data");
    lab.down(false).unwrap();
    lab.up().unwrap();
    assert_eq!(lab.check("h11", "cat /srv/kept").unwrap(), "data");
    lab.reset("h11").unwrap();
    assert!(!lab.run("h11", "cat /srv/kept").unwrap().success());

    lab.down(true).unwrap();
    assert_eq!(traces("keeps"), Vec::<String>::new());
}

#[test]
#[ignore = "needs root, and builds the hosts' image"]
fn two_labs_stand_side_by_side_and_a_cut_hits_one_host() {
    let (one, two) = (open("side-a", &[11, 12]).unwrap(), open("side-b", &[11]).unwrap());
    for lab in [&one, &two] {
        lab.down(true).unwrap();
        lab.up().unwrap();
    }
    assert_ne!(one.address("h11").unwrap(), two.address("h11").unwrap());
    one.check("h11", "ping -c 1 -W 2 h12").unwrap();
    for how in [Cut::Unplug, Cut::Silent] {
        one.cut_how("h12", how).unwrap();
        assert_eq!(states(&one).unwrap(), [HostState::Up, HostState::Cut]);
        assert!(!one.run("h11", "ping -c 1 -W 1 h12").unwrap().success());
        assert_eq!(two.check("h11", "hostname").unwrap(), "h11");
        one.heal("h12").unwrap();
        one.check("h11", "ping -c 3 -W 1 h12").unwrap();
    }
    for lab in [one, two] {
        lab.down(true).unwrap();
        assert!(!Path::new(lab.dir()).exists());
    }
    assert_eq!(traces("side-"), Vec::<String>::new());
}
