//! `absent`: keys of a configuration file that are taken out of it, no matter who wrote them.

use config::Reader;
use types::Diagnostic;

/// Reads `absent` of a service. A key that the inventory also sets is an error, and one that the service itself needs, of which
/// `needed` tells why, and what to do instead.
pub fn absent(
    reader: &Reader<'_>,
    is_set: impl Fn(&str) -> bool,
    needed: impl Fn(&str) -> Option<(&'static str, &'static str)>,
) -> Vec<String> {
    let unfit = |key: &str| {
        if key.is_empty() || key.contains(|sign: char| sign.is_whitespace() || sign == '=') {
            return Some(("not the name of a key", "one word"));
        }
        let is_set = || is_set(key).then_some(("it is set as well", "leave one of the two"));
        needed(key).or_else(is_set)
    };
    let keys = reader.strings("absent").unwrap_or_default().into_iter();
    let fit = keys.filter_map(|(key, span)| {
        let Some((label, hint)) = unfit(key) else {
            return Some(key.to_owned());
        };
        let error = Diagnostic::error(format!("{key:?} cannot be absent"));
        reader.findings().report(error.at(span, label).hint(hint));
        None
    });
    fit.collect()
}
