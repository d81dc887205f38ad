//! The root element of the server's files.

/// The root element of all of the server's files: a file with another one than config.xml's stops the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    /// Since 21.10.
    ClickHouse,
    /// Before.
    Yandex,
}

impl Root {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ClickHouse => "clickhouse",
            Self::Yandex => "yandex",
        }
    }

    /// The root of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::ClickHouse, Self::Yandex]
            .into_iter()
            .find(|root| root.name() == name)
    }

    /// The root element in the config.xml of a version.
    pub(crate) fn of_version(version: (u32, u32)) -> Self {
        if version >= (21, 10) {
            Self::ClickHouse
        } else {
            Self::Yandex
        }
    }
}
