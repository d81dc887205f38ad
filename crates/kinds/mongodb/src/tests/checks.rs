//! The spellings of checks: plans that were saved have them.

use crate::checks::Check;

#[test]
fn every_spelling_of_saved_plans_is_read_and_written() {
    for (spelling, check) in [
        ("answers", Check::Answers),
        ("primary", Check::Primary),
        ("serves", Check::Available),
        ("has-data", Check::HasData),
        ("committed:7", Check::Committed(7)),
        ("handed-over", Check::SteppedDown),
        ("spared:db3:27017", Check::Spared("db3:27017".to_owned())),
        ("nothing-to-lose", Check::NothingToLose),
    ] {
        assert_eq!(spelling.parse(), Ok(check.clone()));
        assert_eq!(check.to_string(), spelling);
    }
}

#[test]
fn an_unknown_check_fails() {
    let service = super::service("");
    let cluster = super::packaged();
    let facts = crate::tests::rig::Rig::facts(&cluster, &*service);
    for spelling in ["", "Answers", "committed:", "committed:x", "committed", "joined"] {
        assert!(spelling.parse::<Check>().is_err(), "{spelling}");
        let verdict = service.judge(spelling, Some(&cases::host("db1")), &facts);
        assert!(
            matches!(verdict, plan::Verdict::Fail(_)),
            "{spelling}: {verdict:?}"
        );
    }
    // A check of a member is about one.
    let verdict = service.judge("answers", None, &facts);
    assert!(matches!(verdict, plan::Verdict::Fail(_)), "{verdict:?}");
}
