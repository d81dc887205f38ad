//! What a saved plan for a set rests on.

use super::{built, packaged, service};
use crate::tests::rig::Rig as _;
use cases::basis;

#[test]
fn a_set_tells_its_primary_its_term_and_its_configuration() {
    let service = service("");
    assert!(basis(&*service, &packaged().facts(&*service)).is_empty());
    insta::assert_debug_snapshot!(basis(&*service, &built(&*service).facts(&*service)));
}
