//! Makes clients of librdkafka. What it complains of quotes values, and those may be secrets.

use rdkafka::{
    ClientConfig, client::ClientContext, config::FromClientConfigAndContext, error::KafkaError,
    types::RDKafkaConfRes,
};
use steadfast::broker::BrokerError;

use crate::config::Config;

/// Shorter values are in too many words, and are no secrets.
const SHORTEST_SECRET: usize = 3;

impl Config {
    /// A client with these settings.
    ///
    /// # Errors
    /// When it does not take its settings, in words without any value that the user has set.
    pub(crate) fn create<C, T>(&self, settings: &ClientConfig, context: C) -> Result<T, BrokerError>
    where
        C: ClientContext,
        T: FromClientConfigAndContext<C>,
    {
        settings.create_with_context(context).map_err(|error| self.without_secrets(error))
    }

    fn without_secrets(&self, error: KafkaError) -> BrokerError {
        match error {
            KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, _, name, _) => {
                BrokerError::Misconfigured(format!("the client knows no setting `{name}`"))
            }
            KafkaError::ClientConfig(_, _, name, _) => BrokerError::Misconfigured(format!(
                "the client does not take the value that `{name}` was set to: librdkafka's \
                 CONFIGURATION.md has the range of each setting"
            )),
            KafkaError::ClientCreation(mut complaint) => {
                let values = self.client.iter().map(|(_, value)| value.as_str());
                for value in values.filter(|value| value.len() >= SHORTEST_SECRET) {
                    complaint = complaint.replace(value, "…");
                }
                BrokerError::Misconfigured(format!("the client refuses its settings: {complaint}"))
            }
            error => BrokerError::unavailable(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::consumer::BaseConsumer;

    use super::*;
    use crate::client_log::Logged;

    fn refused(settings: &[(&str, &str)]) -> String {
        let mut config = Config::new("localhost:1".into());
        for (name, value) in settings {
            config.client.push(((*name).into(), (*value).into()));
        }
        let client: Result<BaseConsumer<Logged>, _> = config.create(&config.base(), Logged);
        let error = client.err().expect("it is refused");
        format!("{error} {error:?}")
    }

    #[test]
    fn no_value_of_a_setting_is_shown() {
        for settings in [
            &[("security.protocol", "s3cret")][..],
            &[("no.such.setting", "s3cret")],
            &[("socket.timeout.ms", "s3cret")],
            &[("security.protocol", "sasl_plaintext"), ("sasl.mechanisms", "s3cret")],
            &[
                ("security.protocol", "sasl_plaintext"),
                ("sasl.mechanisms", "PLAIN"),
                ("sasl.password", "s3cret"),
            ],
        ] {
            let shown = refused(settings);
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }

    #[test]
    fn a_refused_setting_is_named() {
        assert!(refused(&[("security.protocol", "s3cret")]).contains("`security.protocol`"));
        assert!(
            refused(&[("no.such.setting", "1")]).contains("knows no setting `no.such.setting`")
        );
    }
}
