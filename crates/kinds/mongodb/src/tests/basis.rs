//! What a saved plan for a set rests on.

use super::{built, packaged, service};
use crate::tests::world::Rig as _;
use cases::basis;

#[test]
fn a_set_says_who_leads_in_which_term_with_which_configuration() {
    let service = service("");
    assert!(basis(&*service, &packaged().facts(&*service)).is_empty());
    insta::assert_debug_snapshot!(basis(&*service, &built(&*service).facts(&*service)));
}
