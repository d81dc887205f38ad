//! Panics: each is a failure of its seed, wherever it happens.
//!
//! The runtime catches a panic of a task, and what waits for that task sees only a lost connection. So a panic is noted
//! where it begins, on the thread that plays the seed.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// The panics since [`caught`] was called; `None` outside of it.
    static NOTED: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Does something, and returns what it came to, with the panics on the way.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> (Option<T>, Vec<String>) {
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |info| {
            let is_ours = NOTED
                .with_borrow_mut(|noted| noted.as_mut().map(|noted| noted.push(info.to_string())).is_some());
            if !is_ours {
                usual(info);
            }
        }));
    });
    NOTED.with_borrow_mut(|noted| *noted = Some(Vec::new()));
    let result = catch_unwind(AssertUnwindSafe(work)).ok();
    let noted = NOTED.with_borrow_mut(Option::take).unwrap_or_default();
    (result, noted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_noted_and_goes_no_further() {
        let (result, noted) = caught(|| {
            let two = [1, 2];
            two.get(two.len()).copied().expect("something")
        });
        assert_eq!(result, None::<i32>);
        assert!(noted[0].contains("something"), "{noted:?}");
        assert_eq!(caught(|| 7), (Some(7), Vec::new()));
    }
}
