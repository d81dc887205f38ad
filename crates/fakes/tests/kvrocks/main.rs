//! The store in memory against the recording of a real Kvrocks 2.6 with Sentinel 7.0, which stands beside the stand-ins.
//!
//! In each situation that the store can be brought into, what it answers is what the real server answered: the same reply,
//! or one of which every field has the recorded value. It has fewer fields than the real server: those that somebody
//! reads. What is not played stands in [`tables`], with why.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod play;
mod recording;
mod tables;

use play::Play;
use recording::glob;
use tables::LACKING;

#[test]
fn it_answers_as_the_recorded_server_did() {
    let mut play = Play::new();
    play.alone();
    play.starts();
    play.replicas();
    play.roles();
    play.sentinels();
    let names = play.recording.keys();
    let left: Vec<String> = names
        .filter(|name| !play.played.contains(*name))
        .cloned()
        .collect();
    for name in &left {
        if !LACKING.iter().any(|(pattern, _)| glob(pattern, name)) {
            play.wrong.push(format!("{name}: is not played"));
        }
    }
    for (pattern, _) in LACKING {
        if !left.iter().any(|name| glob(pattern, name)) {
            play.wrong.push(format!("{pattern}: nothing of it is lacking"));
        }
    }
    assert!(play.wrong.is_empty(), "{}", play.wrong.join("\n"));
    assert!(play.values > 150, "{} values compared", play.values);
}
