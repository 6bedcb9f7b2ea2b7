"""The drivers for Kafka, each behind `predictq.brokers.kafka.driver.Driver`; imported only when its scheme is used."""
