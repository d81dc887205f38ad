//! A kind of service, of which there is one value, and the list of those that there are.

use config::reader::with_suggestion;
use config::{Findings, Inventory, ServiceDecl};
use types::Diagnostic;

use crate::service::Service;

/// A kind of service.
pub trait Kind: Sync {
    /// Its name, as in `kind = "rabbitmq"`.
    fn name(&self) -> &'static str;

    /// Its built-in playbook: the text of a file under playbooks/.
    fn playbook(&self) -> &'static str;

    /// The steps that its playbooks may use, without the kind's name: `join` of `rabbitmq.join`.
    fn steps(&self) -> Vec<&'static str>;

    /// Reads the settings of a service. What is wrong goes to the findings, and then there is no service.
    fn read(&'static self, decl: &ServiceDecl, cx: &ReadCx<'_>) -> Option<Box<dyn Service>>;
}

/// What a kind may look at while it reads settings.
#[derive(Clone, Copy)]
pub struct ReadCx<'a> {
    /// The whole inventory: addresses of hosts, and the declarations of other services.
    pub inventory: &'a Inventory,
    /// Every kind: a service may use others.
    pub kinds: Kinds,
    /// Where errors go.
    pub findings: &'a Findings,
}

/// A list of kinds.
#[derive(Clone, Copy)]
pub struct Kinds(&'static [&'static dyn Kind]);

impl Kinds {
    /// A list of kinds, by which a service's kind is found.
    pub const fn new(kinds: &'static [&'static dyn Kind]) -> Self {
        Self(kinds)
    }

    /// Each of them.
    pub fn all(self) -> impl Iterator<Item = &'static dyn Kind> + Clone {
        self.0.iter().copied()
    }

    /// The kind of that name.
    pub fn named(self, name: &str) -> Option<&'static dyn Kind> {
        self.all().find(|kind| kind.name() == name)
    }
}

impl ReadCx<'_> {
    /// Reads a service of the inventory with its kind.
    pub fn read(&self, decl: &ServiceDecl) -> Option<Box<dyn Service>> {
        if let Some(kind) = self.kinds.named(&decl.kind) {
            return kind.read(decl, self);
        }
        let known = self.kinds.all().map(Kind::name);
        let diagnostic = Diagnostic::error(format!("there is no kind {:?}", decl.kind)).at(
            decl.kind_span,
            format!("expected {}", known.clone().collect::<Vec<_>>().join(", ")),
        );
        self.findings
            .report(with_suggestion(diagnostic, &decl.kind, known));
        None
    }
}
