//! Random mixes of waits, signals and ending children, compared with a model of the
//! kernel: nothing is lost, and nothing is reported twice.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use sigward_harness::artifacts;
use sigward_harness::programs::{Libc, build};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    End,
    Kill,
    Stop,
    Continue,
}

impl Event {
    fn word(self) -> &'static str {
        match self {
            Event::End => "end",
            Event::Kill => "kill",
            Event::Stop => "stop",
            Event::Continue => "cont",
        }
    }
}

/// One action. A child is named by a number, taken modulo the number of children.
#[derive(Clone, Debug)]
enum Order {
    Fork(u8),
    Happen(Event, usize),
    Wait {
        function: &'static str,
        /// A child's number, any child, or the own group.
        who: Result<usize, &'static str>,
        options: i32,
        /// What happens while the wait sleeps, and whether a handler with `SA_RESTART`
        /// runs first.
        later: (Event, usize),
        restart: bool,
    },
}

fn orders() -> impl Strategy<Value = Vec<Order>> {
    let event = prop_oneof![
        3 => Just(Event::End),
        1 => Just(Event::Kill),
        2 => Just(Event::Stop),
        2 => Just(Event::Continue),
    ];
    let options = prop_oneof![
        3 => Just(0),
        1 => Just(libc::WNOHANG),
        2 => Just(libc::WUNTRACED),
        2 => Just(libc::WCONTINUED),
        1 => Just(libc::WUNTRACED | libc::WCONTINUED | libc::WNOHANG),
    ];
    let wait = (
        prop_oneof![Just("waitpid"), Just("wait4"), Just("waitid")],
        prop_oneof![
            (0..8_usize).prop_map(Ok),
            Just(Err("any")),
            Just(Err("any")),
            Just(Err("group"))
        ],
        options,
        (event.clone(), 0..8_usize),
        any::<bool>(),
    );
    let order = prop_oneof![
        3 => any::<u8>().prop_map(Order::Fork),
        3 => (event, 0..8_usize).prop_map(|(event, child)| Order::Happen(event, child)),
        5 => wait.prop_map(|(function, who, options, later, restart)| Order::Wait {
            function, who, options, later, restart
        }),
    ];
    proptest::collection::vec(order, 1..40)
}

/// A child as the kernel knows it.
#[derive(Clone, Debug)]
struct Model {
    code: u8,
    /// How it ended; `None` while it lives.
    ended: Option<String>,
    stopped: bool,
    /// A stop or continuation that has not been reported yet.
    news: Option<&'static str>,
    reaped: bool,
}

impl Model {
    fn happen(&mut self, event: Event) {
        if self.ended.is_some() {
            return;
        }
        match event {
            // A stopped child does not read its pipe: see `can`.
            Event::End => self.ended = Some(format!("exited {}", self.code)),
            Event::Kill => self.ended = Some(format!("killed {}", libc::SIGKILL)),
            Event::Stop => {
                self.stopped = true;
                self.news = Some("stopped");
            }
            Event::Continue => {
                self.stopped = false;
                self.news = Some("continued");
            }
        }
    }

    fn can(&self, event: Event) -> bool {
        self.ended.is_none()
            && match event {
                Event::End | Event::Stop => !self.stopped,
                Event::Kill => true,
                Event::Continue => self.stopped,
            }
    }

    /// What a wait with these options would report about it.
    fn report(&self, options: i32) -> Option<String> {
        match (&self.ended, self.news) {
            _ if self.reaped => None,
            (Some(ended), _) => Some(ended.clone()),
            (None, Some("stopped")) if options & libc::WUNTRACED != 0 => Some("stopped".into()),
            (None, Some("continued")) if options & libc::WCONTINUED != 0 => {
                Some("continued".into())
            }
            _ => None,
        }
    }
}

struct Program {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    children: Vec<Model>,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    fn start(strategy: Option<&str>, kernel: Kernel) -> Self {
        let program = build("wait_orders", Libc::Glibc).unwrap();
        let mut command = match kernel {
            Kernel::Healthy => Command::new("/usr/bin/env"),
            Kernel::Defective => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_sigward-restart"));
                command.args(["--lose", "r10r8r9", "--report", "/dev/null", "--", "/usr/bin/env"]);
                command
            }
        };
        if let Some(strategy) = strategy {
            command.arg(format!("LD_PRELOAD={}", artifacts::preload().display()));
            command.arg(format!("SIGWARD_WAIT={strategy}"));
        }
        command.arg(program);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let orders = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Program { child, orders, answers, children: Vec::new() }
    }

    fn order(&mut self, order: &str) -> String {
        writeln!(self.orders, "{order}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer.trim().to_owned()
    }

    fn carry_out(&mut self, order: &Order) -> TestCaseResult {
        let count = self.children.len();
        match order {
            Order::Fork(_) if count == 8 => {}
            Order::Fork(code) => {
                prop_assert_eq!(self.order(&format!("fork {code}")), count.to_string());
                self.children.push(Model {
                    code: *code,
                    ended: None,
                    stopped: false,
                    news: None,
                    reaped: false,
                });
            }
            Order::Happen(event, child) if count > 0 => {
                let child = child % count;
                if self.children[child].can(*event) {
                    prop_assert_eq!(self.order(&format!("{} {child}", event.word())), "ok");
                    self.children[child].happen(*event);
                }
            }
            Order::Wait { function, who, options, later, restart } if count > 0 => {
                self.wait(function, who.map(|child| child % count), *options, *later, *restart)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn wait(
        &mut self,
        function: &str,
        who: Result<usize, &'static str>,
        options: i32,
        (event, child): (Event, usize),
        restart: bool,
    ) -> TestCaseResult {
        let name = who.map_or_else(str::to_owned, |child| child.to_string());
        let order = format!("wait {function} {name} {options}");
        let selected = |child: &usize| !matches!(who, Ok(only) if only != *child);
        let reports = |children: &[Model]| -> Vec<String> {
            (0..children.len())
                .filter(selected)
                .filter_map(|at| Some(format!("{at} {}", children[at].report(options)?)))
                .collect()
        };
        let mut possible = reports(&self.children);
        let order = if !possible.is_empty() {
            order
        } else if (0..self.children.len()).filter(selected).all(|at| self.children[at].reaped) {
            possible.push("ECHILD".into());
            order
        } else if options & libc::WNOHANG != 0 {
            possible.push("none".into());
            order
        } else {
            // It sleeps. What happens meanwhile ends it, or a signal does.
            let child = child % self.children.len();
            let restart = if restart { "restart " } else { "" };
            let mut after = self.children.clone();
            if after[child].can(event) && !after[child].reaped {
                after[child].happen(event);
            }
            possible = reports(&after);
            if possible.is_empty() {
                possible.push("EINTR".into());
                format!("{order} {restart}signal")
            } else {
                self.children = after;
                format!("{order} {restart}{}:{child}", event.word())
            }
        };
        let answer = self.order(&order);
        prop_assert!(possible.contains(&answer), "{}: {} not in {:?}", order, answer, possible);
        if let Some((child, said)) = answer.split_once(' ') {
            let child = &mut self.children[child.parse::<usize>().unwrap()];
            child.reaped = child.ended.as_deref() == Some(said);
            child.news = None;
        }
        Ok(())
    }

    /// Every child can still be reaped exactly once.
    fn finish(mut self) -> TestCaseResult {
        for child in 0..self.children.len() {
            if self.children[child].ended.is_none() {
                self.order(&format!("kill {child}"));
                self.children[child].happen(Event::Kill);
            }
        }
        while self.children.iter().any(|child| !child.reaped) {
            self.wait("wait4", Err("any"), 0, (Event::End, 0), false)?;
        }
        prop_assert_eq!(self.order("wait wait4 any 0"), "ECHILD");
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Kernel {
    Healthy,
    /// Under the supervisor.
    Defective,
}

fn run(strategy: Option<&str>, kernel: Kernel, orders: &[Order]) -> TestCaseResult {
    let mut program = Program::start(strategy, kernel);
    for order in orders {
        program.carry_out(order)?;
    }
    program.finish()
}

fn check(strategy: Option<&str>, kernel: Kernel, cases: u32) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(orders in orders())| {
        run(strategy, kernel, &orders)?;
    });
}

/// The model is right: the kernel behaves like it.
#[test]
fn libc_agrees_with_the_model() {
    check(None, Kernel::Healthy, 100);
}

#[test]
fn each_strategy_agrees_with_the_model() {
    for strategy in ["int80", "two-phase"] {
        check(Some(strategy), Kernel::Healthy, 200);
    }
}

#[test]
fn each_strategy_agrees_on_a_defective_kernel() {
    for strategy in ["int80", "two-phase"] {
        check(Some(strategy), Kernel::Defective, 100);
    }
}

/// The control: under the supervisor, libc does not.
#[test]
fn libc_disagrees_on_a_defective_kernel() {
    let orders = [
        Order::Fork(7),
        Order::Wait {
            function: "wait4",
            who: Err("any"),
            options: 0,
            later: (Event::End, 0),
            restart: true,
        },
    ];
    run(None, Kernel::Healthy, &orders).unwrap();
    let wrong = run(None, Kernel::Defective, &orders).unwrap_err();
    assert!(wrong.to_string().contains("Bad address"), "{wrong}");
}
