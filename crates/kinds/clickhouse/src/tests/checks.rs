//! Case tests: the checks that gates of saved plans name.

use super::*;
use crate::checks::Check;

#[test]
fn every_released_spelling_is_read_and_no_other() {
    let released = [
        "quorum",
        "reached",
        "sessions",
        "member-up",
        "loaded",
        "serving",
        "covered",
        "votes",
        "spare",
        "spare-in-vain",
        "left",
    ];
    for spelling in released {
        let check: Check = spelling.parse().unwrap();
        assert_eq!(check.to_string(), spelling);
    }
    for unknown in ["", "Quorum", "spare-in", "spare-in-vain-", "votes=db1"] {
        assert!(unknown.parse::<Check>().is_err(), "{unknown}");
    }
}

#[test]
fn an_unknown_check_and_one_without_its_host_fail() {
    let service = keeper("");
    let cluster = built(&*service, MODERN);
    let facts = cluster.facts(&*service);
    for check in [
        "healthy",
        "serving",
        "sessions",
        "votes",
        "spare",
        "covered",
        "member-up",
        "loaded",
    ] {
        let verdict = service.judge(check, None, &facts);
        assert!(matches!(verdict, Verdict::Fail(_)), "{check}: {verdict:?}");
    }
    assert_eq!(service.judge("quorum", None, &facts), Verdict::Pass);
}
