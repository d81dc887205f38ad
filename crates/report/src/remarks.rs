//! What a plan says beside its changes: notes, warnings, refusals, and what could not be planned.

use plan::{Level, Note, Refusal, SkippedSteps, StepGraph};
use types::{HostName, ServiceName};

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
fn place(service: Option<&ServiceName>, host: Option<&HostName>) -> String {
    match (service, host) {
        (Some(service), Some(host)) => format!("{service} on {host}"),
        (Some(service), None) => service.to_string(),
        (None, Some(host)) => host.to_string(),
        (None, None) => String::new(),
    }
}

fn paragraph(place: &str, text: &str, screen: &Screen) -> String {
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
    out
}

/// The steps that are skipped for the same reason stand together.
fn draw_unplanned(graph: &StepGraph, screen: &Screen) -> Vec<String> {
    let mut reasons: Vec<(String, &str, Vec<&SkippedSteps>)> = Vec::new();
    for unplanned in &graph.unplanned {
        let place = place(unplanned.service.as_ref(), Some(&unplanned.host));
        match reasons
            .iter_mut()
            .find(|(known, why, _)| *known == place && *why == unplanned.why)
        {
            Some((.., steps)) => steps.push(&unplanned.steps),
            None => reasons.push((place, &unplanned.why, vec![&unplanned.steps])),
        }
    }
    let drawn = reasons.iter().map(|(place, why, steps)| {
        let mut out = paragraph(place, why, screen);
        out.push_str(&wrapped("    ", 4, &one_line(&skipped(steps)), screen.width));
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
