//! The drop-in's text. Pure.

use std::fmt::Write;

use super::service::Service;

pub struct DropIn<'it> {
    pub name: &'it str,
    /// The value of `LD_PRELOAD`.
    pub preload: &'it str,
    pub library: &'it str,
    /// `NAME=VALUE`.
    pub settings: &'it [String],
    /// In bytes; 0: not set.
    pub memlock: u64,
    /// `None`: not known.
    pub service: Option<&'it Service>,
}

impl DropIn<'_> {
    /// The whole file.
    pub fn text(&self) -> String {
        let Self { name, library, .. } = self;
        let mut text = format!(
            "\
# Made by `sigward unit`. Put it into /etc/systemd/system/{name}.d/sigward.conf, then:
#   systemctl daemon-reload && systemctl restart {name}
# Remove the file to undo it. `sigward doctor PID` says whether the service is covered.
[Service]
# The library in every program that the service starts. It must be visible there, on a mount
# with exec: {library}
Environment={}
",
            quoted("LD_PRELOAD", self.preload)
        );
        let service = self.service;
        if let Some(own) = service.and_then(|service| service.preload.as_deref()) {
            let _ = writeln!(text, "# Behind it is what the service preloads already: {own}");
        }
        for setting in self.settings {
            let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
            let _ = writeln!(text, "Environment={}", quoted(name, value));
        }
        self.memlock(&mut text);
        let Some(service) = service else { return text };
        if let Some(files) = &service.environment_files {
            let _ = writeln!(
                text,
                "# A file that sets LD_PRELOAD would win over the line above: {files}"
            );
        }
        for setting in &service.sandbox {
            let _ = writeln!(text, "# The service may not see or not execute {library}: {setting}");
        }
        if !service.refused.is_empty() {
            let calls = service.refused.join(" ");
            let _ = writeln!(
                text,
                "# Its SystemCallFilter= refuses calls that the library makes where it acts, so it \
                 would do less, or nothing:\n#   {calls}"
            );
        }
        text
    }

    fn memlock(&self, text: &mut String) {
        let wanted = self.memlock;
        let service = self.service;
        if wanted == 0 {
            return;
        }
        if service.is_some_and(|service| service.memlock_is_unlimited) {
            text.push_str("# LimitMEMLOCK= is not set: the service has no such limit.\n");
            return;
        }
        if let Some(own) = service.and_then(|it| it.memlock).filter(|own| *own >= wanted) {
            let _ = writeln!(text, "# LimitMEMLOCK= is not set: the service's own is {own} bytes.");
            return;
        }
        let mib = wanted >> 20;
        let stacks = wanted / (64 << 10);
        let _ = writeln!(
            text,
            "# Room to lock {stacks} alternate stacks of 64 KiB, for services that do not run as root. A \
             finite figure:\n# a container's manager may not grant infinity. What does not fit is only touched.\n\
             LimitMEMLOCK={mib}M"
        );
    }
}

/// A setting as systemd reads it back.
fn quoted(name: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    format!("\"{name}={value}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(service: Option<&Service>, settings: &[String]) -> String {
        DropIn {
            name: "x.service",
            preload: "/opt/50%/libsigward.so",
            library: "/opt/50%/libsigward.so",
            settings,
            memlock: 8 << 20,
            service,
        }
        .text()
    }

    #[test]
    fn what_systemd_expands_is_escaped() {
        let text = text(None, &["SIGWARD_EXCEPT=a\"b\\c%d".to_owned()]);
        assert!(text.contains("\nEnvironment=\"LD_PRELOAD=/opt/50%%/libsigward.so\"\n"), "{text}");
        assert!(text.contains("\nEnvironment=\"SIGWARD_EXCEPT=a\\\"b\\\\c%%d\"\n"), "{text}");
        assert!(text.contains("\nLimitMEMLOCK=8M\n"), "{text}");
    }

    #[test]
    fn a_limit_is_raised_and_never_lowered() {
        for (own, is_set) in [("65536", true), ("8388608", false), ("infinity", false)] {
            let service = Service::read(&format!("LimitMEMLOCK={own}\n"));
            assert_eq!(text(Some(&service), &[]).contains("\nLimitMEMLOCK="), is_set, "{own}");
        }
    }

    #[test]
    fn what_stands_in_the_way_is_told() {
        let service = Service::read(
            "SystemCallFilter=~mlock\nRootDirectory=/srv\nEnvironmentFiles=/etc/default/x\n",
        );
        let text = text(Some(&service), &[]);
        for words in ["RootDirectory=/srv", "#   mlock\n", "/etc/default/x"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        assert!(lines.clone().all(|line| line == "[Service]" || line.contains('=')), "{text}");
    }
}
