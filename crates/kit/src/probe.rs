//! What became of a question to a server.

/// What became of a question to a server. Each kind asks in its own protocol, and each reason that there is no answer
/// means something else: a server that is down can be started, one that denies us runs, and of one that could not be
/// asked nothing is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe<T, D = String> {
    /// It answered.
    Up(T),
    /// It runs, and refuses us or the question: in its own words.
    Denied(D),
    /// Nobody listens, and why.
    Down(String),
    /// It could not be asked, and why.
    Unknown(String),
}

impl<T, D> Probe<T, D> {
    /// The answer, where there is one.
    pub fn up(&self) -> Option<&T> {
        match self {
            Self::Up(answer) => Some(answer),
            Self::Denied(_) | Self::Down(_) | Self::Unknown(_) => None,
        }
    }

    /// Whether it answered.
    pub fn is_up(&self) -> bool {
        self.up().is_some()
    }
}
