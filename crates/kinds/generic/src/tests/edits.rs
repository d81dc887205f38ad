//! Edits of one line or one key.

use insta::assert_snapshot;

use super::*;

fn line(arguments: &str) -> String {
    format!(
        "[[steps]]\nuses = \"line\"\nwith = {{ path = \"/etc/sshd\", line = \"Port {{{{ 22 }}}}\"{arguments} }}"
    )
}

fn ini(arguments: &str) -> String {
    format!(
        "[[steps]]\nuses = \"ini\"\nwith = {{ path = \"/etc/sshd\", key = \"port\", value = \"22\"{arguments} }}"
    )
}

/// The file after the edit, which leaves nothing to edit.
fn edited(playbook: &str, text: &str) -> String {
    let world = World::default().file("/etc/sshd", text);
    world.converges(playbook);
    let mut after = world.clone();
    after.apply(&world.plan(&steps(playbook)));
    after.files["/etc/sshd"].text.as_ref().unwrap().to_string()
}

fn comes_to(playbook: &str, text: &str) -> String {
    World::default().file("/etc/sshd", text).comes_to(playbook)
}

#[test]
fn a_line_is_added_replaced_or_left() {
    assert_eq!(edited(&line(""), "a\nb"), "a\nb\nPort 22\n");
    assert_eq!(edited(&line(""), ""), "Port 22\n");
    assert_eq!(comes_to(&line(""), "Port 22\r\nb"), "");
    let matching = line(", match = \"^#?Port \"");
    assert_eq!(
        edited(&matching, "a\r\n#Port 1\r\nb\r\n"),
        "a\r\nPort 22\r\nb\r\n"
    );
    assert_eq!(edited(&matching, "a\n"), "a\nPort 22\n");
    assert_eq!(comes_to(&matching, "a\nPort 22\n"), "");
    // The pattern is of what the line replaces only; both are there.
    assert_eq!(comes_to(&line(", match = \"^#Port\""), "#Port 22\nPort 22\n"), "");
    assert_snapshot!(comes_to(&matching, "a\n#Port 1\n"));
}

#[test]
fn more_than_one_line_is_not_replaced_by_one() {
    let matching = line(", match = \"^#?Port \"");
    assert_snapshot!(comes_to(&matching, "Port 1\nx\nPort 22\n"));
    assert_eq!(comes_to(&matching, "Port 22\nx\nPort 22\n"), "");
}

#[test]
fn a_key_is_set_where_it_stands() {
    assert_eq!(
        edited(&ini(""), "# port=1\nport = 1 \nx=1\n"),
        "# port=1\nport = 22 \nx=1\n"
    );
    assert_eq!(
        edited(&ini(""), "ports = 1\n\n[port]\nport = 1\n"),
        "ports = 1\nport=22\n\n[port]\nport = 1\n"
    );
    assert_eq!(edited(&ini(""), "[a]\nx=1\n"), "port=22\n[a]\nx=1\n");
    assert_eq!(edited(&ini(""), "port="), "port=22");
    assert_eq!(comes_to(&ini(""), "  port  =  22\n"), "");
}

#[test]
fn a_key_is_set_in_its_section() {
    let server = ini(", section = \"server\", separator = \" = \"");
    let text = "port = 1\n[server]\nx = 1\n\n[other]\nport = 1\n";
    assert_eq!(
        edited(&server, text),
        "port = 1\n[server]\nx = 1\nport = 22\n\n[other]\nport = 1\n"
    );
    assert_eq!(edited(&server, "port = 1"), "port = 1\n\n[server]\nport = 22\n");
    assert_eq!(edited(&server, "[server]\n"), "[server]\nport = 22\n");
    assert_eq!(edited(&server, "[ server ]\n[x]"), "[ server ]\nport = 22\n[x]");
}

#[test]
fn a_directive_has_blanks_for_a_separator() {
    let directive = ini(", separator = \" \"");
    assert_eq!(edited(&directive, "port 1\nports 2\n"), "port 22\nports 2\n");
    assert_eq!(comes_to(&directive, "port\t22\n"), "");
    assert_snapshot!(comes_to(&directive, "port 1\nport 2\n"));
}

#[test]
fn a_file_that_is_not_there_is_not_edited() {
    let package = "[[steps]]\nuses = \"package\"\nwith = { names = \"ssh\" }\n";
    let missing = World::default().comes_to(&line(""));
    let coming = World::default().comes_to(&format!("{package}{}", line("")));
    let binary = World::default()
        .kind("/etc/sshd", FileKind::File)
        .comes_to(&line(""));
    assert_snapshot!([missing, coming, binary].join("\n"));
}

#[test]
fn two_steps_may_edit_one_file() {
    let both = format!("{}\n{}", line(""), ini(", section = \"x\""));
    assert_eq!(edited(&both, "a\n"), "a\nPort 22\n\n[x]\nport=22\n");
}

#[test]
fn a_file_that_is_going_to_hold_a_secret_is_edited_later() {
    let secret = "[[steps]]\nuses = \"line\"\nid = \"secret\"\nwith = { path = \"/etc/sshd\", line = \"pass {{ secrets.a }}\", \
                  secrets = { a = { env = \"A\" } } }\n";
    let both = format!("{secret}{}", line(""));
    assert_snapshot!(comes_to(&both, "a\n"));
    assert_eq!(comes_to(&both, "a\npass ⟪secret:env:A⟫\nPort 22\n"), "");
}

#[test]
fn values_that_stay_on_the_host_are_kept() {
    let text = "requirepass ⟪kept:12+20⟫\nport 1\n";
    assert_snapshot!(comes_to(&ini(", separator = \" \""), text));
}
