//! Threads for requests: started when they are needed, kept for the next, bounded in number.
//!
//! A request may take minutes (`apt-get`), so each has a thread of its own; the bound keeps a controller that asks for
//! too much from exhausting the host. What does not find a thread waits in line.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::mutex::locked;

type Job = Box<dyn FnOnce() + Send>;

/// The threads and the line before them.
pub(crate) struct Pool {
    bound: usize,
    line: Mutex<Line>,
    arrived: Condvar,
}

#[derive(Default)]
struct Line {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

impl Pool {
    /// No threads yet, and never more than `bound`.
    pub(crate) fn new(bound: usize) -> Arc<Self> {
        Arc::new(Self {
            bound,
            line: Mutex::default(),
            arrived: Condvar::new(),
        })
    }

    /// Does a job as soon as a thread is free.
    pub(crate) fn submit(self: &Arc<Self>, job: impl FnOnce() + Send + 'static) {
        let mut line = locked(&self.line);
        line.jobs.push_back(Box::new(job));
        if line.idle >= line.jobs.len() || line.threads >= self.bound {
            drop(line);
            self.arrived.notify_one();
            return;
        }
        line.threads += 1;
        drop(line);
        let pool = Arc::clone(self);
        let started = std::thread::Builder::new().spawn(move || pool.work());
        if started.is_err() {
            // The host has no thread left for us: other threads take the job, or this one does.
            locked(&self.line).threads -= 1;
            self.work_off();
        }
    }

    fn work(&self) {
        let mut line = locked(&self.line);
        loop {
            if let Some(job) = line.jobs.pop_front() {
                drop(line);
                job();
                line = locked(&self.line);
            } else {
                line.idle += 1;
                line = self.arrived.wait(line).unwrap_or_else(PoisonError::into_inner);
                line.idle -= 1;
            }
        }
    }

    fn work_off(&self) {
        loop {
            let job = locked(&self.line).jobs.pop_front();
            match job {
                Some(job) => job(),
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn more_jobs_than_threads_wait_in_line() {
        let pool = Pool::new(2);
        let (done, results) = mpsc::channel();
        let (release, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        for number in 0..5 {
            let (done, gate) = (done.clone(), Arc::clone(&gate));
            pool.submit(move || {
                gate.lock().unwrap().recv().unwrap();
                done.send(number).unwrap();
            });
        }
        assert_eq!(
            results.recv_timeout(Duration::from_millis(50)),
            Err(mpsc::RecvTimeoutError::Timeout)
        );
        for _ in 0..5 {
            release.send(()).unwrap();
        }
        let mut all: Vec<i32> = (0..5).map(|_| results.recv().unwrap()).collect();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4]);
        assert_eq!(locked(&pool.line).threads, 2);
    }
}
