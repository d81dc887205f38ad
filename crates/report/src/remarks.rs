//! What a plan says beside its changes: notes, warnings, refusals, and what could not be planned.

use plan::{Level, Note, PATIENCE, Paused, Refusal, SkippedSteps, StepGraph, Unplanned};
use types::{HostName, ServiceName};

use crate::clock::limit;
use crate::text::{count, listed, one_line, wrapped};
use crate::{Paint, Screen};

/// The blocks that are not empty, in rising order of weight: the last line read is the one that matters most.
pub(crate) fn render(graph: &StepGraph, screen: &Screen) -> Vec<String> {
    let of_level = |level: Level| graph.notes.iter().filter(move |note| note.level == level);
    let notes = of_level(Level::Info).map(|note| draw_note(note, screen));
    let warnings = of_level(Level::Warning).map(|note| draw_note(note, screen));
    let refusals = graph.refusals.iter().map(|refusal| draw_refusal(refusal, screen));
    let blocks = [
        ("Notes", Paint::Info, notes.collect::<Vec<_>>()),
        ("Paused", Paint::Info, draw_paused(&graph.paused, screen)),
        ("Warnings", Paint::Warn, warnings.collect()),
        ("Not planned", Paint::Warn, draw_unplanned(graph, screen)),
        ("Refused", Paint::Bad, refusals.collect()),
    ];
    let drawn = blocks
        .into_iter()
        .filter(|(_, _, items)| !items.is_empty())
        .map(|(title, paint, items)| format!("{}\n{}", screen.paint(paint, title), items.concat()));
    drawn.collect()
}

/// `mq on db1`, or as much of it as there is.
pub(crate) fn place(service: Option<&ServiceName>, host: Option<&HostName>) -> String {
    match (service, host) {
        (Some(service), Some(host)) => format!("{service} on {host}"),
        (Some(service), None) => service.to_string(),
        (None, Some(host)) => host.to_string(),
        (None, None) => String::new(),
    }
}

/// A paragraph about a place.
pub(crate) fn paragraph(place: &str, text: &str, screen: &Screen) -> String {
    let first = match place {
        "" => "  ".to_owned(),
        place => format!("  {place}: "),
    };
    let text = wrapped(&first, 4, &one_line(text), screen.width);
    match text.split_once(place).filter(|_| !place.is_empty()) {
        Some((before, after)) => format!("{before}{}{after}", screen.paint(Paint::Strong, place)),
        None => text,
    }
}

fn draw_note(note: &Note, screen: &Screen) -> String {
    paragraph(
        &place(note.service.as_ref(), note.host.as_ref()),
        &note.text,
        screen,
    )
}

/// What is paused, a paragraph each: until when, and why.
pub(crate) fn draw_paused(all: &[Paused], screen: &Screen) -> Vec<String> {
    let drawn = all.iter().map(|paused| {
        let text = match &paused.until {
            Some(until) => format!("until {until}, {}", paused.reason),
            None => paused.reason.clone(),
        };
        paragraph(
            &place(paused.service.as_ref(), paused.host.as_ref()),
            &text,
            screen,
        )
    });
    drawn.collect()
}

fn draw_refusal(refusal: &Refusal, screen: &Screen) -> String {
    let place = place(refusal.service.as_ref(), refusal.host.as_ref());
    let mut out = paragraph(&place, &refusal.what, screen);
    let mut line = |word: &str, text: &str| {
        let first = format!("    {word} ");
        out.push_str(&wrapped(&first, first.len(), &one_line(text), screen.width));
    };
    line("because", &refusal.why);
    line("to resolve:", &refusal.resolve);
    if let Some(consent) = &refusal.consent {
        line("override with", &format!("--allow {consent}"));
    }
    if refusal.passing {
        line("may pass by itself:", &waited_for());
    }
    out
}

/// What becomes of what may pass by itself.
fn waited_for() -> String {
    format!("an apply waits for it, up to {}", limit(PATIENCE))
}

/// The steps that are skipped for the same reason stand together.
fn draw_unplanned(graph: &StepGraph, screen: &Screen) -> Vec<String> {
    let mut reasons: Vec<(String, &Unplanned, Vec<&SkippedSteps>)> = Vec::new();
    for unplanned in &graph.unplanned {
        let place = place(unplanned.service.as_ref(), Some(&unplanned.host));
        match reasons.iter_mut().find(|(known, one, _)| {
            *known == place && one.why == unplanned.why && one.passing == unplanned.passing
        }) {
            Some((.., steps)) => steps.push(&unplanned.steps),
            None => reasons.push((place, unplanned, vec![&unplanned.steps])),
        }
    }
    let drawn = reasons.iter().map(|(place, one, steps)| {
        let mut out = paragraph(place, &one.why, screen);
        out.push_str(&wrapped("    ", 4, &one_line(&skipped(steps)), screen.width));
        if one.passing {
            let passing = format!("may pass by itself: {}", waited_for());
            out.push_str(&wrapped("    ", 4, &passing, screen.width));
        }
        out
    });
    drawn.collect()
}

/// `2 steps skipped: config and start`, `all steps skipped`.
fn skipped(steps: &[&SkippedSteps]) -> String {
    let names: Option<Vec<&str>> = steps
        .iter()
        .map(|steps| match steps {
            SkippedSteps::All => None,
            SkippedSteps::One(name) => Some(name.as_str()),
        })
        .collect();
    match names {
        Some(names) => format!("{} skipped: {}", count(names.len(), "step"), listed(&names)),
        None => "all steps skipped".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_by_itself_is_told_apart() {
        let host = "db2".parse().unwrap();
        let mut graph = StepGraph::default();
        let refusal = Refusal::new(
            "no member is restarted",
            "db2 elects",
            "wait until it has a primary",
        )
        .on(&host);
        graph.refusals = vec![refusal.clone().passing(), refusal];
        graph.unplanned = [true, false]
            .map(|passing| Unplanned {
                service: None,
                steps: SkippedSteps::All,
                host: host.clone(),
                why: "the broker is starting".to_owned(),
                passing,
            })
            .to_vec();
        insta::assert_snapshot!(render(&graph, &Screen::plain()).join("\n"));
    }

    #[test]
    fn what_is_paused_stands_with_its_reason_and_its_end() {
        let mut graph = StepGraph::default();
        graph.paused = crate::samples::paused();
        assert_eq!(
            render(&graph, &Screen::plain()).concat(),
            "Paused\n  db2: until 2026-12-24T08:00:00Z, its disk is replaced\n  sessions: a customer's release\n"
        );
        assert_eq!(
            crate::summary::line(&graph, 2, 3),
            "No changes. The cluster matches the inventory, except for what is paused (2 services, 3 hosts)."
        );
    }
}
