//! `absent`: keys of a configuration file that are taken out of it, whoever wrote them.

use config::Reader;
use types::Diagnostic;

/// Reads `absent` of a service. A key that the inventory also sets is an error, and one that the service itself needs, of
/// which `needed` tells what to do instead.
pub fn absent(
    reader: &Reader<'_>,
    is_set: impl Fn(&str) -> bool,
    needed: impl Fn(&str) -> Option<&'static str>,
) -> Vec<String> {
    let mut keys = Vec::new();
    for (key, span) in reader.strings("absent").unwrap_or_default() {
        let wrong = |what: &str, label: &str| Diagnostic::error(format!("{key:?} {what}")).at(span, label);
        if key.is_empty()
            || key.contains(|sign: char| sign.is_whitespace() || sign.is_control() || sign == '=')
        {
            reader.findings().report(wrong("is no key", "one word"));
        } else if let Some(instead) = needed(key) {
            let error = wrong("is not for absent", "managed by the service itself");
            reader.findings().report(error.hint(instead));
        } else if is_set(key) {
            let error = wrong("is both set and absent", "remove it here, or where it is set");
            reader.findings().report(error);
        } else {
            keys.push(key.to_owned());
        }
    }
    keys
}
