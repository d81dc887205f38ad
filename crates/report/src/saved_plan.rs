//! What a saved plan names beside its steps: files, commands and options. It is shown before any of them is used.

use crate::text::{one_line, wrapped};
use crate::{Page, Paint, Screen};

/// What a saved plan names.
pub struct SavedPlanHeader<'a> {
    /// Its file, as the operator named it.
    pub file: &'a str,
    /// Its time and author.
    pub made: &'a str,
    /// What it names, each with what it is: a path, an option, a command that prints a secret.
    pub names: Vec<(&'static str, String)>,
}

/// Which plan it is, what it names, and that nothing was run.
pub fn render_saved_plan_header(head: &SavedPlanHeader<'_>, screen: &Screen) -> Page {
    let first = format!("The plan in {} (made {}) uses:", head.file, head.made);
    let mut out = screen.paint(
        Paint::Strong,
        wrapped("", 0, &one_line(&first), screen.width).trim_end(),
    );
    out.push('\n');
    let widest = head
        .names
        .iter()
        .map(|(what, _)| what.len())
        .max()
        .unwrap_or_default();
    for (what, name) in &head.names {
        let first = format!("  {what:<widest$}  ");
        out.push_str(&wrapped(&first, first.len(), &one_line(name), screen.width));
    }
    out.push_str("Nothing was run yet: no secret was read, and no host was contacted.\n\n");
    Page::drawn(&out, screen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_saved_plan_names_is_shown_before_it_is_run() {
        let head = SavedPlanHeader {
            file: "tonight.json",
            made: "2026-11-24T09:40:19Z by root@vm",
            names: vec![
                ("inventory", "/srv/inventory.toml".to_owned()),
                ("--service", "mq\u{1b}[2J".to_owned()),
                ("secret by", "pass show mq".to_owned()),
            ],
        };
        insta::assert_snapshot!(render_saved_plan_header(&head, &Screen::plain()), @r"
        The plan in tonight.json (made 2026-11-24T09:40:19Z by root@vm) uses:
          inventory  /srv/inventory.toml
          --service  mq␛[2J
          secret by  pass show mq
        Nothing was run yet: no secret was read, and no host was contacted.
        ");
    }
}
