//! Producers and consumers of a durable, mirrored queue.
//!
//! A message is acknowledged when the broker confirms it, which it does when all mirrors have it
//! (<https://www.rabbitmq.com/docs/confirms#when-publishes-are-confirmed>). It may be there twice after a repetition; it
//! is lost if no consumer ever gets it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use amqprs::callbacks::{ChannelCallback, ConnectionCallback};
use amqprs::channel::{
    BasicAckArguments, BasicGetArguments, BasicPublishArguments, Channel, ConfirmSelectArguments,
    QueueDeclareArguments,
};
use amqprs::connection::{Connection, OpenConnectionArguments};
use amqprs::{Ack, BasicProperties, Cancel, Close, CloseChannel, Nack, Return};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::members::{Group, Rule};
use crate::net::{Turn, Wire, said};
use crate::run::{Client, LIMIT, Service};

const PORT: u16 = 5672;
const QUEUE: &str = "load";
/// The one in which the inventory gives the application its permissions.
const VHOST: &str = "altcraft";

/// The cluster, and what consumers have got so far.
pub(crate) struct Rabbit {
    pub(crate) members: Vec<IpAddr>,
    pub(crate) password: String,
    pub(crate) consumed: Arc<Mutex<BTreeSet<u64>>>,
}

/// What a broker says of a message, or of the connection.
type Answer = Result<(), String>;

/// Passes on what the broker says by itself.
struct Tell(UnboundedSender<Answer>);

impl Tell {
    fn failed(&self, why: &dyn ToString) {
        // Nobody listens any more where the client has given the connection up.
        let _ = self.0.send(Err(why.to_string()));
    }
}

#[async_trait::async_trait]
impl ConnectionCallback for Tell {
    async fn close(&mut self, _: &Connection, close: Close) -> Result<(), amqprs::error::Error> {
        self.failed(&close);
        Ok(())
    }
    async fn blocked(&mut self, _: &Connection, _: String) {}
    async fn unblocked(&mut self, _: &Connection) {}
    async fn secret_updated(&mut self, _: &Connection) {}
}

#[async_trait::async_trait]
impl ChannelCallback for Tell {
    async fn close(&mut self, _: &Channel, close: CloseChannel) -> Result<(), amqprs::error::Error> {
        self.failed(&close);
        Ok(())
    }
    async fn cancel(&mut self, _: &Channel, _: Cancel) -> Result<(), amqprs::error::Error> {
        Ok(())
    }
    async fn flow(&mut self, _: &Channel, active: bool) -> Result<bool, amqprs::error::Error> {
        Ok(active)
    }
    async fn publish_ack(&mut self, _: &Channel, _: Ack) {
        let _ = self.0.send(Ok(()));
    }
    async fn publish_nack(&mut self, _: &Channel, _: Nack) {
        self.failed(&"the broker refused the message");
    }
    /// Comes before the confirmation of a message that went to no queue.
    async fn publish_return(&mut self, _: &Channel, _: Return, _: BasicProperties, _: Vec<u8>) {
        self.failed(&"the message went to no queue");
    }
}

/// A connection to a broker. After any failure another one takes its place, so an answer is always for the last request.
struct Broker {
    connection: Connection,
    channel: Channel,
    answers: UnboundedReceiver<Answer>,
}

impl Broker {
    async fn open(address: IpAddr, password: &str) -> Result<Self, String> {
        let mut arguments = OpenConnectionArguments::new(&address.to_string(), PORT, "altcraft", password);
        arguments.virtual_host(VHOST);
        let connection = Connection::open(&arguments).await.map_err(said)?;
        let (tell, answers) = unbounded_channel();
        connection
            .register_callback(Tell(tell.clone()))
            .await
            .map_err(said)?;
        let channel = connection.open_channel(None).await.map_err(said)?;
        channel.register_callback(Tell(tell)).await.map_err(said)?;
        channel
            .queue_declare(QueueDeclareArguments::durable_client_named(QUEUE))
            .await
            .map_err(said)?;
        channel
            .confirm_select(ConfirmSelectArguments::default())
            .await
            .map_err(said)?;
        Ok(Self {
            connection,
            channel,
            answers,
        })
    }

    async fn publish(&mut self, number: u64) -> Answer {
        let properties = BasicProperties::default().with_persistence(true).finish();
        let arguments = BasicPublishArguments::new("", QUEUE).mandatory(true).finish();
        let message = number.to_string().into_bytes();
        self.channel
            .basic_publish(properties, message, arguments)
            .await
            .map_err(said)?;
        tokio::select! {
            answer = self.answers.recv() => answer.unwrap_or_else(|| Err("the connection is gone".to_owned())),
            _ = self.connection.listen_network_io_failure() => Err("the connection broke".to_owned()),
        }
    }

    /// Takes a message; nothing where the queue is empty.
    async fn get(&mut self) -> Result<Option<u64>, String> {
        let got = self
            .channel
            .basic_get(BasicGetArguments::new(QUEUE))
            .await
            .map_err(said)?;
        let Some((got, _, message)) = got else {
            return Ok(None);
        };
        let number = String::from_utf8_lossy(&message).parse().map_err(said)?;
        let acknowledge = BasicAckArguments::new(got.delivery_tag(), false);
        self.channel.basic_ack(acknowledge).await.map_err(said)?;
        Ok(Some(number))
    }
}

/// A producer that consumes half of what it produces: the queue grows, so that mirrors have something to lose.
struct Producer {
    runtime: Runtime,
    members: Vec<IpAddr>,
    password: String,
    broker: Turn<Broker>,
    consumed: Arc<Mutex<BTreeSet<u64>>>,
}

/// A connection that is dropped says goodbye over the runtime.
impl Drop for Producer {
    fn drop(&mut self) {
        let _inside = self.runtime.enter();
        self.broker = Turn::new(0);
    }
}

impl Producer {
    fn with<T>(&mut self, request: impl AsyncFnOnce(&mut Broker) -> Result<T, String>) -> Result<T, String> {
        let Self {
            runtime,
            members,
            password,
            broker,
            ..
        } = self;
        let _inside = runtime.enter();
        let open = |at: usize| within(runtime, Broker::open(members[at % members.len()], password));
        broker.with(open, |broker| within(runtime, request(broker)))
    }

    fn get(&mut self) -> Result<Option<u64>, String> {
        let number = self.with(Broker::get)?;
        self.consumed.lock().unwrap().extend(number);
        Ok(number)
    }
}

fn within<T>(runtime: &Runtime, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let work = async { timeout(LIMIT, work).await };
    runtime
        .block_on(work)
        .unwrap_or_else(|_| Err("no answer in time".to_owned()))
}

impl Client for Producer {
    fn write(&mut self, number: u64) -> Result<(), String> {
        self.with(async |broker| broker.publish(number).await)
    }

    fn read(&mut self, number: u64) -> Result<(), String> {
        if number.is_multiple_of(2) {
            self.get().map(drop)
        } else {
            Ok(())
        }
    }
}

impl Rabbit {
    fn producer(&self, first: usize) -> Producer {
        Producer {
            runtime: Runtime::new().unwrap(),
            members: self.members.clone(),
            password: self.password.clone(),
            broker: Turn::new(first),
            consumed: Arc::clone(&self.consumed),
        }
    }
}

impl Service for Rabbit {
    fn groups(&self) -> Vec<Group> {
        let probes = self.members.iter().map(|&address| {
            // A broker answers the protocol's header with a method's frame, of type 1.
            let greets = move || {
                let greeting = |bytes: &[u8]| Ok(bytes.first().map(|&first| (first == 1, bytes.len())));
                Wire::open(address, PORT)?.ask(b"AMQP\x00\x00\x09\x01", greeting)
            };
            Box::new(move || greets() == Ok(true)) as _
        });
        vec![Group {
            what: "brokers",
            rule: Rule::AtLeast(2),
            probes: probes.collect(),
        }]
    }

    fn client(&self, first: usize) -> Box<dyn Client> {
        Box::new(self.producer(first))
    }

    fn lost(&self, acknowledged: &BTreeSet<u64>) -> Option<BTreeSet<u64>> {
        let mut consumer = self.producer(0);
        // What a consumer took that died before it acknowledged comes back when the broker notices.
        for _ in 0..20 {
            while let Ok(Some(_)) = consumer.get() {}
            if acknowledged.is_subset(&self.consumed.lock().unwrap()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        Some(acknowledged - &self.consumed.lock().unwrap())
    }
}
