//! Packages, files and directories.

use insta::assert_snapshot;

use super::*;

const PACKAGES: &str = "
    [[steps]]
    uses = \"package\"
    with = { names = [\"nginx\", \"{{ '' }}\", \"curl\", \"nginx\"] }
";

#[test]
fn missing_packages_are_one_task_and_empty_names_none() {
    let mut world = World::default();
    assert_snapshot!(world.converges(PACKAGES), @"db1: install nginx, curl, because nginx, curl are not installed");
    world.packages.insert("nginx".to_owned());
    assert_snapshot!(world.converges(PACKAGES), @"db1: install curl, because curl is not installed");
    let twice =
        format!("{PACKAGES}\n[[steps]]\nid = \"again\"\nuses = \"package\"\nwith = {{ names = \"curl\" }}");
    assert_snapshot!(world.converges(&twice), @"db1: install curl, because curl is not installed");
}

#[test]
fn a_package_whose_unit_is_there_without_it_is_not_installed() {
    let playbook = "[[steps]]\nuses = \"package\"\n\
                    with = { names = [\"store\", \"\", \"watch\"], units = [\"store\", \"none\", \"watch\"] }";
    let mut world = World::default();
    assert_snapshot!(world.clone().converges(playbook), @"db1: install store, watch, because store, watch are not installed");
    world = world.unit("store.service", "active", "disabled");
    assert_snapshot!(world.clone().converges(playbook), @"db1: install watch, because watch is not installed");
    // Its unit came before dpkg was cut off.
    world.partial.insert("store".to_owned());
    assert_snapshot!(world.clone().converges(playbook), @"db1: install store, watch, because store, watch are not installed");
}

const FILE: &str = "
    [[steps]]
    uses = \"file\"
    with = { path = \"/etc/{{ site }}.conf\", content = \"on {{ host }} at {{ address }}\\n\", mode = \"0640\", group = \"web\" }
";

#[test]
fn a_file_is_created_changed_and_left_alone() {
    let mut world = World::default();
    let fresh = world.converges(FILE);
    let drifted = world.clone().file("/etc/west.conf", "by hand\n").converges(FILE);
    world.write(
        "/etc/west.conf",
        &Text::new("on db1 at 10.0.0.1\n"),
        0o644,
        "root",
        "root",
    );
    assert_snapshot!([fresh, drifted, world.converges(FILE)].join("\n"));
}

#[test]
fn a_new_text_is_tried_before_it_takes_the_files_place() {
    let step = |validate: &str| {
        format!(
            "uses = \"file\"\nwith = {{ path = \"/etc/sudoers.d/db\", content = \"x\", validate = {validate} }}"
        )
    };
    let planned = World::default().converges(&format!(
        "[[steps]]\n{}",
        step("[\"visudo\", \"--check\", \"--file\", \"%s\"]")
    ));
    assert_snapshot!(planned, @r#"
    db1: create /etc/sudoers.d/db, because it is missing
        tried by visudo --check --file %s
        | x
    "#);
    assert_snapshot!(errors(&step("[\"visudo\", \"--check\"]")), @r#"
    no argument of validate has %s | at `["visudo", "--check"]`: it would not try the file; validate = ["visudo", "--check", "--file", "%s"]; %s is the path of the file that is tried
    "#);
    assert_snapshot!(errors(&step("\"visudo %s\"")), @r#"
    no argument of validate has %s | at `"visudo %s"`: it would not try the file; validate = ["visudo", "--check", "--file", "%s"]; %s is the path of the file that is tried
    "#);
}

#[test]
fn a_file_whose_package_comes_first_is_written_over_what_the_package_brings() {
    let mut world = World::default();
    world
        .brings
        .insert("/etc/west.conf".to_owned(), "as shipped\n".to_owned());
    assert_snapshot!(world.converges(&format!("{PACKAGES}{FILE}")));
}

const SECRET: &str = "
    [[steps]]
    uses = \"file\"
    with = { path = \"/etc/app\", content = \"port 1\\npass {{ secrets.db }}\\n\", secrets = { db = { file = \"s/db\" } } }
";

#[test]
fn a_filter_says_how_a_secret_is_written_in_the_format_of_its_file() {
    let step = "
        [[steps]]
        uses = \"file\"
        with = { path = \"/etc/app.json\", content = '{\"url\": \"a://u:{{ secrets.url | url }}@h\", \"pass\": \"{{ secrets.db | json }}\", \"site\": \"{{ site | json }}\"}', secrets = { db = { file = \"s/db\" }, url = { file = \"s/url\" } } }
    ";
    let world = World::default();
    assert_snapshot!(world.converges(step));
    let query = steps(step)[0].queries(&host("db1")).remove(0);
    let FactQuery::File(query) = query else {
        panic!("{query:?}")
    };
    assert_eq!(
        query.secrets.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["/url:file:s/url", "/json:file:s/db"]
    );
}

#[test]
fn secrets_are_references_and_the_file_is_closed() {
    let old = World::default().file("/etc/app", "port 1\npass ⟪kept:12+9⟫\n");
    let plan = old.plan(&steps(SECRET));
    assert_snapshot!(render(&plan));
    assert_snapshot!(World::default().converges(SECRET));
    let queries = steps(SECRET)[0].queries(&host("db1"));
    let FactQuery::File(query) = &queries[0] else {
        panic!("{queries:?}")
    };
    assert_eq!(query.masks[0], "^pass (.*)$");
    assert_eq!(query.secrets, ["file:s/db".parse().unwrap()]);
}

#[test]
fn what_cannot_be_hidden_is_not_shown() {
    let playbook = SECRET.replace("port 1\\npass {{", "- alice\\n- {{");
    let plan = World::default()
        .file("/etc/app", "- alice\n- old secret\n")
        .plan(&steps(&playbook));
    assert_snapshot!(render(&plan), @"db1: change /etc/app, because its content differs");
}

#[test]
fn templates_stand_beside_the_playbook() {
    let playbook = "[[steps]]\nuses = \"file\"\nwith = { path = \"/a\", template = \"a.conf\" }";
    let text = "{% if host == \"db1\" %}\nfirst\n{% endif %}\nat {{ site }}\n\n";
    let read = read(INVENTORY, playbook, &[("a.conf", text)], None);
    assert_eq!(read.errors, "");
    let plan = World::default().plan(&read.steps);
    let operation = &plan.tasks[0].action.as_ref().unwrap().operation;
    let Operation::WriteFile { text, .. } = operation else {
        panic!("{operation:?}")
    };
    assert_eq!(text.as_str(), "first\nat west\n\n");
}

#[test]
fn what_is_no_file_is_refused() {
    let link = World::default()
        .kind("/etc/west.conf", FileKind::Link)
        .comes_to(FILE);
    let directory = World::default()
        .kind("/etc/west.conf", FileKind::Directory)
        .comes_to(FILE);
    assert_snapshot!([link, directory].join("\n"));
}

const DIRECTORY: &str = "
    [[steps]]
    uses = \"directory\"
    with = { path = \"/srv/{{ site }}\", mode = \"2750\", owner = \"app\" }
";

#[test]
fn a_directory_is_made_and_given_its_mode() {
    let fresh = World::default().converges(DIRECTORY);
    let drifted = World::default()
        .kind("/srv/west", FileKind::Directory)
        .converges(DIRECTORY);
    let refused = World::default().file("/srv/west", "").comes_to(DIRECTORY);
    assert_snapshot!([fresh, drifted, refused].join("\n"));
}

const COMMAND: &str = "
    [[steps]]
    uses = \"command\"
    with = { argv = [\"make\", \"it's {{ site }}\"], unless = [\"test\", \"-e\", \"/made\"], stdin = { env = \"X\" }, limit = 5 }
";

#[test]
fn a_command_runs_where_its_precondition_says_so() {
    let mut world = World::default();
    assert_snapshot!(world.comes_to(COMMAND), @"not planned on db1: on db1: no such file or directory");
    assert_snapshot!(world.comes_to(&format!("{PACKAGES}{COMMAND}")));
    world.commands.insert("test -e /made".to_owned(), 1);
    assert_snapshot!(world.converges(COMMAND));
    let only_if = COMMAND.replace("unless", "only_if");
    assert_eq!(world.comes_to(&only_if), "");
    world.commands.insert("test -e /made".to_owned(), 0);
    assert_eq!(world.comes_to(COMMAND), "");
    assert_snapshot!(world.converges(&only_if));
    let plan = world.plan(&steps(&only_if));
    assert_eq!(plan.tasks[0].action.as_ref().unwrap().limit_ms, 5000);
}

#[test]
fn a_command_is_not_run_where_its_precondition_differs_right_before() {
    let mut world = World::default();
    world.commands.insert("test -e /made".to_owned(), 1);
    let plan = world.plan(&steps(COMMAND));
    let action = plan.tasks[0].action.as_ref().unwrap();
    let [precondition] = action.only_if.as_slice() else {
        panic!("{action:?}");
    };
    let holds = |world: &World| precondition.holds(&Ok(world.answer(&precondition.query).unwrap()));
    assert!(holds(&world));
    world.commands.insert("test -e /made".to_owned(), 0);
    assert!(!holds(&world), "it was run, and its answer was lost");
}
