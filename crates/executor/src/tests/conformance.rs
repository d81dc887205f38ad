//! The host that loses answers keeps its record of actions as the real agent does.

use std::time::Duration;

use protocol::{Action, ActionError, ActionId, ActionRequest, Change, Command, Operation, Request, Response};
use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;
use transport::fake::FakeHost;

use super::graphs::{holder, host};
use super::lost_answers::{Loss, Lossy};

#[path = "../../../protocol/conformance.rs"]
mod conversations;

use conversations::{Event, Host, Step};

struct Fake {
    lossy: Lossy,
    runtime: Runtime,
}

fn operation(step: &Step) -> Operation {
    let name = format!("{}", step.number);
    if step.is_idempotent {
        return Operation::InstallPackages { names: vec![name] };
    }
    Operation::Run {
        commands: vec![Command::new([name])],
    }
}

impl Host for Fake {
    fn play(&mut self, step: &Step) -> Option<Result<Change, ActionError>> {
        let lossy = &self.lossy;
        self.runtime.block_on(async {
            let lock = || Request::Lock {
                holder: holder(step.run),
                had_lock: step.had_lock,
            };
            while lossy.answer(host("h1"), lock()).await != Some(Response::Locked) {
                sleep(Duration::from_secs(1)).await;
            }
            lossy.lose(match step.event {
                Event::Answered(_) => None,
                Event::Cut => Some(Loss::UnderWay),
                Event::Killed => Some(Loss::AgentAfter),
            });
            let request = ActionRequest {
                id: ActionId {
                    node: "node".parse().unwrap(),
                    number: step.number,
                },
                is_repeated: step.is_repeated,
                action: Action {
                    only_if: Vec::new(),
                    operation: operation(step),
                    limit_ms: 1000,
                },
            };
            match lossy.answer(host("h1"), Request::Act(Box::new(request))).await {
                Some(Response::Acted(result)) => Some(result),
                None => None,
                other => panic!("{other:?}"),
            }
        })
    }

    fn done(&mut self, step: &Step) -> usize {
        self.lossy.done(&operation(step)) as usize
    }
}

#[test]
fn the_host_that_loses_answers_keeps_its_record_as_the_agent_does() {
    conversations::check(|| Fake {
        lossy: Lossy::default(),
        runtime: Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap(),
    });
}
