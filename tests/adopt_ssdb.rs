//! SSDB mirrors that were made by hand: at private addresses alone, with other files than ours.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{Bed, DB};

const SSDB: &str = r#"
[services.queue]
kind = "ssdb"
hosts = ["db1", "db2", "db3"]
port = 4444
password = { file = "secrets/queue.password" }
config = "/etc/mirror.conf"
unit = "mirror.service"
work_dir = "/srv/mirror"
"#;

#[test]
fn mirrors_on_private_addresses_with_other_files_are_adopted_without_a_restart() {
    let bed = Bed::new(&DB, SSDB);
    let _ = bed.run(&["secrets", "init", "inventory.toml"]).expect(0);
    let password = bed.secret("queue.password");
    for host in DB {
        bed.on(host, &made_by_hand(&bed, host, &password));
    }
    let info = format!("echo info | /usr/local/ssdb/tools/ssdb-cli -h $(hostname) -p 4444 -a {password}");
    bed.on(
        "db3",
        &format!(
            "for i in $(seq 200); do [ $({info} | grep -c 'status .*SYNC') = 4 ] && exit 0; sleep 0.1; done; {info} >&2; exit 1"
        ),
    );
    let state = || {
        DB.map(|host| {
            bed.on(
                host,
                "systemctl show -p InvocationID --value mirror; sha256sum /etc/mirror.conf",
            )
        })
    };
    let before = state();
    let _ = bed.clusterctl("plan", &["--detailed-exitcode"]).expect(0);
    let _ = bed.clusterctl("apply", &["--yes"]).expect(0);
    assert_eq!(state(), before);
}

fn made_by_hand(bed: &Bed, host: &str, password: &str) -> String {
    let address = |host: &str| bed.lab.address(host).unwrap();
    let link = |other: &str| {
        let at = address(other);
        format!(
            "\tslaveof:\n\t\tid: {other}\n\t\ttype: mirror\n\t\thost: {at}\n\t\tport: 4444\n\t\tauth: {password}\n\
             \t\trecv_timeout: 900\n"
        )
    };
    let others = DB.iter().filter(|other| **other != host);
    let links: Vec<String> = others.map(|other| link(other)).collect();
    let links = links.concat();
    format!(
        "install -d -o ssdb -g ssdb /srv/mirror
         sed -e 's#^work_dir.*#work_dir = /srv/mirror#; s#^pidfile.*#pidfile = /srv/mirror/ssdb.pid#' \
             -e 's/ip: .*/ip: {}/; s/port: .*/port: 4444/; s/#auth: .*/auth: {password}/; s/level: .*/level: info/' \
             -e 's#output: .*#output: /srv/mirror/log.txt#' \
             -e 's/binlog: yes/&\\n\\t\\tcapacity: 100000000/' /usr/local/ssdb/ssdb.conf > /etc/mirror.conf
         cat > /run/links <<'END'\n{links}END
         sed -i -e '/sync_speed: -1/r /run/links' /etc/mirror.conf
         chown ssdb: /etc/mirror.conf; chmod 640 /etc/mirror.conf
         sed -e 's#/usr/local/ssdb/ssdb-hbsupp.conf#/etc/mirror.conf#' /etc/systemd/system/ssdb-hbsupp.service \
             > /etc/systemd/system/mirror.service
         systemctl enable -q --now mirror",
        address(host)
    )
}
