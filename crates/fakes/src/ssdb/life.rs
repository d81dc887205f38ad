//! Servers start and end, hosts fall silent and are heard again, and what that does to links.

use super::act::{pid_file, put_data_dir};
use super::flow::{AGAIN_US, TICK_US};
use super::server::{Link, Process, Silence};
use super::{CONFIG, Cluster, DIR, UNIT};

impl Cluster {
    /// The unit's process starts, anew where it runs.
    pub fn launch(&mut self, at: usize) {
        if self.nodes[at].process.is_some() {
            self.nodes[at].machine.files.remove(&pid_file());
        }
        self.end(at);
        let now = self.tick();
        let ready = now + self.pace.start_us;
        let node = &mut self.nodes[at];
        node.machine.unit(UNIT).start(now);
        let read = Process::read(node.machine.text(CONFIG), ready);
        // It does not make the directory of its data (seen).
        // Nor does it start where a pid file is left (seen).
        let is_stopped =
            |process: &Process| process.has_pid_file && node.machine.files.contains_key(&pid_file());
        match read.filter(|(process, dir)| node.machine.files.contains_key(dir) && !is_stopped(process)) {
            Some((process, dir)) => {
                if dir == DIR && node.disk.is_none() {
                    put_data_dir(&mut node.machine, now);
                }
                node.disk.get_or_insert_default().open();
                if process.has_pid_file {
                    node.machine.write(&pid_file(), "1", 0o644, "ssdb", now);
                }
                node.process = Some(process);
                node.is_fresh = true;
                node.is_ours = false;
            }
            None => node.machine.unit(UNIT).die(),
        }
        self.settle();
    }

    /// The unit's process is stopped.
    pub fn halt(&mut self, at: usize) {
        self.end(at);
        let node = &mut self.nodes[at];
        node.machine.unit(UNIT).stop();
        node.machine.files.remove(&pid_file());
        self.settle();
    }

    pub(super) fn crash(&mut self, at: usize) {
        self.end(at);
        self.nodes[at].machine.unit(UNIT).die();
    }

    pub(super) fn go_down(&mut self, at: usize) {
        self.fall_silent(at, true);
        self.nodes[at].process = None;
        self.nodes[at].machine.unit(UNIT).stop();
        self.nodes[at].is_up = false;
    }

    /// Its connections end: whoever is reached notices at once, the others do not.
    fn end(&mut self, at: usize) {
        if self.nodes[at].process.take().is_none() {
            return;
        }
        let again = self.after(AGAIN_US);
        let reached: Vec<bool> = (0..self.nodes.len())
            .map(|other| self.reaches(at, other))
            .collect();
        for (mirror, link) in self.links_to(at).filter(|(_, link)| link.is_open()) {
            match &mut link.silence {
                Some(silence) => silence.is_dead = true,
                None if reached[mirror] => link.lose(again),
                None => {}
            }
        }
    }

    /// Nothing is heard of a host any more, nor does it hear anything.
    pub(super) fn fall_silent(&mut self, at: usize, is_dead: bool) {
        let now = self.now_us;
        let silence = |link: &mut Link| {
            let until_us = now + link.recv_timeout_us;
            let silence = link.silence.get_or_insert(Silence {
                until_us,
                is_dead: false,
            });
            silence.is_dead |= is_dead;
        };
        let own = self.nodes[at].process.iter_mut();
        own.flat_map(|process| process.links.iter_mut())
            .filter(|link| link.is_open())
            .for_each(silence);
        self.links_to(at)
            .map(|(_, link)| link)
            .filter(|link| link.is_open())
            .for_each(silence);
    }

    /// A host is heard again. What both sides still know goes on where it stopped.
    pub(super) fn speak_again(&mut self, at: usize) {
        let due = self.after(TICK_US);
        for mirror in 0..self.nodes.len() {
            for link in 0..self.nodes[mirror]
                .process
                .as_ref()
                .map_or(0, |process| process.links.len())
            {
                let host = self
                    .link(mirror, link)
                    .map(|link| link.goal().to_owned())
                    .unwrap_or_default();
                let Some(master) = self.find(&host) else { continue };
                let is_heard = (mirror == at || master == at) && self.reaches(mirror, master);
                if let Some(link) = self.link(mirror, link)
                    && is_heard
                    && link.silence.is_some_and(|silence| !silence.is_dead)
                {
                    link.silence = None;
                    link.due_us = link.due_us.min(due);
                }
            }
        }
    }
}
