//! The plan as an operator reads it before approving it.
//!
//! Service by service, in the order in which things happen. The number before a change is its batch: what has the
//! same number may run at the same time, and `2-4` stands for three batches that do the same on one host after
//! another. Below each change stand why it is needed, what it changes, and what the run waits for afterwards.

use std::fmt::Write as _;

use plan::{Gate, Node, StepGraph};
use types::{HostName, ServiceName};

use crate::clock::limit;
use crate::effect::Effect;
use crate::stages::{Entry, Section, Stage, sections, without_host};
use crate::text::{count, one_line, wrapped};
use crate::{Page, Paint, Screen, diff, remarks, summary};

/// Where the text of an entry begins; before it stand the batch and the sign.
const INDENT: usize = 10;

/// How a plan is shown.
#[derive(Debug, Clone, Copy)]
pub struct PlanView {
    /// What it is drawn on.
    pub screen: Screen,
    /// Whether diffs of files are shown.
    pub diff: bool,
    /// How many services the inventory describes.
    pub services: usize,
    /// How many hosts the inventory describes.
    pub hosts: usize,
}

/// The whole plan: changes, notes, refusals, what could not be planned, and a summary.
pub fn render_plan(graph: &StepGraph, view: &PlanView) -> Page {
    let mut blocks: Vec<String> = sections(graph)
        .iter()
        .map(|section| draw_section(graph, section, view))
        .collect();
    blocks.extend(remarks::render(graph, &view.screen));
    let line = summary::line(graph, view.services, view.hosts);
    let paint = if graph.is_converged() {
        Paint::Good
    } else {
        Paint::Strong
    };
    blocks.push(format!("{}\n", view.screen.paint(paint, line)));
    Page::drawn(&blocks.join("\n"), &view.screen)
}

fn draw_section(graph: &StepGraph, section: &Section<'_>, view: &PlanView) -> String {
    let mut out = view.screen.paint(Paint::Strong, section.rollout);
    if let Some(budget) = section.service.and_then(|service| budget(graph, service)) {
        out.push_str(&view.screen.paint(Paint::Faint, format!("  {budget}")));
    }
    out.push('\n');
    for stage in &section.stages {
        for (at, entry) in stage.entries.iter().enumerate() {
            let number = if at == 0 { number(stage) } else { String::new() };
            out.push_str(&draw_entry(&number, entry, section.service, view));
        }
    }
    out
}

/// `at most 1 of 3 members unavailable at once`, and the members that are unavailable now.
fn budget(graph: &StepGraph, service: &ServiceName) -> Option<String> {
    let budget = graph.budgets().get(&service.into())?;
    let mut text = format!(
        "at most {} of {} unavailable at once",
        budget.max_unavailable,
        count(budget.members.len(), "member")
    );
    if !budget.unavailable.is_empty() {
        let hosts: Vec<&str> = budget.unavailable.iter().map(HostName::as_str).collect();
        let _ = write!(text, ", unavailable now: {}", hosts.join(", "));
    }
    Some(text)
}

fn number(stage: &Stage<'_>) -> String {
    match stage.batches {
        1 => stage.first.to_string(),
        batches => format!("{}-{}", stage.first, stage.first + batches - 1),
    }
}

fn draw_entry(number: &str, entry: &Entry<'_>, service: Option<&ServiceName>, view: &PlanView) -> String {
    let (node, screen) = (entry.node(), &view.screen);
    let effect = Effect::of(node);
    let hosts = in_turn(entry);
    // A long list of hosts would push what is done off the screen.
    let (on, after) = if hosts.len() > view.screen.width / 2 {
        (count(entry.hosts().len(), "host"), Some(hosts))
    } else {
        (hosts, None)
    };
    let mut out = title(number, effect, &on, &node.title, screen);
    let mut line = |paint: Paint, word: &str, text: &str| {
        let indent = INDENT + word.len() + 1;
        let first = format!("{:INDENT$}{word}", "");
        for line in wrapped(&first, indent, text, screen.width).lines() {
            out.push_str(&screen.paint(paint, line));
            out.push('\n');
        }
    };
    if let Some(hosts) = after {
        line(Paint::Faint, "on", &hosts);
    }
    if !node.reason.is_empty() {
        line(Paint::Faint, "because", &one_line(&node.reason));
    }
    let others: Vec<&str> = node
        .disrupts
        .iter()
        .map(AsRef::as_ref)
        .filter(|group| service.is_none_or(|service| service.as_str() != *group))
        .collect();
    if !others.is_empty() {
        line(Paint::Faint, "disrupts", &others.join(", "));
    }
    for (word, gates) in [("once", &node.before), ("until", &node.gates)] {
        for gate in titles(gates, &node.host, entry.hosts().len() > 1) {
            line(Paint::Faint, word, &gate);
        }
    }
    out.push_str(&draw_preview(node, view));
    out
}

/// The first line of an entry: batch, sign, hosts and title. A title that is too long is broken, like all texts.
fn title(number: &str, effect: Effect, on: &str, title: &str, screen: &Screen) -> String {
    let paint = |text: &str| screen.paint(effect.paint(), text);
    let head = format!("{number:>6}  {effect} {on}  ");
    let text = wrapped(&head, INDENT, &one_line(title), screen.width);
    let mut lines = text.strip_prefix(&head).unwrap_or(&text).lines();
    let mut out = format!(
        "{number:>6}  {} {}  {}\n",
        screen.paint(effect.paint(), effect),
        screen.paint(Paint::Strong, on),
        paint(lines.next().unwrap_or_default())
    );
    for line in lines {
        out.push_str(&paint(line));
        out.push('\n');
    }
    out
}

/// `db1, db2` for hosts in one batch, `db1, then db2` for hosts in one batch after another.
fn in_turn(entry: &Entry<'_>) -> String {
    let batch = |nodes: &Vec<&Node>| {
        let hosts: Vec<&str> = nodes.iter().map(|node| node.host.as_str()).collect();
        hosts.join(", ")
    };
    let batches: Vec<String> = entry.nodes.iter().map(batch).collect();
    batches.join(", then ")
}

/// The gates; without the host's name where the entry has several hosts.
fn titles(gates: &[Gate], host: &HostName, many: bool) -> Vec<String> {
    let titles = gates.iter().map(|gate| {
        let title = one_line(&gate.title);
        let title = if many { without_host(&title, host) } else { title };
        format!("{title} (at most {})", limit(gate.limit_ms))
    });
    titles.collect()
}

fn draw_preview(node: &Node, view: &PlanView) -> String {
    let Some(preview) = &node.preview else {
        return String::new();
    };
    let mut out = String::new();
    if let plan::Preview::File { path, .. } = preview {
        if !view.diff {
            return out;
        }
        if !node.title.contains(path.as_str()) {
            let _ = writeln!(
                out,
                "{:INDENT$}{}",
                "",
                view.screen.paint(Paint::Strong, one_line(path))
            );
        }
    }
    out.push_str(&diff::drawn(preview, INDENT, &view.screen));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{budget, graph, node, restart, rolling_change};

    fn view(diff: bool) -> PlanView {
        PlanView {
            screen: Screen {
                colour: false,
                width: 90,
            },
            diff,
            services: 3,
            hosts: 5,
        }
    }

    #[test]
    fn a_rolling_change() {
        insta::assert_snapshot!(render_plan(&rolling_change(), &view(true)));
    }

    #[test]
    fn a_plan_without_diffs_is_an_outline() {
        insta::assert_snapshot!(render_plan(&rolling_change(), &view(false)));
    }

    #[test]
    fn many_hosts_are_folded_and_the_one_that_differs_stands_out() {
        let hosts: Vec<String> = (1..=40).map(|number| format!("node{number}")).collect();
        let mut nodes: Vec<Node> = hosts
            .iter()
            .map(|host| node(&format!("base/a@{host}"), host, &[]))
            .collect();
        for node in &mut nodes {
            node.title = "write /etc/app.conf".to_owned();
        }
        nodes[6].reason = "its owner is nobody".to_owned();
        insta::assert_snapshot!(render_plan(&graph(nodes, &[]), &view(false)));
    }

    #[test]
    fn members_that_are_unavailable_are_named() {
        let mut both = restart("mq", "db3", &[]);
        both.disrupts.insert("redis".parse().unwrap());
        let budgets = [("mq", budget(1, &["db3"])), ("redis", budget(2, &[]))];
        let graph = graph(vec![restart("mq", "db1", &[]), both], &budgets);
        insta::assert_snapshot!(render_plan(&graph, &view(true)), @r"
        mq  at most 1 of 3 members unavailable at once, unavailable now: db3
             1  ! db3  restart rabbitmq-server
                  because rabbitmq.conf is newer than the process
                  disrupts redis
                  until db3 is running and sees all members (at most 5 min)
             2  ! db1  restart rabbitmq-server
                  because rabbitmq.conf is newer than the process
                  until db1 is running and sees all members (at most 5 min)

        Plan: 2 changes on 2 hosts (2 restarts in 2 batches).
        ");
    }

    #[test]
    fn a_long_title_is_broken_before_the_edge_of_the_screen() {
        let mut long = node("a", "db1", &[]);
        long.title = "word ".repeat(40);
        let shown = render_plan(&graph(vec![long], &[]), &view(false));
        assert!(shown.lines().all(|line| line.chars().count() <= 90), "{shown}");
        assert_eq!(shown.matches("word").count(), 40);
    }

    #[test]
    fn a_converged_cluster_is_one_line() {
        assert_eq!(
            render_plan(&StepGraph::default(), &view(true)),
            "No changes. The cluster matches the inventory (3 services, 5 hosts).\n"
        );
    }

    #[test]
    fn colour_changes_nothing_but_the_colour() {
        let mut coloured = view(true);
        coloured.screen.colour = true;
        let text = render_plan(&rolling_change(), &coloured);
        assert!(text.contains("\u{1b}[32m+cluster_partition_handling = pause_minority\u{1b}[0m"));
        assert_eq!(
            console::strip_ansi_codes(&text),
            render_plan(&rolling_change(), &view(true)).as_str()
        );
    }
}
