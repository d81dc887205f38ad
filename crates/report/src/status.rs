//! The health of the services, as `clusterctl status` shows it: for each a line, and a table of its members.

use plan::{Health, MemberStatus, Paused, ServiceStatus};

use crate::remarks::draw_paused;
use crate::table::Rows;
use crate::text::{count, one_line};
use crate::{Clock, Page, Paint, Screen};

/// All services, what is paused, and a last line that counts the healthy ones.
pub fn render_status(services: &[ServiceStatus], paused: &[Paused], clock: &Clock, screen: &Screen) -> Page {
    let mut blocks: Vec<String> = services
        .iter()
        .map(|service| draw(service, clock, screen))
        .collect();
    if !paused.is_empty() {
        let title = screen.paint(Paint::Info, "Paused");
        blocks.push(format!("{title}\n{}", draw_paused(paused, screen).concat()));
    }
    blocks.push(last_line(services, screen));
    Page::drawn(&blocks.join("\n"), screen)
}

/// The word for a health.
pub fn word(health: Health) -> &'static str {
    match health {
        Health::Healthy => "healthy",
        Health::Degraded => "degraded",
        Health::Down => "down",
        Health::Unknown => "unknown",
    }
}

fn paint(health: Health) -> Paint {
    match health {
        Health::Healthy => Paint::Good,
        Health::Degraded | Health::Unknown => Paint::Warn,
        Health::Down => Paint::Bad,
    }
}

fn draw(service: &ServiceStatus, clock: &Clock, screen: &Screen) -> String {
    let mut out = format!(
        "{} ({}): {}",
        screen.paint(Paint::Strong, &service.service),
        one_line(&service.kind),
        screen.paint(paint(service.health), word(service.health)),
    );
    if !service.summary.is_empty() {
        out.push_str(", ");
        out.push_str(&one_line(&service.summary));
    }
    out.push('\n');
    if service.members.is_empty() {
        return out;
    }
    let mut rows = Rows::new(&["HOST", "PROCESS", "ROLE", "HEALTH", "LAG", "SINCE", "DETAIL"]);
    for member in &service.members {
        rows.add(row(member, clock));
    }
    out.push_str(&rows.draw(2, screen));
    out
}

fn row(member: &MemberStatus, clock: &Clock) -> Vec<(String, Option<Paint>)> {
    let since = match member.since_us {
        Some(at) => format!("{} ({})", clock.date_time(at), clock.ago(at)),
        // What could not be asked may run.
        None if member.health == Health::Unknown => "unknown".to_owned(),
        None => "not running".to_owned(),
    };
    let health = (word(member.health).to_owned(), Some(paint(member.health)));
    vec![
        (member.host.to_string(), Some(Paint::Strong)),
        (one_line(&member.process), None),
        (one_line(&member.role), None),
        health,
        (one_line(&member.lag), None),
        (since, None),
        (one_line(&member.detail), None),
    ]
}

fn last_line(services: &[ServiceStatus], screen: &Screen) -> String {
    let healthy = services
        .iter()
        .filter(|service| service.health == Health::Healthy)
        .count();
    let (paint, line) = match services.len() {
        0 => (Paint::Warn, "The inventory has no services.".to_owned()),
        all => (
            if all == healthy { Paint::Good } else { Paint::Bad },
            format!("{healthy} of {} healthy.", count(all, "service")),
        ),
    };
    format!("{}\n", screen.paint(paint, line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{clock, paused, services};

    #[test]
    fn services_and_their_members() {
        insta::assert_snapshot!(render_status(&services(), &[], &clock(), &Screen::plain()));
    }

    #[test]
    fn what_is_paused_stands_before_the_last_line() {
        let text = render_status(&services()[..1], &paused(), &clock(), &Screen::plain());
        let end = "\nPaused\n  db2: until 2026-12-24T08:00:00Z, its disk is replaced\n  sessions: a customer's release\n\n\
                   1 of 1 service healthy.\n";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn colour_stands_for_health() {
        let screen = Screen {
            colour: true,
            width: 120,
        };
        let text = render_status(&services(), &[], &clock(), &screen);
        assert!(text.contains("\u{1b}[38;5;1mdown"), "{text:?}");
        let plain = Screen {
            colour: false,
            ..screen
        };
        let without =
            |text: &str| -> Vec<String> { text.lines().map(|line| line.trim_end().to_owned()).collect() };
        assert_eq!(
            without(&console::strip_ansi_codes(&text)),
            without(&render_status(&services(), &[], &clock(), &plain))
        );
    }

    #[test]
    fn healthy_services_are_counted() {
        let mut services = services();
        services.truncate(1);
        let text = render_status(&services, &[], &clock(), &Screen::plain());
        assert!(text.ends_with("1 of 1 service healthy.\n"), "{text}");
        assert_eq!(
            render_status(&[], &[], &clock(), &Screen::plain()),
            "The inventory has no services.\n"
        );
    }
}
