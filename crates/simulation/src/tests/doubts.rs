//! Questions that fail, and what is true of them.

use plan::{Facts, HostFacts};
use protocol::facts::{Silence, TcpFact, TcpQuery};
use protocol::{Fact, FactQuery};
use types::HostName;

use crate::doubt::{Answer, Doubt, Doubts, Failure, Share, Subject};

/// A server that was said to refuse connections, and later did, was taken for one that serves: that it was started again was
/// harm.
#[test]
fn an_answer_that_was_false_once_may_be_true_later() {
    let host: HostName = "db1".parse().expect("a name");
    let query = FactQuery::Tcp(TcpQuery {
        host: "127.0.0.1".to_owned(),
        port: 1,
    });
    let (open, refused) = (
        Ok(Fact::Tcp(TcpFact::Open)),
        Ok(Fact::Tcp(TcpFact::Closed(Silence::refused()))),
    );
    let doubts = Doubts::new(1);
    let truth_of = |answer: &Answer| {
        let mut facts = Facts::default();
        let said = doubts.said(&host, &query, answer.clone());
        assert_eq!(said, refused);
        facts.add(host.clone(), HostFacts::Observed(vec![(query.clone(), said)]));
        let truth = doubts.truth(&facts)?;
        truth.answer_to(&host, &query).cloned()
    };
    let doubt = Doubt {
        host: host.clone(),
        subject: Subject::Servers,
        failure: Failure::Refused,
        share: Share::All,
    };
    doubts.begin(&doubt);
    assert_eq!(truth_of(&open), Some(open.clone()));
    doubts.end(&doubt);
    assert_eq!(truth_of(&refused), None);
}
