//! Whatever stands in plans, events, status, journal and files: no output steers the reader's terminal.
//!
//! Every text of a sample is replaced by one that tries to. Without colour no control character may be left; with colour
//! nothing but styles may be added to what is shown without. A style that came in with a text would be visible there.

use plan::{Aspect, Comparison, Difference, Event, Step, StepGraph};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use types::{Diagnostic, Sources, Span};

use crate::progress::log::ProgressLog;
use crate::samples::{
    clock, killed_run, paused, rolling_change, run_lines, run_view, services, stopped_run, successful_run,
};
use crate::text::is_control;
use crate::{
    Label, Labels, Page, PlanView, RunLine, RunView, SavedPlanHeader, Screen, StalePlan, TextChanges,
    event_json, plan_json, render_diagnostics, render_history, render_outcome, render_plan, render_run,
    render_saved_plan_header, render_stale, render_status, status_json,
};

const COLOURED: Screen = Screen {
    colour: true,
    width: 100,
};

/// Texts that steer a terminal, and such as are taken for references to secrets.
fn hostile() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("\u{1b}[31m".to_owned()),
        Just("\u{1b}[0m\u{1b}[1m".to_owned()),
        Just("\u{1b}[2J\u{1b}[H".to_owned()),
        Just("\u{1b}]0;title\u{7}".to_owned()),
        Just("\u{9b}8m".to_owned()),
        Just("\u{7f}\u{8}\r\u{85}".to_owned()),
        Just("\u{202e}\u{2066}".to_owned()),
        Just("\nVerified: no changes remain.\n".to_owned()),
        Just("\t".to_owned()),
        Just("⟪secret:env:PW⟫".to_owned()),
        Just("⟪".to_owned()),
        Just("word ".to_owned()),
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(part, 1..6).prop_map(|parts| parts.concat())
}

/// The places of the texts in a value.
fn texts(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::String(_) => found.push(at.to_owned()),
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                texts(item, &format!("{at}/{number}"), found);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                texts(
                    field,
                    &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")),
                    found,
                );
            }
        }
        _ => {}
    }
}

/// A sample with every text replaced that may be any text; names have rules of their own, and stay.
fn poisoned<T: Serialize + DeserializeOwned>(sample: &T, hostile: &str) -> T {
    let read = |value: &Value| serde_json::from_value::<T>(value.clone());
    let mut value = serde_json::to_value(sample).unwrap();
    let mut places = Vec::new();
    texts(&value, "", &mut places);
    let mut replaced = 0;
    for place in places {
        let text = value.pointer_mut(&place).unwrap();
        let was = std::mem::replace(text, Value::String(hostile.to_owned()));
        if read(&value).is_ok() {
            replaced += 1;
        } else {
            *value.pointer_mut(&place).unwrap() = was;
        }
    }
    assert!(replaced > 0, "no text of the sample was replaced");
    read(&value).unwrap()
}

fn graph(hostile: &str) -> StepGraph {
    let mut graph = rolling_change();
    graph.paused = paused();
    poisoned(&graph, hostile)
}

fn events(of: &[(i64, Event)], hostile: &str) -> Vec<(i64, Event)> {
    let poison = |(at, event): &(i64, Event)| (*at, poisoned_event(event, hostile));
    of.iter().map(poison).collect()
}

/// Of an event that has no text nothing is replaced; the names of its nodes stay, for the labels are found by them.
fn poisoned_event(event: &Event, hostile: &str) -> Event {
    let mut value = serde_json::to_value(event).unwrap();
    let mut places = Vec::new();
    texts(&value, "", &mut places);
    let free = ["summary", "backup", "message", "title", "last", "what", "why"];
    let is_free = |place: &String| free.iter().any(|name| place.ends_with(name));
    for place in places.into_iter().filter(is_free) {
        let was = value.clone();
        *value.pointer_mut(&place).unwrap() = Value::String(hostile.to_owned());
        if serde_json::from_value::<Event>(value.clone()).is_err() {
            value = was;
        }
    }
    serde_json::from_value(value).unwrap()
}

fn labels(hostile: &str) -> Labels {
    let sample = Labels::from(&rolling_change());
    let hostile = |label: &Label| Label {
        title: hostile.to_owned(),
        ..label.clone()
    };
    sample.iter().map(hostile).collect()
}

fn run(hostile: &str) -> RunView {
    RunView {
        line: line(run_lines().remove(1), hostile),
        labels: labels(hostile),
        events: events(&run_view().events, hostile),
    }
}

fn line(line: RunLine, hostile: &str) -> RunLine {
    RunLine {
        who: hostile.to_owned(),
        command: hostile.to_owned(),
        inventory: hostile.to_owned(),
        ..line
    }
}

fn changed(hostile: &str) -> Comparison {
    let step = Step {
        node: "set/x@db1".parse().unwrap(),
        host: "db1".parse().unwrap(),
        title: hostile.to_owned(),
        reason: hostile.to_owned(),
    };
    let graph = graph(hostile);
    let text = || Some(hostile.to_owned());
    let mut found = vec![
        Difference::Basis {
            service: "set".parse().unwrap(),
            what: hostile.to_owned(),
            was: text(),
            now: text(),
        },
        Difference::File {
            host: "db1".parse().unwrap(),
            path: hostile.to_owned(),
            was: protocol::FileState::Hash(hostile.to_owned()),
            now: protocol::FileState::Absent,
        },
        Difference::Removed(step.clone()),
        Difference::Added(step.clone()),
        Difference::Modified {
            step,
            aspects: vec![Aspect::Action],
        },
    ];
    found.extend(graph.refusals.iter().cloned().map(Difference::Refused));
    found.extend(graph.refusals.iter().cloned().map(Difference::NoLongerRefused));
    found.extend(graph.unplanned.iter().cloned().map(Difference::Unplanned));
    found.extend(graph.unplanned.iter().cloned().map(Difference::NoLongerUnplanned));
    Comparison::Changed(found)
}

fn diagnostics(hostile: &str, screen: &Screen) -> Page {
    let mut sources = Sources::new();
    let text = format!("[hosts]\n# {hostile} #\nx = \"{hostile}\"\n");
    let id = sources.add(hostile, text.as_str());
    let span = Span::new(id, 8..text.len() - 2);
    let diagnostic = Diagnostic::error(hostile)
        .at(span, hostile)
        .related(Span::new(id, 0..7), hostile)
        .hint(hostile);
    render_diagnostics(&sources, &[diagnostic], screen)
}

fn told(hostile: &str, screen: Screen) -> String {
    let mut log = ProgressLog::new(labels(hostile), clock(), screen);
    let lines = events(&stopped_run(), hostile)
        .into_iter()
        .filter_map(|(at, event)| log.line(at, &event, true).map(|line| line.to_string()))
        .collect::<Vec<_>>();
    lines.join("\n")
}

/// Everything that is drawn.
fn drawn(hostile: &str, screen: Screen) -> Vec<(&'static str, String)> {
    let view = PlanView {
        screen,
        diff: true,
        services: 3,
        hosts: 5,
    };
    let texts = TextChanges {
        changed: vec![hostile.to_owned()],
        gone: vec![hostile.to_owned()],
        new: vec![hostile.to_owned()],
    };
    let stale = StalePlan {
        file: hostile,
        made: hostile,
        texts: &texts,
        comparison: &changed(hostile),
    };
    let head = SavedPlanHeader {
        file: hostile,
        made: hostile,
        names: vec![("inventory", hostile.to_owned())],
    };
    let services: Vec<_> = services()
        .iter()
        .map(|service| poisoned(service, hostile))
        .collect();
    let lines: Vec<_> = run_lines().into_iter().map(|one| line(one, hostile)).collect();
    let outcome = |of: &[(i64, Event)]| render_outcome(&labels(hostile), &events(of, hostile), &screen);
    let pages = [
        ("plan", render_plan(&graph(hostile), &view)),
        ("saved plan", render_saved_plan_header(&head, &screen)),
        ("stale plan", render_stale(&stale, &screen)),
        (
            "status",
            render_status(&services, &graph(hostile).paused, &clock(), &screen),
        ),
        ("history", render_history(&lines, &clock(), &screen)),
        ("run", render_run(&run(hostile), &clock(), &screen)),
        ("successful run", outcome(&successful_run())),
        ("stopped run", outcome(&stopped_run())),
        ("killed run", outcome(&killed_run())),
        ("diagnostics", diagnostics(hostile, &screen)),
        ("sentence", Page::sentence(hostile)),
        ("error", format!("error: {hostile}").into()),
    ];
    let pages = pages.map(|(what, page)| (what, page.to_string()));
    let mut all = pages.to_vec();
    all.push(("progress", told(hostile, screen)));
    all
}

/// The text without the ends of lines, where styles may have spaces before them.
fn trimmed(text: &str) -> Vec<&str> {
    text.lines().map(str::trim_end).collect()
}

fn steers(text: &str) -> bool {
    text.chars().any(|c| is_control(c) && c != '\n' && c != '\t')
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_that_is_shown_steers_the_terminal(hostile in hostile()) {
        let plain = drawn(&hostile, Screen::plain());
        for ((what, plain), (_, coloured)) in plain.iter().zip(drawn(&hostile, COLOURED)) {
            prop_assert!(!steers(plain), "{what}: {plain:?}");
            let without = console::strip_ansi_codes(&coloured);
            prop_assert_eq!(trimmed(&without), trimmed(plain), "{}", what);
        }
    }

    #[test]
    fn nothing_in_json_steers_the_terminal_and_it_means_the_same(hostile in hostile()) {
        let services: Vec<_> = services().iter().map(|service| poisoned(service, &hostile)).collect();
        for json in [plan_json(&graph(&hostile)), status_json(&services, &graph(&hostile).paused)] {
            prop_assert!(!steers(&json), "{json:?}");
            prop_assert!(serde_json::from_str::<Value>(&json).is_ok());
        }
        for (at, event) in events(&stopped_run(), &hostile) {
            let json = event_json(at, &event);
            prop_assert!(!steers(&json) && !json.contains('\n'), "{json:?}");
            let value: Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(serde_json::from_value::<Event>(value).unwrap(), event);
        }
    }
}
