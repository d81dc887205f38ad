//! Targets of what operators write, or receive from others: inventories, playbooks, templates and saved plans.

use std::collections::BTreeMap;

use config::{Findings, Inventory, Playbook};
use plan::{Comparison, StepGraph};
use planner::{Input, Options, PlaybookText, Project, Scope, builtin_playbooks};
use report::{PlanView, Screen};
use serde::{Deserialize, Serialize};
use types::{Diagnostic, SourceId, Sources};

/// An inventory, read with the built-in playbooks and the settings of every kind; what it asks of hosts is made.
pub(crate) fn inventory(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else {
        return false;
    };
    let mut sources = Sources::default();
    let inventory = sources.add("inventory.toml", text);
    project(&sources, inventory, None)
}

/// A playbook, read on an inventory that has a host, a group and a service.
pub(crate) fn playbook(input: &[u8]) -> bool {
    const INVENTORY: &str = "[hosts]\ndb1 = \"192.168.0.10\"\ndb2 = \"192.168.0.11\"\n\n[groups]\ndb = { hosts = [\"db1\", \
                             \"db2\"] }\n\n[services.sessions]\nkind = \"ssdb\"\nhosts = \"db\"\npassword = { file = \"p\" }\n";
    let Ok(text) = std::str::from_utf8(input) else {
        return false;
    };
    let mut sources = Sources::default();
    let inventory = sources.add("inventory.toml", INVENTORY);
    let source = sources.add("playbook.toml", text);
    let findings = Findings::default();
    let _ = Playbook::read(&sources, source, &findings);
    if findings.has_errors() {
        draw(&sources, &findings.into_parts().0);
        return false;
    }
    project(&sources, inventory, Some(source))
}

fn project(sources: &Sources, inventory: SourceId, playbook: Option<SourceId>) -> bool {
    let mut sources = sources.clone();
    // An overlay that says the same changes nothing. Most inputs end here: reading the built-in playbooks takes longer
    // than anything else.
    let findings = Findings::default();
    let _ = Inventory::read(&sources, inventory, &[inventory], &findings);
    if findings.has_errors() {
        draw(&sources, &findings.into_parts().0);
        return false;
    }
    let text = |name: &str, source| PlaybookText {
        name: name.to_owned(),
        source,
        overrides: false,
    };
    let playbooks = builtin_playbooks()
        .into_iter()
        .map(|(name, content)| text(name, sources.add(name, content)))
        .collect();
    // What a playbook names is there: a template with a variable.
    let templates = playbook.map(|source| planner::templates(&sources, source));
    let templates: BTreeMap<String, SourceId> = templates
        .unwrap_or_default()
        .into_iter()
        .map(|(name, _)| {
            let source = sources.add(&name, "host = {{ host }}\n");
            (name, source)
        })
        .collect();
    let findings = Findings::default();
    let input = Input {
        sources: &sources,
        inventory,
        overlays: Vec::new(),
        playbooks,
        only: playbook.map(|source| text("playbook", source)),
        templates,
        now_us: 0,
    };
    let project = Project::read(&input, &findings);
    let is_sound = !findings.has_errors();
    let (diagnostics, _) = findings.into_parts();
    draw(&sources, &diagnostics);
    if is_sound {
        let scope = Scope::default();
        let _ = project.queries(&scope);
        let facts = plan::Facts::default();
        let _ = project.status(&facts, &scope);
        let plan = project.plan(&facts, &scope, &Options::default());
        assert!(plan.is_ok(), "no plan comes of it: {:?}", plan.err());
    }
    is_sound
}

/// A template of a playbook.
pub(crate) fn template(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else {
        return false;
    };
    let mut sources = Sources::default();
    let source = sources.add("template", text);
    let Ok(secret) = "k".parse() else { return false };
    let vars = BTreeMap::from([("host".to_owned(), "db1".to_owned())]);
    let secrets = BTreeMap::from([("k".to_owned(), secret)]);
    match generic::render(text, &vars, Some(&secrets), generic::Place::File(source)) {
        Ok(_) => true,
        Err(diagnostic) => {
            draw(&sources, &[*diagnostic]);
            false
        }
    }
}

/// The parts of a saved plan that are more than strings; the file itself is the command line's.
#[derive(Serialize, Deserialize)]
struct Saved {
    scope: Scope,
    options: Options,
    plan: StepGraph,
}

/// A saved plan: it is read, shown and compared before anything of it is done.
pub(crate) fn saved_plan(input: &[u8]) -> bool {
    let Ok(saved) = serde_json::from_slice::<Saved>(input) else {
        return false;
    };
    let view = PlanView {
        screen: Screen::plain(),
        diff: true,
        services: 1,
        hosts: 1,
    };
    cannot_steer_a_terminal(&report::render_plan(&saved.plan, &view));
    let _ = report::plan_json(&saved.plan);
    let compared = plan::compare(&saved.plan, &saved.plan);
    assert_eq!(compared, Comparison::Same, "a plan differs from itself");
    let written = serde_json::to_vec(&saved);
    let again = written.map(|written| serde_json::from_slice::<Saved>(&written));
    assert!(
        matches!(&again, Ok(Ok(again)) if again.plan == saved.plan),
        "what was read is not what is written"
    );
    true
}

/// Draws what is wrong, as an operator sees it: a place that is not in the text would be found here.
fn draw(sources: &Sources, diagnostics: &[Diagnostic]) {
    cannot_steer_a_terminal(&report::render_diagnostics(
        sources,
        diagnostics,
        &Screen::plain(),
    ));
}

fn cannot_steer_a_terminal(shown: &str) {
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
    assert!(!shown.contains(steers), "a control character is shown: {shown:?}");
}
