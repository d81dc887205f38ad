//! What is wrong with arguments, and what is told about it.

use insta::assert_snapshot;

use super::*;

#[test]
fn unknown_step_kinds_and_arguments_are_told_with_what_was_meant() {
    let unknown = [
        errors("uses = \"pakage\""),
        errors("uses = \"rabbitmq.join\""),
        errors("uses = \"package\"\nwith = { name = [\"x\"] }"),
        errors("uses = \"hosts-file\"\nwith = { path = \"/etc/hosts\" }"),
    ];
    assert_snapshot!(unknown.join("\n"));
}

#[test]
fn wrong_arguments_are_told_all_at_once() {
    let wrong = [
        errors("uses = \"package\"\nwith = { names = [\"a b\", \"-y\", \"fine\"] }"),
        errors("uses = \"package\"\nwith = { names = [\"a\", \"b\"], units = [\"a\"] }"),
        errors("uses = \"file\"\nwith = { path = \"etc/motd\", mode = \"9\", owner = \"a b\" }"),
        errors(
            "uses = \"file\"\nwith = { path = \"/etc/../motd\", content = \"\", template = \"x\", mode = 0o644 }",
        ),
        errors("uses = \"directory\"\nwith = { path = \"/srv/\" }"),
        errors("uses = \"line\"\nwith = { path = \"/a\", line = \"a\\nb\", match = \"(\" }"),
        errors("uses = \"line\"\nwith = { path = \"/a\" }"),
        errors("uses = \"ini\"\nwith = { path = \"/a\", key = \" a\", value = \"1\" }"),
        errors("uses = \"unit\"\nwith = { name = \"x y\" }"),
        errors("uses = \"unit\"\nwith = { name = \"x\", state = \"start\" }"),
        errors("uses = \"unit\"\nwith = { name = \"x\", enabled = true, restart_on = [\"/a\"] }"),
        errors("uses = \"command\"\nwith = { argv = [\"make\"] }"),
        errors("uses = \"command\"\nwith = { argv = [], unless = [\"a\"], only_if = [\"b\"], limit = 0 }"),
        errors("uses = \"wait-for\""),
        errors("uses = \"wait-for\"\nwith = { tcp = \"db1\" }"),
        errors("uses = \"wait-for\"\nwith = { tcp = \"db1:80\", unit = \"x\" }"),
    ];
    assert_snapshot!(wrong.join("\n"));
}

#[test]
fn a_secret_has_one_encoding_in_a_file() {
    let file = "uses = \"file\"\nwith = { path = \"/a\", secrets = { db = { env = \"X\" } }, content = ";
    let wrong = [
        errors(&format!(
            "{file}\"{{{{ secrets.db }}}} {{{{ secrets.db | json }}}}\" }}"
        )),
        errors(&format!("{file}\"{{{{ secrets.db | xml | json }}}}\" }}")),
        errors(&format!("{file}\"{{{{ secrets.db | rot13 }}}}\" }}")),
    ];
    assert_snapshot!(wrong.join("\n"));
}

#[test]
fn templates_that_lead_nowhere_are_told_before_any_host_is_asked() {
    let file = "uses = \"file\"\nwith = { path = \"/a\", secrets = { db = { env = \"X\" } }, content = ";
    let wrong = [
        errors("uses = \"package\"\nwith = { names = [\"{{ sight }}\"] }"),
        errors("uses = \"package\"\nwith = { names = [\"{{ package }}\"] }"),
        errors("uses = \"package\"\nwith = { names = [\"{{ site \"] }"),
        errors(&format!("{file}\"{{{{ secrets.bd }}}}\" }}")),
        errors("uses = \"command\"\nwith = { argv = [\"{{ secrets.db }}\"], unless = [\"x\"] }"),
        errors(
            "uses = \"file\"\nwith = { path = \"/a\", secrets = { db = \"hunter2\" }, content = \"{{ secrets.db }}\" }",
        ),
    ];
    assert_snapshot!(wrong.join("\n"));
}

#[test]
fn an_error_in_a_template_points_into_its_file() {
    let step =
        |name: &str| format!("[[steps]]\nuses = \"file\"\nwith = {{ path = \"/a\", template = \"{name}\" }}");
    let files = [
        ("a.conf", "port 1\nsite {{ sigt }}\nend\n"),
        ("b.conf", "{% if %}\n"),
        ("c.conf", "x\n⟪secret:y⟫\n"),
    ];
    let wrong = ["a.conf", "b.conf", "c.conf", "d.conf"]
        .map(|name| read(INVENTORY, &step(name), &files, None).errors);
    assert_snapshot!(wrong.join("\n"));
}

#[test]
fn a_file_that_shows_a_secret_to_everybody_is_warned_about() {
    let step = "uses = \"file\"\nwith = { path = \"/a\", mode = \"0644\", secrets = { db = { env = \"X\" } }, content = \
                \"{{ secrets.db }}\" }";
    assert_snapshot!(errors(step));
}

#[test]
fn an_error_that_every_host_repeats_is_told_once() {
    let mut sources = Sources::new();
    let id = sources.add("inventory.toml", INVENTORY);
    let findings = Findings::default();
    let inventory = Inventory::read(&sources, id, &[], &findings);
    let id = sources.add(
        "p.toml",
        "[[steps]]\nuses = \"directory\"\nwith = { path = \"{{ host }}\", secret = 1 }",
    );
    let playbook = Playbook::read(&sources, id, &findings);
    let build = |hosts: &[HostName]| {
        let findings = Findings::default();
        let cx = BuildCx {
            inventory: &inventory,
            service: None,
            kinds: kit::Kinds::new(&[kvrocks::KIND, rabbitmq::KIND]),
            hosts,
            templates: &BTreeMap::new(),
            sources: &sources,
            findings: &findings,
        };
        assert!(super::build(&playbook.steps[0], &cx).is_none());
        let (diagnostics, _) = findings.into_parts();
        diagnostics
            .into_iter()
            .map(|found| found.message)
            .collect::<Vec<String>>()
    };
    let told = ["\"db1\" is not a path", "unknown key \"secret\""];
    assert_eq!(build(&names(&["db1", "db2"])), told);
    assert_eq!(build(&[]), told);
}
