//! Finding the services that the platform uses, and what they offer.

use config::reader::with_suggestion;
use config::{Findings, Reader, SecretRef, ServiceDecl};
use types::{Diagnostic, SecretId, Span};

use super::uses::{NONE, Use, Uses};
use kit::ReadCx;

/// Finds the services that are used.
pub(super) fn find(reader: &Reader<'_>, decl: &ServiceDecl, user: &str, cx: &ReadCx<'_>) -> Uses {
    let finder = Finder {
        reader,
        decl,
        user,
        cx,
    };
    Uses {
        mongodb: finder.find("mongodb", "mongodb", None),
        clickhouse: finder.find("clickhouse", "clickhouse", None),
        ssdb_hbsupp: finder.find("ssdb_hbsupp", "ssdb", Some("hbsupp")),
        ssdb_notify: finder.find("ssdb_notify", "ssdb", Some("notify")),
        rabbitmq: finder.find("rabbitmq", "rabbitmq", None),
        duplicates: finder.find("duplicates", "kvrocks", None),
    }
}

struct Finder<'a> {
    reader: &'a Reader<'a>,
    decl: &'a ServiceDecl,
    user: &'a str,
    cx: &'a ReadCx<'a>,
}

impl Finder<'_> {
    /// The service that a setting names; else the only one of the kind (and of that purpose, where there are several).
    fn find(&self, key: &'static str, kind: &str, purpose: Option<&str>) -> Option<Use> {
        let of_kind: Vec<&ServiceDecl> = self
            .cx
            .inventory
            .services
            .iter()
            .filter(|service| service.kind == kind)
            .collect();
        let (service, place) = match self.reader.string(key) {
            Some(NONE) => return None,
            Some(name) => {
                let place = self.reader.value(key)?.span;
                (self.named(name, key, kind, &of_kind, place)?, place)
            }
            // It was there and wrong.
            None if self.reader.value(key).is_some() => return None,
            None => (self.only(key, kind, purpose, &of_kind)?, self.decl.settings.span),
        };
        self.offered(service, kind, place)
    }

    fn named<'s>(
        &self,
        name: &str,
        key: &str,
        kind: &str,
        of_kind: &[&'s ServiceDecl],
        place: Span,
    ) -> Option<&'s ServiceDecl> {
        let found = of_kind.iter().find(|service| service.name.as_str() == name);
        if found.is_none() {
            let other = self
                .cx
                .inventory
                .services
                .iter()
                .find(|service| service.name.as_str() == name);
            let label = match other {
                Some(other) => format!("its kind is {}", other.kind),
                None => "there is no such service".to_owned(),
            };
            let diagnostic =
                Diagnostic::error(format!("{key} is {name:?}, which is no service of kind {kind}"));
            let known = of_kind.iter().map(|service| service.name.as_str()).chain([NONE]);
            self.cx
                .findings
                .report(with_suggestion(diagnostic.at(place, label), name, known));
        }
        found.copied()
    }

    fn only<'s>(
        &self,
        key: &str,
        kind: &str,
        purpose: Option<&str>,
        of_kind: &[&'s ServiceDecl],
    ) -> Option<&'s ServiceDecl> {
        let is_meant = |service: &&&ServiceDecl| match purpose {
            None => true,
            Some(purpose) => {
                let name = service.name.as_str();
                let rest = name.strip_prefix(kind).unwrap_or(name);
                rest.trim_start_matches(['-', '_']) == purpose
            }
        };
        let meant: Vec<&&ServiceDecl> = of_kind.iter().filter(is_meant).collect();
        match meant.as_slice() {
            [one] => Some(**one),
            [] if of_kind.is_empty() => None,
            _ => {
                let names: Vec<&str> = of_kind.iter().map(|service| service.name.as_str()).collect();
                self.cx.findings.report(
                    Diagnostic::error(format!("which service of kind {kind} is {key}?"))
                        .at(self.decl.settings.span, format!("there is {}", names.join(", ")))
                        .hint(format!(
                            "{key} = \"{}\", or \"{NONE}\"",
                            names.first().unwrap_or(&NONE)
                        )),
                );
                None
            }
        }
    }

    /// The offer of the service. Mistakes in its settings are reported where it is read for itself.
    fn offered(&self, service: &ServiceDecl, kind: &str, place: Span) -> Option<Use> {
        let findings = Findings::default();
        let quiet = ReadCx {
            inventory: self.cx.inventory,
            kinds: self.cx.kinds,
            findings: &findings,
        };
        let offer = quiet.read(service)?.offer();
        let (_, secrets) = findings.into_parts();
        let Some(offer) = offer else {
            let found = format!("a service of kind {kind} does not tell how it is used");
            self.cx
                .findings
                .report(Diagnostic::error(found).at(place, "nothing to write into main.json"));
            return None;
        };
        let used = Use {
            service: service.name.clone(),
            offer,
        };
        match used.login(self.user) {
            Some(login) => self.need(&login.password, &secrets),
            None if used.offer.logins.is_empty() => {}
            None => {
                let known: Vec<&str> = used
                    .offer
                    .logins
                    .iter()
                    .filter_map(|login| login.user.as_deref())
                    .collect();
                self.cx.findings.report(
                    Diagnostic::error(format!("{} has no user {}", used.service, self.user))
                        .at(place, "main.json needs one to log in as")
                        .hint(format!(
                            "it has {}; user = \"...\" names the one that is meant",
                            known.join(", ")
                        )),
                );
            }
        }
        Some(used)
    }

    /// The password is written here too, whatever its own service does with it.
    fn need(&self, password: &SecretId, secrets: &[SecretRef]) {
        if let Some(secret) = secrets.iter().find(|secret| secret.id == *password) {
            self.cx.findings.need(secret.clone());
        }
    }
}
